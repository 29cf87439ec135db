#include "strategies/latency/choose.hpp"

#include <algorithm>
#include <switchyard/json.hpp>
#include <vector>

namespace latency {
namespace {

// How well a candidate is known; a higher one goes first.
enum class Standing : std::int64_t { kFailing, kOnTrial, kUnknown, kKnown, kTaken, kLookedAt };

// So that no product goes beyond 64 bits, and no expectation beyond what lies between two
// standings.
constexpr std::uint32_t kInflightMax = 1'000'000, kTokensPerSecondMax = 1'000'000;
constexpr std::int64_t kLoadedMax = std::int64_t{1} << 43;

// The seed's numbers, one for each use.
enum Salt : std::uint64_t { kWhether, kWhich, kFirst, kSecond };

struct Judged {
  std::uint32_t index = 0;
  Standing standing = Standing::kUnknown;
  std::int64_t expected_us = 0;
  const char* measure = "";
  std::int64_t measured_us = 0;
};

// The time to the last token where the request's limit cuts answers short: what comes before the
// first one stays as it is.
std::int64_t answer_us(const swy_cand& candidate, std::int64_t whole_us,
                       std::uint64_t tok_out_max) {
  const std::uint64_t tok_per_s = std::min(candidate.tok_per_s, kTokensPerSecondMax);
  const std::uint64_t usual = tok_per_s * candidate.latency_us / 1'000'000;
  if (tok_out_max == 0 || tok_out_max >= usual) return whole_us;
  const std::int64_t fixed = std::min<std::int64_t>(candidate.ttft_us, whole_us);
  const auto cut = static_cast<std::uint64_t>(whole_us - fixed);
  return fixed + static_cast<std::int64_t>(cut * tok_out_max / usual);
}

// The first token where the request is a stream and that is known, else the whole answer.
void measure(const swy::RouteRequest& request, const swy_cand& candidate, bool p95,
             Judged& judged) {
  const std::uint32_t ttft = p95 ? candidate.ttft_p95_us : candidate.ttft_us;
  const bool first = request.stream() && ttft > 0;
  const std::uint32_t whole = p95 ? candidate.latency_p95_us : candidate.latency_us;
  judged.measured_us = first ? ttft : answer_us(candidate, whole, request->tok_out_max);
  judged.measure = first ? "first token" : "answer";
}

Judged judge(const swy::RouteRequest& request, const swy_cand& candidate, std::uint32_t i,
             const Settings& settings) {
  Judged judged;
  judged.index = i;
  measure(request, candidate, settings.p95, judged);
  if (judged.measured_us == 0) {
    // One slow answer on its way is enough to learn from.
    const bool fails = candidate.samples > 0 && candidate.state != SWY_STATE_HALF_OPEN;
    judged.standing = candidate.inflight > 0 ? Standing::kOnTrial
                      : fails                ? Standing::kFailing
                                             : Standing::kUnknown;
    return judged;
  }
  judged.standing = Standing::kKnown;
  const std::int64_t loaded =
      judged.measured_us *
      (std::int64_t{settings.concurrency} + std::min(candidate.inflight, kInflightMax)) /
      settings.concurrency;
  // Where one of two fails, two tries are to be expected. What failed before a breaker opened says
  // nothing of those that it lets through since.
  const bool tried_again = candidate.state == SWY_STATE_HALF_OPEN;
  const std::int64_t good_ppm =
      1'000'000 - (tried_again ? 0 : std::min(candidate.err_ppm, 990'000u));
  judged.expected_us = std::min(loaded, kLoadedMax) * 1'000'000 / good_ppm;
  return judged;
}

std::string reason(const Judged& judged, const swy_cand& candidate) {
  if (judged.standing == Standing::kFailing) return "only failures lately";
  const char* const again = judged.standing == Standing::kLookedAt ? ", looked at" : "";
  if (judged.measured_us == 0) return std::string("not measured yet") + again;
  const std::int64_t ms = (judged.measured_us + 500) / 1000;
  return std::string(judged.measure) + ' ' + (ms == 0 ? "<1" : std::to_string(ms)) + " ms, " +
         std::to_string(candidate.inflight) + " in flight" + again;
}

// Power of two choices: the better of two that chance names. The best of all would draw every
// request at once, on numbers that are a moment old.
Judged* better_of_two(const swy::RouteRequest& request, std::vector<Judged*> known) {
  if (known.empty()) return nullptr;
  std::swap(known[request.chance(kFirst) % known.size()], known.back());
  Judged* const first = known.back();
  known.pop_back();
  if (known.empty()) return first;
  Judged* const second = known[request.chance(kSecond) % known.size()];
  const bool second_is_better = second->expected_us != first->expected_us
                                    ? second->expected_us < first->expected_us
                                    : second->index < first->index;
  return second_is_better ? second : first;
}

// Who is passed over by every request would never be seen to be quick again: a few look at it, one
// at a time, first at what nobody has measured.
Judged* look_at(const swy::RouteRequest& request, const Settings& settings,
                const swy::Candidates& candidates, const std::vector<Judged*>& unknown,
                const std::vector<Judged*>& known, const Judged* taken) {
  const bool probes = std::any_of(unknown.begin(), unknown.end(), [&](const Judged* each) {
    return candidates[each->index].state == SWY_STATE_HALF_OPEN;
  });
  if (taken != nullptr && !probes && request.chance(kWhether) % 100 >= settings.explore_percent) {
    return nullptr;
  }
  std::vector<Judged*> idle = unknown;
  for (Judged* const each : known) {
    const bool passed_over = each != taken && candidates[each->index].inflight == 0;
    if (unknown.empty() && passed_over) idle.push_back(each);
  }
  return idle.empty() ? nullptr : idle[request.chance(kWhich) % idle.size()];
}

}  // namespace

const char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "measure": {
      "enum": ["mean", "p95"],
      "description": "What is compared of the last minute's times. mean where left out."
    },
    "explore_percent": {
      "type": "integer", "minimum": 0, "maximum": 100,
      "description": "Of requests that go to a candidate which is not the quickest, to learn how it fares now. 3 where left out."
    },
    "concurrency": {
      "type": "integer", "minimum": 1, "maximum": 100000,
      "description": "A candidate with this many attempts in flight counts as twice as slow. 32 where left out."
    }
  }
})";

swy::Result<Strategy> Strategy::open(std::string_view config_json, swy::Host) {
  namespace json = swy::json;
  Settings settings;
  const auto number = [config_json](const char* name, std::uint32_t otherwise) {
    return static_cast<std::uint32_t>(
        json::to_integer(json::find(config_json, name)).value_or(otherwise));
  };
  settings.p95 = json::to_text(json::find(config_json, "measure")).value_or("") == "p95";
  settings.explore_percent = number("explore_percent", settings.explore_percent);
  settings.concurrency = std::max(1u, number("concurrency", settings.concurrency));
  return Strategy(settings);
}

void Strategy::score(const swy::RouteRequest& request, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  std::vector<Judged> all;
  all.reserve(candidates.size());
  std::vector<Judged*> known, unknown;
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    Judged& judged = all.emplace_back(judge(request, candidates[i], i, settings_));
    if (judged.standing == Standing::kKnown) known.push_back(&judged);
    if (judged.standing == Standing::kUnknown) unknown.push_back(&judged);
  }
  Judged* const taken = better_of_two(request, known);
  Judged* const looked_at = look_at(request, settings_, candidates, unknown, known, taken);
  if (taken != nullptr) taken->standing = Standing::kTaken;
  if (looked_at != nullptr) looked_at->standing = Standing::kLookedAt;
  for (const Judged& judged : all) {
    const auto standing = static_cast<std::int64_t>(judged.standing);
    scores.set(judged.index, (standing << 52) - judged.expected_us,
               reason(judged, candidates[judged.index]));
  }
}

}  // namespace latency

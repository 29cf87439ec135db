#include "strategies/latency/choose.hpp"

#include <algorithm>
#include <switchyard/json.hpp>
#include <vector>

namespace latency {
namespace {

// How well a candidate is known; a higher one goes first.
enum class Standing : std::int64_t { kFailing, kOnTrial, kUnknown, kKnown, kDrawn, kExplored };

constexpr std::int64_t kExpectedMax = (std::int64_t{1} << 50) - 1;

// The seed's numbers, one for each use.
enum Salt : std::uint64_t { kWhether, kWhich, kFirst, kSecond };

struct Judged {
  std::uint32_t index = 0;
  Standing standing = Standing::kUnknown;
  std::int64_t expected_us = 0;
  const char* measure = "";
  std::uint32_t measured_us = 0;
};

// The first token where the request is a stream and that is known, else the whole answer.
void measure(const swy_cand& candidate, bool stream, bool p95, Judged& judged) {
  const std::uint32_t ttft = p95 ? candidate.ttft_p95_us : candidate.ttft_us;
  const bool first = stream && ttft > 0;
  judged.measured_us = first ? ttft : p95 ? candidate.latency_p95_us : candidate.latency_us;
  judged.measure = first ? "first token" : "answer";
}

Judged judge(const swy_cand& candidate, std::uint32_t i, bool stream, const Settings& settings) {
  Judged judged;
  judged.index = i;
  measure(candidate, stream, settings.p95, judged);
  if (judged.measured_us == 0) {
    // One slow answer on its way is enough to learn from.
    judged.standing = candidate.samples > 0    ? Standing::kFailing
                      : candidate.inflight > 0 ? Standing::kOnTrial
                                               : Standing::kUnknown;
    return judged;
  }
  judged.standing = Standing::kKnown;
  const std::int64_t loaded = std::int64_t{judged.measured_us} *
                              (std::int64_t{settings.concurrency} + candidate.inflight) /
                              settings.concurrency;
  // Where one of two fails, two tries are to be expected.
  const std::int64_t good_ppm = 1'000'000 - std::min(candidate.err_ppm, 990'000u);
  judged.expected_us = std::min(loaded, kExpectedMax / 100) * 1'000'000 / good_ppm;
  return judged;
}

std::string reason(const Judged& judged, const swy_cand& candidate) {
  if (judged.standing == Standing::kFailing) return "only failures lately";
  if (judged.standing == Standing::kExplored) return "not measured yet, explored";
  if (judged.measured_us == 0) return "not measured yet";
  const std::uint32_t ms = (judged.measured_us + 500) / 1000;
  return std::string(judged.measure) + ' ' + (ms == 0 ? "<1" : std::to_string(ms)) + " ms, " +
         std::to_string(candidate.inflight) + " in flight";
}

void raise(std::vector<Judged*>& of, std::uint64_t place, Standing to) {
  of[place % of.size()]->standing = to;
}

// One that nobody has measured is tried by some of the requests, else it would never be known.
void explore(const swy::RouteRequest& request, const Settings& settings,
             std::vector<Judged*>& unknown, bool any_known) {
  if (unknown.empty()) return;
  if (any_known && request.chance(kWhether) % 100 >= settings.explore_percent) return;
  raise(unknown, request.chance(kWhich), Standing::kExplored);
}

// Power of two choices: the better of two that chance names. The best of all would draw every
// request at once, on numbers that are a moment old.
void draw_two(const swy::RouteRequest& request, std::vector<Judged*>& known) {
  if (known.empty()) return;
  const std::uint64_t first = request.chance(kFirst) % known.size();
  std::swap(known[first], known.back());
  raise(known, known.size() - 1, Standing::kDrawn);
  if (known.size() > 1) {
    known.pop_back();
    raise(known, request.chance(kSecond), Standing::kDrawn);
  }
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
      "description": "Of requests that go to a candidate which was not measured lately. 10 where left out."
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
    if (candidates[i].state == SWY_STATE_OPEN) {
      scores.exclude(i, "its breaker is open");
      continue;
    }
    Judged& judged = all.emplace_back(judge(candidates[i], i, request.stream(), settings_));
    if (judged.standing == Standing::kKnown) known.push_back(&judged);
    if (judged.standing == Standing::kUnknown) unknown.push_back(&judged);
  }
  explore(request, settings_, unknown, !known.empty());
  draw_two(request, known);
  for (const Judged& judged : all) {
    const auto standing = static_cast<std::int64_t>(judged.standing);
    scores.set(judged.index, (standing << 52) - judged.expected_us,
               reason(judged, candidates[judged.index]));
  }
}

}  // namespace latency

#include "core/routing/decision.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

#include "core/base/json_scan.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::routing {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;
using config::Json;

template <class Struct, class Value>
struct Field {
  const char* name;
  Value Struct::* member;
};

constexpr Field<swy_rreq, swy_str> kRequestTexts[] = {
    {"task", &swy_rreq::task},         {"model", &swy_rreq::model},
    {"feature", &swy_rreq::feature},   {"account", &swy_rreq::account},
    {"key_id", &swy_rreq::key_id},     {"region", &swy_rreq::region},
    {"language", &swy_rreq::language}, {"currency", &swy_rreq::currency}};
constexpr Field<swy_rreq, std::uint32_t> kRequestNumbers[] = {{"flags", &swy_rreq::flags}};
constexpr Field<swy_rreq, std::uint64_t> kRequestCounts[] = {
    {"tok_in_est", &swy_rreq::tok_in_est},   {"tok_out_est", &swy_rreq::tok_out_est},
    {"tok_out_max", &swy_rreq::tok_out_max}, {"deadline_ns", &swy_rreq::deadline_ns},
    {"now_ns", &swy_rreq::now_ns},           {"seed", &swy_rreq::seed},
    {"affinity", &swy_rreq::affinity}};
constexpr Field<swy_cand, swy_str> kCandidateTexts[] = {
    {"provider", &swy_cand::provider}, {"model", &swy_cand::model}, {"region", &swy_cand::region}};
constexpr Field<swy_cand, std::uint32_t> kCandidateNumbers[] = {
    {"state", &swy_cand::state},
    {"weight", &swy_cand::weight},
    {"priority", &swy_cand::priority},
    {"inflight", &swy_cand::inflight},
    {"err_ppm", &swy_cand::err_ppm},
    {"inflight_max", &swy_cand::inflight_max},
    {"rpm_left", &swy_cand::rpm_left},
    {"ttft_us", &swy_cand::ttft_us},
    {"latency_us", &swy_cand::latency_us},
    {"ttft_p95_us", &swy_cand::ttft_p95_us},
    {"tok_per_s", &swy_cand::tok_per_s},
    {"latency_p95_us", &swy_cand::latency_p95_us},
    {"flags", &swy_cand::flags}};
constexpr Field<swy_cand, std::uint64_t> kCandidateCounts[] = {
    {"id", &swy_cand::id},
    {"tpm_left", &swy_cand::tpm_left},
    {"ctx_tokens", &swy_cand::ctx_tokens},
    {"samples", &swy_cand::samples}};

void put(Writer& json, const char* name, std::string_view text) {
  json.Key(name);
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

template <class Struct, std::size_t N>
void put_all(Writer& json, const Struct& from, const Field<Struct, swy_str> (&fields)[N]) {
  for (const auto& field : fields) {
    if ((from.*field.member).n > 0) put(json, field.name, view(from.*field.member));
  }
}

template <class Struct, class Number, std::size_t N>
void put_all(Writer& json, const Struct& from, const Field<Struct, Number> (&fields)[N]) {
  for (const auto& field : fields) {
    json.Key(field.name);
    json.Uint64(from.*field.member);
  }
}

void put_candidate(Writer& json, const swy_cand& candidate) {
  put_all(json, candidate, kCandidateTexts);
  put_all(json, candidate, kCandidateNumbers);
  put_all(json, candidate, kCandidateCounts);
  if (candidate.est_cost_nano != INT64_MIN) {
    json.Key("est_cost_nano");
    json.Int64(candidate.est_cost_nano);
  }
  json.Key("tags");
  json.StartObject();
  for (std::uint64_t i = 0; i < candidate.ntag; ++i) {
    const std::string_view name = view(candidate.tag[i].k);
    json.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
    const std::string_view value = view(candidate.tag[i].v);
    json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  }
  json.EndObject();
}

// What the host and each strategy said of candidate `i`; of one that was not shown it, nothing.
void put_verdict(Writer& json, const swy_rreq& request, const swy_cand& candidate, std::size_t i,
                 std::size_t candidates, std::size_t strategies, const Plan& plan) {
  if (i < plan.excluded_by.size() && plan.excluded_by[i] == Plan::kHost) {
    put(json, "refused", host_refusal(request, candidate));
  }
  json.Key("verdict");
  json.StartArray();
  for (std::size_t s = 0; s < strategies; ++s) {
    const swy_score& score = plan.scores[s * candidates + i];
    if (score.size == 0) break;
    json.StartObject();
    if (score.score == SWY_SCORE_EXCLUDE) {
      json.Key("excluded");
      json.Bool(true);
    } else {
      json.Key("score");
      json.Int64(score.score);
    }
    put(json, "reason", score.reason);
    json.EndObject();
  }
  json.EndArray();
}

}  // namespace

std::string decision_json(std::string_view alias,
                          std::span<const plugin::StrategyInstance* const> strategies,
                          const swy_rreq& request, std::span<const swy_cand> candidates,
                          const Plan& plan) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartObject();
  put(json, "alias", alias);
  json.Key("strategies");
  json.StartArray();
  for (const plugin::StrategyInstance* each : strategies) json.String(each->name());
  json.EndArray();
  json.Key("request");
  json.StartObject();
  put_all(json, request, kRequestTexts);
  put_all(json, request, kRequestNumbers);
  put_all(json, request, kRequestCounts);
  json.EndObject();
  json.Key("candidates");
  json.StartArray();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    json.StartObject();
    put_candidate(json, candidates[i]);
    put_verdict(json, request, candidates[i], i, candidates.size(), strategies.size(), plan);
    json.EndObject();
  }
  json.EndArray();
  json.Key("order");
  json.StartArray();
  for (const std::uint32_t i : plan.order) json.Uint(i);
  json.EndArray();
  if (!plan.fault.empty()) put(json, "fault", plan.fault);
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

namespace {

// "openai/gpt-x (cost 0.0012 USD, latency answer 900 ms)".
void append_candidate(std::string& text, const Decided& decided, std::uint32_t i) {
  const swy_cand& candidate = decided.candidates[i];
  const Plan& plan = decided.plan;
  text.append(view(candidate.provider)).append("/").append(view(candidate.model)).append(" (");
  std::string said;
  if (plan.excluded_by[i] == Plan::kHost) said = host_refusal(decided.request, candidate);
  const std::size_t n = decided.candidates.size();
  for (std::size_t at = i; at < plan.scores.size() && plan.scores[at].size != 0; at += n) {
    if (!said.empty()) said += ", ";
    said += plan.scores[at].reason;
  }
  text.append(said).append(")");
}

}  // namespace

std::string decision_line(const Decided& decided, std::string_view reason) {
  std::string text(reason);
  const std::vector<std::uint32_t>& order = decided.plan.order;
  for (std::size_t place = 0; place < order.size(); ++place) {
    text += "; " + std::to_string(place + 1) + ' ';
    append_candidate(text, decided, order[place]);
  }
  for (std::uint32_t i = 0; i < decided.candidates.size(); ++i) {
    if (std::find(order.begin(), order.end(), i) != order.end()) continue;
    text += "; not ";
    append_candidate(text, decided, i);
  }
  return text;
}

class DecisionReader {
 public:
  Result<Decision> read(std::string_view text) {
    auto document = config::parse_text(text);
    if (!document) {
      const config::Fault& fault = document.error().front();
      return Error{"decision: " + fault.pointer + (fault.pointer.empty() ? "" : ": ") +
                   fault.message};
    }
    const Json* request = config::member(*document, "request");
    const Json* candidates = config::member(*document, "candidates");
    if (request == nullptr || !request->IsObject()) return Error{"decision: /request: missing"};
    if (candidates == nullptr || !candidates->IsArray()) {
      return Error{"decision: /candidates: missing"};
    }
    read_names(*document);
    read_request(*request);
    for (rapidjson::SizeType i = 0; i < candidates->Size(); ++i) {
      read_candidate((*candidates)[i], config::child("/candidates", i));
    }
    read_order(*document);
    if (!fault_.empty()) return Error{"decision: " + fault_};
    return std::move(decision_);
  }

 private:
  void fault(const std::string& pointer, const char* expected) {
    if (fault_.empty()) fault_ = pointer + ": expected " + expected;
  }

  swy_str keep(const Json& text) {
    return to_swy(decision_.texts_.emplace_back(text.GetString(), text.GetStringLength()));
  }

  void take(const Json& value, const std::string& at, swy_str& to) {
    if (!value.IsString()) return fault(at, "a text");
    to = keep(value);
  }
  void take(const Json& value, const std::string& at, std::uint32_t& to) {
    if (!value.IsUint()) return fault(at, "a number of 32 bits");
    to = value.GetUint();
  }
  void take(const Json& value, const std::string& at, std::uint64_t& to) {
    if (!value.IsUint64()) return fault(at, "a number of 64 bits");
    to = value.GetUint64();
  }

  template <class Struct, class Value, std::size_t N>
  void take_all(const Json& from, const std::string& pointer, Struct& to,
                const Field<Struct, Value> (&fields)[N]) {
    for (const auto& field : fields) {
      const Json* value = config::member(from, field.name);
      if (value != nullptr) take(*value, config::child(pointer, field.name), to.*field.member);
    }
  }

  void read_names(const Json& document) {
    if (const Json* alias = config::member(document, "alias"); alias && alias->IsString()) {
      decision_.alias_ = config::text_of(*alias);
    }
    const Json* strategies = config::member(document, "strategies");
    if (strategies == nullptr || !strategies->IsArray()) return;
    for (const Json& each : strategies->GetArray()) {
      if (each.IsString()) decision_.strategies_.emplace_back(config::text_of(each));
    }
  }

  void read_request(const Json& from) {
    swy_rreq& request = decision_.request_;
    request.size = sizeof request;
    take_all(from, "/request", request, kRequestTexts);
    take_all(from, "/request", request, kRequestNumbers);
    take_all(from, "/request", request, kRequestCounts);
  }

  void read_candidate(const Json& from, const std::string& pointer) {
    if (!from.IsObject()) return fault(pointer, "an object");
    swy_cand candidate{};
    candidate.size = sizeof candidate;
    candidate.est_cost_nano = INT64_MIN;
    candidate.weight = 1;
    candidate.inflight_max = candidate.rpm_left = UINT32_MAX;
    candidate.tpm_left = UINT64_MAX;
    take_all(from, pointer, candidate, kCandidateTexts);
    take_all(from, pointer, candidate, kCandidateNumbers);
    take_all(from, pointer, candidate, kCandidateCounts);
    const Json* cost = config::member(from, "est_cost_nano");
    if (cost != nullptr && !cost->IsInt64()) {
      return fault(pointer + "/est_cost_nano", "a number of 64 bits");
    }
    if (cost != nullptr) candidate.est_cost_nano = cost->GetInt64();
    auto& tags = decision_.tags_.emplace_back();
    const Json* given = config::member(from, "tags");
    if (given != nullptr && given->IsObject()) {
      for (const auto& tag : given->GetObject()) {
        if (!tag.value.IsString()) return fault(pointer + "/tags", "texts");
        tags.push_back({keep(tag.name), keep(tag.value)});
      }
    }
    candidate.tag = tags.data();
    candidate.ntag = tags.size();
    decision_.candidates_.push_back(candidate);
  }

  void read_order(const Json& document) {
    const Json* order = config::member(document, "order");
    if (order == nullptr || !order->IsArray()) return;
    for (const Json& each : order->GetArray()) {
      if (!each.IsUint() || each.GetUint() >= decision_.candidates_.size()) {
        return fault("/order", "places of candidates");
      }
      decision_.order_.push_back(each.GetUint());
    }
  }

  Decision decision_;
  std::string fault_;
};

Result<Decision> Decision::parse(std::string_view json) { return DecisionReader().read(json); }

Plan replay(const Decision& decision, std::span<const plugin::StrategyInstance* const> strategies) {
  Plan plan;
  decide(strategies, decision.request(), decision.candidates(), plan);
  return plan;
}

}  // namespace switchyard::routing

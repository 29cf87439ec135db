// How the model shall think and answer.
#include <algorithm>
#include <charconv>

#include "providers/anthropic/to_upstream.hpp"

namespace anthropic {

namespace json = swy::json;

namespace {

// A whole answer is waited for in silence; beyond this Anthropic's own SDKs insist on a stream.
constexpr std::int64_t kWholeTokensMax = 21'333;

// A person's address is none of the upstream's business.
bool looks_personal(std::string_view user) {
  const bool phone = user.size() >= 7 &&
                     user.find_first_not_of("+0123456789 ()-.") == std::string_view::npos &&
                     user.find_first_of("+ ()") != std::string_view::npos;
  return phone || user.find('@') != std::string_view::npos;
}

}  // namespace

// A forced tool and thinking exclude each other: the tool goes first where the model can be told
// not to think.
void UpstreamBody::read_thinking() {
  const bool forced = choice_.mode == Mode::kAny || choice_.mode == Mode::kTool;
  if (forced && (rules_.always_thinks || rules_.between_tools)) {
    losses_.add("tool_choice");
    choice_.mode = Mode::kAuto;
    choice_.name = {};
  }
  const std::string_view source = swy::reasoning_member(request_);
  const bool asked = !reasoning_.effort.empty() || reasoning_.budget >= 0;
  const bool wanted = asked && reasoning_.effort != "none";
  const bool tool_first = forced && choice_.mode != Mode::kAuto;
  if (rules_.thinking == Thinking::kNone) {
    if (wanted) losses_.add(source);
    return;
  }
  if (!wanted || tool_first) {
    if (wanted) losses_.add(source);
    if (!asked && !(tool_first && rules_.thinks_unasked)) return;
    if (rules_.thinking == Thinking::kBudget) return;  // it doesn't think unless told to
    if (rules_.always_thinks) {
      losses_.add(source);
      effort_ = "low";
    } else {
      think_ = rules_.between_tools ? Think::kBetweenTools : Think::kOff;
    }
    return;
  }
  std::string_view effort = reasoning_.effort;
  if (effort.empty()) {
    effort = reasoning_.budget <= 4096    ? "low"
             : reasoning_.budget <= 16384 ? "medium"
             : reasoning_.budget <= 32768 ? "high"
                                          : "xhigh";
  }
  if (rules_.thinking == Thinking::kAdaptive) {
    if (reasoning_.budget >= 0) losses_.add(Place{nullptr, "reasoning"}, "max_tokens");
    think_ = Think::kAdaptive;
    effort_ = effort == "minimal" ? "low" : effort;
    return;
  }
  // At least 1024, and room for the answer is left within the client's own limit.
  std::int64_t budget = reasoning_.budget;
  if (budget < 0) {
    budget = effort == "minimal"  ? 1024
             : effort == "low"    ? 2048
             : effort == "medium" ? 8192
             : effort == "high"   ? 16384
                                  : 32768;
  }
  const std::int64_t limit = max_tokens();
  if (lacks_thinking()) {
    losses_.add(source);
    return;
  }
  budget_ = std::max<std::int64_t>(1024, std::min(budget, limit / 2));
  if (limit <= 1024) {
    losses_.add(source);
  } else {
    think_ = Think::kBudget;
  }
}

// In the middle of a turn with tools a model that thinks by budget wants its own thinking back; a
// client that does not keep it has the turn ended without more of it.
bool UpstreamBody::lacks_thinking() {
  std::size_t last = messages_.size();
  while (last > 0 && messages_[last - 1].role == swy::ChatRole::kTool) --last;
  if (last == messages_.size() || last == 0) return false;
  const Message& message = messages_[last - 1];
  if (message.role != swy::ChatRole::kAssistant || message.tool_calls.empty()) return false;
  json::Cursor cursor(message.reasoning_details);
  if (!cursor.array()) return true;
  while (cursor.element()) {
    Replay replay;
    if (read_replay(cursor.value(), replay) && replay.type != "opaque") return false;
  }
  return true;
}

std::int64_t UpstreamBody::max_tokens() const {
  for (const std::string_view name : {"max_completion_tokens", "max_tokens"}) {
    const auto number = json::to_integer(request_.value(name));
    if (number) return *number;
  }
  if (settings_.max_tokens > 0) return settings_.max_tokens;
  return request_.stream() ? rules_.tokens_max : std::min(rules_.tokens_max, kWholeTokensMax);
}

void UpstreamBody::write_thinking() {
  const std::string_view given = request_.value("thinking");
  if (!json::is_null(given)) {
    json_.key("thinking").raw(given);  // said in Anthropic's own words
    return;
  }
  if (think_ == Think::kUnsaid) return;
  json_.key("thinking").open_object().key("type");
  switch (think_) {
    case Think::kOff:
      json_.text("disabled");
      break;
    case Think::kBetweenTools:
      json_.text("between_tools");
      break;
    case Think::kBudget:
      json_.text("enabled").key("budget_tokens").integer(budget_);
      break;
    default:
      json_.text("adaptive");
      if (rules_.hides_thinking && !reasoning_.hide) json_.key("display").text("summarized");
  }
  json_.close_object();
}

void UpstreamBody::write_output_config() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  const std::string_view schema = json::find_path(format, "json_schema.schema");
  const bool structured = rules_.structured && type == "json_schema" && !schema.empty();
  if (!structured && !type.empty() &&
      !swy::is_one_of(type, {"text", "json_object", "json_schema"})) {
    losses_.add("response_format");
  }
  if (!structured && effort_.empty()) return;
  json_.key("output_config").open_object();
  if (!effort_.empty()) json_.key("effort").text(effort_);
  if (structured) {
    const Place top{nullptr, "response_format"};
    const Place inner{&top, "json_schema"};
    const Place here{&inner, "schema"};
    json_.key("format").open_object().key("type").text("json_schema").key("schema");
    swy::write_schema(schema, kStrict, json_, here, losses_);
    json_.close_object();
  }
  json_.close_object();
}

void UpstreamBody::write_sampling() {
  const std::string_view temperature = request_.value("temperature");
  const std::string_view top_k = request_.value("top_k");
  const bool thinks = think_ == Think::kBudget || think_ == Think::kAdaptive;
  if (!rules_.sampling || settings_.version != "2023-06-01" || thinks) {
    swy::lose_sampling(request_, "temperature", losses_);
    swy::lose_sampling(request_, "top_p", losses_);
    losses_.add_unless_null(Place{}, "top_k", top_k);
    return;
  }
  write_number("temperature", "temperature", 1);
  if (rules_.one_sampling && !json::is_null(temperature)) {
    swy::lose_sampling(request_, "top_p", losses_);
  } else {
    write_number("top_p", "top_p", 1);
  }
  if (!json::is_null(top_k)) json_.key("top_k").raw(top_k);
}

void UpstreamBody::write_number(std::string_view name, std::string_view upstream_name,
                                double maximum) {
  const std::string_view value = request_.value(name);
  if (json::is_null(value)) return;
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (read.ec == std::errc() && number > maximum) {
    losses_.add(name);
    json_.key(upstream_name).integer(static_cast<std::int64_t>(maximum));
  } else {
    json_.key(upstream_name).raw(value);
  }
}

void UpstreamBody::write_stop() {
  const std::string_view stop = request_.value("stop");
  if (json::type_of(stop) == 's') {
    if (json::is_blank(json::inside(stop))) return losses_.add("stop");
    json_.key("stop_sequences").open_array().raw(stop).close_array();
    return;
  }
  json::Cursor cursor(stop);
  if (!cursor.array() || stop == "[]") return;
  const Place list{nullptr, "stop"};
  json_.key("stop_sequences").open_array();
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view each = cursor.value();
    if (json::is_blank(json::inside(each))) {
      losses_.add(Place{&list, {}, i});
    } else {
      json_.raw(each);
    }
  }
  json_.close_array();
}

void UpstreamBody::write_user() {
  bool written = false;
  for (const std::string_view name : {"safety_identifier", "user"}) {
    const std::string_view value = request_.value(name);
    if (json::type_of(value) != 's') continue;
    if (written || looks_personal(json::inside(value))) {
      if (!written) losses_.add(name);
      continue;
    }
    written = true;
    json_.key("metadata").open_object().key("user_id").raw(value).close_object();
  }
}

void UpstreamBody::write_tier() {
  const std::string_view tier = json::inside(request_.value("service_tier"));
  if (tier == "auto" || tier == "standard_only") {
    json_.key("service_tier").text(tier);
  } else if (tier == "default") {
    json_.key("service_tier").text("standard_only");
  } else if (!tier.empty()) {
    losses_.add("service_tier");
  }
}

}  // namespace anthropic

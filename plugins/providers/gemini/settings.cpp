// How the model shall think and answer.
#include "providers/gemini/to_upstream.hpp"

namespace gemini {

namespace json = swy::json;

// Members of the body's own that a client of ours may know to say, and what every request says.
void UpstreamBody::write_own() {
  const auto put = [this](std::string_view name, std::string_view snake, std::string_view set) {
    std::string_view value = request_.value(name);
    if (json::is_null(value)) value = request_.value(snake);
    if (json::is_null(value)) value = set;
    if (!json::is_null(value)) json_.key(name).raw(value);
  };
  put("safetySettings", "safety_settings", settings_.safety_settings);
  put("cachedContent", "cached_content", {});
  put("labels", "labels", {});
  const std::string_view tier = json::inside(request_.value("service_tier"));
  if (swy::is_one_of(tier, {"flex", "standard", "priority"})) {
    json_.key("serviceTier").text(tier);
  } else if (!tier.empty() && tier != "auto" && tier != "default") {
    losses_.add("service_tier");
  }
  // New projects keep what they are not told to forget.
  const bool store = json::is_true(request_.value("store"));
  if (settings_.send_store) {
    json_.key("store").boolean(store);
  } else if (store) {
    losses_.add("store");
  }
}

void UpstreamBody::write_generation() {
  const std::size_t before = writer_.text().size();
  json_.key("generationConfig").open_object();
  const std::size_t empty = writer_.text().size();
  write_sampling();
  const std::string_view n = request_.value("n");
  if (!json::is_null(n) && n != "1") json_.key("candidateCount").raw(n);
  write_as(json::is_null(request_.value("max_completion_tokens")) ? "max_tokens"
                                                                  : "max_completion_tokens",
           "maxOutputTokens");
  write_stop();
  write_as("seed", "seed");
  if (json::is_true(request_.value("logprobs"))) {
    json_.key("responseLogprobs").boolean(true);
    write_as("top_logprobs", "logprobs");
  }
  write_format();
  write_modalities();
  write_thinking();
  if (writer_.text().size() == empty) {
    // Nothing was said: the member goes again. A comma comes before it, never behind.
    writer_.text().resize(before);
  } else {
    json_.close_object();
  }
}

void UpstreamBody::write_as(std::string_view name, std::string_view upstream_name) {
  const std::string_view value = request_.value(name);
  if (!json::is_null(value)) json_.key(upstream_name).raw(value);
}

void UpstreamBody::write_sampling() {
  for (const auto& [name, upstream_name] :
       {std::pair<std::string_view, std::string_view>{"temperature", "temperature"},
        {"top_p", "topP"},
        {"top_k", "topK"}}) {
    if (rules_.sampling) {
      write_as(name, upstream_name);
    } else {
      swy::lose_sampling(request_, name, losses_);
    }
  }
  for (const auto& [name, upstream_name] :
       {std::pair<std::string_view, std::string_view>{"presence_penalty", "presencePenalty"},
        {"frequency_penalty", "frequencyPenalty"}}) {
    if (swy::is_nothing(request_.value(name))) continue;
    if (rules_.penalties) {
      write_as(name, upstream_name);
    } else {
      losses_.add(name);
    }
  }
}

void UpstreamBody::write_stop() {
  const std::string_view stop = request_.value("stop");
  if (json::type_of(stop) == 's') {
    json_.key("stopSequences").open_array().raw(stop).close_array();
  } else if (json::type_of(stop) == 'a' && stop != "[]") {
    json_.key("stopSequences").raw(stop);
  }
}

void UpstreamBody::write_format() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  if (type.empty() || type == "text") return;
  if (type != "json_object" && type != "json_schema") return losses_.add("response_format");
  if (functions_ && !rules_.json_with_tools) return losses_.add("response_format");
  json_.key("responseMimeType").text("application/json");
  const std::string_view schema = json::find_path(format, "json_schema.schema");
  if (type != "json_schema" || json::type_of(schema) != 'o') return;
  json_.key("responseJsonSchema");
  if (schema.find("\"const\"") == std::string_view::npos) {
    writer_.value(schema);
    return;
  }
  const Place top{nullptr, "response_format"};
  const Place inner{&top, "json_schema"};
  swy::write_schema(schema, kSchemaRules, json_, Place{&inner, "schema"}, losses_);
}

void UpstreamBody::write_modalities() {
  if (request_.value("modalities").find("\"image\"") == std::string_view::npos) return;
  json_.key("responseModalities").raw(R"(["TEXT","IMAGE"])");
}

void UpstreamBody::write_thinking() {
  const swy::ChatReasoning asked = swy::read_reasoning(request_, losses_);
  const std::string_view source = swy::reasoning_member(request_);
  std::string_view effort = asked.effort;
  if (effort.empty() && asked.budget < 0) return;
  if (rules_.thinking == Thinking::kNone) {
    if (effort != "none") losses_.add(source);
    return;
  }
  json_.key("thinkingConfig").open_object();
  if (rules_.thinking == Thinking::kBudget) {
    std::int64_t budget = asked.budget;
    if (effort == "none") {
      budget = rules_.can_stop_thinking ? 0 : 128;
      if (!rules_.can_stop_thinking) losses_.add(source);
    } else if (budget < 0) {
      budget = effort == "low" || effort == "minimal" ? 1024 : effort == "medium" ? 8192 : 24576;
    }
    json_.key("thinkingBudget").integer(budget);
  } else {
    if (effort.empty()) {
      losses_.add(Place{nullptr, "reasoning"}, "max_tokens");
      effort = asked.budget <= 4096 ? "low" : asked.budget <= 16384 ? "medium" : "high";
    }
    // There is nothing above HIGH, and mostly no way not to think at all.
    if (swy::is_one_of(effort, {"none", "xhigh", "max"})) losses_.add(source);
    const bool least = effort == "none" || effort == "minimal";
    json_.key("thinkingLevel");
    json_.text(least && rules_.minimal_level ? "MINIMAL"
               : least || effort == "low"    ? "LOW"
               : effort == "medium"          ? "MEDIUM"
                                             : "HIGH");
  }
  if (effort != "none" && !asked.hide) json_.key("includeThoughts").boolean(true);
  json_.close_object();
}

}  // namespace gemini

// Tools and which of them is to be called.
#include "providers/anthropic/to_upstream.hpp"

namespace anthropic {

namespace json = swy::json;

namespace {

// A schema by Anthropic's structured outputs: what they refuse.
bool keeps_keyword(std::string_view keyword, std::string_view value) {
  constexpr std::string_view kFormats =
      " date-time time date duration email hostname uri ipv4 ipv6 uuid ";
  if (swy::is_one_of(keyword, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
                               "multipleOf", "maxItems", "uniqueItems", "minProperties",
                               "maxProperties", "minLength", "maxLength"})) {
    return false;
  }
  if (keyword == "minItems") return value == "0" || value == "1";
  if (keyword == "format") {
    return kFormats.find(" " + std::string(json::inside(value)) + " ") != std::string_view::npos;
  }
  return true;
}

}  // namespace

const swy::SchemaRules kStrict{&keeps_keyword, true, false};

// ---- tools ----

bool UpstreamBody::allowed(std::string_view name) const {
  if (choice_.allowed.empty()) return true;
  json::Cursor cursor(choice_.allowed);
  if (!cursor.array()) return true;
  while (cursor.element()) {
    if (json::find(swy::function_of(cursor.value()), "name") == name) return true;
  }
  return false;
}

void UpstreamBody::write_tools() {
  const std::string_view search = request_.value("web_search_options");
  const std::string_view tools = request_.value("tools");
  json::Cursor cursor(tools);
  const bool listed = cursor.array();
  if (!listed) losses_.add_unless_null(Place{}, "tools", tools);
  if (json::is_null(search) && (!listed || tools == "[]")) return;
  json_.key("tools").open_array();
  const Place list{nullptr, "tools"};
  for (std::int64_t i = 0; listed && cursor.element(); ++i) {
    const Place here{&list, {}, i};
    const std::string_view tool = cursor.value();
    const std::string_view type = json::inside(json::find(tool, "type"));
    if (!allowed(json::find(swy::function_of(tool), "name"))) continue;
    if (type == "function") {
      write_function(tool, here);
    } else if (type == "custom") {
      write_custom(tool, here);
    } else if (type.find("_20") != std::string_view::npos) {
      any_tool_ = true;
      writer_.value(tool);  // a tool of Anthropic's own, dated as they are
    } else {
      losses_.add(here);
    }
  }
  if (!json::is_null(search)) write_web_search(search);
  json_.close_array();
}

void UpstreamBody::write_function(std::string_view tool, const Place& place) {
  any_tool_ = true;
  const Place here{&place, "function"};
  const swy::ChatFunction function = swy::read_function(tool, here, losses_);
  if (json::type_of(function.name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "tools", "tools[].function.name: expected a string");
  }
  swy::open_function(writer_, function);
  const bool strictly = function.strict && rules_.structured;
  if (function.strict && !strictly) losses_.add(here, "strict");
  json_.key("input_schema");
  const Place schema{&here, "parameters"};
  write_parameters(function.parameters, strictly, schema);
  if (strictly) json_.key("strict").boolean(true);
  write_cache(json::find(tool, "cache_control"));
  json_.close_object();
}

void UpstreamBody::write_parameters(std::string_view parameters, bool strict, const Place& place) {
  if (json::type_of(parameters) != 'o' || json::find(parameters, "type").empty()) {
    json::Cursor cursor(parameters);
    std::string_view name;
    const bool empty = !cursor.object() || !cursor.member(name);
    if (empty) {
      json_.raw(R"({"type":"object","properties":{}})");
      return;
    }
    // The type has to be there.
    std::string& text = writer_.text();
    json_.raw(R"({"type":"object",)");
    text += parameters.substr(1);
    return;
  }
  if (strict) {
    swy::write_schema(parameters, kStrict, json_, place, losses_);
  } else {
    writer_.value(parameters);
  }
}

// Free text becomes a function with one string.
void UpstreamBody::write_custom(std::string_view tool, const Place& place) {
  any_tool_ = true;
  const Place here{&place, "custom"};
  const swy::ChatFunction custom = swy::read_custom(tool, here, losses_);
  if (json::type_of(custom.name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "tools", "tools[].custom.name: expected a string");
  }
  custom_tools_.insert(json::to_text(custom.name).value_or(""));
  swy::open_function(writer_, custom);
  json_.key("input_schema").raw(custom.parameters);
  json_.close_object();
}

void UpstreamBody::write_web_search(std::string_view options) {
  any_tool_ = true;
  const std::string_view size = json::inside(json::find(options, "search_context_size"));
  json_.open_object().key("type").text("web_search_20250305").key("name").text("web_search");
  if (!size.empty()) json_.key("max_uses").integer(size == "low" ? 1 : size == "high" ? 10 : 5);
  const std::string_view place = json::find_path(options, "user_location.approximate");
  if (json::type_of(place) == 'o') {
    json_.key("user_location").open_object().key("type").text("approximate");
    for (const std::string_view name : {"city", "region", "country", "timezone"}) {
      const std::string_view value = json::find(place, name);
      if (json::type_of(value) == 's') json_.key(name).raw(value);
    }
    json_.close_object();
  }
  json_.close_object();
}

void UpstreamBody::write_choice() {
  const std::string_view parallel = request_.value("parallel_tool_calls");
  const bool one = parallel == "false";
  if (!any_tool_) {
    if (choice_.mode == Mode::kAny || choice_.mode == Mode::kTool) losses_.add("tool_choice");
    return;
  }
  if (choice_.mode == Mode::kUnsaid && !one) return;
  json_.key("tool_choice").open_object().key("type");
  switch (choice_.mode) {
    case Mode::kNone:
      json_.text("none");
      break;
    case Mode::kAny:
      json_.text("any");
      break;
    case Mode::kTool:
      json_.text("tool").key("name").raw(choice_.name);
      break;
    default:
      json_.text("auto");
  }
  if (one && choice_.mode != Mode::kNone) json_.key("disable_parallel_tool_use").boolean(true);
  json_.close_object();
}

}  // namespace anthropic

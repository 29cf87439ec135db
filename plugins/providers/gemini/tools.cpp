// Tools and which of them is to be called.
#include "providers/gemini/to_upstream.hpp"

namespace gemini {

namespace json = swy::json;

// Only what names functions of JSON Schema that Google does not know.
const swy::SchemaRules kSchemaRules{nullptr, false, true};

void UpstreamBody::write_tools() {
  const std::string_view tools = request_.value("tools");
  const bool search = !json::is_null(request_.value("web_search_options"));
  json::Cursor cursor(tools);
  const bool listed = cursor.array() && tools != "[]";
  if (!listed && json::type_of(tools) != 'a') losses_.add_unless_null(Place{}, "tools", tools);
  const bool both = listed && search && !rules_.json_with_tools;
  if (both) losses_.add("web_search_options");
  if (!listed && !search) return;
  json_.key("tools").open_array();
  if (listed) {
    const Place list{nullptr, "tools"};
    json_.open_object().key("functionDeclarations").open_array();
    for (std::int64_t i = 0; cursor.element(); ++i) {
      const Place here{&list, {}, i};
      const std::string_view tool = cursor.value();
      const std::string_view type = json::inside(json::find(tool, "type"));
      if (type == "function") {
        write_function(tool, here);
      } else if (type == "custom") {
        write_custom(tool, here);
      } else {
        losses_.add(here);
      }
    }
    json_.close_array().close_object();
  }
  if (search && !both) {
    const std::string_view options = request_.value("web_search_options");
    if (!swy::is_nothing(options)) losses_.add("web_search_options");
    json_.open_object().key("googleSearch").raw("{}").close_object();
  }
  json_.close_array();
}

void UpstreamBody::write_function(std::string_view tool, const Place& place) {
  functions_ = true;
  const Place here{&place, "function"};
  const swy::ChatFunction function = swy::read_function(tool, here, losses_);
  if (function.strict && !rules_.json_with_tools) losses_.add(here, "strict");
  strict_ |= function.strict;
  if (json::type_of(function.name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "tools", "tools[].function.name: expected a string");
  }
  losses_.add_unless_null(place, "cache_control", json::find(tool, "cache_control"));
  swy::open_function(writer_, function);
  const std::string_view parameters = function.parameters;
  if (json::type_of(parameters) == 'o' && parameters != "{}") {
    json_.key("parametersJsonSchema");
    if (parameters.find("\"const\"") == std::string_view::npos) {
      writer_.value(parameters);
    } else {
      swy::write_schema(parameters, kSchemaRules, json_, Place{&here, "parameters"}, losses_);
    }
  }
  json_.close_object();
}

// Free text becomes a function with one string.
void UpstreamBody::write_custom(std::string_view tool, const Place& place) {
  functions_ = true;
  const Place here{&place, "custom"};
  const swy::ChatFunction custom = swy::read_custom(tool, here, losses_);
  if (json::type_of(custom.name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "tools", "tools[].custom.name: expected a string");
  }
  custom_tools_.insert(json::to_text(custom.name).value_or(""));
  swy::open_function(writer_, custom);
  json_.key("parametersJsonSchema").raw(custom.parameters);
  json_.close_object();
}

void UpstreamBody::write_tool_config() {
  using Mode = swy::ChatChoice::Mode;
  const swy::ChatChoice choice = swy::read_choice(request_, losses_);
  std::string_view mode;
  std::vector<std::string_view> names;
  switch (choice.mode) {
    case Mode::kUnsaid:
      break;
    case Mode::kNone:
      mode = "NONE";
      break;
    case Mode::kAuto:
      mode = choice.allowed.empty() ? "AUTO" : "VALIDATED";  // names are not taken with AUTO
      break;
    case Mode::kTool:
      names.push_back(choice.name);
      [[fallthrough]];
    case Mode::kAny:
      mode = "ANY";
  }
  json::Cursor tools(choice.allowed);
  if (tools.array()) {
    while (tools.element()) names.push_back(json::find(swy::function_of(tools.value()), "name"));
  }
  std::erase_if(names, [](std::string_view name) { return json::type_of(name) != 's'; });
  if (strict_ && rules_.json_with_tools && (mode.empty() || mode == "AUTO")) mode = "VALIDATED";
  if (mode.empty()) return;
  if (!functions_) {
    if (mode == "ANY") losses_.add("tool_choice");
    return;
  }
  json_.key("toolConfig").open_object().key("functionCallingConfig").open_object();
  json_.key("mode").text(mode);
  if (!names.empty()) {
    json_.key("allowedFunctionNames").open_array();
    for (const std::string_view name : names) json_.raw(name);
    json_.close_array();
  }
  json_.close_object().close_object();
}

}  // namespace gemini

#include "core/plugin/configuration.hpp"

#include "core/config/schema.hpp"

namespace switchyard::plugin {

config::Faults check_configuration(const Kind& kind, std::string_view config_json) {
  if (kind.schema.empty()) return {};
  auto document = config::parse_text(kind.schema);
  auto schema = document ? config::Schema::make(std::move(*document))
                         : Result<config::Schema, config::Faults>(document.error());
  if (!schema) {
    const config::Fault& first = schema.error().front();
    return {{"", "the schema of \"" + kind.name + "\": " + first.pointer + ": " + first.message}};
  }
  const auto value = config::parse_text(config_json);
  if (!value) return value.error();
  // Texts of the configuration may come from the environment or from files: they are not shown.
  const auto show = [](const std::string&, std::string_view) { return std::string("a text"); };
  config::Faults faults;
  schema->check(*value, show, faults);
  return faults;
}

std::string configuration_fault(const Kind& kind, std::string_view config_json) {
  std::string text;
  for (const config::Fault& fault : check_configuration(kind, config_json)) {
    text += (text.empty() ? "config" : "; config") + fault.pointer + ": " + fault.message;
  }
  return text;
}

}  // namespace switchyard::plugin

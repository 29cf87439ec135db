#include "core/config/dialects.hpp"

#include "core/config/json_text.hpp"
#include "core/config/schema.hpp"

namespace switchyard::config {
namespace fs = std::filesystem;
namespace {

std::string all_of(const Faults& faults) {
  std::string text;
  for (const Fault& fault : faults) {
    if (!text.empty()) text += "; ";
    if (!fault.pointer.empty()) text += fault.pointer + ": ";
    text += fault.message;
  }
  return text;
}

Result<void> check(const fs::path& schema_file, const Json& dialect) {
  std::error_code ignored;
  if (!fs::exists(schema_file, ignored)) return {};
  auto schema = Schema::read(schema_file);
  if (!schema) return Error{all_of(schema.error())};
  Faults faults;
  const auto show = [](const std::string&, std::string_view text) {
    return '"' + std::string(text) + '"';
  };
  schema->check(dialect, show, faults);
  if (!faults.empty()) return Error{all_of(faults)};
  return {};
}

bool is_true(const Json& value, std::string_view name) {
  const Json* found = member(value, name);
  return found != nullptr && found->IsBool() && found->GetBool();
}

// An address of the dialect's own with a key of its own is a vendor's, unless the file says that
// the key is optional.
bool needs_key(const Json& dialect) {
  if (is_true(dialect, "key_optional")) return false;
  return member(dialect, "base_url") != nullptr && member(dialect, "key_env") != nullptr;
}

std::string text_member(const Json& value, std::string_view name) {
  const Json* found = member(value, name);
  return found != nullptr && found->IsString() ? std::string(text_of(*found)) : std::string();
}

BalanceSource balance_of(const Json& dialect) {
  const Json* found = member(dialect, "balance");
  if (found == nullptr || !found->IsObject()) return {};
  return {text_member(*found, "path"),        text_member(*found, "list"),
          text_member(*found, "amount"),      text_member(*found, "minus"),
          text_member(*found, "currency_at"), text_member(*found, "currency")};
}

}  // namespace

Dialects::Dialects(const fs::path& config_directory, const fs::path& data_directory)
    : schema_(data_directory / "dialect.schema.json") {
  std::vector<fs::path> places;
  if (!config_directory.empty()) places.push_back(config_directory / "dialects");
  places.push_back(data_directory / "dialects");
  places.push_back(data_directory / ".." / "plugins" / "providers" / "openai" / "dialects");
  for (const fs::path& place : places) {
    std::error_code ignored;
    for (fs::directory_iterator it(place, ignored), end; it != end; it.increment(ignored)) {
      if (it->path().extension() == ".json") files_.emplace(it->path().stem().string(), it->path());
      if (ignored) break;
    }
  }
  std::error_code ignored;
  for (fs::directory_iterator it(data_directory / "providers", ignored), end; it != end;
       it.increment(ignored)) {
    if (it->path().extension() == ".json") plugins_.emplace(it->path().stem().string(), it->path());
    if (ignored) break;
  }
  const fs::path sources = data_directory / ".." / "plugins" / "providers";
  for (fs::directory_iterator it(sources, ignored), end; it != end; it.increment(ignored)) {
    const fs::path file = it->path() / "provider.json";
    if (fs::exists(file, ignored)) plugins_.emplace(it->path().filename().string(), file);
    if (ignored) break;
  }
}

std::vector<std::string> Dialects::plugin_names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : plugins_) names.push_back(name);
  return names;
}

Result<Dialect> Dialects::read_plugin(const std::string& name) const {
  const fs::path file = plugins_.at(name).lexically_normal();
  auto text = read_file(file, 1024 * 1024);
  if (!text) return Error{text.error().message};
  auto document = parse_text(*text);
  if (!document) return Error{file.string() + ": " + all_of(document.error())};
  if (!document->IsObject()) return Error{file.string() + ": not an object"};
  return Dialect{name, "", text_member(*document, "base_url"), text_member(*document, "key_env"),
                 needs_key(*document)};
}

std::vector<std::string> Dialects::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : files_) names.push_back(name);
  return names;
}

Result<Dialect> Dialects::read(const std::string& name) const {
  const fs::path file = files_.at(name).lexically_normal();
  auto text = read_file(file, 1024 * 1024);
  if (!text) return Error{text.error().message};
  auto document = parse_text(*text);
  if (!document) return Error{file.string() + ": " + all_of(document.error())};
  if (!document->IsObject()) return Error{file.string() + ": not an object"};
  const auto checked = check(schema_, *document);
  if (!checked) return Error{file.string() + ": " + checked.error().message};
  return Dialect{name,
                 to_json(*document),
                 text_member(*document, "base_url"),
                 text_member(*document, "key_env"),
                 needs_key(*document),
                 balance_of(*document),
                 is_true(*document, "responses")};
}

}  // namespace switchyard::config

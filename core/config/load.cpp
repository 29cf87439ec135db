#include "core/config/config.hpp"
#include "core/config/discover.hpp"
#include "core/config/json_text.hpp"
#include "core/config/read.hpp"
#include "core/config/references.hpp"
#include "core/config/schema.hpp"

namespace switchyard::config {
namespace fs = std::filesystem;
namespace {

using Loaded = Result<std::shared_ptr<const Config>, Faults>;

Loaded load_document(rapidjson::Document document, const LoadOptions& options) {
  if (!document.IsObject()) return Faults{{"", "not an object"}};
  const fs::path data =
      options.data_directory.empty() ? find_data_directory() : options.data_directory;
  auto schema = Schema::read(data / "switchyard.schema.json");
  if (!schema) return schema.error();

  std::error_code ignored;
  const fs::path here = options.file.empty()
                            ? fs::path()
                            : fs::absolute(options.file, ignored).lexically_normal().parent_path();
  const Environment environment(options.environment);
  const References references(environment, here);
  const Dialects dialects(here, data);

  if (member(document, "providers") == nullptr) {
    add_discovered(document, environment, dialects, options.probe);
  }
  if (!options.state.empty()) {
    auto& allocator = document.GetAllocator();
    document.RemoveMember("state");
    document.AddMember("state", Json(options.state.string(), allocator), allocator);
  }
  Faults faults;
  Written written;
  expand_all(document, document.GetAllocator(), references, written, faults);
  const auto show = [&written](const std::string& pointer, std::string_view text) {
    return shown(written, pointer, text);
  };
  schema->check(document, show, faults);
  const Sources sources{references, written, dialects, here,
                        default_state_directory(options.environment)};
  Config config = read_config(document, sources, faults);
  if (!faults.empty()) return faults;
  config.source = options.file;
  return std::make_shared<const Config>(std::move(config));
}

}  // namespace

Loaded load_text(std::string_view text, const LoadOptions& options) {
  auto document = parse_text(text);
  if (!document) return document.error();
  return load_document(std::move(document).value(), options);
}

Loaded load(const LoadOptions& options) {
  if (options.file.empty()) return load_text("{}", options);
  const auto text = read_file(options.file);
  if (!text) return Faults{{"", "can't be read: " + text.error().message}};
  return load_text(*text, options);
}

}  // namespace switchyard::config

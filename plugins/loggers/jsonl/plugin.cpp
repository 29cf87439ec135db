#include <algorithm>
#include <switchyard/json.hpp>
#include <switchyard/logger.hpp>

#include "loggers/jsonl/file.hpp"
#include "loggers/jsonl/translate.hpp"

namespace jsonl {
namespace {

class Logger {
 public:
  static swy::Result<Logger> open(std::string_view config_json, swy::Host) {
    namespace json = swy::json;
    FileOptions options;
    options.path = json::to_text(json::find(config_json, "path")).value_or("");
    if (options.path.empty()) return swy::Error{SWY_CLS_PLUGIN, "path: missing"};
    const auto number = [config_json](const char* name, std::int64_t otherwise) {
      return json::to_integer(json::find(config_json, name)).value_or(otherwise);
    };
    options.rotate_bytes = static_cast<std::uint64_t>(
        number("rotate_bytes", static_cast<std::int64_t>(options.rotate_bytes)));
    options.keep = static_cast<unsigned>(number("keep", options.keep));
    auto file = LogFile::open(std::move(options));
    if (!file) return file.error();
    return Logger(*std::move(file));
  }

  swy::Result<std::uint32_t> write(const swy::Records& records, std::uint64_t) {
    lines_.clear();
    for (std::uint32_t i = 0; i < records.size(); ++i) append_line(lines_, records[i]);
    std::size_t written = 0;
    const swy::Result<> appended = file_.append(lines_, written);
    if (appended) return records.size();
    // What went out as whole lines is taken; the host brings the rest again.
    const auto taken =
        std::count(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(written), '\n');
    if (taken == 0) return appended.error();
    return static_cast<std::uint32_t>(taken);
  }

  swy::Result<> flush(std::uint64_t) { return file_.sync(); }

 private:
  explicit Logger(LogFile file) : file_(std::move(file)) {}

  LogFile file_;
  std::string lines_;
};

constexpr char kSchema[] = R"({
  "type": "object",
  "required": ["path"],
  "additionalProperties": false,
  "properties": {
    "path": {"type": "string", "minLength": 1, "description": "The file that lines are appended to."},
    "rotate_bytes": {
      "type": "integer", "minimum": 0,
      "description": "The file is renamed before it would grow beyond this; 0 never. 256 MiB where left out."
    },
    "keep": {
      "type": "integer", "minimum": 1, "maximum": 1000,
      "description": "How many renamed files stay: path.1 is the youngest. 4 where left out."
    }
  }
})";

}  // namespace
}  // namespace jsonl

SWY_PLUGIN("switchyard.jsonl", "0.1.0", swy::logger<jsonl::Logger>("jsonl", jsonl::kSchema));

#include <algorithm>
#include <charconv>
#include <switchyard/json.hpp>
#include <switchyard/logger.hpp>

#include "loggers/jsonl/file.hpp"
#include "loggers/jsonl/translate.hpp"

namespace jsonl {
namespace {

constexpr std::uint64_t kTellEvery_ns = 60'000'000'000;

// "hourly", "daily", "15m", "6h", "7d"; 0 for another text.
std::uint64_t seconds(std::string_view text) {
  if (text == "hourly") return 3600;
  if (text == "daily") return 86'400;
  std::uint64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [unit, fault] = std::from_chars(text.data(), end, count);
  if (fault != std::errc() || end - unit != 1 || count > 100'000) return 0;
  if (*unit == 'm') return count * 60;
  if (*unit == 'h') return count * 3600;
  return *unit == 'd' ? count * 86'400 : 0;
}

class Logger {
 public:
  static swy::Result<Logger> open(std::string_view config_json, swy::Host host) {
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
    for (const auto& [name, into] : {std::pair("rotate_every", &options.rotate_every_s),
                                     std::pair("keep_for", &options.keep_for_s)}) {
      const auto text = json::to_text(json::find(config_json, name));
      if (!text) continue;
      *into = seconds(*text);
      if (*into == 0) {
        return swy::Error{SWY_CLS_PLUGIN,
                          std::string(name) + ": expected such as \"15m\", \"6h\" or \"7d\""};
      }
    }
    auto file = LogFile::open(std::move(options));
    if (!file) return file.error();
    return Logger(host, *std::move(file));
  }

  swy::Result<std::uint32_t> write(const swy::Records& records, std::uint64_t) {
    lines_.clear();
    for (std::uint32_t i = 0; i < records.size(); ++i) append_line(lines_, records[i]);
    std::size_t written = 0;
    const swy::Result<> appended = file_.append(lines_, written, host_.unix_ns());
    tell_trouble();
    if (appended) return records.size();
    // What went out as whole lines is taken; the host brings the rest again.
    const auto taken =
        std::count(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(written), '\n');
    // A disk that is full or a directory that is gone is no record's fault.
    if (taken == 0) return swy::overloaded(appended.error().message);
    return static_cast<std::uint32_t>(taken);
  }

  swy::Result<> flush(std::uint64_t) { return file_.sync(); }

 private:
  Logger(swy::Host host, LogFile file) : host_(host), file_(std::move(file)) {}

  // Lines are still written where a rotation fails: told, once a minute.
  void tell_trouble() {
    if (file_.trouble().empty()) return;
    const std::uint64_t now = host_.monotonic_ns();
    if (told_ns_ != 0 && now - told_ns_ < kTellEvery_ns) return;
    told_ns_ = now;
    host_.log(SWY_LOG_ERROR, file_.trouble());
  }

  swy::Host host_;
  LogFile file_;
  std::string lines_;
  std::uint64_t told_ns_ = 0;
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
    "rotate_every": {
      "type": "string", "title": "hourly, daily, or such as 15m, 6h, 7d",
      "pattern": "^(hourly|daily|[1-9][0-9]{0,4}[mhd])$",
      "description": "The file is renamed when a period of that length ends, counted in UTC. Left out: never."
    },
    "keep": {
      "type": "integer", "minimum": 1, "maximum": 1000,
      "description": "How many renamed files stay: path.1 is the youngest. 4 where left out."
    },
    "keep_for": {
      "type": "string", "title": "such as 12h or 30d",
      "pattern": "^[1-9][0-9]{0,4}[mhd]$",
      "description": "Renamed files whose last line is older than this are removed. Left out: none for its age."
    }
  }
})";

}  // namespace
}  // namespace jsonl

SWY_PLUGIN("switchyard.jsonl", "0.1.0", swy::logger<jsonl::Logger>("jsonl", jsonl::kSchema));

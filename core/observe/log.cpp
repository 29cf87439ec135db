#include "core/observe/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace switchyard::observe {
namespace {

struct LevelName {
  std::string_view name;
  spdlog::level::level_enum level;
};
constexpr LevelName kLevels[] = {
    {"trace", spdlog::level::trace}, {"debug", spdlog::level::debug}, {"info", spdlog::level::info},
    {"warn", spdlog::level::warn},   {"error", spdlog::level::err},   {"off", spdlog::level::off},
};

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// Out is a std::string or an fmt buffer.
template <class Out>
void append_text(Out& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

template <class Out>
void append_control(Out& out, char c) {
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (c == '\n') return append_text(out, "\\n");
  if (c == '\r') return append_text(out, "\\r");
  if (c == '\t') return append_text(out, "\\t");
  const char escape[] = {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
  append_text(out, {escape, sizeof escape});
}

// The message, with what could end the line or drive a terminal escaped.
class SafeText : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    std::size_t done = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!is_control(text[i])) continue;
      append_text(out, text.substr(done, i - done));
      append_control(out, text[i]);
      done = i + 1;
    }
    append_text(out, text.substr(done));
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<SafeText>();
  }
};

// spdlog says "warning"; the word that sets the level is "warn".
class LevelWord : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string_view word = "error";
    for (const LevelName& known : kLevels) {
      if (known.level == message.level) word = known.name;
    }
    append_text(out, word);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<LevelWord>();
  }
};

}  // namespace

std::unique_ptr<spdlog::formatter> make_log_formatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<SafeText>('*').add_flag<LevelWord>('W');
  formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %W %*");
  return formatter;
}

Result<void> init_log(std::string_view level) {
  auto logger = std::make_shared<spdlog::logger>("switchyard",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(make_log_formatter());
  logger->set_level(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return set_log_level(level);
}

Result<void> set_log_level(std::string_view level) {
  for (const LevelName& known : kLevels) {
    if (known.name != level) continue;
    spdlog::default_logger_raw()->set_level(known.level);
    return {};
  }
  return Error{"log level: " + quote(level.substr(0, 32)) +
               ", expected trace, debug, info, warn, error or off"};
}

std::string log_level() {
  const auto level = spdlog::default_logger_raw()->level();
  for (const LevelName& known : kLevels) {
    if (known.level == level) return std::string(known.name);
  }
  return "error";
}

std::string quote(std::string_view value) {
  bool plain = !value.empty();
  for (const char c : value) {
    if (is_control(c) || c == ' ' || c == '"' || c == '\\' || c == '=') plain = false;
  }
  if (plain) return std::string(value);

  std::string out = "\"";
  for (const char c : value) {
    if (is_control(c)) {
      append_control(out, c);
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

LogGate::LogGate(std::chrono::nanoseconds interval)
    : interval_ns_(static_cast<std::uint64_t>(interval.count())) {}

std::optional<std::uint64_t> LogGate::pass(std::uint64_t now_ns) {
  std::uint64_t next = next_ns_.load(std::memory_order_relaxed);
  const bool mine = now_ns >= next && next_ns_.compare_exchange_strong(next, now_ns + interval_ns_,
                                                                       std::memory_order_relaxed);
  if (mine) return held_.exchange(0, std::memory_order_relaxed);
  held_.fetch_add(1, std::memory_order_relaxed);
  return std::nullopt;
}

}  // namespace switchyard::observe

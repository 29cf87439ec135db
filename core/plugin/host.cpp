#include "core/plugin/host.hpp"

#include <spdlog/spdlog.h>

#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/plugin/sign.hpp"

namespace switchyard::plugin {
namespace {

constexpr std::size_t kLogBytesMax = 4096;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

std::string_view cut(std::string_view text) {
  if (text.size() <= kLogBytesMax) return text;
  std::size_t end = kLogBytesMax;
  // Not inside a UTF-8 sequence, which has at most three continuation bytes.
  for (int i = 0; i < 3 && is_continuation(text[end]); ++i) --end;
  return text.substr(0, end);
}

spdlog::level::level_enum to_spdlog(std::int32_t level) {
  if (level <= SWY_LOG_DEBUG) return spdlog::level::debug;
  if (level == SWY_LOG_INFO) return spdlog::level::info;
  if (level == SWY_LOG_WARN) return spdlog::level::warn;
  return spdlog::level::err;
}

void SWY_CALL log(const swy_host*, void* tag, std::int32_t level, swy_str text) noexcept {
  const spdlog::level::level_enum mapped = to_spdlog(level);
  if (!spdlog::should_log(mapped)) return;
  const auto* who = static_cast<const InstanceTag*>(tag);
  try {
    spdlog::log(mapped, "plugin {}: {}", who ? std::string_view(who->name) : "(loading)",
                log_line(text));
  } catch (...) {
    // A line that can't be written is lost; the plugin can do nothing about it.
  }
}

std::uint64_t SWY_CALL now_ns(const swy_host*, std::int32_t wall) noexcept {
  return wall ? unix_ns() : mono_ns();
}

const void* SWY_CALL ext(const swy_host*, const char* id) noexcept {
  if (id == nullptr) return nullptr;
  return std::string_view(id) == SWY_SIGN_EXT ? sign_table() : nullptr;
}

constexpr swy_host kHost = {.size = sizeof(swy_host),
                            .minor = SWY_MINOR,
                            .ctx = nullptr,
                            .log = log,
                            .now_ns = now_ns,
                            .ext = ext};

}  // namespace

const swy_host* host_table() { return &kHost; }

std::string log_line(swy_str text) {
  if (!text.p) return {};
  static constexpr char kHex[] = "0123456789abcdef";
  const std::string_view kept = cut(view(text));
  std::string line;
  line.reserve(kept.size());
  for (const char c : kept) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      line += c;
    } else {
      line += "\\x";
      line += kHex[byte >> 4];
      line += kHex[byte & 0xf];
    }
  }
  return line;
}

}  // namespace switchyard::plugin

// A configuration text of any bytes is either taken or refused with faults: no crash, no hang, no
// secret in a message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/config/config.hpp"

using namespace switchyard::config;

namespace {

constexpr std::string_view kCanary = "sk-canary-1234567890";

LoadOptions options() {
  LoadOptions made;
  made.file = "/nonexistent/switchyard.json";
  made.data_directory = find_data_directory();
  made.environment = {"HOME=/nonexistent", "SECRET=" + std::string(kCanary), "EMPTY="};
  made.probe = [](const std::string&) { return std::nullopt; };
  return made;
}

void refuse_canary(std::string_view text) {
  if (text.find(kCanary) != std::string_view::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const LoadOptions kOptions = options();
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  // A text that carries the canary itself may be quoted.
  const bool own = text.find("canary") != std::string_view::npos;
  const auto loaded = load_text(text, kOptions);
  if (own) return 0;
  if (!loaded) {
    if (loaded.error().empty()) std::abort();  // a refusal without a reason
    for (const Fault& fault : loaded.error()) refuse_canary(fault.message);
  }
  return 0;
}

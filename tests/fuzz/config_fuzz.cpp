// A configuration from anybody ends as a configuration or as faults that name their places.
#include <string>

#include "core/config/config.hpp"
#include "fuzz.hpp"

using namespace switchyard::config;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  // A reference to a file would read whatever the fuzzer names, or wait for it; escapes could hide
  // one.
  for (const char* part : {"file:", "\\u"})
    if (input.find(part) != std::string_view::npos) return 0;

  LoadOptions options;
  options.data_directory = SWITCHYARD_SOURCE_DIR "/config";
  options.environment = {"NAME=value", "KEY=sk-secret-canary", "HOME=/nonexistent"};
  options.probe = [](const std::string&) { return std::nullopt; };
  const auto loaded = load_text(input, options);
  if (!loaded) {
    fuzz::require(!loaded.error().empty(), "a refusal has a fault");
    for (const Fault& fault : loaded.error()) {
      fuzz::require(fault.pointer.empty() || fault.pointer[0] == '/', "a fault has its place");
      fuzz::require(!fault.message.empty(), "a fault says what it is");
      fuzz::require(fault.message.find("sk-secret-canary") == std::string::npos, "no secret shown");
    }
    return 0;
  }
  const std::string meaning = describe(*loaded.value());
  fuzz::require(!meaning.empty(), "a configuration has a meaning");
  fuzz::require(meaning.find("sk-secret-canary") == std::string::npos, "no secret shown");
  return 0;
}

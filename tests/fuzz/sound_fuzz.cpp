#include "core/exchange/sound.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file = fuzz::text(data, size);
  const auto sound = switchyard::exchange::measure_sound(file);
  fuzz::require(sound.seconds >= 1, "no sound is for nothing");
  fuzz::require(sound.seconds_most >= sound.seconds, "what is held covers what is charged");
  fuzz::require(sound.seconds <= 1'000'000 + size, "a length is bounded");
  return 0;
}

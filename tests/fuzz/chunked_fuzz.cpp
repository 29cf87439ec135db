#include <initializer_list>
#include <string>

#include "core/net/http1.hpp"
#include "fuzz.hpp"

using switchyard::net::ChunkedDecoder;
using Step = ChunkedDecoder::Step;

namespace {

struct Decoded {
  std::string data;
  bool done = false, failed = false;
  std::size_t consumed = 0;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(std::initializer_list<std::string_view> inputs) {
  ChunkedDecoder decoder;
  Decoded out;
  for (std::string_view input : inputs) {
    while (!input.empty()) {
      const Step step = decoder.feed(input);
      fuzz::require(step.consumed <= input.size(), "consumed");
      out.data += step.data;
      out.consumed += step.consumed;
      input.remove_prefix(step.consumed);
      out.done = step.state == Step::State::kDone;
      out.failed = step.state == Step::State::kError;
      if (out.done || out.failed) return out;
      fuzz::require(step.consumed > 0, "goes on");
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  const Decoded whole = decode({input});
  fuzz::require(whole.data.size() <= size, "no bytes out of nothing");
  for (const std::size_t cut : fuzz::cuts(input))
    fuzz::require(decode({input.substr(0, cut), input.substr(cut)}) == whole,
                  "a cut changes nothing");
  return 0;
}

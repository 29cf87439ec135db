#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/net/aws_event_stream.hpp"
#include "fuzz.hpp"

using switchyard::net::AwsEventStream;
using switchyard::net::AwsMessage;
using State = AwsEventStream::State;

namespace {

constexpr std::size_t kMessageBytesMax = 4096;

struct Decoded {
  std::vector<std::pair<std::string, std::string>> messages;
  std::string fault;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(std::initializer_list<std::string_view> inputs) {
  AwsEventStream stream(kMessageBytesMax);
  AwsMessage message;
  Decoded out;
  for (const std::string_view input : inputs) {
    const std::string buffer(input);
    std::string_view rest = buffer;
    for (;;) {
      const State state = stream.next(rest, message);
      if (state == State::kBroken) {
        out.fault = stream.fault();
        return out;
      }
      if (state == State::kNeedMore) break;
      out.messages.emplace_back(message.name, message.data);
    }
    fuzz::require(rest.empty(), "the input is used up");
  }
  if (!stream.at_boundary()) out.fault = "cut";
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  const Decoded whole = decode({input});
  for (const auto& [name, value] : whole.messages) {
    fuzz::require(name.size() + value.size() <= kMessageBytesMax, "limit");
  }
  for (const std::size_t cut : fuzz::cuts(input)) {
    fuzz::require(decode({input.substr(0, cut), input.substr(cut)}) == whole,
                  "a cut changes nothing");
  }
  return 0;
}

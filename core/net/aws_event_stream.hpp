// Messages of the AWS event stream encoding (application/vnd.amazon.eventstream) out of bytes that
// come in any cut, checksums verified.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace switchyard::net {

struct AwsMessage {
  // :event-type of an event; "exception:" and :exception-type of an exception; "error:" and
  // :error-code of an error.
  std::string_view name;
  std::string_view data;  // the payload; of an error without one its :error-message
};

class AwsEventStream {
 public:
  enum class State { kNeedMore, kMessage, kBroken };

  explicit AwsEventStream(std::size_t message_bytes_max = 16u * 1024 * 1024)
      : message_bytes_max_(message_bytes_max) {}

  // Takes bytes from the front of `input` (and shortens it) until a message is complete or the
  // input is used up. The message's views live until the next call or until the bytes behind
  // `input` go; a message that stands whole in one input is not copied. kBroken: what fault() says;
  // it stays so.
  State next(std::string_view& input, AwsMessage& message);

  // False where the stream may not end here: within a message.
  bool at_boundary() const { return held_.empty() || given_; }
  const char* fault() const { return fault_; }

 private:
  State broken(const char* what);
  bool check_prelude(std::string_view prelude);
  State take(std::string_view whole, AwsMessage& message);
  bool read_headers(std::string_view headers, AwsMessage& message);

  std::size_t message_bytes_max_;
  std::string held_;      // of a message whose bytes came in several inputs
  std::string name_;      // where it is not a header's value alone
  std::size_t size_ = 0;  // of the begun message; 0: its prelude has not come whole
  bool given_ = false;    // held_ was given out; the next call forgets it
  const char* fault_ = nullptr;
};

}  // namespace switchyard::net

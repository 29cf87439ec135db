#include "core/net/aws_event_stream.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdint>

namespace switchyard::net {
namespace {

// Amazon Transcribe and Bedrock document the same layout: total length, headers length, CRC of
// these two; headers; payload; CRC of all before it. Integers are big-endian, CRCs are zlib's.
constexpr std::size_t kPrelude = 12, kCrc = 4, kKeptBytes = 4 * 1024;
constexpr std::size_t kHeadersMax = 128 * 1024;

std::uint32_t number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::uint32_t checksum(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// The bytes of a header's value by its type; -1: two bytes of length stand before it, -2: no such
// type.
int value_size(unsigned char type) {
  static constexpr int kSizes[] = {0, 0, 1, 2, 4, 8, -1, -1, 8, 16};
  return type < std::size(kSizes) ? kSizes[type] : -2;
}

// Takes `n` bytes off the front; false where there are fewer.
bool take_bytes(std::string_view& from, std::size_t n, std::string_view& taken) {
  if (from.size() < n) return false;
  taken = from.substr(0, n);
  from.remove_prefix(n);
  return true;
}

constexpr unsigned char kString = 7;

struct Header {
  std::string_view name, value;
  unsigned char type = 0;
};

bool take_header(std::string_view& from, Header& header) {
  std::string_view part;
  if (!take_bytes(from, 1, part)) return false;
  const auto name_size = static_cast<unsigned char>(part[0]);
  if (name_size == 0 || !take_bytes(from, name_size, header.name)) return false;
  if (!take_bytes(from, 1, part)) return false;
  header.type = static_cast<unsigned char>(part[0]);
  const int fixed = value_size(header.type);
  if (fixed == -2) return false;
  std::size_t size = static_cast<std::size_t>(std::max(fixed, 0));
  if (fixed == -1) {
    if (!take_bytes(from, 2, part)) return false;
    size = number(part);
  }
  return take_bytes(from, size, header.value);
}

}  // namespace

AwsEventStream::State AwsEventStream::broken(const char* what) {
  fault_ = what;
  return State::kBroken;
}

bool AwsEventStream::check_prelude(std::string_view prelude) {
  const std::size_t total = number(prelude.substr(0, 4)), headers = number(prelude.substr(4, 4));
  if (checksum(prelude.substr(0, 8)) != number(prelude.substr(8, 4))) {
    fault_ = "the checksum of a message's prelude is wrong";
  } else if (total > message_bytes_max_ || headers > kHeadersMax) {
    fault_ = "a message is too large";
  } else if (total < kPrelude + kCrc + headers) {
    fault_ = "a message is shorter than its parts";
  } else {
    size_ = total;
  }
  return fault_ == nullptr;
}

AwsEventStream::State AwsEventStream::next(std::string_view& input, AwsMessage& message) {
  if (fault_ != nullptr) return State::kBroken;
  if (given_) {
    given_ = false;
    if (held_.capacity() > kKeptBytes) {
      held_ = std::string();
    } else {
      held_.clear();
    }
  }
  if (held_.empty()) {
    if (size_ == 0 && input.size() >= kPrelude && !check_prelude(input)) return State::kBroken;
    if (size_ > 0 && input.size() >= size_) {
      const std::string_view whole = input.substr(0, size_);
      input.remove_prefix(size_);
      return take(whole, message);
    }
  }
  // In two steps: how much belongs to the message is known once its prelude is there.
  while (!input.empty()) {
    const std::size_t wanted = (size_ == 0 ? kPrelude : size_) - held_.size();
    const std::size_t n = std::min(wanted, input.size());
    held_.append(input.substr(0, n));
    input.remove_prefix(n);
    if (n < wanted) break;
    if (size_ == 0) {
      if (!check_prelude(held_)) return State::kBroken;
      continue;
    }
    given_ = true;
    return take(held_, message);
  }
  return State::kNeedMore;
}

AwsEventStream::State AwsEventStream::take(std::string_view whole, AwsMessage& message) {
  size_ = 0;
  const std::size_t end = whole.size() - kCrc;
  if (checksum(whole.substr(0, end)) != number(whole.substr(end))) {
    return broken("the checksum of a message is wrong");
  }
  const std::size_t headers = number(whole.substr(4, 4));
  message = {{}, whole.substr(kPrelude + headers, end - kPrelude - headers)};
  if (!read_headers(whole.substr(kPrelude, headers), message)) {
    return broken("a message's headers are broken");
  }
  return State::kMessage;
}

bool AwsEventStream::read_headers(std::string_view headers, AwsMessage& message) {
  std::string_view kind, event, exception, code, text;
  Header header;
  while (!headers.empty()) {
    if (!take_header(headers, header)) return false;
    if (header.type != kString) continue;
    if (header.name == ":message-type") kind = header.value;
    if (header.name == ":event-type") event = header.value;
    if (header.name == ":exception-type") exception = header.value;
    if (header.name == ":error-code") code = header.value;
    if (header.name == ":error-message") text = header.value;
  }
  message.name = event;
  if (kind == "exception" || kind == "error") {
    name_.assign(kind).append(":").append(kind == "error" ? code : exception);
    message.name = name_;
    if (kind == "error" && message.data.empty()) message.data = text;
  }
  return true;
}

}  // namespace switchyard::net

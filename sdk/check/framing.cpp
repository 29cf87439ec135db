#include "framing.hpp"

#include <switchyard/provider.h>

#include <array>

namespace swy::check {
namespace {

constexpr const char* kNames[] = {"whole", "raw", "sse", "ndjson", "aws", "websocket", "token"};

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xEDB88320U & (0U - (crc & 1U)));
  }
  return ~crc;
}

std::uint32_t big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void put_big_endian(std::string& out, std::uint32_t value, unsigned bytes = 4) {
  while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes));
}

// The value of the string header `wanted` of an AWS message; strings are all that providers use.
std::string aws_header(std::string_view headers, std::string_view wanted) {
  while (headers.size() > 4) {
    const auto name_n = static_cast<unsigned char>(headers[0]);
    if (headers.size() < name_n + 4U) break;
    const std::string_view name = headers.substr(1, name_n);
    if (headers[name_n + 1U] != 7) break;
    headers.remove_prefix(name_n + 2U);
    const std::size_t n = big_endian(std::string("\0\0", 2).append(headers.substr(0, 2)));
    const std::string_view value = headers.substr(2, n);
    if (name == wanted) return std::string(value);
    if (headers.size() < n + 2) break;
    headers.remove_prefix(n + 2);
  }
  return {};
}

}  // namespace

bool Framer::feed(std::string_view bytes, std::vector<Frame>& frames) {
  if (framing_ == SWY_FRAME_RAW) {
    if (!bytes.empty()) frames.push_back({{}, std::string(bytes)});
    return true;
  }
  if (framing_ == SWY_FRAME_AWS) {
    pending_ += bytes;
    return aws(frames);
  }
  if (framing_ != SWY_FRAME_SSE && framing_ != SWY_FRAME_NDJSON) {
    pending_ += bytes;
    return true;
  }
  for (const char c : bytes) {
    const bool ends = c == '\n' || (c == '\r' && framing_ == SWY_FRAME_SSE);
    if (c == '\n' && after_cr_) {
      after_cr_ = false;
      continue;
    }
    after_cr_ = c == '\r' && framing_ == SWY_FRAME_SSE;
    if (!ends) {
      pending_ += c;
      continue;
    }
    line(pending_, frames);
    pending_.clear();
  }
  return true;
}

void Framer::finish(std::vector<Frame>& frames) {
  if (framing_ == SWY_FRAME_SSE) {
    if (!pending_.empty()) line(pending_, frames);
    event(frames);
  } else if (framing_ == SWY_FRAME_NDJSON) {
    if (!pending_.empty()) line(pending_, frames);
  } else if (framing_ != SWY_FRAME_RAW && framing_ != SWY_FRAME_AWS) {
    frames.push_back({{}, pending_});
  }
  pending_.clear();
}

void Framer::line(std::string_view text, std::vector<Frame>& frames) {
  if (framing_ == SWY_FRAME_NDJSON) {
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (!text.empty()) frames.push_back({{}, std::string(text)});
    return;
  }
  if (first_line_ && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  first_line_ = false;
  if (text.empty()) return event(frames);
  const std::size_t colon = text.find(':');
  std::string_view value =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  const std::string_view field = text.substr(0, colon);
  if (field == "event") name_ = value;
  if (field == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  }
}

void Framer::event(std::vector<Frame>& frames) {
  if (has_data_) frames.push_back({name_, data_});
  name_.clear();
  data_.clear();
  has_data_ = false;
}

// Total length, headers' length and their checksum, headers, payload, checksum of it all.
bool Framer::aws(std::vector<Frame>& frames) {
  while (pending_.size() >= 12) {
    const std::string_view all = pending_;
    const std::size_t total = big_endian(all), headers_n = big_endian(all.substr(4));
    if (crc32(all.substr(0, 8)) != big_endian(all.substr(8)) || total < headers_n + 16) {
      return false;
    }
    if (all.size() < total) return true;
    if (crc32(all.substr(0, total - 4)) != big_endian(all.substr(total - 4))) return false;
    const std::string_view headers = all.substr(12, headers_n);
    std::string name = aws_header(headers, ":event-type");
    if (name.empty()) name = aws_header(headers, ":exception-type");
    frames.push_back(
        {std::move(name), std::string(all.substr(12 + headers_n, total - headers_n - 16))});
    pending_.erase(0, total);
  }
  return true;
}

std::string frame_bytes(std::uint32_t framing, const Frame& frame) {
  if (framing == SWY_FRAME_SSE) {
    std::string out = frame.name.empty() ? "" : "event: " + frame.name + "\n";
    std::size_t at = 0;
    for (;;) {
      const std::size_t end = frame.data.find('\n', at);
      out += "data: " + frame.data.substr(at, end - at) + "\n";
      if (end == std::string::npos) break;
      at = end + 1;
    }
    return out + "\n";
  }
  if (framing == SWY_FRAME_NDJSON) return frame.data + "\n";
  if (framing != SWY_FRAME_AWS) return frame.data;
  std::string headers;
  const std::array<std::array<std::string_view, 2>, 2> pairs = {
      {{":event-type", frame.name}, {":message-type", "event"}}};
  for (const auto& [name, value] : pairs) {
    headers += static_cast<char>(name.size());
    headers += name;
    headers += '\7';
    put_big_endian(headers, static_cast<std::uint32_t>(value.size()), 2);
    headers += value;
  }
  std::string out;
  put_big_endian(out, static_cast<std::uint32_t>(headers.size() + frame.data.size() + 16));
  put_big_endian(out, static_cast<std::uint32_t>(headers.size()));
  put_big_endian(out, crc32(out));
  out += headers + frame.data;
  put_big_endian(out, crc32(out));
  return out;
}

const char* framing_name(std::uint32_t framing) {
  return framing < std::size(kNames) ? kNames[framing] : "unknown";
}

std::uint32_t framing_of(std::string_view name) {
  for (std::uint32_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return i;
  }
  return UINT32_MAX;
}

}  // namespace swy::check

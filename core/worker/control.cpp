#include "core/worker/control.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <charconv>

namespace switchyard::control {
namespace {

constexpr std::string_view kTags = "rlxdLDv";

}  // namespace

bool send(int fd, Tag tag, std::string_view text) {
  std::string packet(1, static_cast<char>(tag));
  packet += text.substr(0, kTextMax);
  ssize_t sent;
  do {
    sent = ::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(packet.size());
}

Received receive(int fd, Message& message) {
  char packet[1 + kTextMax];
  for (;;) {
    const ssize_t size = ::recv(fd, packet, sizeof packet, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      return errno == EAGAIN || errno == EWOULDBLOCK ? Received::kNothing : Received::kClosed;
    }
    if (size == 0) return Received::kClosed;
    if (kTags.find(packet[0]) == std::string_view::npos) continue;
    message.tag = static_cast<Tag>(packet[0]);
    message.text.assign(packet + 1, static_cast<std::size_t>(size) - 1);
    return Received::kMessage;
  }
}

std::optional<unsigned> parse_ms(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace switchyard::control

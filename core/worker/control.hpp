// What supervisor and worker say to each other, over a SOCK_SEQPACKET pair: one packet is one
// message, a tag byte and text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard::control {

enum class Tag : char {
  // worker -> supervisor
  kReady = 'r',     // accepting
  kReloaded = 'l',  // the answer to RELOAD: the new configuration serves
  kRefused = 'x',   // the other answer to RELOAD: text says why; the old configuration serves on
  kDrained = 'd',   // nothing runs any more; the process is about to exit
  // supervisor -> worker
  kReload = 'L',
  kDrain = 'D',     // text: the deadline in milliseconds from now
  kLogLevel = 'v',  // text: trace, debug, info, warn, error
};

// Longer texts are cut: a packet is sent whole or not at all.
inline constexpr std::size_t kTextMax = 16 * 1024;

struct Message {
  Tag tag{};
  std::string text;
};

// False where the peer is gone or its queue is full; never blocks.
bool send(int fd, Tag tag, std::string_view text = {});

enum class Received { kMessage, kNothing, kClosed };
// Takes the next message, if there is one; never blocks. A packet with an unknown tag is passed
// over, so that the two sides may be of different versions during a hot restart.
Received receive(int fd, Message& message);

// The deadline of a DRAIN, or nothing for a text that is no number.
std::optional<unsigned> parse_ms(std::string_view text);

}  // namespace switchyard::control

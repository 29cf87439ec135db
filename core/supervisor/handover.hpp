// What a supervisor leaves to the binary that takes its place (SIGUSR2). It travels in an
// environment variable through exec; descriptors and children stay, for the process stays.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/supervisor/listeners.hpp"

namespace switchyard::supervisor {

inline constexpr char kHandoverVariable[] = "SWITCHYARD_HANDOVER";
// Counted up when an older binary could not take over what a newer one leaves, or the other way
// round. `version` prints it, so that a binary of another count is refused before exec.
inline constexpr int kHandoverVersion = 1;

struct HandedWorker {
  pid_t pid = 0;
  int control_fd = -1;
  std::uint64_t kill_at_ns = 0;  // monotonic; 0: it serves, else it drains until then
  bool operator==(const HandedWorker&) const = default;
};

struct HandedListener {
  Endpoint asked;
  std::uint16_t port = 0;
  int fd = -1;
  bool operator==(const HandedListener&) const = default;
};

struct Handover {
  std::vector<HandedListener> open;
  std::optional<HandedListener> admin;
  std::vector<HandedWorker> workers;
};

std::string encode(const Handover& handover);
// Members it does not know are passed over.
Result<Handover> decode_handover(std::string_view text);

}  // namespace switchyard::supervisor

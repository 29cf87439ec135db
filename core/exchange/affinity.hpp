// Which requests belong together, for strategies that keep them together.
#pragma once

#include "core/exchange/exchange.hpp"

namespace switchyard::exchange {

struct Affinity {
  std::uint64_t hash = 0;  // 0: it belongs to nothing
  bool prefix = false;     // of the prompt's start, for no session was named
};

// By the session's header, else the body's prompt_cache_key, else its user, each within the
// account; else by the prompt's start: what the system says and the first message after it. The
// same in every process.
Affinity affinity_of(const Request& request);

}  // namespace switchyard::exchange

// What a running worker can't take on, and what nobody may change from afar.
#pragma once

#include <string_view>

#include "core/config/config.hpp"

namespace switchyard::config {

// Sockets and who may reach them are the supervisor's: SIGHUP makes it change them.
bool same_listeners(const Config& now, const Config& next);

// Why the admin API must not put `next` in the place of `now`: it would need another process, load
// other code, or read files that the configuration did not name before. `now_text` and `next_text`
// are what they were written as. Empty: it may.
Faults unchangeable(const Config& now, std::string_view now_text, const Config& next,
                    std::string_view next_text);

}  // namespace switchyard::config

// `refresh.sock` in the state directory: whoever changed the store asks the gateway that runs with
// it to take the change at once, and hears when every request finds it. Who may enter the directory
// may ask; nothing is said but that.
#pragma once

#include <chrono>
#include <filesystem>

#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard::store {

// A listening socket, nonblocking. It takes the name over from the worker before. Who connects
// asks; it is answered with one byte.
Result<UniqueFd> listen_for_refresh(const std::filesystem::path& state_directory);

enum class Refreshed {
  kDone,
  kNobody,  // no gateway runs with this state
  kLate,    // one runs, and has not said yet that it is done
};
Refreshed ask_refresh(const std::filesystem::path& state_directory,
                      std::chrono::milliseconds timeout);

}  // namespace switchyard::store

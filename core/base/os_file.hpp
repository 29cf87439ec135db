// What several files that processes share have in common.
#pragma once

#include <filesystem>

#include "core/base/result.hpp"

namespace switchyard {

// "FILE: what: " and what errno says.
Error system_error(const std::filesystem::path& file, const char* what);

// flock(2), begun again where a signal broke it off; 0, or -1 with errno.
int lock_file(int fd, int operation);

}  // namespace switchyard

// The few calls about processes.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::os {

// What tells this process from every other one of this machine, also from one that had its id
// before: the id, and when it began. Told at the first call; empty where it could not be.
std::string own_mark();
// Whether the process of a mark still runs; where that can't be told it does.
bool is_alive(std::string_view mark);

// The path this process was started from, as it is now; empty where the system does not tell.
std::filesystem::path own_binary();

// Raises the soft limit of open files to the hard one; returns the limit in force.
std::size_t raise_descriptor_limit();

struct Finished {
  int exit_code = -1;  // 128 + n after signal n, as a shell counts
  std::string output;  // standard output and error, at most 16 KiB
};
// Runs a program to its end, with no input. Killed at the deadline, which is an Error, as is a
// program that can't be started.
Result<Finished> run_program(const std::filesystem::path& program,
                             const std::vector<std::string>& arguments,
                             std::chrono::milliseconds deadline);

// Sends lines such as "READY=1" to the service manager that started us ($NOTIFY_SOCKET,
// sd_notify(3)); nothing without one.
void notify_service_manager(std::string_view lines);

// A second descriptor of the same file, closed on exec.
int dup_closed_on_exec(int fd);

// Sets or clears FD_CLOEXEC.
void set_inherited(int fd, bool inherited);

}  // namespace switchyard::os

// The system calls of the journal and the cells, so that a test can have each of them fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard::account {

// Errors say the path and what the system said.
class JournalOs {
 public:
  virtual ~JournalOs() = default;
  static JournalOs& system();

  // A file of this user alone, closed on exec.
  virtual Result<UniqueFd> open(const std::filesystem::path& file, int flags);
  // Makes the file at least that long, with all its space on the disk: writing to a mapping of it
  // can't fail for want of room.
  virtual Result<void> allocate(int fd, std::uint64_t bytes, const std::filesystem::path& file);
  virtual Result<std::byte*> map(int fd, std::uint64_t bytes, const std::filesystem::path& file);
  // Page-aligned.
  virtual Result<void> sync(std::byte* from, std::uint64_t bytes,
                            const std::filesystem::path& file);
  virtual Result<void> sync_directory(const std::filesystem::path& directory);
  virtual Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to);
  virtual Result<void> remove(const std::filesystem::path& file);
};

}  // namespace switchyard::account

// The steps of a load that touch the file system and the dynamic linker.
#pragma once

#include <switchyard/plugin.h>

#include <filesystem>
#include <string>

#include "core/base/result.hpp"

namespace switchyard::plugin {

// An open descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// Opens a directory that only root or this user can change; the error is the refusal text.
Result<Descriptor> open_directory(const std::filesystem::path& directory);

// Opens a regular file of that directory under the same condition.
Result<Descriptor> open_file(const Descriptor& directory, const std::string& name);

// A private copy: nobody else can change or replace it while it is mapped.
struct Copy {
  std::filesystem::path path;
  std::string sha256;  // of the bytes that were written, in hex
};

// Copies `source` into `directory` (made 0700 where it is missing) under a name that this process
// never used before: the dynamic linker answers a known name with the old image, whatever the file
// now holds.
Result<Copy> copy_private(const Descriptor& source, const std::filesystem::path& directory,
                          unsigned generation);

// Removes copies that processes which are gone have left there.
void remove_stale_copies(const std::filesystem::path& directory);

// The one export of a mapped library.
struct Entry {
  swy_entry call = nullptr;
};

// Maps the file and finds its entry. Never unmapped.
Result<Entry> map_library(const std::filesystem::path& file);

}  // namespace switchyard::plugin

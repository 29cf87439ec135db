// The configuration file as the host changes it: replaced whole or not at all, and what it was is
// kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::config {

// Replaces the file at once and durably; it keeps its mode. The error says what failed.
Result<void> replace_file(const std::filesystem::path& file, const std::string& text);

// The texts that were in force, in a directory of their own (0700): "000012_20261121T194000Z.json".
class History {
 public:
  static constexpr std::size_t kEntriesMax = 100;

  explicit History(std::filesystem::path directory) : directory_(std::move(directory)) {}

  struct Entry {
    std::string id;  // "12"
    std::string at;  // RFC 3339
    std::uint64_t bytes = 0;
  };
  // The newest first.
  Result<std::vector<Entry>> list() const;
  Result<std::string> text(const std::string& id) const;
  // Adds the text, unless the newest entry is the same; forgets the oldest beyond kEntriesMax.
  Result<void> add(const std::string& text, std::uint64_t unix_s) const;

 private:
  struct Named {
    std::uint64_t number;
    std::filesystem::path file;
  };
  Result<std::vector<Named>> files() const;  // the newest first

  std::filesystem::path directory_;
};

}  // namespace switchyard::config

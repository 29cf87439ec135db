// A plugin file on its way into the plugin directory of a gateway, and back out where it is
// refused.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.hpp"

namespace switchyard::cli {

class InstalledFile {
 public:
  // Writes a copy aside and renames it into place, so that nobody sees half a file. What was there
  // under that name is kept until keep() or the destructor.
  static Result<InstalledFile> install(const std::filesystem::path& source,
                                       const std::filesystem::path& directory);
  InstalledFile(InstalledFile&& other) noexcept;
  InstalledFile& operator=(InstalledFile&&) = delete;
  // Puts back what was there, unless it is to be kept.
  ~InstalledFile();

  std::string name() const { return target_.filename().string(); }
  void keep();

 private:
  InstalledFile() = default;
  std::filesystem::path target_, before_;  // before_: empty where there was none
  bool settled_ = false;
};

}  // namespace switchyard::cli

// Plugin files: found, copied, audited in a child process, loaded, negotiated with. The one room
// that touches the C ABI.
#pragma once

#include <switchyard/logger.h>
#include <switchyard/plugin.h>
#include <switchyard/provider.h>
#include <switchyard/strategy.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::plugin {

// What one kind of a library says of itself, copied at load.
struct Kind {
  std::string iface;   // "swy.provider/0"
  std::string name;    // "openai"
  std::string schema;  // JSON, or empty
  std::string caps;    // JSON object
  const void* vt = nullptr;
};

// A loaded library. Never unmapped: the object may go, the code stays. Its last reference goes on
// the control thread, after the last instance: that calls fini.
class Library {
 public:
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const std::string& id() const { return id_; }
  const std::string& version() const { return version_; }
  const std::string& build() const { return build_; }
  const std::string& sha256() const { return sha256_; }
  const std::filesystem::path& source() const { return source_; }
  const std::vector<Kind>& kinds() const { return kinds_; }

 private:
  friend class Libraries;
  Library() = default;
  const swy_lib* table_ = nullptr;
  std::string id_, version_, build_, sha256_;
  std::filesystem::path source_;
  std::vector<Kind> kinds_;
};

struct LibraryOptions {
  std::filesystem::path directory;  // where plugins are; refused where group or others may write
  std::filesystem::path private_directory;  // 0700, for the copies
  std::map<std::string, std::string> pins;  // file name -> SHA-256; where not empty only these load
  bool trial = true;  // audit and trial in a child (self-exec of `switchyard plugin-trial`)
  std::filesystem::path trial_program;  // empty: this binary (/proc/self/exe)
  std::chrono::milliseconds trial_max{
      10'000};  // a trial that takes longer is stopped and the file refused
};

// All libraries of the process. One control thread at a time.
class Libraries {
 public:
  explicit Libraries(LibraryOptions options);
  ~Libraries();

  // Loads every *.so of the directory, in name order. A bad file is refused with its reason and the
  // others go on. Where the directory itself is refused the one entry names it.
  struct Refused {
    std::filesystem::path file;
    std::string reason;
  };
  std::vector<Refused> load_all();

  // One file: private copy under a never-used name, SHA-256, trial in a child, dlopen, version
  // offer, init. The same content is not mapped twice in a process. A changed file of the same name
  // replaces the library that came from it; another file that offers the same id or kind is
  // refused. The file must be in the plugin directory. Refusal texts do not name the file; they are
  // exact and stable: sdk/PLUGINS.md lists them.
  Result<std::shared_ptr<const Library>> load(const std::filesystem::path& file);

  const std::vector<std::shared_ptr<const Library>>& all() const { return libraries_; }
  // The kind of this interface family ("provider", "strategy", "logger") and name, from the newest
  // library that has it.
  struct Found {
    std::shared_ptr<const Library> library;
    const Kind* kind = nullptr;
  };
  Found find(std::string_view family, std::string_view name) const;

  // The table that every plugin is given. Lives as long as the process.
  static const swy_host* host();

 private:
  Result<void> check_pin(const std::string& name, const std::string& sha256) const;
  Result<void> check_unique(const Library& incoming) const;
  Result<std::shared_ptr<const Library>> load_copy(const std::filesystem::path& source,
                                                   const std::filesystem::path& copy,
                                                   const std::string& sha256);

  LibraryOptions options_;
  std::vector<std::shared_ptr<const Library>> libraries_;
};

// What `switchyard plugin-trial FILE` does in the child: static audit with libelf, dlopen,
// negotiate, init, self_test, fini. Prints the refusal text to stdout; returns the exit code.
int run_trial(const std::filesystem::path& file);

}  // namespace switchyard::plugin

// The crashes of workers that plugins are to blame for, kept in a file of the state directory: by
// the supervisor after a death, for the worker that starts next.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/store/call_note.hpp"

namespace switchyard::store {

// Two of one content within this time put it into quarantine; in a shadow run one does: there it
// was to show whether it may serve.
constexpr std::chrono::minutes kCrashWindow{10};

class CrashList {
 public:
  // Of that state directory's plugins; a file that can't be read is an empty list.
  explicit CrashList(std::filesystem::path directory);

  struct Count {
    unsigned times = 0;  // within the window, this time included
    bool quarantined = false;
  };
  // The file is written before it returns, as far as the disk allows.
  Count add(const Blame& blame, const std::string& signal, std::uint64_t unix_ms);
  // The content is tried again. False where it is not quarantined.
  bool release(const std::string& sha256);
  // SHA-256 -> why: "crashed twice within 10 minutes, last in op_step with SIGSEGV".
  std::map<std::string, std::string> quarantined() const;

 private:
  struct Crash {
    std::uint64_t unix_ms = 0;
    std::string sha256, where;  // "op_step with SIGSEGV"
    bool quarantined = false;
  };
  void read();
  bool write() const;

  std::filesystem::path file_;
  std::vector<Crash> crashes_;
};

}  // namespace switchyard::store

// Which plugin's code each thread is in: written by a worker as it goes, read by its supervisor
// once the worker is dead. A note costs two stores.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard::store {

// A function of the contract, as a note names it.
enum class Call : std::uint8_t {
  kNone,
  kInit,
  kFini,
  kOpen,
  kClose,
  kOpNew,
  kOpStep,
  kOpFree,
  kScore,
  kObserve,
  kSave,
  kLoad,
  kWrite,
  kFlush,
  kShadow,  // any of them, in a shadow run
};
const char* to_string(Call call);

// The file that the notes of the process `pid` are in.
std::filesystem::path note_file(const std::filesystem::path& directory, pid_t pid);

// From now on this process's notes are in note_file(directory, own pid), and a fatal signal is
// noted with the thread that it hit. Where the file can't be made notes go nowhere. Once, before
// the first plugin is loaded.
void keep_notes(const std::filesystem::path& directory);

// A number for a library, good for notes in this process; 0 where there are too many. [control
// thread]
std::uint32_t note_library(std::string_view file, std::string_view sha256);

// While it lives this thread is in that library's code.
class CallNote {
 public:
  CallNote(std::uint32_t library, Call call) : cell_(cell()) {
    before_ = cell_->load(std::memory_order_relaxed);
    cell_->store(library << 8 | static_cast<std::uint32_t>(call), std::memory_order_relaxed);
  }
  ~CallNote() { cell_->store(before_, std::memory_order_relaxed); }
  CallNote(const CallNote&) = delete;
  CallNote& operator=(const CallNote&) = delete;

 private:
  static std::atomic<std::uint32_t>* cell();

  std::atomic<std::uint32_t>* cell_;
  std::uint32_t before_;
};

// Whose code a dead process was in.
struct Blame {
  std::string file, sha256;
  Call call = Call::kNone;
};

// What the notes say; nothing where the thread that died was in the host's own code. Removes the
// file.
std::optional<Blame> take_notes(const std::filesystem::path& directory, pid_t pid);

}  // namespace switchyard::store

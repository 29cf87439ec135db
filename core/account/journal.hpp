// What happened to money, as it happens: append-only segments of mapped files, one writer for each
// event loop. What is written stays when the process is killed, for it is in the kernel's pages.
//
// A segment is a header and entries, each a head of 32 bytes and what its type says, in multiples
// of 8 bytes, checksummed; the rest is zero. Whoever writes a segment has its lock (flock), so that
// a segment whose lock is free is a dead process's. Space is allocated before it is used and never
// on the loop: where the disk is full a segment can't be prepared, and nothing faults.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/account/journal_os.hpp"
#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard::account {

enum class EntryType : std::uint8_t { kHold = 1, kExtend, kSettle, kRelease, kCost };

struct EntryHead {
  std::uint32_t length;    // of the whole entry
  std::uint32_t checksum;  // CRC-32C of what follows this member
  std::uint64_t sequence;  // 1, 2, 3 ... of its writer, over all of its segments
  std::uint64_t at_unix_ns;
  EntryType type;
  std::uint8_t unused[7];
};
static_assert(sizeof(EntryHead) == 32);

struct EntryView {
  EntryHead head;
  std::string_view body;
  std::uint64_t offset, next;  // in its segment
};

// One file, mapped. Its writer and readers of the same process share it.
class Segment {
 public:
  static constexpr std::uint64_t kHeaderBytes = 64;

  // A new one, allocated, locked and on the disk. [not a loop]
  static Result<std::unique_ptr<Segment>> create(JournalOs& os,
                                                 const std::filesystem::path& directory,
                                                 std::uint64_t writer, std::uint64_t number,
                                                 std::uint64_t bytes);
  // One without a file.
  static Result<std::unique_ptr<Segment>> create_in_memory(JournalOs& os, std::uint64_t writer,
                                                           std::uint64_t number,
                                                           std::uint64_t bytes);
  // A dead writer's, whose lock it takes over. Nothing: its writer lives, or it is gone by now.
  static Result<std::unique_ptr<Segment>> adopt(JournalOs& os, const std::filesystem::path& file);
  // For looking only, whoever has it; `owned` tells whether somebody does.
  static Result<std::unique_ptr<Segment>> look(JournalOs& os, const std::filesystem::path& file,
                                               bool& owned);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  std::uint64_t writer() const { return writer_; }
  std::uint64_t number() const { return number_; }
  std::uint64_t bytes() const { return bytes_; }
  std::byte* data() const { return data_; }
  bool in_memory() const { return !fd_; }
  const std::filesystem::path& file() const { return file_; }

  // The entry at or behind an offset and before `end`. What is damaged is stepped over, which
  // `skipped` counts in bytes. Nothing: there is none.
  std::optional<EntryView> next(std::uint64_t offset, std::uint64_t end, std::uint64_t sequence_min,
                                std::uint64_t& skipped) const;

  Result<void> sync(std::uint64_t from, std::uint64_t to);
  Result<void> remove();

  // Of a live writer. `last_sequence` is never ahead of `written`.
  std::atomic<std::uint64_t> written{kHeaderBytes};
  std::atomic<std::uint64_t> last_sequence{0};
  std::atomic<bool> closed{false};   // the writer went on to the next one
  std::atomic<bool> faulted{false};  // a sync failed: what it holds may not be on the disk
  // How far it is on the disk, or never will be: `faulted`.
  std::atomic<std::uint64_t> synced{kHeaderBytes};

 private:
  Segment(JournalOs& os, std::filesystem::path file) : os_(os), file_(std::move(file)) {}
  Result<void> prepare(std::uint64_t writer, std::uint64_t number, std::uint64_t bytes);
  Result<void> map_existing();
  std::optional<EntryView> entry_at(std::uint64_t offset, std::uint64_t end) const;

  JournalOs& os_;
  std::filesystem::path file_;
  UniqueFd fd_;
  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0, writer_ = 0, number_ = 0;
};

// "0123456789abcdef-7.journal"
std::string segment_name(std::uint64_t writer, std::uint64_t number);
std::string hex_of(std::uint64_t number);

struct SegmentFile {
  std::filesystem::path file;
  std::uint64_t writer = 0, number = 0;
};
// The segments of a directory, by writer and number. What a dead process left half made is removed
// where `tidy`.
Result<std::vector<SegmentFile>> list_segments(const std::filesystem::path& directory, bool tidy);

// Names are cut to these many bytes, between characters.
inline constexpr std::size_t kNameMax = 128;
inline constexpr std::size_t kWordMax = 64;
// What entries take at most.
inline constexpr std::uint64_t kHoldBytesMax = 640;
inline constexpr std::uint64_t kExtendBytesMax = 64;
inline constexpr std::uint64_t kSettleBytesMax = 1600;  // a release is smaller
inline constexpr std::uint64_t kCostBytesMax = 960;

// Appends to the segments of one loop. Two threads use it: the loop, and the one that prepares
// segments for it.
class JournalWriter {
 public:
  JournalWriter(std::uint64_t writer, std::uint64_t (*now_unix_ns)());

  std::uint64_t writer() const { return writer_; }

  // ---- the loop ----

  // Whether `bytes` fit beside what is reserved, wherever segments end.
  bool has_room(std::uint64_t bytes) const;
  // Keeps room for an entry that must be written whatever happens; the caller asked has_room().
  void reserve(std::uint64_t bytes) { reserved_.fetch_add(bytes, std::memory_order_relaxed); }
  void unreserve(std::uint64_t bytes) { reserved_.fetch_sub(bytes, std::memory_order_relaxed); }
  // A failed sync told that the disk can't be trusted, and there is no other segment yet.
  bool faulty() const;

  // Where the body of an entry of at most `bytes` goes (with its head); then commit() with its end.
  // There has to be room.
  char* begin(std::uint64_t bytes);
  // Returns the entry's sequence.
  std::uint64_t commit(EntryType type, const char* end);
  std::uint64_t sequence() const { return sequence_; }

  // ---- the one that prepares ----

  // Whether another segment should be made ready.
  bool wants_segment(std::uint64_t bytes) const;
  // The segment stays its owner's, who keeps it until it is closed.
  void add(Segment* segment);
  static constexpr std::size_t kSparesMax = 256;

 private:
  std::uint64_t spare_room() const;
  bool can_leave(std::uint64_t bytes) const;
  void next_segment();

  const std::uint64_t writer_;
  std::uint64_t (*const now_unix_ns_)();
  std::uint64_t sequence_ = 0;
  std::atomic<Segment*> current_{nullptr};
  std::atomic<std::uint64_t> reserved_{0};
  // A ring: the loop takes at taken_, the other one puts at put_.
  std::array<Segment*, kSparesMax> spares_{};
  std::atomic<std::uint64_t> put_{0}, taken_{0};
  std::atomic<std::uint64_t> room_put_{0}, room_taken_{0};  // of all segments ever put, and taken
};

// Bodies of entries: numbers as they lie in memory, texts behind their length.
class BodyWriter {
 public:
  explicit BodyWriter(char* at) : at_(at) {}
  BodyWriter& number(std::uint64_t value);
  BodyWriter& number(std::int64_t value) { return number(static_cast<std::uint64_t>(value)); }
  BodyWriter& byte(std::uint8_t value);
  BodyWriter& text(std::string_view text, std::size_t max);
  const char* end() const { return at_; }

 private:
  char* at_;
};

// What is missing reads as 0 and empty, and ok() tells.
class BodyReader {
 public:
  explicit BodyReader(std::string_view body) : rest_(body) {}
  std::uint64_t number();
  std::int64_t amount() { return static_cast<std::int64_t>(number()); }
  std::uint8_t byte();
  std::string_view view();
  std::string text() { return std::string(view()); }
  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace switchyard::account

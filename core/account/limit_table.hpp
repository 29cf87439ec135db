// What limited keys, accounts, features and plans have used of late: a slot each, in a file that
// every process of one state directory maps, so that two workers of a restart count together and
// one that is killed takes no count with it (core/decisions/0019-limits.md).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/account/journal_os.hpp"
#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard::account {

// Of a subject's name, "key:key_...".
struct LimitId {
  std::uint64_t first = 0, rest = 0;  // never 0
  static LimitId of(std::string_view name);
  std::string hex() const;
  bool operator==(const LimitId&) const = default;
};

// What was counted in the last 60 seconds, in buckets of half a second. A bucket counts until all
// of it is 60 seconds old: a sum is never less than that of any 60 seconds that end now, and what
// is counted stays for half a second too long at most.
class LimitWindow {
 public:
  static constexpr std::uint64_t kBucketNs = 500'000'000, kBuckets = 120;

  // Forgets what is too old; time does not run backwards here.
  void advance(std::uint64_t now_ns);
  std::uint64_t requests() const { return requests_sum_; }
  std::uint64_t tokens() const { return tokens_sum_; }
  // Where it was counted, for correct().
  std::uint64_t add(std::uint64_t requests, std::uint64_t tokens);
  // `counted` tokens of `bucket` came to `used`; what is more counts from now on.
  void correct(std::uint64_t bucket, std::uint64_t counted, std::uint64_t used);
  // How long after `now_ns` until no more than `most` are left; 0: that is so already.
  std::uint64_t requests_wait_ns(std::uint64_t most, std::uint64_t now_ns) const;
  std::uint64_t tokens_wait_ns(std::uint64_t most, std::uint64_t now_ns) const;

 private:
  static constexpr std::size_t kRing = 128;
  static_assert(kRing > kBuckets);

  template <class Ring>
  std::uint64_t wait_ns(const Ring& ring, std::uint64_t sum, std::uint64_t most,
                        std::uint64_t now_ns) const;

  std::uint64_t newest_;
  std::uint64_t requests_sum_, tokens_sum_;
  std::array<std::uint32_t, kRing> requests_;
  std::array<std::uint64_t, kRing> tokens_;
};

// Of a day, a month or a plan's period.
struct LimitCount {
  std::int64_t start_unix_s;
  std::uint64_t requests, tokens;
};

// As it lies in the file; all zero is a fresh one. All but the lock is touched under the lock
// alone.
struct alignas(64) LimitSlot {
  static constexpr std::size_t kSeats = 8, kCounts = 2;

  std::atomic<std::uint32_t> lock;  // 0: free; else the holder's seat + 1
  std::uint32_t loaded;             // `counts` are what was saved, and what came since
  std::uint64_t used_ns;
  std::array<std::uint32_t, kSeats> in_flight;  // by the process that they run in
  std::atomic<std::uint32_t> unsaved;           // `counts` have changed
  std::array<LimitCount, kCounts> counts;
  LimitWindow window;

  std::uint64_t running() const {
    std::uint64_t sum = 0;
    for (const std::uint32_t each : in_flight) sum += each;
    return sum;
  }
};
static_assert(std::is_trivially_copyable_v<LimitWindow> &&
              std::atomic<std::uint32_t>::is_always_lock_free);

// The file. Memory is for what is in use: a slot that nobody used for longer than its window, that
// nothing runs in and whose counts are saved goes to the next subject.
class LimitTable {
 public:
  // Takes one of eight seats; more processes than that have no business here.
  static Result<std::unique_ptr<LimitTable>> open(const std::filesystem::path& directory,
                                                  JournalOs& os = JournalOs::system());
  ~LimitTable();
  LimitTable(const LimitTable&) = delete;
  LimitTable& operator=(const LimitTable&) = delete;

  // The subject's slot; null: make() it. Another subject's by the time that it is locked: look
  // again whose() it is. Without locks. [any thread]
  LimitSlot* find(const LimitId& id) const;
  // Finds or makes it. Waits for locks and for the disk: never on a loop. [any thread]
  Result<LimitSlot*> make(const LimitId& id, std::uint64_t now_ns);
  bool is_of(const LimitSlot& slot, const LimitId& id) const;

  // Held for as long as it lives, and never across anything that waits.
  class Lock {
   public:
    Lock(const LimitTable& table, LimitSlot& slot) : slot_(&slot) { table.lock(slot); }
    ~Lock() { slot_->lock.store(0, std::memory_order_release); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    LimitSlot* slot_;
  };
  // As Lock, for several that are let go one by one.
  void lock(LimitSlot& slot) const;
  static void unlock(LimitSlot& slot) { slot.lock.store(0, std::memory_order_release); }

  std::size_t seat() const { return seat_; }
  // What runs in processes that died without a word, runs no more. [any thread]
  void clear_dead_seats();
  // Calls `visit` with the id and the counts of each slot that changed since the last time.
  using Counts = std::array<LimitCount, LimitSlot::kCounts>;
  void take_unsaved(const std::function<void(const LimitId&, const Counts&)>& visit);
  // They could not be saved after all.
  void mark_unsaved(const LimitId& id);

 private:
  struct Header;
  struct Index;
  static constexpr std::uint32_t kChunkSlots = 2048, kChunksMax = 512, kGroup = 16;

  LimitTable(std::filesystem::path file, JournalOs& os) : file_(std::move(file)), os_(os) {}
  Result<void> begin();
  Result<void> check_file(bool alone);
  Result<void> take_seat();
  void clear_seat(std::size_t seat);
  bool try_seat(std::size_t seat) const;
  void leave_seat(std::size_t seat) const;
  bool is_dead(std::size_t seat) const;
  LimitSlot* insert(const LimitId& id, std::uint64_t now_ns);
  bool vacate(std::uint32_t number, std::uint64_t now_ns);
  Index& index_at(std::uint32_t number) const;
  LimitSlot& slot_at(std::uint32_t number) const;
  std::uint32_t number_of(const LimitSlot& slot) const;
  std::uint32_t slots() const;

  const std::filesystem::path file_;
  JournalOs& os_;
  UniqueFd fd_, growth_;
  std::mutex mutex_;  // of make()
  std::size_t seat_ = 0;
  std::byte* base_ = nullptr;
  Header* header_ = nullptr;
};

}  // namespace switchyard::account

// What may be spent: one cell of shared memory for each account and each period of a budget, in a
// file that every process of one state directory maps. Holds are taken from cells by
// compare-and-swap, so nothing is ever below its limit, whoever else takes from it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "core/account/journal_os.hpp"
#include "core/base/nano.hpp"
#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard::account {

// As it lies in the file; zero is a free one.
struct alignas(64) Cell {
  std::atomic<std::uint64_t> id;  // of the name's hash; 0: free. Stored last
  std::atomic<std::uint64_t> id_rest;
  std::atomic<Nano> available;
};
static_assert(sizeof(Cell) == 64 && std::atomic<Nano>::is_always_lock_free);

// A cell, and how far down one may take from it. Cheap to copy; valid as long as its Cells.
class CellRef {
 public:
  static constexpr Nano kNoLimit = INT64_MIN;

  CellRef() = default;
  CellRef(Cell& cell, std::uint32_t slot, Nano limit) : cell_(&cell), limit_(limit), slot_(slot) {}
  CellRef with_limit(Nano limit) const { return {*cell_, slot_, limit}; }

  // Takes the whole amount and leaves at least the limit, or changes nothing.
  bool try_take(Nano amount) const {
    Nano seen = cell_->available.load(std::memory_order_relaxed);
    Nano left = 0;
    do {
      if (__builtin_sub_overflow(seen, amount, &left) || left < limit_) return false;
    } while (!cell_->available.compare_exchange_weak(seen, left, std::memory_order_acq_rel,
                                                     std::memory_order_relaxed));
    return true;
  }
  // As much of the amount as the limit lets go; returns how much that was.
  Nano take_up_to(Nano amount) const;
  void give(Nano amount) const { cell_->available.fetch_add(amount, std::memory_order_acq_rel); }

  Nano available() const { return cell_->available.load(std::memory_order_acquire); }
  Nano limit() const { return limit_; }
  std::uint32_t slot() const { return slot_; }  // where it lies in the file

 private:
  Cell* cell_ = nullptr;
  Nano limit_ = 0;
  std::uint32_t slot_ = 0;
};

// The file. A process that has it open is counted (by a shared lock on it); one that opens it while
// nobody else has it open is alone: it finds it empty, and fills it before it lets others in.
class Cells {
 public:
  // Waits while another process that is alone fills it.
  static Result<std::unique_ptr<Cells>> open(const std::filesystem::path& file, JournalOs& os);
  ~Cells();
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  // Nobody else has the file open, nor gets it until share().
  bool alone() const { return alone_; }
  Result<void> share();
  // Of this filling: slots of another one mean nothing.
  std::uint64_t generation() const;

  // The cell of a name; a new one begins with `initial`. May wait for a lock that is held for
  // microseconds. [any thread]
  Result<CellRef> cell(std::string_view name, Nano initial, Nano limit);
  // Nothing where there is none yet. Without locks. [any thread]
  std::optional<CellRef> find(std::string_view name, Nano limit) const;
  // By its place in the file; nothing where no cell is there.
  std::optional<CellRef> at(std::uint32_t slot) const;

 private:
  struct Header;
  struct Id {
    std::uint64_t first, rest;
  };
  static Id id_of(std::string_view name);

  Cells(std::filesystem::path file, JournalOs& os) : file_(std::move(file)), os_(os) {}
  Result<void> begin();
  Result<void> begin_empty();
  Result<void> check_filled() const;
  Result<CellRef> insert(const Id& id, Nano initial, Nano limit);
  std::optional<CellRef> find(const Id& id, Nano limit) const;
  // The cell of an id in one chunk, or the free one where it would be.
  std::uint32_t probe(std::uint32_t chunk, const Id& id) const;
  Cell& cell_at(std::uint32_t slot) const;

  const std::filesystem::path file_;
  JournalOs& os_;
  UniqueFd fd_, growth_;
  std::mutex mutex_;  // of cell()
  bool alone_ = false;
  std::byte* base_ = nullptr;
  Header* header_ = nullptr;
};

}  // namespace switchyard::account

// What may be spent: one cell of shared memory for each account and each period of a budget, in a
// file that every process of one state directory maps. Holds are taken from cells by
// compare-and-swap, so nothing is ever below its limit, whoever else takes from it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard {
using Nano = std::int64_t;  // billionths of one currency's unit
}

namespace switchyard::account {

// As it lies in the file; zero is a free cell that nothing was taken from.
struct alignas(64) Cell {
  std::atomic<std::uint64_t> id;  // the name's hash; 0: free. Stored last
  std::uint64_t id_rest;
  std::atomic<Nano> available;
};
static_assert(sizeof(Cell) == 64 && std::atomic<Nano>::is_always_lock_free);

// A cell and how far down one may take from it. Cheap to copy; valid as long as its Cells.
class CellRef {
 public:
  static constexpr Nano kNoLimit = INT64_MIN;

  CellRef(Cell& cell, std::uint32_t slot, Nano limit) : cell_(&cell), slot_(slot), limit_(limit) {}
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
  Cell* cell_;
  std::uint32_t slot_;
  Nano limit_;
};

// The file. A process that has it open is counted (by a shared lock); one that opens it while
// nobody else has it open is alone, and rebuilds it before anything is taken.
class Cells {
 public:
  static constexpr std::uint32_t kChunkCells = 1u << 16;
  static constexpr std::uint32_t kChunksMax = 512;  // 25 million names

  // Waits while another process rebuilds.
  static Result<std::unique_ptr<Cells>> open(const std::filesystem::path& file);
  ~Cells();
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  // Nobody else has the file open; until share() nobody else gets it.
  bool alone() const { return alone_; }
  // Makes every cell free: each that is handed out later is a new one. Only where alone.
  void clear();
  // Lets others in. What this process made of the cells is complete.
  Result<void> share();
  // Differs after each clear(): slots of another generation mean nothing.
  std::uint64_t generation() const;

  // The cell of a name; a new one begins with `initial`. May wait for a lock of the file's, which
  // is held for microseconds. [any thread]
  Result<CellRef> cell(std::string_view name, Nano initial, Nano limit);
  // Nothing where there is none yet. Without locks. [any thread]
  std::optional<CellRef> find(std::string_view name, Nano limit) const;
  // By its place in the file, where that is of this generation.
  std::optional<CellRef> at(std::uint32_t slot) const;

 private:
  struct Header;
  struct Id {
    std::uint64_t first, rest;
  };
  static Id id_of(std::string_view name);

  explicit Cells(std::filesystem::path file) : file_(std::move(file)) {}
  Result<void> begin();
  Result<Cell*> chunk(std::uint32_t index);
  Result<void> grow();
  std::optional<CellRef> find(const Id& id, Nano limit) const;
  Error fault(const char* what) const;

  std::filesystem::path file_;
  UniqueFd fd_, growth_;  // growth_: a description of its own, for its lock
  bool alone_ = false;
  Header* header_ = nullptr;
  std::mutex mutex_;
  std::array<std::atomic<Cell*>, kChunksMax> chunks_{};
};

}  // namespace switchyard::account

#include "core/account/cells.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "core/base/clock.hpp"
#include "core/base/os_file.hpp"
#include "core/base/sha256.hpp"

namespace switchyard::account {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMagic = 0x314c4c4543595753;  // "SWYCELL1", little endian
constexpr std::uint64_t kHeaderBytes = 4096;
constexpr std::uint32_t kChunkCells = 1u << 16;
constexpr std::uint32_t kChunkFull = kChunkCells / 4 * 3;
constexpr std::uint32_t kChunksMax = 256;  // 12 million names
constexpr std::uint64_t kChunkBytes = kChunkCells * sizeof(Cell);
// The whole of it is mapped from the start, and only what the file has is touched: growing moves
// nothing.
constexpr std::uint64_t kMappedBytes = kHeaderBytes + kChunksMax * kChunkBytes;

}  // namespace

struct Cells::Header {
  std::atomic<std::uint64_t> magic, generation;
  std::atomic<std::uint32_t> chunks;
  std::atomic<std::uint32_t> used;  // cells of the last chunk
};

Nano CellRef::take_up_to(Nano amount) const {
  Nano seen = cell_->available.load(std::memory_order_relaxed);
  while (true) {
    Nano room = 0;
    if (__builtin_sub_overflow(seen, limit_, &room)) room = seen < 0 ? 0 : amount;
    const Nano taken = std::min(amount, room);
    if (taken <= 0) return 0;
    if (cell_->available.compare_exchange_weak(seen, seen - taken, std::memory_order_acq_rel,
                                               std::memory_order_relaxed)) {
      return taken;
    }
  }
}

Result<std::unique_ptr<Cells>> Cells::open(const fs::path& file, JournalOs& os) {
  auto cells = std::unique_ptr<Cells>(new Cells(file, os));
  const auto begun = cells->begin();
  if (!begun) return begun.error();
  return cells;
}

Cells::~Cells() {
  if (base_ != nullptr) munmap(base_, kMappedBytes);
}

Result<void> Cells::begin() {
  auto opened = os_.open(file_, O_RDWR | O_CREAT);
  if (!opened) return opened.error();
  fd_ = std::move(*opened);
  auto growth = os_.open(file_.string() + ".lock", O_RDWR | O_CREAT);
  if (!growth) return growth.error();
  growth_ = std::move(*growth);

  alone_ = lock_file(fd_.get(), LOCK_EX | LOCK_NB) == 0;
  if (!alone_ && lock_file(fd_.get(), LOCK_SH) != 0) return system_error(file_, "lock");
  if (alone_) {
    const auto emptied = begin_empty();
    if (!emptied) return emptied.error();
  }
  auto mapped = os_.map(fd_.get(), kMappedBytes, file_);
  if (!mapped) return mapped.error();
  base_ = *mapped;
  header_ = std::launder(reinterpret_cast<Header*>(base_));
  if (!alone_) return check_filled();
  header_->chunks = 1;
  header_->generation = unix_ns();
  return {};
}

// What is beyond the file's end must not be touched.
Result<void> Cells::check_filled() const {
  struct stat facts{};
  if (fstat(fd_.get(), &facts) != 0) return system_error(file_, "stat");
  const bool whole = static_cast<std::uint64_t>(facts.st_size) >= kHeaderBytes + kChunkBytes;
  if (whole && header_->magic == kMagic) return {};
  return Error{file_.string() + ": the process that filled it died over it; start again"};
}

Result<void> Cells::begin_empty() {
  if (ftruncate(fd_.get(), 0) != 0) return system_error(file_, "truncate");
  return os_.allocate(fd_.get(), kHeaderBytes + kChunkBytes, file_);
}

Result<void> Cells::share() {
  if (!alone_) return {};
  header_->magic.store(kMagic, std::memory_order_release);
  // The kernel lets go before it takes again: another one may have filled it anew in between.
  if (lock_file(fd_.get(), LOCK_SH) != 0) return system_error(file_, "lock");
  alone_ = false;
  return check_filled();
}

std::uint64_t Cells::generation() const { return header_->generation; }

Cells::Id Cells::id_of(std::string_view name) {
  const auto digest = sha256(name);
  Id id{};
  std::memcpy(&id.first, digest.data(), sizeof id.first);
  std::memcpy(&id.rest, digest.data() + sizeof id.first, sizeof id.rest);
  if (id.first == 0) id.first = 1;
  return id;
}

Cell& Cells::cell_at(std::uint32_t slot) const {
  return *std::launder(reinterpret_cast<Cell*>(base_ + kHeaderBytes) + slot);
}

std::uint32_t Cells::probe(std::uint32_t chunk, const Id& id) const {
  for (auto place = static_cast<std::uint32_t>(id.rest % kChunkCells);;
       place = (place + 1) % kChunkCells) {
    const std::uint32_t slot = chunk * kChunkCells + place;
    const Cell& cell = cell_at(slot);
    const std::uint64_t found = cell.id.load(std::memory_order_acquire);
    if (found == 0) return slot;
    if (found == id.first && cell.id_rest.load(std::memory_order_relaxed) == id.rest) return slot;
  }
}

std::optional<CellRef> Cells::find(const Id& id, Nano limit) const {
  const std::uint32_t chunks = header_->chunks.load(std::memory_order_acquire);
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    const std::uint32_t slot = probe(chunk, id);
    Cell& cell = cell_at(slot);
    if (cell.id.load(std::memory_order_acquire) != 0) return CellRef(cell, slot, limit);
  }
  return std::nullopt;
}

std::optional<CellRef> Cells::find(std::string_view name, Nano limit) const {
  return find(id_of(name), limit);
}

std::optional<CellRef> Cells::at(std::uint32_t slot) const {
  if (slot / kChunkCells >= header_->chunks.load(std::memory_order_acquire)) return std::nullopt;
  Cell& cell = cell_at(slot);
  if (cell.id.load(std::memory_order_acquire) == 0) return std::nullopt;
  return CellRef(cell, slot, CellRef::kNoLimit);
}

Result<CellRef> Cells::cell(std::string_view name, Nano initial, Nano limit) {
  const Id id = id_of(name);
  if (const auto found = find(id, limit)) return *found;
  const std::lock_guard held(mutex_);
  if (lock_file(growth_.get(), LOCK_EX) != 0) return system_error(file_, "lock");
  auto made = insert(id, initial, limit);
  lock_file(growth_.get(), LOCK_UN);
  return made;
}

Result<CellRef> Cells::insert(const Id& id, Nano initial, Nano limit) {
  if (const auto found = find(id, limit)) return *found;
  if (header_->used >= kChunkFull) {
    const std::uint32_t chunks = header_->chunks;
    if (chunks == kChunksMax) {
      return Error{file_.string() + ": full; a restart drops the cells of periods that are over"};
    }
    const auto grown = os_.allocate(fd_.get(), kHeaderBytes + (chunks + 1) * kChunkBytes, file_);
    if (!grown) return grown.error();
    header_->used = 0;
    header_->chunks.store(chunks + 1, std::memory_order_release);
  }
  const std::uint32_t slot = probe(header_->chunks - 1, id);
  Cell& cell = cell_at(slot);
  cell.available.store(initial, std::memory_order_relaxed);
  cell.id_rest.store(id.rest, std::memory_order_relaxed);
  cell.id.store(id.first, std::memory_order_release);
  ++header_->used;
  return CellRef(cell, slot, limit);
}

}  // namespace switchyard::account

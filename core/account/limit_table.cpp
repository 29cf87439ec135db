#include "core/account/limit_table.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <optional>

#include "core/base/os_file.hpp"
#include "core/base/sha256.hpp"

namespace switchyard::account {
namespace fs = std::filesystem;
namespace {

// Another layout is another file, for the worker before may still use its own.
constexpr char kFile[] = "limits.1";
constexpr std::uint64_t kMagic = 0x31544d494c595753;  // "SWYLIMT1", little endian
constexpr std::uint64_t kHeaderBytes = 4096;
// After this a subject has nothing left in its window.
constexpr std::uint64_t kIdleNs = (LimitWindow::kBuckets + 2) * LimitWindow::kBucketNs;

struct flock seat_range(short type, std::size_t seat) {
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(seat);
  range.l_len = 1;
  return range;
}

// Monotonic times mean something within one run of the machine.
std::uint64_t boot_id() {
  std::string text;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), text);
  return LimitId::of("boot:" + text).first;
}

}  // namespace

// ---- ids ----

LimitId LimitId::of(std::string_view name) {
  const auto digest = sha256(name);
  LimitId id;
  std::memcpy(&id.first, digest.data(), sizeof id.first);
  std::memcpy(&id.rest, digest.data() + sizeof id.first, sizeof id.rest);
  if (id.first == 0) id.first = 1;
  return id;
}

std::string LimitId::hex() const {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const std::uint64_t word : {first, rest}) {
    for (int shift = 60; shift >= 0; shift -= 4) text += kHex[word >> shift & 15];
  }
  return text;
}

// ---- windows ----

void LimitWindow::advance(std::uint64_t now_ns) {
  const std::uint64_t bucket = now_ns / kBucketNs;
  if (bucket <= newest_) return;
  if (bucket - newest_ > kBuckets) {
    requests_.fill(0);
    tokens_.fill(0);
    requests_sum_ = tokens_sum_ = 0;
  } else {
    for (std::uint64_t next = newest_ + 1; next <= bucket; ++next) {
      if (next <= kBuckets) continue;
      const std::size_t leaving = (next - kBuckets - 1) % kRing;
      requests_sum_ -= requests_[leaving];
      tokens_sum_ -= tokens_[leaving];
      requests_[leaving] = 0;
      tokens_[leaving] = 0;
    }
  }
  newest_ = bucket;
}

std::uint64_t LimitWindow::add(std::uint64_t requests, std::uint64_t tokens) {
  requests_[newest_ % kRing] += static_cast<std::uint32_t>(requests);
  tokens_[newest_ % kRing] += tokens;
  requests_sum_ += requests;
  tokens_sum_ += tokens;
  return newest_;
}

void LimitWindow::correct(std::uint64_t bucket, std::uint64_t counted, std::uint64_t used) {
  if (used > counted) {
    add(0, used - counted);
    return;
  }
  if (bucket + kBuckets < newest_) return;  // gone already
  std::uint64_t& tokens = tokens_[bucket % kRing];
  const std::uint64_t back = std::min(tokens, counted - used);
  tokens -= back;
  tokens_sum_ -= back;
}

template <class Ring>
std::uint64_t LimitWindow::wait_ns(const Ring& ring, std::uint64_t sum, std::uint64_t most,
                                   std::uint64_t now_ns) const {
  const std::uint64_t oldest = newest_ < kBuckets ? 0 : newest_ - kBuckets;
  for (std::uint64_t bucket = oldest; sum > most && bucket <= newest_; ++bucket) {
    sum -= ring[bucket % kRing];
    if (sum > most) continue;
    const std::uint64_t free_ns = (bucket + kBuckets + 1) * kBucketNs;
    return free_ns > now_ns ? free_ns - now_ns : 0;
  }
  return 0;
}

std::uint64_t LimitWindow::requests_wait_ns(std::uint64_t most, std::uint64_t now_ns) const {
  return wait_ns(requests_, requests_sum_, most, now_ns);
}

std::uint64_t LimitWindow::tokens_wait_ns(std::uint64_t most, std::uint64_t now_ns) const {
  return wait_ns(tokens_, tokens_sum_, most, now_ns);
}

// ---- the file ----

struct LimitTable::Header {
  std::atomic<std::uint64_t> magic, boot;
  std::atomic<std::uint32_t> chunks;
  std::array<std::atomic<std::uint32_t>, LimitSlot::kSeats> taken;  // and not left with a word
};

// Of one slot, apart from it: a search reads sixteen of them, and no slot but its own.
struct LimitTable::Index {
  std::atomic<std::uint64_t> first, rest;  // 0: nobody's. `first` is stored last
};

namespace {

template <std::size_t kSlots, class Index>
constexpr std::uint64_t chunk_bytes() {
  return kSlots * (sizeof(Index) + sizeof(LimitSlot));
}

}  // namespace

#define CHUNK_BYTES (chunk_bytes<kChunkSlots, Index>())

LimitTable::Index& LimitTable::index_at(std::uint32_t number) const {
  std::byte* const chunk = base_ + kHeaderBytes + number / kChunkSlots * CHUNK_BYTES;
  return *std::launder(reinterpret_cast<Index*>(chunk) + number % kChunkSlots);
}

LimitSlot& LimitTable::slot_at(std::uint32_t number) const {
  std::byte* const chunk = base_ + kHeaderBytes + number / kChunkSlots * CHUNK_BYTES;
  return *std::launder(reinterpret_cast<LimitSlot*>(chunk + kChunkSlots * sizeof(Index)) +
                       number % kChunkSlots);
}

std::uint32_t LimitTable::number_of(const LimitSlot& slot) const {
  const auto at =
      static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(&slot) - base_ - kHeaderBytes);
  const std::uint64_t within = at % CHUNK_BYTES - kChunkSlots * sizeof(Index);
  return static_cast<std::uint32_t>(at / CHUNK_BYTES * kChunkSlots + within / sizeof(LimitSlot));
}

std::uint32_t LimitTable::slots() const {
  return header_->chunks.load(std::memory_order_acquire) * kChunkSlots;
}

Result<std::unique_ptr<LimitTable>> LimitTable::open(const fs::path& directory, JournalOs& os) {
  auto table = std::unique_ptr<LimitTable>(new LimitTable(directory / kFile, os));
  const auto begun = table->begin();
  if (!begun) return begun.error();
  return table;
}

LimitTable::~LimitTable() {
  if (header_ != nullptr) {
    clear_seat(seat_);
    header_->taken[seat_].store(0, std::memory_order_release);
  }
  if (base_ != nullptr) munmap(base_, kHeaderBytes + kChunksMax * CHUNK_BYTES);
}

Result<void> LimitTable::begin() {
  auto opened = os_.open(file_, O_RDWR | O_CREAT);
  if (!opened) return opened.error();
  fd_ = std::move(*opened);
  auto growth = os_.open(file_.string() + ".lock", O_RDWR | O_CREAT);
  if (!growth) return growth.error();
  growth_ = std::move(*growth);
  // Until it is closed at the end, or the process is.
  if (lock_file(growth_.get(), LOCK_EX) != 0) return system_error(file_, "lock");
  const auto taken = take_seat();
  lock_file(growth_.get(), LOCK_UN);
  return taken;
}

// With the file's lock held.
Result<void> LimitTable::take_seat() {
  std::optional<std::size_t> mine;
  bool alone = true;
  for (std::size_t seat = 0; seat < LimitSlot::kSeats; ++seat) {
    if (!mine && try_seat(seat)) {
      mine = seat;
    } else if (!is_dead(seat)) {
      alone = false;
    }
  }
  if (!mine) {
    return Error{file_.string() +
                 ": eight processes use it already; stop those that should not run"};
  }
  seat_ = *mine;
  const auto fits = check_file(alone);
  if (!fits) return fits;
  auto mapped = os_.map(fd_.get(), kHeaderBytes + kChunksMax * CHUNK_BYTES, file_);
  if (!mapped) return mapped.error();
  base_ = *mapped;
  auto* const header = std::launder(reinterpret_cast<Header*>(base_));
  const std::uint64_t boot = boot_id();
  const bool good = header->magic == kMagic && header->boot == boot && header->chunks > 0;
  if (!good && !alone) {
    return Error{file_.string() + ": is not as the process that uses it made it; stop that one"};
  }
  if (!good) {
    std::memset(base_, 0, kHeaderBytes + CHUNK_BYTES);
    header->boot = boot;
    header->chunks = 1;
    header->magic = kMagic;
  }
  header_ = header;
  for (std::size_t seat = 0; seat < LimitSlot::kSeats; ++seat) {
    if (seat == seat_ || is_dead(seat)) clear_seat(seat);
  }
  header_->taken[seat_].store(1, std::memory_order_release);
  return {};
}

// Long enough for the chunks that its header tells of; what lies beyond a file's end must not be
// touched.
Result<void> LimitTable::check_file(bool alone) {
  struct stat facts{};
  if (fstat(fd_.get(), &facts) != 0) return system_error(file_, "stat");
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  Header header{};
  bool whole = size >= kHeaderBytes + CHUNK_BYTES;
  if (whole) {
    whole = pread(fd_.get(), static_cast<void*>(&header), sizeof header, 0) ==
            static_cast<ssize_t>(sizeof header);
    const std::uint64_t chunks = header.chunks;
    whole = whole && chunks <= kChunksMax && size >= kHeaderBytes + chunks * CHUNK_BYTES;
  }
  if (whole) return {};
  if (!alone) {
    return Error{file_.string() + ": is shorter than the process that uses it made it"};
  }
  if (ftruncate(fd_.get(), 0) != 0) return system_error(file_, "truncate");
  return os_.allocate(fd_.get(), kHeaderBytes + CHUNK_BYTES, file_);
}

// ---- seats ----

// By a lock that ends with its process, however that ends.
bool LimitTable::try_seat(std::size_t seat) const {
  struct flock range = seat_range(F_WRLCK, seat);
  return fcntl(fd_.get(), F_OFD_SETLK, &range) == 0;
}

void LimitTable::leave_seat(std::size_t seat) const {
  struct flock range = seat_range(F_UNLCK, seat);
  fcntl(fd_.get(), F_OFD_SETLK, &range);
}

bool LimitTable::is_dead(std::size_t seat) const {
  struct flock range = seat_range(F_WRLCK, seat);
  return fcntl(fd_.get(), F_OFD_GETLK, &range) == 0 && range.l_type == F_UNLCK;
}

void LimitTable::clear_seat(std::size_t seat) {
  for (std::uint32_t number = 0; number < slots(); ++number) {
    if (index_at(number).first.load(std::memory_order_acquire) == 0) continue;
    LimitSlot& slot = slot_at(number);
    auto holder = static_cast<std::uint32_t>(seat + 1);
    // Whoever held it is gone; what it may have left half done is one count.
    slot.lock.compare_exchange_strong(holder, 0, std::memory_order_acq_rel);
    const Lock held(*this, slot);
    slot.in_flight[seat] = 0;
  }
}

void LimitTable::clear_dead_seats() {
  for (std::size_t seat = 0; seat < LimitSlot::kSeats; ++seat) {
    if (seat == seat_ || header_->taken[seat].load(std::memory_order_acquire) == 0) continue;
    // While it is cleared nobody else sits down there.
    if (!try_seat(seat)) continue;
    clear_seat(seat);
    header_->taken[seat].store(0, std::memory_order_release);
    leave_seat(seat);
  }
}

void LimitTable::lock(LimitSlot& slot) const {
  constexpr unsigned kSpins = 64, kLook = 20'000;
  for (unsigned tries = 1;; ++tries) {
    std::uint32_t holder = 0;
    if (slot.lock.compare_exchange_weak(holder, static_cast<std::uint32_t>(seat_ + 1),
                                        std::memory_order_acquire, std::memory_order_relaxed)) {
      return;
    }
    // What is done under it takes well under a microsecond, so that its holder was put to sleep ...
    if (tries % kSpins == 0) sched_yield();
    // ... or is no more.
    if (tries % kLook != 0 || holder == 0 || holder == seat_ + 1 || !is_dead(holder - 1)) continue;
    slot.lock.compare_exchange_strong(holder, 0, std::memory_order_acq_rel);
  }
}

// ---- slots ----

LimitSlot* LimitTable::find(const LimitId& id) const {
  const auto group = static_cast<std::uint32_t>(id.rest % (kChunkSlots / kGroup) * kGroup);
  const std::uint32_t end = slots();
  for (std::uint32_t chunk = 0; chunk < end; chunk += kChunkSlots) {
    for (std::uint32_t place = 0; place < kGroup; ++place) {
      const Index& index = index_at(chunk + group + place);
      if (index.first.load(std::memory_order_acquire) != id.first) continue;
      if (index.rest.load(std::memory_order_relaxed) == id.rest) {
        return &slot_at(chunk + group + place);
      }
    }
  }
  return nullptr;
}

bool LimitTable::is_of(const LimitSlot& slot, const LimitId& id) const {
  const Index& index = index_at(number_of(slot));
  return index.first.load(std::memory_order_acquire) == id.first &&
         index.rest.load(std::memory_order_relaxed) == id.rest;
}

Result<LimitSlot*> LimitTable::make(const LimitId& id, std::uint64_t now_ns) {
  const std::lock_guard held(mutex_);
  if (lock_file(growth_.get(), LOCK_EX) != 0) return system_error(file_, "lock");
  LimitSlot* slot = find(id);
  if (slot == nullptr) slot = insert(id, now_ns);
  Result<void> grown;
  if (slot == nullptr) {
    const std::uint32_t chunks = header_->chunks;
    if (chunks == kChunksMax) {
      grown = Error{file_.string() + ": a million subjects of limits are in use; it takes no more"};
    } else {
      grown = os_.allocate(fd_.get(), kHeaderBytes + (chunks + 1) * CHUNK_BYTES, file_);
    }
    if (grown) {
      header_->chunks.store(chunks + 1, std::memory_order_release);
      slot = insert(id, now_ns);
    }
  }
  lock_file(growth_.get(), LOCK_UN);
  if (!grown) return grown.error();
  return slot;
}

// Null: its group is full in every chunk.
LimitSlot* LimitTable::insert(const LimitId& id, std::uint64_t now_ns) {
  const auto group = static_cast<std::uint32_t>(id.rest % (kChunkSlots / kGroup) * kGroup);
  for (std::uint32_t chunk = 0; chunk < slots(); chunk += kChunkSlots) {
    for (std::uint32_t place = 0; place < kGroup; ++place) {
      const std::uint32_t number = chunk + group + place;
      Index& index = index_at(number);
      if (index.first.load(std::memory_order_acquire) != 0 && !vacate(number, now_ns)) continue;
      slot_at(number).used_ns = now_ns;
      index.rest.store(id.rest, std::memory_order_relaxed);
      index.first.store(id.first, std::memory_order_release);
      return &slot_at(number);
    }
  }
  return nullptr;
}

// False: it is in use.
bool LimitTable::vacate(std::uint32_t number, std::uint64_t now_ns) {
  LimitSlot& slot = slot_at(number);
  const Lock held(*this, slot);
  if (slot.used_ns + kIdleNs >= now_ns || slot.unsaved != 0 || slot.running() > 0) return false;
  index_at(number).first.store(0, std::memory_order_release);
  slot.loaded = 0;
  slot.counts = {};
  slot.window = {};
  return true;
}

void LimitTable::take_unsaved(const std::function<void(const LimitId&, const Counts&)>& visit) {
  for (std::uint32_t number = 0; number < slots(); ++number) {
    const Index& index = index_at(number);
    const LimitId id{index.first.load(std::memory_order_acquire),
                     index.rest.load(std::memory_order_relaxed)};
    if (id.first == 0) continue;
    LimitSlot& slot = slot_at(number);
    if (slot.unsaved.load(std::memory_order_relaxed) == 0) continue;
    Counts counts;
    {
      const Lock held(*this, slot);
      if (!is_of(slot, id)) continue;
      slot.unsaved = 0;
      counts = slot.counts;
    }
    visit(id, counts);
  }
}

void LimitTable::mark_unsaved(const LimitId& id) {
  LimitSlot* const slot = find(id);
  if (slot == nullptr) return;
  const Lock held(*this, *slot);
  if (is_of(*slot, id)) slot->unsaved = 1;
}

}  // namespace switchyard::account

#include "core/account/journal.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>
#include <thread>

#include "core/base/crc32c.hpp"
#include "core/base/os_file.hpp"

namespace switchyard::account {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMagic = 0x314c4e524a595753;  // "SWYJRNL1", little endian
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kHeadBytes = sizeof(EntryHead);
constexpr std::uint64_t kEntryBytesMax = 4096;
// A segment may end with as much unused.
constexpr std::uint64_t kWasteMax = kSettleBytesMax;
constexpr char kSuffix[] = ".journal";
constexpr char kDraft[] = ".new";

struct Header {
  std::uint64_t magic;
  std::uint32_t version, checksum;  // of what follows
  std::uint64_t bytes, writer, number;
};
static_assert(sizeof(Header) <= Segment::kHeaderBytes);

std::uint32_t checksum_of(const Header& header) {
  return crc32c(&header.bytes, sizeof(Header) - offsetof(Header, bytes));
}

std::uint32_t checksum_of(const char* entry, std::uint64_t length) {
  constexpr std::uint64_t kFrom = offsetof(EntryHead, sequence);
  return crc32c(entry + kFrom, length - kFrom);
}

std::uint64_t usable(const Segment& segment) {
  return segment.bytes() - Segment::kHeaderBytes - kWasteMax;
}

Error not_a_segment(const fs::path& file, const char* why) {
  return Error{file.string() + ": " + why + "; move it away if it is not this gateway's journal"};
}

template <class Number>
bool read_number(std::string_view text, Number& number, int base) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return !text.empty() && read.ec == std::errc() && read.ptr == text.data() + text.size();
}

// Nothing where it is no segment's.
std::optional<SegmentFile> read_name(const fs::path& file) {
  const std::string name = file.filename().string();
  const std::size_t dash = name.find('-');
  if (dash != 16 || !name.ends_with(kSuffix)) return std::nullopt;
  const std::string_view number =
      std::string_view(name).substr(dash + 1, name.size() - dash - sizeof kSuffix);
  SegmentFile found{file, 0, 0};
  if (!read_number(std::string_view(name).substr(0, dash), found.writer, 16)) return std::nullopt;
  if (!read_number(number, found.number, 10)) return std::nullopt;
  return found;
}

bool try_lock(int fd) { return lock_file(fd, LOCK_EX | LOCK_NB) == 0; }

bool has_name(int fd) {
  struct stat facts{};
  return fstat(fd, &facts) == 0 && facts.st_nlink > 0;
}

// The dead writer's lock. Who only looks has it shared for a moment, which must not pass for a
// writer that lives: its holds would be given back to cells that they were never taken from. False:
// somebody has it.
Result<bool> take_over(int fd, const fs::path& file) {
  constexpr int kTriesMax = 2000;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    if (try_lock(fd)) return true;
    if (lock_file(fd, LOCK_SH | LOCK_NB) != 0) return false;
    lock_file(fd, LOCK_UN);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return Error{file.string() + ": another process reads it and does not end; stop that one"};
}

// Whoever tidies may have the lock of a new draft before its maker, and remove it: then there has
// to be another one.
Result<UniqueFd> make_draft(JournalOs& os, const fs::path& draft) {
  while (true) {
    auto made = os.open(draft, O_RDWR | O_CREAT | O_EXCL);
    if (!made) return made;
    if (lock_file(made->get(), LOCK_EX) != 0) return system_error(draft, "lock");
    if (has_name(made->get())) return made;
  }
}

// Of a dead writer alone. One that lives has its lock, and one that has no name any more has been
// here before: its name may be another file's.
void remove_draft(const fs::path& file) {
  const UniqueFd draft(open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (draft && try_lock(draft.get()) && has_name(draft.get())) unlink(file.c_str());
}

}  // namespace

std::string hex_of(std::uint64_t number) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = text.size(); i-- > 0; number >>= 4) text[i] = kDigits[number & 15];
  return text;
}

std::string segment_name(std::uint64_t writer, std::uint64_t number) {
  return hex_of(writer) + "-" + std::to_string(number) + kSuffix;
}

Result<std::vector<SegmentFile>> list_segments(const fs::path& directory, bool tidy) {
  std::vector<SegmentFile> found;
  std::error_code error;
  for (auto at = fs::directory_iterator(directory, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    if (auto segment = read_name(at->path())) found.push_back(std::move(*segment));
    if (tidy && at->path().extension() == kDraft) remove_draft(at->path());
  }
  if (error) return Error{directory.string() + ": " + error.message()};
  std::sort(found.begin(), found.end(), [](const SegmentFile& a, const SegmentFile& b) {
    return a.writer != b.writer ? a.writer < b.writer : a.number < b.number;
  });
  return found;
}

// ---- a segment ----

Segment::~Segment() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

Result<std::unique_ptr<Segment>> Segment::create(JournalOs& os, const fs::path& directory,
                                                 std::uint64_t writer, std::uint64_t number,
                                                 std::uint64_t bytes) {
  const fs::path file = directory / segment_name(writer, number);
  const fs::path draft = file.string() + kDraft;
  auto made = std::unique_ptr<Segment>(new Segment(os, draft));
  auto drafted = make_draft(os, draft);
  if (!drafted) return drafted.error();
  made->fd_ = std::move(*drafted);
  auto ready = [&]() -> Result<void> {
    if (auto allocated = os.allocate(made->fd_.get(), bytes, draft); !allocated) return allocated;
    if (auto prepared = made->prepare(writer, number, bytes); !prepared) return prepared;
    if (auto synced = made->sync(0, kHeaderBytes); !synced) return synced;
    if (auto renamed = os.rename(draft, file); !renamed) return renamed;
    made->file_ = file;
    return os.sync_directory(directory);
  }();
  if (ready) return made;
  (void)os.remove(made->file_).has_value();
  return ready.error();
}

Result<std::unique_ptr<Segment>> Segment::create_in_memory(JournalOs& os, std::uint64_t writer,
                                                           std::uint64_t number,
                                                           std::uint64_t bytes) {
  auto made = std::unique_ptr<Segment>(new Segment(os, "journal in memory"));
  const auto prepared = made->prepare(writer, number, bytes);
  if (!prepared) return prepared.error();
  return made;
}

Result<void> Segment::prepare(std::uint64_t writer, std::uint64_t number, std::uint64_t bytes) {
  auto mapped = os_.map(fd_.get(), bytes, file_);
  if (!mapped) return mapped.error();
  data_ = *mapped;
  bytes_ = bytes;
  writer_ = writer;
  number_ = number;
  // Every page is touched here, so that the loop finds it.
  for (std::uint64_t page = 0; page < bytes; page += kPage) {
    *reinterpret_cast<volatile std::byte*>(data_ + page) = std::byte{0};
  }
  Header header{kMagic, kVersion, 0, bytes, writer, number};
  header.checksum = checksum_of(header);
  std::memcpy(data_, &header, sizeof header);
  return {};
}

Result<void> Segment::map_existing() {
  struct stat facts{};
  if (fstat(fd_.get(), &facts) != 0 || static_cast<std::uint64_t>(facts.st_size) < kHeaderBytes) {
    return not_a_segment(file_, "too short for a segment of the journal");
  }
  bytes_ = static_cast<std::uint64_t>(facts.st_size);
  auto mapped = os_.map(fd_.get(), bytes_, file_);
  if (!mapped) return mapped.error();
  data_ = *mapped;
  Header header{};
  std::memcpy(&header, data_, sizeof header);
  if (header.magic != kMagic || header.checksum != checksum_of(header)) {
    return not_a_segment(file_, "no segment of the journal");
  }
  if (header.version != kVersion) {
    return Error{file_.string() + ": has version " + std::to_string(header.version) +
                 ", this binary knows 1; run the newer one until its journal is empty"};
  }
  writer_ = header.writer;
  number_ = header.number;
  return {};
}

Result<std::unique_ptr<Segment>> Segment::adopt(JournalOs& os, const fs::path& file) {
  auto found = std::unique_ptr<Segment>(new Segment(os, file));
  auto opened = os.open(file, O_RDWR);
  if (!opened && !fs::exists(file)) return std::unique_ptr<Segment>();
  if (!opened) return opened.error();
  found->fd_ = std::move(*opened);
  const auto taken = take_over(found->fd_.get(), file);
  if (!taken) return taken.error();
  if (!*taken) return std::unique_ptr<Segment>();
  // Another one had it, and was done with it.
  if (!has_name(found->fd_.get())) return std::unique_ptr<Segment>();
  const auto mapped = found->map_existing();
  if (!mapped) return mapped.error();
  return found;
}

Result<std::unique_ptr<Segment>> Segment::look(JournalOs& os, const fs::path& file, bool& owned) {
  auto found = std::unique_ptr<Segment>(new Segment(os, file));
  auto opened = os.open(file, O_RDWR);
  if (!opened && !fs::exists(file)) return std::unique_ptr<Segment>();
  if (!opened) return opened.error();
  found->fd_ = std::move(*opened);
  owned = flock(found->fd_.get(), LOCK_SH | LOCK_NB) != 0;
  // A successor that wants it must find it free.
  flock(found->fd_.get(), LOCK_UN);
  const auto mapped = found->map_existing();
  if (!mapped) return mapped.error();
  return found;
}

std::optional<EntryView> Segment::entry_at(std::uint64_t offset, std::uint64_t end) const {
  if (end > bytes_ || offset > end || end - offset < kHeadBytes) return std::nullopt;
  const char* const at = reinterpret_cast<const char*>(data_ + offset);
  EntryView view{};
  std::memcpy(&view.head, at, kHeadBytes);
  const std::uint64_t length = view.head.length;
  if (length < kHeadBytes || length > kEntryBytesMax || length % 8 != 0 || length > end - offset) {
    return std::nullopt;
  }
  if (checksum_of(at, length) != view.head.checksum) return std::nullopt;
  view.body = {at + kHeadBytes, length - kHeadBytes};
  view.offset = offset;
  view.next = offset + length;
  return view;
}

std::optional<EntryView> Segment::next(std::uint64_t offset, std::uint64_t end,
                                       std::uint64_t sequence_min, std::uint64_t& skipped) const {
  for (std::uint64_t at = offset; at + kHeadBytes <= end; at += 8) {
    auto found = entry_at(at, end);
    if (!found || found->head.sequence < sequence_min) continue;
    skipped += at - offset;
    return found;
  }
  return std::nullopt;
}

Result<void> Segment::sync(std::uint64_t from, std::uint64_t to) {
  if (in_memory()) return Error{file_.string() + ": has no disk below it"};
  const std::uint64_t page = from / kPage * kPage;
  return os_.sync(data_ + page, to - page, file_);
}

Result<void> Segment::remove() {
  if (in_memory()) return {};
  return os_.remove(file_);
}

// ---- its writer ----

JournalWriter::JournalWriter(std::uint64_t writer, std::uint64_t (*now_unix_ns)())
    : writer_(writer), now_unix_ns_(now_unix_ns) {}

std::uint64_t JournalWriter::spare_room() const {
  return room_put_.load(std::memory_order_acquire) - room_taken_.load(std::memory_order_relaxed);
}

bool JournalWriter::has_room(std::uint64_t bytes) const {
  std::uint64_t room = spare_room();
  if (const Segment* const current = current_.load(std::memory_order_relaxed)) {
    const std::uint64_t left = current->bytes() - current->written.load(std::memory_order_relaxed);
    if (left > kWasteMax) room += left - kWasteMax;
  }
  return room >= reserved_.load(std::memory_order_relaxed) + bytes;
}

bool JournalWriter::faulty() const {
  const Segment* const current = current_.load(std::memory_order_relaxed);
  return current != nullptr && current->faulted.load(std::memory_order_relaxed) && !can_leave(0);
}

// Whether what must be written fits without the rest of the current segment.
bool JournalWriter::can_leave(std::uint64_t bytes) const {
  return spare_room() >= reserved_.load(std::memory_order_relaxed) + bytes && spare_room() > 0;
}

void JournalWriter::next_segment() {
  const std::uint64_t taken = taken_.load(std::memory_order_relaxed);
  assert(taken < put_.load(std::memory_order_acquire));  // who appends asked has_room()
  Segment* const next = spares_[taken % kSparesMax];
  room_taken_.fetch_add(usable(*next), std::memory_order_relaxed);
  if (Segment* const full = current_.load(std::memory_order_relaxed)) {
    full->closed.store(true, std::memory_order_release);
  }
  current_.store(next, std::memory_order_release);
  taken_.store(taken + 1, std::memory_order_release);
}

char* JournalWriter::begin(std::uint64_t bytes) {
  const Segment* current = current_.load(std::memory_order_relaxed);
  const bool full = current == nullptr ||
                    current->bytes() - current->written.load(std::memory_order_relaxed) < bytes ||
                    (current->faulted.load(std::memory_order_relaxed) && can_leave(bytes));
  if (full) next_segment();
  current = current_.load(std::memory_order_relaxed);
  return reinterpret_cast<char*>(current->data()) +
         current->written.load(std::memory_order_relaxed) + kHeadBytes;
}

std::uint64_t JournalWriter::commit(EntryType type, const char* end) {
  Segment& segment = *current_.load(std::memory_order_relaxed);
  const std::uint64_t offset = segment.written.load(std::memory_order_relaxed);
  char* const at = reinterpret_cast<char*>(segment.data()) + offset;
  const auto length = (static_cast<std::uint64_t>(end - at) + 7) / 8 * 8;
  EntryHead head{static_cast<std::uint32_t>(length), 0, ++sequence_, now_unix_ns_(), type, {}};
  std::memcpy(at, &head, kHeadBytes);
  head.checksum = checksum_of(at, length);
  std::memcpy(at, &head, kHeadBytes);
  segment.written.store(offset + length, std::memory_order_release);
  segment.last_sequence.store(sequence_, std::memory_order_release);
  return sequence_;
}

bool JournalWriter::wants_segment(std::uint64_t bytes) const {
  const std::uint64_t spares =
      put_.load(std::memory_order_relaxed) - taken_.load(std::memory_order_acquire);
  if (spares >= kSparesMax) return false;
  // One beyond what may have to be written, and another to go on to.
  return spares < 2 || spare_room() < reserved_.load(std::memory_order_relaxed) + bytes;
}

void JournalWriter::add(Segment* segment) {
  const std::uint64_t put = put_.load(std::memory_order_relaxed);
  spares_[put % kSparesMax] = segment;
  put_.store(put + 1, std::memory_order_release);
  room_put_.fetch_add(usable(*segment), std::memory_order_release);
}

// ---- bodies ----

BodyWriter& BodyWriter::number(std::uint64_t value) {
  std::memcpy(at_, &value, sizeof value);
  at_ += sizeof value;
  return *this;
}

BodyWriter& BodyWriter::byte(std::uint8_t value) {
  *at_++ = static_cast<char>(value);
  return *this;
}

BodyWriter& BodyWriter::text(std::string_view text, std::size_t max) {
  std::size_t size = std::min(text.size(), max);
  // Not within a character of UTF-8.
  while (size < text.size() && size > 0 &&
         (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
    --size;
  }
  *at_++ = static_cast<char>(size);
  at_ += text.copy(at_, size);
  return *this;
}

std::uint64_t BodyReader::number() {
  std::uint64_t value = 0;
  if (rest_.size() < sizeof value) {
    ok_ = false;
    return 0;
  }
  std::memcpy(&value, rest_.data(), sizeof value);
  rest_.remove_prefix(sizeof value);
  return value;
}

std::uint8_t BodyReader::byte() {
  if (rest_.empty()) {
    ok_ = false;
    return 0;
  }
  const auto value = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return value;
}

std::string_view BodyReader::view() {
  const std::size_t size = byte();
  if (rest_.size() < size) {
    ok_ = false;
    return {};
  }
  const std::string_view text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return text;
}

}  // namespace switchyard::account

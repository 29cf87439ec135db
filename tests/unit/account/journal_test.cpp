#include "core/account/journal.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "../scratch.hpp"

using namespace switchyard;
using account::BodyReader;
using account::BodyWriter;
using account::EntryType;
using account::JournalOs;
using account::JournalWriter;
using account::Segment;

namespace {

constexpr std::uint64_t kBytes = 16 * 1024;
std::uint64_t now() { return 7; }

std::shared_ptr<Segment> create(const Scratch& scratch, std::uint64_t writer,
                                std::uint64_t number) {
  auto made = Segment::create(JournalOs::system(), scratch.path(), writer, number, kBytes);
  if (!made) FAIL(made.error().message);
  return std::move(*made);
}

void append(JournalWriter& writer, std::string_view text) {
  char* const at = writer.begin(account::kHoldBytesMax);
  writer.commit(EntryType::kHold, BodyWriter(at).text(text, account::kNameMax).end());
}

std::string read(const Segment& segment, std::uint64_t end, std::uint64_t& skipped) {
  std::string all;
  std::uint64_t offset = Segment::kHeaderBytes;
  while (const auto entry = segment.next(offset, end, 0, skipped)) {
    BodyReader body(entry->body);
    all += body.text() + " ";
    offset = entry->next;
  }
  return all;
}

// What happens while a segment is written, under its draft's name.
class Busy final : public JournalOs {
 public:
  explicit Busy(std::function<void()> meanwhile) : meanwhile_(std::move(meanwhile)) {}
  Result<void> sync(std::byte*, std::uint64_t, const std::filesystem::path&) override {
    meanwhile_();
    return {};
  }
  Result<void> sync_directory(const std::filesystem::path&) override { return {}; }

 private:
  std::function<void()> meanwhile_;
};

// What comes between the making of a file and its lock.
class Interrupted final : public JournalOs {
 public:
  explicit Interrupted(std::function<void(const std::filesystem::path&)> then)
      : then_(std::move(then)) {}
  Result<UniqueFd> open(const std::filesystem::path& file, int flags) override {
    auto opened = JournalOs::open(file, flags);
    if (auto then = std::exchange(then_, {})) then(file);
    return opened;
  }

 private:
  std::function<void(const std::filesystem::path&)> then_;
};

}  // namespace

TEST_CASE("journal: a writer has room for what is reserved, wherever segments end",
          "[unit][journal]") {
  const Scratch scratch;
  JournalWriter writer(1, now);
  CHECK_FALSE(writer.has_room(1));
  std::vector<std::shared_ptr<Segment>> segments;
  std::uint64_t number = 0;
  std::size_t reserved = 0, written = 0;
  for (int turn = 0; turn < 300; ++turn) {
    if (turn % 30 == 0 && writer.wants_segment(kBytes)) {
      segments.push_back(create(scratch, 1, ++number));
      writer.add(segments.back().get());
    }
    while (writer.has_room(account::kHoldBytesMax + account::kSettleBytesMax) && reserved < 40) {
      append(writer, std::string(100, 'h'));
      writer.reserve(account::kSettleBytesMax);
      ++reserved;
      ++written;
    }
    // What was reserved is always written, at its largest.
    for (std::size_t i = 0; i < 1 + static_cast<std::size_t>(turn % 3) && reserved > 0; ++i) {
      char* const at = writer.begin(account::kSettleBytesMax);
      writer.commit(EntryType::kSettle, at + account::kSettleBytesMax - 32);
      writer.unreserve(account::kSettleBytesMax);
      --reserved;
      ++written;
    }
  }
  CHECK(number > 3);
  CHECK(written > 100);
  CHECK(writer.sequence() == written);
  std::uint64_t sequence = 0, skipped = 0;
  for (const auto& segment : segments) {
    std::uint64_t offset = Segment::kHeaderBytes;
    REQUIRE(segment->written <= kBytes);
    while (const auto entry = segment->next(offset, segment->written, sequence + 1, skipped)) {
      REQUIRE(entry->head.sequence == sequence + 1);
      sequence = entry->head.sequence;
      offset = entry->next;
    }
  }
  CHECK(sequence == written);
  CHECK(skipped == 0);
}

TEST_CASE("journal: an entry that is damaged is stepped over, at whatever byte",
          "[unit][journal]") {
  const Scratch scratch;
  JournalWriter writer(1, now);
  const auto segment = create(scratch, 1, 1);
  writer.add(segment.get());
  for (const char* text : {"one", "two", "three"}) append(writer, text);
  std::uint64_t skipped = 0;
  CHECK(read(*segment, kBytes, skipped) == "one two three ");
  CHECK(skipped == 0);
  const std::uint64_t second = segment->next(Segment::kHeaderBytes, kBytes, 0, skipped)->next;
  const std::uint64_t third = segment->next(second, kBytes, 0, skipped)->next;
  for (std::uint64_t at = second; at < third; ++at) {
    if (at >= second + 25 && at < second + 32) continue;  // padding of the head: covered below
    CAPTURE(at - second);
    const std::byte was = segment->data()[at];
    segment->data()[at] = was ^ std::byte{0x40};
    skipped = 0;
    CHECK(read(*segment, kBytes, skipped) == "one three ");
    CHECK(skipped == third - second);
    segment->data()[at] = was;
  }
  // The last one torn: nothing of it, and nothing was damaged.
  std::memset(segment->data() + third + 8, 0, 200);
  skipped = 0;
  CHECK(read(*segment, kBytes, skipped) == "one two ");
  CHECK(skipped == 0);
}

TEST_CASE("journal: a segment is adopted when its writer is gone, by one alone",
          "[unit][journal]") {
  const Scratch scratch;
  JournalOs& os = JournalOs::system();
  auto written = create(scratch, 0xabc, 5);
  const auto files = *account::list_segments(scratch.path(), false);
  REQUIRE(files.size() == 1);
  CHECK(files[0].writer == 0xabc);
  CHECK(files[0].number == 5);
  CHECK_FALSE(*Segment::adopt(os, files[0].file));
  bool owned = false;
  CHECK(*Segment::look(os, files[0].file, owned));
  CHECK(owned);
  written.reset();
  const auto adopted = Segment::adopt(os, files[0].file);
  REQUIRE(*adopted);
  CHECK((*adopted)->writer() == 0xabc);
  CHECK_FALSE(*Segment::adopt(os, files[0].file));
  REQUIRE((*adopted)->remove());
  CHECK_FALSE(*Segment::adopt(os, files[0].file));
}

TEST_CASE("journal: a segment is made though somebody tidies as it begins", "[unit][journal]") {
  const Scratch scratch;
  SECTION("before its lock") {
    Interrupted os([&](const auto&) { REQUIRE(account::list_segments(scratch.path(), true)); });
    const auto made = Segment::create(os, scratch.path(), 7, 1, kBytes);
    REQUIRE(made);
    CHECK(std::filesystem::exists((*made)->file()));
  }
  SECTION("with its lock in hand") {
    std::thread tidying;
    Interrupted os([&](const std::filesystem::path& draft) {
      UniqueFd fd(open(draft.c_str(), O_RDWR | O_CLOEXEC));
      REQUIRE(flock(fd.get(), LOCK_EX | LOCK_NB) == 0);
      tidying = std::thread([fd = std::move(fd), draft] { unlink(draft.c_str()); });
    });
    const auto made = Segment::create(os, scratch.path(), 7, 1, kBytes);
    tidying.join();
    REQUIRE(made);
    CHECK(std::filesystem::exists((*made)->file()));
  }
}

TEST_CASE("journal: who tidies leaves what another one writes", "[unit][journal]") {
  const Scratch scratch;
  Busy os([&] { REQUIRE(account::list_segments(scratch.path(), true)); });
  const auto made = Segment::create(os, scratch.path(), 7, 1, kBytes);
  if (!made) FAIL(made.error().message);
  CHECK(std::filesystem::exists((*made)->file()));

  // A draft that nobody has goes.
  const auto dead = scratch.path() / (account::segment_name(8, 1) + ".new");
  std::ofstream(dead) << "x";
  REQUIRE(account::list_segments(scratch.path(), true));
  CHECK_FALSE(std::filesystem::exists(dead));
}

TEST_CASE("journal: of many that tidy at once none takes the next draft of a name",
          "[unit][journal]") {
  const Scratch scratch;
  Busy os([] {});
  std::atomic<bool> done = false;
  std::vector<std::thread> tidying;
  for (int i = 0; i < 3; ++i) {
    tidying.emplace_back([&] {
      while (!done) (void)account::list_segments(scratch.path(), true).has_value();
    });
  }
  std::string faults;
  for (std::uint64_t i = 0; i < 3000 && faults.empty(); ++i) {
    const auto made = Segment::create(os, scratch.path(), 7, 1, kBytes);
    if (!made) faults = made.error().message;
    if (made) (void)JournalOs::system().remove((*made)->file()).has_value();
  }
  done = true;
  for (std::thread& each : tidying) each.join();
  CHECK(faults.empty());
}

TEST_CASE("journal: who looks at a dead writer's segment does not keep it from being adopted",
          "[unit][journal]") {
  const Scratch scratch;
  const auto file = create(scratch, 0xabc, 5)->file();
  std::thread looking;
  Interrupted os([&](const auto&) {
    UniqueFd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(flock(fd.get(), LOCK_SH | LOCK_NB) == 0);
    looking = std::thread([fd = std::move(fd)] {});
  });
  const auto adopted = Segment::adopt(os, file);
  looking.join();
  REQUIRE(adopted);
  CHECK(*adopted);
}

TEST_CASE("journal: what is no segment is told, and left alone", "[unit][journal]") {
  const Scratch scratch;
  JournalOs& os = JournalOs::system();
  const auto file = scratch.write(account::segment_name(1, 1), std::string(4096, 'x'));
  const auto adopted = Segment::adopt(os, file);
  REQUIRE_FALSE(adopted);
  CHECK(adopted.error().message ==
        file.string() +
            ": no segment of the journal; move it away if it is not this gateway's journal");
  CHECK_FALSE(Segment::adopt(os, scratch.write(account::segment_name(1, 2), "short")));
  scratch.write("notes.txt", "");
  scratch.write("0000000000000001-x.journal", "");
  const auto half = scratch.write(account::segment_name(2, 1) + ".new", "");
  CHECK(account::list_segments(scratch.path(), false)->size() == 2);
  CHECK(std::filesystem::exists(half));
  CHECK(account::list_segments(scratch.path(), true)->size() == 2);
  CHECK_FALSE(std::filesystem::exists(half));
}

TEST_CASE("journal: names are cut between characters", "[unit][journal]") {
  char bytes[64];
  const auto cut = [&](std::string_view text, std::size_t max) {
    const char* const end = BodyWriter(bytes).text(text, max).end();
    return BodyReader({bytes, static_cast<std::size_t>(end - bytes)}).text();
  };
  CHECK(cut("abc", 3) == "abc");
  CHECK(cut("abcd", 3) == "abc");
  CHECK(cut("ab\xc3\xa9", 4) == "ab\xc3\xa9");
  CHECK(cut("ab\xc3\xa9", 3) == "ab");
  CHECK(cut("\xf0\x9f\x8e\xb2", 3).empty());
  BodyReader empty("");
  CHECK(empty.number() == 0);
  CHECK_FALSE(empty.ok());
}

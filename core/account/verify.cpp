#include "core/account/verify.hpp"

#include <map>
#include <memory>

#include "core/account/entries.hpp"
#include "core/account/journal.hpp"
#include "core/store/books.hpp"
#include "core/store/books_verify.hpp"
#include "core/store/store.hpp"

namespace switchyard::account {
namespace fs = std::filesystem;
namespace {

// One writer's journal, as it is found.
struct Found {
  explicit Found(std::uint64_t writer) : books(writer) {}
  WriterBooks books;
  bool owned = false;
  std::uint64_t sequence = 0;
  std::map<std::uint64_t, std::uint64_t> ends;  // of segments: behind their last entry
};

Result<void> read_segment(const SegmentFile& file, Found& found,
                          std::vector<std::string>& violations) {
  bool owned = false;
  const auto segment = Segment::look(JournalOs::system(), file.file, owned);
  if (!segment) {
    violations.push_back("journal: " + segment.error().message);
    return {};
  }
  if (!*segment) return {};  // booked and gone meanwhile
  found.owned = found.owned || owned;
  std::uint64_t offset = Segment::kHeaderBytes, skipped = 0;
  const auto next = [&](std::uint64_t& missed) {
    return (*segment)->next(offset, (*segment)->bytes(), found.sequence + 1, missed);
  };
  while (true) {
    std::uint64_t missed = 0;
    auto entry = next(missed);
    if (missed > 0) entry = next(missed = 0);  // its writer was at it
    if (!entry) break;
    skipped += missed;
    found.books.follow(*entry, file.number);
    offset = entry->next;
    found.sequence = entry->head.sequence;
  }
  if (skipped > 0) {
    violations.push_back("journal is damaged: " + file.file.string() + ": " +
                         std::to_string(skipped) + " bytes can't be read");
  }
  found.ends[file.number] = offset;
  return {};
}

// Read before the journal was: it can't be ahead of that.
void check_place(const Found& found, const store::JournalPlace& place,
                 std::vector<std::string>& violations) {
  if (found.ends.empty()) return;
  const auto at = found.ends.find(place.segment);
  const bool beyond = at == found.ends.end() ? place.segment > found.ends.rbegin()->first
                                             : place.offset > at->second;
  if (!beyond) return;
  violations.push_back("books are ahead of the journal: " + found.books.name() + ": segment " +
                       std::to_string(place.segment) + ", place " + std::to_string(place.offset));
}

void check_open(const Found& found, std::vector<std::string>& violations) {
  if (found.owned) return;
  for (const auto& [id, hold] : found.books.open()) {
    const HoldRest rest = read_rest(hold);
    violations.push_back("open hold has no owner: " + found.books.id_of(id) + " of request " +
                         rest.request_id + ", account " + rest.account +
                         "; a gateway that is started with this state releases it");
  }
}

}  // namespace

Result<std::vector<std::string>> verify_ledger(const fs::path& state) {
  const auto database = store::open_database(state);
  if (!database) return database.error();
  store::Books books(**database);
  auto violations = store::verify_books(**database);
  if (!violations) return violations;
  const fs::path directory = state / "journal";
  std::error_code ignored;
  if (!fs::exists(directory, ignored)) return violations;
  const auto files = list_segments(directory, false);
  if (!files) return files.error();

  std::map<std::uint64_t, store::JournalPlace> places;
  std::map<std::uint64_t, Found> writers;
  for (const SegmentFile& file : *files) {
    const auto [at, fresh] = writers.try_emplace(file.writer, file.writer);
    if (fresh) {
      const auto place = books.place(at->second.books.name());
      if (!place) return place.error();
      if (*place) places.emplace(file.writer, **place);
    }
    const auto read = read_segment(file, at->second, *violations);
    if (!read) return read.error();
  }
  for (const auto& [writer, found] : writers) {
    const auto place = places.find(writer);
    if (place != places.end()) check_place(found, place->second, *violations);
    check_open(found, *violations);
  }
  return violations;
}

}  // namespace switchyard::account

#include "core/account/ledger.hpp"

#include <openssl/rand.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/account/loop_ledger.hpp"
#include "core/base/os_thread.hpp"
#include "core/observe/log.hpp"
#include "core/store/store.hpp"

namespace switchyard::account {
namespace fs = std::filesystem;
namespace {

using std::chrono::milliseconds;

// The window of `durability: process` that a loss of power may cost.
constexpr milliseconds kSyncEvery{50};
// How often books are made. Where much is to be booked it waits for more: what is alike of many
// requests is booked once.
constexpr milliseconds kBookEvery{20}, kBookMuchEvery{100};
constexpr std::size_t kMuch = 100;
constexpr std::uint64_t kSweepEveryNs = 1'000'000'000;
constexpr std::uint64_t kRepeatLogNs = 10'000'000'000;
// Entries that one transaction of the database books at most.
constexpr std::size_t kBatch = 8000;
constexpr std::chrono::seconds kFlushMax{60};

std::string cell_name(std::string_view account, std::string_view currency) {
  return store::account_name(account) + ":" + std::string(currency);
}

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof id) != 1) id = unix_ns();
  }
  return id;
}

Result<void> make_directory(const fs::path& directory) {
  if (mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return Error{directory.string() + ": mkdir: " + std::strerror(errno)};
}

// Wakes one thread.
class Bell {
 public:
  Bell() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  void ring() const {
    const std::uint64_t one = 1;
    (void)!write(fd_.get(), &one, sizeof one);
  }
  void wait(milliseconds at_most) const {
    pollfd waited{fd_.get(), POLLIN, 0};
    poll(&waited, 1, static_cast<int>(at_most.count()));
    std::uint64_t rung = 0;
    (void)!read(fd_.get(), &rung, sizeof rung);
  }

 private:
  UniqueFd fd_;
};

// One line at once, then at most one in ten seconds while it goes on.
class Complaint {
 public:
  explicit Complaint(const char* event) : event_(event) {}
  void about(const Error& error) {
    const std::uint64_t now = mono_ns();
    if (said_ns_ != 0 && now - said_ns_ < kRepeatLogNs) return;
    said_ns_ = now;
    spdlog::error("{} reason={}", event_, observe::quote(error.message));
  }
  void over() {
    if (said_ns_ != 0) spdlog::info("{} over=true", event_);
    said_ns_ = 0;
  }

 private:
  const char* event_;
  std::uint64_t said_ns_ = 0;
};

}  // namespace

class Ledger::Impl {
 public:
  explicit Impl(LedgerOptions given)
      : options(std::move(given)),
        os(options.os != nullptr ? *options.os : JournalOs::system()),
        directory(options.state / "journal") {}
  ~Impl() { stop(); }

  Result<void> open();
  LoopLedger& add_loop(std::function<void(std::function<void()>)> post);
  Result<bool, MoveFault> move_money(const store::Transaction& transaction, Nano floor);
  Result<void> flush();
  Result<void> end();
  Result<void> work();
  LedgerStats stats() const;

  LedgerOptions options;
  JournalOs& os;
  const fs::path directory;
  std::unique_ptr<Cells> cells;

 private:
  using Loop = LoopLedger::Impl;

  // ---- dead writers ----
  Result<void> recover(bool alone);
  Result<void> recover_writer(std::span<const SegmentFile> files, bool alone);
  Result<void> book_dead(WriterBooks& books, const std::vector<std::unique_ptr<Segment>>& segments);
  Result<std::vector<std::uint64_t>> note_interrupted(const WriterBooks& books);
  void give_back(const OpenHold& hold);
  Result<void> rebuild_cells();

  // ---- the keeper: prepares and syncs ----
  void keep();
  void prepare(Loop& loop);
  Result<std::shared_ptr<Segment>> new_segment(Loop& loop);
  void sync(Loop& loop);
  bool sync_segment(Segment& segment, std::uint64_t to);

  // ---- the books ----
  void keep_books();
  Result<void> book_all();
  Result<bool> book_some(Loop& loop);  // false: nothing was left to do
  Result<bool> book_batch(WriterBooks& books, const Segment& segment, std::uint64_t end,
                          Reading& reading);
  void drop_booked(Loop& loop);
  Result<void> sweep();

  void stop();
  bool all_booked(const std::vector<std::uint64_t>& until) const;

  std::unique_ptr<store::Database> books_database_, money_database_;
  std::unique_ptr<store::Books> books_, money_;
  std::vector<std::unique_ptr<LoopLedger>> loops_;

  std::atomic<bool> stopping_{false};
  Bell keeper_bell_, books_bell_;
  std::thread keeper_, bookkeeper_;
  std::mutex work_mutex_;  // of what the books' thread and end() do
  store::Batch batch_;     // kept for their memory
  std::vector<EntryView> entries_;
  std::size_t booked_now_ = 0;  // entries, by this turn
  std::uint64_t swept_ns_ = 0;
  mutable std::mutex booked_mutex_;
  std::condition_variable booked_;
  std::string books_fault_;  // of the last turn; guarded by booked_mutex_

  Complaint journal_complaint_{"journal_not_prepared"};
  Complaint sync_complaint_{"journal_not_synced"};
  Complaint books_complaint_{"books_behind"};
  Complaint sweep_complaint_{"dead_journal_not_recovered"};
  std::atomic<std::uint64_t> syncs_{0}, sync_faults_{0}, sync_ns_{0}, sync_ns_max_{0};
  std::atomic<std::uint64_t> journal_faults_{0}, memory_segments_{0}, books_faults_{0};
  std::atomic<std::uint64_t> interrupted_{0}, overdue_{0};
};

// ---- start ----

Result<void> Ledger::Impl::open() {
  if (auto made = make_directory(directory); !made) return made;
  auto opened = Cells::open(options.state / "cells", os);
  if (!opened) return opened.error();
  cells = std::move(*opened);
  for (auto* const database : {&books_database_, &money_database_}) {
    auto connected = store::open_database(options.state);
    if (!connected) return connected.error();
    *database = std::move(*connected);
  }
  books_ = std::make_unique<store::Books>(*books_database_);
  money_ = std::make_unique<store::Books>(*money_database_);
  const bool alone = cells->alone();
  if (auto recovered = recover(alone); !recovered) return recovered;
  if (alone) {
    if (auto rebuilt = rebuild_cells(); !rebuilt) return rebuilt;
    if (auto shared = cells->share(); !shared) return shared;
  }
  if (!options.background) return {};
  keeper_ = std::thread([this] { keep(); });
  bookkeeper_ = std::thread([this] { keep_books(); });
  return {};
}

void Ledger::Impl::stop() {
  stopping_ = true;
  keeper_bell_.ring();
  books_bell_.ring();
  if (keeper_.joinable()) keeper_.join();
  if (bookkeeper_.joinable()) bookkeeper_.join();
}

Result<void> Ledger::Impl::rebuild_cells() {
  const std::string prefix = store::account_name("");
  const auto balances = books_->balances(prefix);
  if (!balances) return balances.error();
  for (const store::Balance& balance : *balances) {
    const auto made = cells->cell(balance.account + ":" + balance.currency, balance.amount, 0);
    if (!made) return made.error();
  }
  return {};
}

LoopLedger& Ledger::Impl::add_loop(std::function<void(std::function<void()>)> post) {
  auto loop = std::make_unique<Loop>(random_id(), options, cells->generation(), std::move(post),
                                     [this] { keeper_bell_.ring(); });
  prepare(*loop);
  const std::lock_guard held(work_mutex_);
  const std::lock_guard booked(booked_mutex_);
  loops_.push_back(std::unique_ptr<LoopLedger>(new LoopLedger(std::move(loop))));
  return *loops_.back();
}

// ---- dead writers ----

Result<void> Ledger::Impl::recover(bool alone) {
  const auto files = list_segments(directory, true);
  if (!files) return files.error();
  const std::span<const SegmentFile> all(*files);
  for (std::size_t from = 0; from < all.size();) {
    std::size_t to = from;
    while (to < all.size() && all[to].writer == all[from].writer) ++to;
    const auto recovered = recover_writer(all.subspan(from, to - from), alone);
    if (!recovered) return recovered;
    from = to;
  }
  return {};
}

// The order makes it safe to die anywhere: booked, then noted as interrupted, then given back,
// which is done for what was noted here and now alone.
Result<void> Ledger::Impl::recover_writer(std::span<const SegmentFile> files, bool alone) {
  std::vector<std::unique_ptr<Segment>> segments;
  for (const SegmentFile& each : files) {
    auto adopted = Segment::adopt(os, each.file);
    if (!adopted) return adopted.error();
    if (!*adopted) return {};  // it lives, or another process is at it
    segments.push_back(std::move(*adopted));
  }
  WriterBooks books(files.front().writer);
  if (auto booked = book_dead(books, segments); !booked) return booked;
  const auto noted = note_interrupted(books);
  if (!noted) return noted.error();
  for (const std::uint64_t hold : *noted) {
    if (!alone) give_back(books.open().at(hold));
  }
  interrupted_ += noted->size();
  for (const auto& segment : segments) {
    if (auto removed = segment->remove(); !removed) return removed;
  }
  if (!books.open().empty()) {
    spdlog::warn("journal_recovered writer={} holds_released={}", books.name(),
                 books.open().size());
  }
  return books_->forget_place(books.name());
}

Result<void> Ledger::Impl::book_dead(WriterBooks& books,
                                     const std::vector<std::unique_ptr<Segment>>& segments) {
  const auto place = books_->place(books.name());
  if (!place) return place.error();
  Reading reading;
  reading.place = *place;
  for (const auto& segment : segments) {
    reading.offset = Segment::kHeaderBytes;
    bool more = true;
    while (more) {
      const auto booked = book_batch(books, *segment, segment->bytes(), reading);
      if (!booked) return booked.error();
      more = *booked;
    }
  }
  return {};
}

// The entries behind a reading's offset, at most kBatch of them. False: there is no other one.
Result<bool> Ledger::Impl::book_batch(WriterBooks& books, const Segment& segment, std::uint64_t end,
                                      Reading& reading) {
  batch_.clear();
  entries_.clear();
  std::uint64_t offset = reading.offset, skipped = 0;
  std::uint64_t sequence = reading.sequence;
  while (entries_.size() < kBatch && offset < end) {
    const auto entry = segment.next(offset, end, sequence + 1, skipped);
    if (!entry) {
      offset = end;
      break;
    }
    if (!reading.is_booked(segment.number(), entry->offset)) {
      if (auto done = books.collect(batch_, *entry); !done) return done.error();
    }
    entries_.push_back(*entry);
    offset = entry->next;
    sequence = entry->head.sequence;
  }
  if (!batch_.receipts.empty() || !batch_.costs.empty()) {
    batch_.writer = books.name();
    batch_.from = reading.place;
    batch_.to = {segment.number(), entries_.back().next};
    const auto booked = books_->book(batch_);
    if (!booked) return booked.error();
    if (!*booked) {
      // A fault may have hidden that it was booked.
      const auto place = books_->place(books.name());
      if (!place) return place.error();
      if (*place == reading.place) return Error{books.name() + ": its place in the books is lost"};
      reading.place = *place;
      return true;
    }
    reading.place = batch_.to;
  }
  for (const EntryView& entry : entries_) books.follow(entry, segment.number());
  reading.offset = offset;
  reading.sequence = sequence;
  booked_now_ += entries_.size();
  if (skipped > 0) {
    spdlog::error("journal_damaged writer={} bytes_skipped={}", books.name(), skipped);
  }
  return offset < end;
}

Result<std::vector<std::uint64_t>> Ledger::Impl::note_interrupted(const WriterBooks& books) {
  return books_->database().transact([&]() -> Result<std::vector<std::uint64_t>> {
    std::vector<std::uint64_t> noted;
    for (const auto& [id, hold] : books.open()) {
      const HoldRest rest = read_rest(hold);
      const auto added = books_->add_interrupted({books.id_of(id), rest.request_id, rest.account,
                                                  rest.key, hold.amount, options.now_unix_ns()});
      if (!added) return added.error();
      if (*added) noted.push_back(id);
    }
    return noted;
  });
}

void Ledger::Impl::give_back(const OpenHold& hold) {
  const HoldRest rest = read_rest(hold);
  if (rest.generation != cells->generation()) return;
  for (const std::uint32_t slot : rest.slots) {
    if (const auto cell = cells->at(slot)) cell->give(hold.amount);
  }
}

Result<void> Ledger::Impl::sweep() {
  const std::uint64_t now = mono_ns();
  if (options.background && now - swept_ns_ < kSweepEveryNs) return {};
  swept_ns_ = now;
  std::uint64_t overdue = 0;
  for (const auto& loop : loops_) {
    for (const auto& [id, hold] : loop->impl_->books.open()) {
      if (hold.deadline_unix_ns != 0 && hold.deadline_unix_ns < options.now_unix_ns()) ++overdue;
    }
  }
  overdue_ = overdue;
  return recover(false);
}

// ---- the keeper ----

void Ledger::Impl::keep() {
  name_thread("journal");
  while (!stopping_) {
    std::vector<Loop*> loops;
    {
      const std::lock_guard held(booked_mutex_);
      for (const auto& loop : loops_) loops.push_back(loop->impl_.get());
    }
    for (Loop* const loop : loops) prepare(*loop);
    for (Loop* const loop : loops) sync(*loop);
    keeper_bell_.wait(kSyncEvery);
  }
}

Result<std::shared_ptr<Segment>> Ledger::Impl::new_segment(Loop& loop) {
  const std::uint64_t writer = loop.writer.writer();
  auto made = Segment::create(os, directory, writer, loop.next_number, options.segment_bytes);
  if (made) {
    journal_complaint_.over();
    return std::shared_ptr<Segment>(std::move(*made));
  }
  ++journal_faults_;
  journal_complaint_.about(made.error());
  if (!options.serve_without_disk) return made.error();
  auto in_memory = Segment::create_in_memory(os, writer, loop.next_number, options.segment_bytes);
  if (!in_memory) return in_memory.error();
  ++memory_segments_;
  return std::shared_ptr<Segment>(std::move(*in_memory));
}

void Ledger::Impl::prepare(Loop& loop) {
  while (loop.writer.wants_segment(options.segment_bytes)) {
    auto made = new_segment(loop);
    if (!made) return;
    ++loop.next_number;
    loop.add_segment(std::move(*made));
  }
}

bool Ledger::Impl::sync_segment(Segment& segment, std::uint64_t to) {
  if (segment.faulted || segment.in_memory()) return false;
  const std::uint64_t began = mono_ns();
  const auto synced = segment.sync(segment.synced, to);
  const std::uint64_t took = mono_ns() - began;
  ++syncs_;
  sync_ns_ += took;
  if (took > sync_ns_max_) sync_ns_max_ = took;
  if (synced) {
    sync_complaint_.over();
    return true;
  }
  // The kernel may have dropped what it could not write; a second sync that succeeds would say
  // nothing about it.
  segment.faulted = true;
  ++sync_faults_;
  sync_complaint_.about(synced.error());
  return false;
}

void Ledger::Impl::sync(Loop& loop) {
  std::uint64_t durable = loop.durable;
  for (const auto& segment : loop.segments()) {
    const std::uint64_t sequence = segment->last_sequence.load(std::memory_order_acquire);
    const std::uint64_t written = segment->written.load(std::memory_order_acquire);
    if (written == segment->synced) continue;
    if (!sync_segment(*segment, written)) {
      if (durable > loop.fault_to) loop.fault_from = durable + 1;
      loop.fault_to = sequence;
    }
    segment->synced = written;
    durable = std::max(durable, sequence);
  }
  loop.durable.store(durable, std::memory_order_release);
  if (loop.waiting.exchange(false)) loop.post([&loop] { loop.run_durable(); });
}

// ---- the books ----

void Ledger::Impl::keep_books() {
  name_thread("books");
  while (!stopping_) {
    (void)book_all().has_value();
    books_bell_.wait(booked_now_ > kMuch ? kBookMuchEvery : kBookEvery);
  }
}

Result<void> Ledger::Impl::book_all() {
  const std::lock_guard held(work_mutex_);
  Result<void> done;
  booked_now_ = 0;
  for (const auto& each : loops_) {
    Loop& loop = *each->impl_;
    while (done && !stopping_) {
      const auto more = book_some(loop);
      if (!more) done = more.error();
      if (!more || !*more) break;
    }
    drop_booked(loop);
  }
  if (done) {
    books_complaint_.over();
  } else {
    ++books_faults_;
    books_complaint_.about(done.error());
  }
  if (done) {
    if (const auto swept = sweep()) {
      sweep_complaint_.over();
    } else {
      sweep_complaint_.about(swept.error());
      done = swept;
    }
  }
  {
    const std::lock_guard booked(booked_mutex_);
    books_fault_ = done ? "" : done.error().message;
  }
  booked_.notify_all();
  return done;
}

Result<bool> Ledger::Impl::book_some(Loop& loop) {
  std::shared_ptr<Segment> segment;
  for (const auto& each : loop.segments()) {
    if (each->number() >= loop.read_segment) {
      segment = each;
      break;
    }
  }
  if (!segment) return false;
  Reading& reading = loop.reading;
  if (segment->number() != loop.read_segment) {
    loop.read_segment = segment->number();
    reading.offset = Segment::kHeaderBytes;
  }
  const bool closed = segment->closed.load(std::memory_order_acquire);
  const std::uint64_t end = segment->written.load(std::memory_order_acquire);
  if (reading.offset < end) {
    std::uint64_t skipped = 0;
    const auto first = segment->next(reading.offset, end, reading.sequence + 1, skipped);
    loop.oldest_ns = first ? first->head.at_unix_ns : 0;
    const auto booked = book_batch(loop.books, *segment, end, reading);
    if (!booked) return booked.error();
    loop.booked = reading.sequence;
    if (*booked) return true;
  }
  loop.oldest_ns = 0;
  if (!closed) return false;
  loop.read_segment = segment->number() + 1;
  reading.offset = Segment::kHeaderBytes;
  return true;
}

// A segment goes when the books have it all, and no hold that began in it is open: what was taken
// for that is written nowhere else.
void Ledger::Impl::drop_booked(Loop& loop) {
  const auto& open = loop.books.open();  // the oldest first
  std::uint64_t keep_from = loop.read_segment;
  if (!open.empty()) keep_from = std::min(keep_from, open.begin()->second.segment);
  for (const auto& segment : loop.segments()) {
    if (segment->number() >= keep_from) break;
    if (segment->synced != segment->written) break;
    if (auto removed = segment->remove(); !removed) {
      journal_complaint_.about(removed.error());
      break;
    }
    if (segment->in_memory()) --memory_segments_;
    loop.drop_segment(*segment);
  }
}

Result<void> Ledger::Impl::work() {
  for (const auto& loop : loops_) prepare(*loop->impl_);
  for (const auto& loop : loops_) sync(*loop->impl_);
  return book_all();
}

bool Ledger::Impl::all_booked(const std::vector<std::uint64_t>& until) const {
  for (std::size_t i = 0; i < until.size(); ++i) {
    if (loops_[i]->impl_->booked < until[i]) return false;
  }
  return true;
}

Result<void> Ledger::Impl::flush() {
  std::unique_lock held(booked_mutex_);
  std::vector<std::uint64_t> until;
  for (const auto& loop : loops_) until.push_back(loop->impl_->last_sequence);
  if (!options.background) {
    held.unlock();
    return work();
  }
  books_bell_.ring();
  const bool done = booked_.wait_for(held, kFlushMax, [&] { return all_booked(until); });
  if (done) return {};
  return Error{"the books did not come up to the journal in a minute: " +
               (books_fault_.empty() ? std::string("there is too much of it") : books_fault_)};
}

Result<void> Ledger::Impl::end() {
  stop();
  stopping_ = false;  // of the threads; what is left is done here
  const auto booked = work();
  stopping_ = true;
  if (!booked) return booked;
  for (const auto& each : loops_) {
    Loop& loop = *each->impl_;
    if (!loop.books.open().empty()) continue;  // the next start releases these
    for (const auto& segment : loop.segments()) {
      if (auto removed = segment->remove(); !removed) return removed;
    }
    if (auto forgotten = books_->forget_place(loop.books.name()); !forgotten) return forgotten;
  }
  return {};
}

// ---- money of operators ----

Result<bool, Ledger::MoveFault> Ledger::Impl::move_money(const store::Transaction& transaction,
                                                         Nano floor) {
  using Why = MoveFault::Why;
  std::vector<std::pair<CellRef, Nano>> debits, credits;
  const auto take_back = [&debits] {
    for (const auto& [cell, amount] : debits) cell.give(amount);
  };
  const std::string prefix = store::account_name("");
  for (const store::Entry& entry : transaction.entries) {
    if (!entry.account.starts_with(prefix)) continue;
    // There before the books change: what finds no cell may take a balance of 0 for granted.
    const auto cell = cells->cell(entry.account + ":" + entry.currency, 0, floor);
    if (!cell) {
      take_back();
      return MoveFault{Why::kBooks, cell.error().message};
    }
    if (entry.amount > 0) credits.emplace_back(*cell, entry.amount);
    if (entry.amount >= 0) continue;
    if (!cell->try_take(-entry.amount)) {
      take_back();
      // Said once more, it may be this very transaction that took the money.
      const auto known = money_->has(transaction.id);
      if (!known) return MoveFault{Why::kBooks, known.error().message};
      if (*known) return false;
      return MoveFault{Why::kUncovered,
                       entry.account +
                           " has less than that to spend; what requests hold is not "
                           "spent yet, but is not there to take"};
    }
    debits.emplace_back(*cell, -entry.amount);
  }
  const auto posted = money_->post(transaction);
  if (!posted || !*posted) take_back();
  if (!posted) return MoveFault{Why::kBooks, posted.error().message};
  if (!*posted) return false;
  for (const auto& [cell, amount] : credits) cell.give(amount);
  return true;
}

LedgerStats Ledger::Impl::stats() const {
  LedgerStats stats;
  const std::uint64_t now = options.now_unix_ns();
  const std::lock_guard held(booked_mutex_);
  for (const auto& each : loops_) {
    const Loop& loop = *each->impl_;
    stats.holds_open += loop.holds_open.get();
    stats.holds += loop.holds.get();
    stats.settlements += loop.settlements.get();
    stats.refusals += loop.refusals.get();
    stats.shortfalls += loop.shortfalls.get();
    stats.costs_lost += loop.costs_lost.get();
    const std::uint64_t booked = loop.booked;
    stats.lag_entries += loop.last_sequence - booked;
    const std::uint64_t oldest = loop.oldest_ns;
    if (oldest != 0 && oldest < now) stats.lag_ns = std::max(stats.lag_ns, now - oldest);
  }
  stats.syncs = syncs_;
  stats.sync_faults = sync_faults_;
  stats.sync_ns = sync_ns_;
  stats.sync_ns_max = sync_ns_max_;
  stats.journal_faults = journal_faults_;
  stats.memory_segments = memory_segments_;
  stats.books_faults = books_faults_;
  stats.interrupted = interrupted_;
  stats.holds_overdue = overdue_;
  return stats;
}

// ---- the outside ----

Ledger::Ledger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>> Ledger::open(LedgerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  const auto opened = impl->open();
  if (!opened) return opened.error();
  return std::unique_ptr<Ledger>(new Ledger(std::move(impl)));
}

LoopLedger& Ledger::add_loop(std::function<void(std::function<void()>)> post) {
  return impl_->add_loop(std::move(post));
}

Result<CellRef> Ledger::account_cell(std::string_view account, std::string_view currency,
                                     Nano limit) {
  return impl_->cells->cell(cell_name(account, currency), 0, limit);
}

Result<CellRef> Ledger::budget_cell(std::string_view name, Nano initial, Nano limit) {
  return impl_->cells->cell("budget:" + std::string(name), initial, limit);
}

std::optional<CellRef> Ledger::find_account_cell(std::string_view account,
                                                 std::string_view currency, Nano limit) const {
  return impl_->cells->find(cell_name(account, currency), limit);
}

std::optional<CellRef> Ledger::find_budget_cell(std::string_view name, Nano limit) const {
  return impl_->cells->find("budget:" + std::string(name), limit);
}

Result<bool, Ledger::MoveFault> Ledger::move_money(const store::Transaction& transaction,
                                                   Nano floor) {
  return impl_->move_money(transaction, floor);
}

Result<void> Ledger::flush() { return impl_->flush(); }
Result<void> Ledger::end() { return impl_->end(); }
Result<void> Ledger::work() { return impl_->work(); }
LedgerStats Ledger::stats() const { return impl_->stats(); }

}  // namespace switchyard::account

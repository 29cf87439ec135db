#include "core/account/loop_ledger.hpp"

#include <algorithm>

namespace switchyard::account {

// ---- a hold ----

Hold::Hold(Open* open) : open_(open) { open_->handle = this; }

Hold::Hold(Hold&& other) noexcept : open_(std::exchange(other.open_, nullptr)) {
  if (open_ != nullptr) open_->handle = this;
}

Hold& Hold::operator=(Hold&& other) noexcept {
  if (this == &other) return *this;
  if (open_ != nullptr) open_->loop->release(*open_, Released::kAbandoned);
  open_ = std::exchange(other.open_, nullptr);
  if (open_ != nullptr) open_->handle = this;
  return *this;
}

Hold::~Hold() {
  if (open_ != nullptr) open_->loop->release(*open_, Released::kAbandoned);
}

Nano Hold::amount() const { return open_ == nullptr ? 0 : open_->amount; }

// ---- a loop ----

LoopLedger::LoopLedger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LoopLedger::~LoopLedger() = default;

Result<Hold, Refused> LoopLedger::hold(std::span<const CellRef> cells, Nano amount,
                                       const HoldNote& note) {
  return impl_->hold(cells, amount, note);
}
Result<void, Refused> LoopLedger::extend(Hold& hold, Nano more) {
  return impl_->extend(hold, more);
}
Nano LoopLedger::settle(Hold&& hold, const Settlement& settlement) {
  return impl_->settle(std::move(hold), settlement);
}
void LoopLedger::release(Hold&& hold, Released why) { impl_->release(std::move(hold), why); }
bool LoopLedger::note_cost(const HoldNote& note, const CostLine& line) {
  return impl_->note_cost(note, line);
}
void LoopLedger::when_durable(std::function<void(bool)> done) {
  impl_->when_durable(std::move(done));
}

LoopLedger::Impl::Impl(std::uint64_t writer_id, const LedgerOptions& options,
                       std::uint64_t cells_generation,
                       std::function<void(std::function<void()>)> on_loop,
                       std::function<void()> wake_keeper)
    : writer(writer_id, options.now_unix_ns),
      post(std::move(on_loop)),
      books(writer_id),
      options_(options),
      generation_(cells_generation),
      wake_keeper_(std::move(wake_keeper)) {}

// What is still held stays so in the journal: whoever opens the ledger next releases it.
LoopLedger::Impl::~Impl() {
  for (Hold::Open* list : {open_, free_}) {
    while (list != nullptr) {
      Hold::Open* const gone = std::exchange(list, list->next);
      if (gone->handle != nullptr) gone->handle->open_ = nullptr;
      delete gone;
    }
  }
}

Refused LoopLedger::Impl::refuse(Refused::Why why, std::size_t cell) {
  refusals.add(1);
  return {why, cell};
}

bool LoopLedger::Impl::can_write(std::uint64_t bytes) const {
  return writer.has_room(bytes) && (options_.serve_without_disk || !writer.faulty());
}

std::optional<std::size_t> LoopLedger::Impl::take(std::span<const CellRef> cells,
                                                  Nano amount) const {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].try_take(amount)) continue;
    give(cells.first(i), amount);
    return i;
  }
  return std::nullopt;
}

Nano LoopLedger::Impl::take_up_to(std::span<const CellRef> cells, Nano amount) const {
  Nano taken = amount;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Nano here = cells[i].take_up_to(taken);
    if (here < taken) give(cells.first(i), taken - here);
    taken = here;
  }
  return taken;
}

void LoopLedger::Impl::give(std::span<const CellRef> cells, Nano amount) {
  for (const CellRef& cell : cells) cell.give(amount);
}

std::uint64_t LoopLedger::Impl::commit(EntryType type, const char* end) {
  const std::uint64_t sequence = writer.commit(type, end);
  last_sequence.store(sequence, std::memory_order_release);
  return sequence;
}

Hold::Open* LoopLedger::Impl::new_open() {
  Hold::Open* open = free_;
  if (open == nullptr) {
    open = new Hold::Open;
    open->loop = this;
  } else {
    free_ = open->next;
  }
  open->previous = nullptr;
  open->next = open_;
  if (open_ != nullptr) open_->previous = open;
  open_ = open;
  return open;
}

void LoopLedger::Impl::end_open(Hold::Open& open) {
  if (open.handle != nullptr) std::exchange(open.handle, nullptr)->open_ = nullptr;
  if (open.previous != nullptr) open.previous->next = open.next;
  if (open.next != nullptr) open.next->previous = open.previous;
  if (open_ == &open) open_ = open.next;
  open.next = free_;
  free_ = &open;
  writer.unreserve(kSettleBytesMax);
  holds_open.drop(1);
}

Result<Hold, Refused> LoopLedger::Impl::hold(std::span<const CellRef> cells, Nano amount,
                                             const HoldNote& note) {
  const std::size_t longest =
      std::max({note.request_id.size(), note.account.size(), note.key.size()});
  if (amount < 0 || cells.empty() || cells.size() > kCellsMax || longest > kNameMax) {
    return refuse(Refused::Why::kInvalid);
  }
  if (!can_write(kHoldBytesMax + kSettleBytesMax)) return refuse(Refused::Why::kJournal);
  if (const auto refused = take(cells, amount)) {
    return refuse(*refused == 0 ? Refused::Why::kBalance : Refused::Why::kBudget, *refused);
  }
  char* const body = writer.begin(kHoldBytesMax);
  const std::uint64_t id =
      commit(EntryType::kHold, write_hold(body, cells, generation_, amount, note));
  writer.reserve(kSettleBytesMax);
  Hold::Open* const open = new_open();
  open->id = id;
  open->amount = amount;
  std::copy(cells.begin(), cells.end(), open->cells.begin());
  open->cell_count = cells.size();
  open->request_id = note.request_id;
  open->account = note.account;
  open->key = note.key;
  holds.add(1);
  holds_open.add(1);
  return Hold(open);
}

Result<void, Refused> LoopLedger::Impl::extend(Hold& hold, Nano more) {
  Hold::Open* const open = hold.open_;
  Nano amount = 0;
  if (open == nullptr || more < 0 || __builtin_add_overflow(open->amount, more, &amount)) {
    return refuse(Refused::Why::kInvalid);
  }
  if (!can_write(kExtendBytesMax)) return refuse(Refused::Why::kJournal);
  if (const auto refused = take(open->used(), more)) {
    return refuse(*refused == 0 ? Refused::Why::kBalance : Refused::Why::kBudget, *refused);
  }
  char* const body = writer.begin(kExtendBytesMax);
  commit(EntryType::kExtend, write_extend(body, open->id, more));
  open->amount = amount;
  return {};
}

Nano LoopLedger::Impl::settle(Hold&& hold, const Settlement& settlement) {
  Hold::Open* const open = hold.open_;
  if (open == nullptr) return 0;
  const Nano worth = std::max<Nano>(0, settlement.charge.value_or(0));
  Charged charged{open->amount, worth, 0};
  if (worth > open->amount) {
    charged.charge = open->amount + take_up_to(open->used(), worth - open->amount);
    charged.shortfall = worth - charged.charge;
  }
  const HoldNote note = open->note();
  if (!tells_cost(settlement)) {
    for (const CostLine& line : settlement.costs) note_cost(note, line);
  }
  char* const body = writer.begin(kSettleBytesMax);
  commit(EntryType::kSettle, write_settle(body, open->id, note, charged, settlement));
  if (worth < open->amount) give(open->used(), open->amount - worth);
  settlements.add(1);
  if (charged.shortfall > 0) shortfalls.add(1);
  end_open(*open);
  return charged.charge;
}

void LoopLedger::Impl::release(Hold&& hold, Released why) {
  if (hold.open_ != nullptr) release(*hold.open_, why);
}

void LoopLedger::Impl::release(Hold::Open& open, Released why) {
  char* const body = writer.begin(kSettleBytesMax);
  commit(EntryType::kRelease, write_release(body, open.id, open.amount, why));
  give(open.used(), open.amount);
  end_open(open);
}

bool LoopLedger::Impl::note_cost(const HoldNote& note, const CostLine& line) {
  if (!writer.has_room(kCostBytesMax)) {
    costs_lost.add(1);
    return false;
  }
  char* const body = writer.begin(kCostBytesMax);
  commit(EntryType::kCost, write_cost(body, note, line));
  return true;
}

void LoopLedger::Impl::when_durable(std::function<void(bool)> done) {
  if (!options_.durable) return done(true);
  waiters_.push_back({writer.sequence(), std::move(done)});
  if (!waiting.exchange(true)) wake_keeper_();
}

void LoopLedger::Impl::run_durable() {
  const std::uint64_t until = durable.load(std::memory_order_acquire);
  const std::uint64_t from = fault_from.load(std::memory_order_relaxed);
  const std::uint64_t to = fault_to.load(std::memory_order_relaxed);
  while (!waiters_.empty() && waiters_.front().sequence <= until) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    waiter.done(waiter.sequence < from || waiter.sequence > to);
  }
  if (!waiters_.empty() && !waiting.exchange(true)) wake_keeper_();
}

std::vector<std::shared_ptr<Segment>> LoopLedger::Impl::segments() const {
  const std::lock_guard held(mutex_);
  return segments_;
}

void LoopLedger::Impl::add_segment(std::shared_ptr<Segment> segment) {
  Segment* const added = segment.get();
  {
    const std::lock_guard held(mutex_);
    segments_.push_back(std::move(segment));
  }
  writer.add(added);
}

void LoopLedger::Impl::drop_segment(const Segment& segment) {
  const std::lock_guard held(mutex_);
  std::erase_if(segments_, [&](const auto& each) { return each.get() == &segment; });
}

}  // namespace switchyard::account

#include "core/account/entries.hpp"

#include <algorithm>

namespace switchyard::account {
namespace {

constexpr std::size_t kCurrencyMax = 16;
enum SettleFlag : std::uint8_t {
  kPriced = 1,
  kExchanged = 2,
  kEstimated = 4,
  kCostKnown = 8,
  kCostAlone = 16,  // of the one attempt, which has no entry of its own; its price version follows
};
enum CostFlag : std::uint8_t { kAmountKnown = 1, kCostEstimated = 2 };

// Of all attempts, where it can be said in one number.
struct TotalCost {
  bool known = false;
  Nano amount = 0;
  std::string_view currency;
};

TotalCost total_of(std::span<const CostLine> lines) {
  TotalCost total{!lines.empty(), 0, lines.empty() ? std::string_view() : lines.front().currency};
  for (const CostLine& line : lines) {
    if (!line.amount || line.currency != total.currency ||
        __builtin_add_overflow(total.amount, *line.amount, &total.amount)) {
      return {};
    }
  }
  return total;
}

std::string unreadable(const std::string& id) {
  return "journal entry " + id + ": its body is not what its type says; nothing was booked of it";
}

}  // namespace

const char* write_hold(char* at, std::span<const CellRef> cells, std::uint64_t generation,
                       Nano amount, const HoldNote& note) {
  BodyWriter body(at);
  body.number(amount).number(note.deadline_unix_ns).number(generation);
  body.byte(static_cast<std::uint8_t>(cells.size()));
  for (const CellRef& cell : cells) body.number(std::uint64_t{cell.slot()});
  body.text(note.request_id, kNameMax).text(note.account, kNameMax).text(note.key, kNameMax);
  return body.end();
}

const char* write_extend(char* at, std::uint64_t hold, Nano more) {
  return BodyWriter(at).number(hold).number(more).end();
}

bool tells_cost(const Settlement& settlement) {
  if (settlement.costs.size() != 1) return false;
  const CostLine& line = settlement.costs.front();
  return line.provider == settlement.provider && line.model == settlement.model_used &&
         line.outcome == settlement.ended && line.estimated == settlement.estimated;
}

const char* write_settle(char* at, std::uint64_t hold, const HoldNote& note, const Charged& charged,
                         const Settlement& settlement) {
  const TotalCost cost = total_of(settlement.costs);
  const bool cost_alone = tells_cost(settlement);
  const Exchanged exchanged = settlement.exchanged.value_or(Exchanged{});
  unsigned flags = 0;
  if (settlement.charge) flags |= kPriced;
  if (settlement.exchanged) flags |= kExchanged;
  if (settlement.estimated) flags |= kEstimated;
  if (cost.known) flags |= kCostKnown;
  if (cost_alone) flags |= kCostAlone;
  BodyWriter body(at);
  body.number(hold).byte(static_cast<std::uint8_t>(flags));
  body.number(charged.held).number(charged.charge).number(charged.shortfall);
  body.number(settlement.started_unix_ns);
  body.text(settlement.currency, kCurrencyMax).text(settlement.price_version, kWordMax);
  body.number(exchanged.amount).text(exchanged.currency, kCurrencyMax);
  body.text(exchanged.rate_version, kWordMax);
  body.number(cost.amount).text(cost.currency, kCurrencyMax);
  const auto quantities = settlement.quantities.first(
      std::min(settlement.quantities.size(), store::Receipt::kQuantities));
  body.byte(static_cast<std::uint8_t>(quantities.size()));
  for (const std::uint64_t quantity : quantities) body.number(quantity);
  body.text(note.request_id, kNameMax).text(note.account, kNameMax).text(note.key, kNameMax);
  body.text(settlement.feature, kWordMax).text(settlement.task, kWordMax);
  body.text(settlement.model_asked, kNameMax).text(settlement.model_used, kNameMax);
  body.text(settlement.provider, kNameMax).text(settlement.ended, kWordMax);
  if (cost_alone) body.text(settlement.costs.front().price_version, kWordMax);
  return body.end();
}

const char* write_release(char* at, std::uint64_t hold, Nano held, Released why) {
  return BodyWriter(at).number(hold).number(held).byte(static_cast<std::uint8_t>(why)).end();
}

const char* write_cost(char* at, const HoldNote& note, const CostLine& line) {
  unsigned flags = 0;
  if (line.amount) flags |= kAmountKnown;
  if (line.estimated) flags |= kCostEstimated;
  BodyWriter body(at);
  body.byte(static_cast<std::uint8_t>(flags)).number(line.amount.value_or(0));
  body.text(note.request_id, kNameMax).text(note.account, kNameMax);
  body.text(line.provider, kNameMax).text(line.model, kNameMax);
  body.text(line.currency, kCurrencyMax).text(line.price_version, kWordMax);
  body.text(line.outcome, kWordMax);
  return body.end();
}

void WriterBooks::follow(const EntryView& entry, std::uint64_t segment) {
  BodyReader body(entry.body);
  if (entry.head.type == EntryType::kHold) {
    OpenHold hold;
    hold.amount = body.amount();
    hold.deadline_unix_ns = body.number();
    hold.segment = segment;
    if (!body.ok()) return;
    hold.rest = body.rest();
    open_.emplace_hint(open_.end(), entry.head.sequence, std::move(hold));
  } else if (entry.head.type == EntryType::kExtend) {
    const auto found = open_.find(body.number());
    if (found != open_.end()) found->second.amount += body.amount();
  } else if (entry.head.type == EntryType::kSettle || entry.head.type == EntryType::kRelease) {
    open_.erase(body.number());
  }
}

HoldRest read_rest(const OpenHold& hold) {
  BodyReader body(hold.rest);
  HoldRest rest;
  rest.generation = body.number();
  const unsigned cells = body.byte();
  for (unsigned i = 0; i < cells; ++i) {
    rest.slots.push_back(static_cast<std::uint32_t>(body.number()));
  }
  rest.request_id = body.text();
  rest.account = body.text();
  rest.key = body.text();
  return rest;
}

Result<void> WriterBooks::collect(store::Batch& batch, const EntryView& entry) const {
  if (entry.head.type == EntryType::kSettle) return collect_settlement(batch, entry);
  if (entry.head.type == EntryType::kCost) return collect_cost(batch, entry);
  return {};
}

Result<void> WriterBooks::collect_settlement(store::Batch& batch, const EntryView& entry) const {
  BodyReader body(entry.body);
  store::ReceiptView& receipt = batch.receipts.emplace_back();
  receipt.writer = name_;
  receipt.sequence = entry.head.sequence;
  body.number();
  const unsigned flags = body.byte();
  receipt.held = body.amount();
  const Nano charge = body.amount();
  receipt.shortfall = body.amount();
  receipt.started_unix_ns = body.number();
  receipt.settled_unix_ns = entry.head.at_unix_ns;
  receipt.currency = body.view();
  receipt.price_version = body.view();
  const Nano original = body.amount();
  receipt.original_currency = body.view();
  receipt.rate_version = body.view();
  const Nano cost = body.amount();
  receipt.cost_currency = body.view();
  const unsigned quantities = body.byte();
  for (unsigned i = 0; i < quantities; ++i) {
    const std::uint64_t quantity = body.number();
    if (i < receipt.quantities.size()) receipt.quantities[i] = quantity;
  }
  receipt.request_id = body.view();
  receipt.account = body.view();
  receipt.key = body.view();
  receipt.feature = body.view();
  receipt.task = body.view();
  receipt.model_asked = body.view();
  receipt.model_used = body.view();
  receipt.provider = body.view();
  receipt.ended = body.view();
  receipt.cost_alone = (flags & kCostAlone) != 0;
  if (receipt.cost_alone) receipt.cost_version = body.view();
  if (!body.ok()) return Error{unreadable(id_of(entry.head.sequence))};
  if ((flags & kPriced) != 0) receipt.charge = charge;
  if ((flags & kExchanged) != 0) receipt.original = original;
  if ((flags & kCostKnown) != 0) receipt.cost = cost;
  receipt.estimated = (flags & kEstimated) != 0;
  return {};
}

Result<void> WriterBooks::collect_cost(store::Batch& batch, const EntryView& entry) const {
  BodyReader body(entry.body);
  store::Cost& cost = batch.costs.emplace_back();
  cost.id = id_of(entry.head.sequence);
  cost.at_unix_ns = entry.head.at_unix_ns;
  const unsigned flags = body.byte();
  const Nano amount = body.amount();
  cost.request_id = body.text();
  cost.account = body.text();
  cost.provider = body.text();
  cost.model = body.text();
  cost.currency = body.text();
  cost.price_version = body.text();
  cost.outcome = body.text();
  if (!body.ok()) return Error{unreadable(cost.id)};
  if ((flags & kAmountKnown) != 0) cost.amount = amount;
  cost.estimated = (flags & kCostEstimated) != 0;
  return {};
}

}  // namespace switchyard::account

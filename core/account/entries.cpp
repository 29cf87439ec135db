#include "core/account/entries.hpp"

#include <algorithm>

namespace switchyard::account {
namespace {

constexpr std::size_t kCurrencyMax = 16;
enum SettleFlag : std::uint8_t { kPriced = 1, kExchanged = 2, kEstimated = 4, kCostKnown = 8 };
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

const char* write_settle(char* at, std::uint64_t hold, const HoldNote& note, const Charged& charged,
                         const Settlement& settlement) {
  const TotalCost cost = total_of(settlement.costs);
  const Exchanged exchanged = settlement.exchanged.value_or(Exchanged{});
  unsigned flags = 0;
  if (settlement.charge) flags |= kPriced;
  if (settlement.exchanged) flags |= kExchanged;
  if (settlement.estimated) flags |= kEstimated;
  if (cost.known) flags |= kCostKnown;
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
    hold.generation = body.number();
    const unsigned cells = body.byte();
    for (unsigned i = 0; i < cells; ++i) {
      hold.slots.push_back(static_cast<std::uint32_t>(body.number()));
    }
    hold.request_id = body.text();
    hold.account = body.text();
    hold.key = body.text();
    hold.at_unix_ns = entry.head.at_unix_ns;
    hold.segment = segment;
    if (body.ok()) open_.emplace(entry.head.sequence, std::move(hold));
  } else if (entry.head.type == EntryType::kExtend) {
    const auto found = open_.find(body.number());
    if (found != open_.end()) found->second.amount += body.amount();
  } else if (entry.head.type == EntryType::kSettle || entry.head.type == EntryType::kRelease) {
    open_.erase(body.number());
  }
}

Result<void> WriterBooks::book(store::Books& books, const EntryView& entry) const {
  if (entry.head.type == EntryType::kSettle) return book_settlement(books, entry);
  if (entry.head.type == EntryType::kCost) return book_cost(books, entry);
  return {};
}

Result<void> WriterBooks::book_settlement(store::Books& books, const EntryView& entry) const {
  BodyReader body(entry.body);
  store::Receipt receipt;
  receipt.id = id_of(entry.head.sequence);
  body.number();
  const unsigned flags = body.byte();
  receipt.held = body.amount();
  const Nano charge = body.amount();
  receipt.shortfall = body.amount();
  receipt.started_unix_ns = body.number();
  receipt.settled_unix_ns = entry.head.at_unix_ns;
  receipt.currency = body.text();
  receipt.price_version = body.text();
  const Nano original = body.amount();
  const std::string original_currency = body.text();
  const std::string rate_version = body.text();
  const Nano cost = body.amount();
  receipt.cost_currency = body.text();
  const unsigned quantities = body.byte();
  for (unsigned i = 0; i < quantities; ++i) {
    const std::uint64_t quantity = body.number();
    if (i < receipt.quantities.size()) receipt.quantities[i] = quantity;
  }
  receipt.request_id = body.text();
  receipt.account = body.text();
  receipt.key = body.text();
  receipt.feature = body.text();
  receipt.task = body.text();
  receipt.model_asked = body.text();
  receipt.model_used = body.text();
  receipt.provider = body.text();
  receipt.ended = body.text();
  if (!body.ok()) return Error{unreadable(receipt.id)};
  if ((flags & kPriced) != 0) receipt.charge = charge;
  if ((flags & kCostKnown) != 0) receipt.cost = cost;
  receipt.estimated = (flags & kEstimated) != 0;

  const auto added = books.add_receipt(receipt);
  if (!added) return added.error();
  const Nano worth = charge + receipt.shortfall;
  if (!*added || worth == 0) return {};
  store::Transaction transaction{
      receipt.id, "charge", receipt.request_id, "", entry.head.at_unix_ns, {}};
  auto& entries = transaction.entries;
  const std::string& currency = receipt.currency;
  if (charge != 0) entries.push_back({store::account_name(receipt.account), currency, -charge});
  if (receipt.shortfall != 0) {
    entries.push_back({store::kHouseShortfall, currency, -receipt.shortfall});
  }
  if ((flags & kExchanged) != 0) {
    transaction.rate_version = rate_version;
    entries.push_back({store::kHouseFx, currency, worth});
    entries.push_back({store::kHouseFx, original_currency, -original});
    entries.push_back({store::kHouseRevenue, original_currency, original});
  } else {
    entries.push_back({store::kHouseRevenue, currency, worth});
  }
  const auto posted = books.post(transaction);
  if (!posted) return posted.error();
  return {};
}

Result<void> WriterBooks::book_cost(store::Books& books, const EntryView& entry) const {
  BodyReader body(entry.body);
  store::Cost cost;
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

  const auto added = books.add_cost(cost);
  if (!added) return added.error();
  if (!*added || amount == 0) return {};
  const store::Transaction transaction{
      cost.id,
      "cost",
      cost.request_id,
      "",
      cost.at_unix_ns,
      {{store::kHouseCost, cost.currency, -amount},
       {store::provider_name(cost.provider), cost.currency, amount}}};
  const auto posted = books.post(transaction);
  if (!posted) return posted.error();
  return {};
}

}  // namespace switchyard::account

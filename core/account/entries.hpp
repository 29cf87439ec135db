// What the journal's entries say, and what the books make of each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/account/journal.hpp"
#include "core/account/ledger.hpp"
#include "core/store/books.hpp"

namespace switchyard::account {

// Each writes the body of one entry at `at` and returns its end.
const char* write_hold(char* at, std::span<const CellRef> cells, std::uint64_t generation,
                       Nano amount, const HoldNote& note);
const char* write_extend(char* at, std::uint64_t hold, Nano more);
struct Charged {
  Nano held = 0, charge = 0, shortfall = 0;
};
// Whether a settlement tells of its attempt's cost itself: one attempt, which it is about.
bool tells_cost(const Settlement& settlement);
const char* write_settle(char* at, std::uint64_t hold, const HoldNote& note, const Charged& charged,
                         const Settlement& settlement);
const char* write_release(char* at, std::uint64_t hold, Nano held, Released why);
const char* write_cost(char* at, const HoldNote& note, const CostLine& line);

// A hold that was written and not ended yet.
struct OpenHold {
  Nano amount = 0;
  std::uint64_t deadline_unix_ns = 0;
  std::uint64_t segment = 0;  // where it was written
  std::string rest;           // of what it says, to be read by read_rest()
};
struct HoldRest {
  std::uint64_t generation = 0;  // of the cells
  std::vector<std::uint32_t> slots;
  std::string request_id, account, key;
};
HoldRest read_rest(const OpenHold& hold);

// One writer's journal on its way into the books.
class WriterBooks {
 public:
  explicit WriterBooks(std::uint64_t writer) : name_(hex_of(writer)) {}
  const std::string& name() const { return name_; }

  // Keeps account of open holds. Each entry once.
  void follow(const EntryView& entry, std::uint64_t segment);
  // Adds what it says to what is to be booked, with views into it and into this.
  Result<void> collect(store::Batch& batch, const EntryView& entry) const;
  const std::map<std::uint64_t, OpenHold>& open() const { return open_; }
  std::string id_of(std::uint64_t sequence) const { return name_ + "-" + std::to_string(sequence); }

 private:
  Result<void> collect_settlement(store::Batch& batch, const EntryView& entry) const;
  Result<void> collect_cost(store::Batch& batch, const EntryView& entry) const;

  std::string name_;
  std::map<std::uint64_t, OpenHold> open_;
};

}  // namespace switchyard::account

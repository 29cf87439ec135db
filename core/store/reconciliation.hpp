// What upstreams reported, what was estimated in their stead, what it cost and what was billed for
// it, by day (UTC), provider and model: sums of receipts and costs, kept as these come in.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/nano.hpp"
#include "core/store/books.hpp"

namespace switchyard::store {

// Told apart by all that is named here.
struct ReconciliationRow {
  std::uint64_t day = 0;  // since 1970
  std::string provider, model;
  bool estimated = false;
  std::string currency, cost_currency;
  std::uint64_t requests = 0;  // that were billed
  std::uint64_t attempts = 0;  // calls of the upstream
  std::uint64_t unpriced = 0;  // attempts whose cost is not known
  std::array<std::uint64_t, Receipt::kQuantities> quantities{};
  Nano charge = 0, shortfall = 0, cost = 0;
};

// Over a connection, which outlives it. Blocking. [any thread]
class Reconciliation {
 public:
  explicit Reconciliation(Database& database) : database_(database) {}

  // Within a transaction.
  Result<void> add(const Batch& batch);
  // From the first to the last of these days, by day, provider and model; an empty name: all.
  Result<std::vector<ReconciliationRow>> list(std::uint64_t first_day, std::uint64_t last_day,
                                              const std::string& provider,
                                              const std::string& model);

 private:
  Database& database_;
  std::unique_ptr<Statement> insert_;
};

}  // namespace switchyard::store

// The daily report: what was reported, estimated and billed, side by side.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/catalog/price.hpp"
#include "core/store/reconciliation.hpp"

namespace switchyard::account {

// Of upstream calls whose usage was told by the upstream, or estimated.
struct ReconciledPart {
  std::uint64_t requests = 0, attempts = 0, unpriced = 0;
  std::array<std::uint64_t, store::Receipt::kQuantities> quantities{};
  std::map<std::string, Nano> cost;  // by currency
};

struct ReconciledLine {
  std::uint64_t day = 0;  // since 1970
  std::string provider, model;
  ReconciledPart reported, estimated;
  struct Billed {
    Nano charge = 0, shortfall = 0;
  };
  std::map<std::string, Billed> billed;  // by currency
};

// From the first to the last of these days; an empty name: all.
Result<std::vector<ReconciledLine>> reconcile(store::Database& database, std::uint64_t first_day,
                                              std::uint64_t last_day, const std::string& provider,
                                              const std::string& model);

// One line as a JSON object, amounts as texts.
std::string to_json(const ReconciledLine& line);

}  // namespace switchyard::account

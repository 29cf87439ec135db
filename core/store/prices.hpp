// Price lists and rates of exchange as operators imported them: every version, none ever changed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

struct PriceListRow {
  std::int64_t seq = 0;  // in the order of their import
  std::string book;      // "purchase", "sale" or "fx"
  std::string name;
  std::int64_t version = 0;  // 1, 2 ... of this name
  std::string body;          // as it was imported
  std::uint64_t created_unix_s = 0;
  std::string created_by;
};

// Blocking: never on a loop. [any thread]
class Prices {
 public:
  explicit Prices(Database& database) : database_(database) {}

  // The next version of the list; the one in force where that has the same body. A name stays in
  // the book that it was first used for. Takes book, name, body, created_by and created_unix_s.
  Result<PriceListRow> add(const PriceListRow& row);
  // The newest version of each name, in the order of their import.
  Result<std::vector<PriceListRow>> in_force();
  // Without a version the newest.
  Result<std::optional<PriceListRow>> find(const std::string& name,
                                           std::optional<std::int64_t> version);
  // Versions below `before` where that is not 0, the newest first, without their bodies.
  Result<std::vector<PriceListRow>> history(const std::string& name, std::int64_t before,
                                            std::int64_t max);
  // Grows with each import, by any process.
  Result<std::int64_t> version();

 private:
  Database& database_;
};

}  // namespace switchyard::store

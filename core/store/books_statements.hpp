// What the books run for each batch is kept prepared. For the books' own files.
#pragma once

#include <memory>

#include "core/store/books.hpp"
#include "core/store/reconciliation.hpp"

namespace switchyard::store {

struct Books::Statements {
  explicit Statements(Database& database) : reconciliation(database) {}
  std::unique_ptr<Statement> post, entry, balance, interrupted;
  Reconciliation reconciliation;
  std::unique_ptr<Statement> names, receipt, cost, day, first_place, place;
};

}  // namespace switchyard::store

// What the classes over the database do with statements again and again.
#pragma once

#include <optional>
#include <vector>

#include "core/store/database.hpp"

namespace switchyard::store {

// Each row of a bound statement, as `read` makes it.
template <class Read>
auto all_rows(Statement& statement, Read read) -> Result<std::vector<decltype(read(statement))>> {
  std::vector<decltype(read(statement))> rows;
  while (true) {
    const auto row = statement.step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(read(statement));
  }
}

template <class Read>
auto first_row(Statement& statement, Read read)
    -> Result<std::optional<decltype(read(statement))>> {
  const auto row = statement.step();
  if (!row) return row.error();
  std::optional<decltype(read(statement))> found;
  if (*row) found = read(statement);
  return found;
}

// Runs it; true where it changed a row.
inline Result<bool> changes_row(Database& database, Statement& statement) {
  const auto done = statement.run();
  if (!done) return done.error();
  return database.changed() > 0;
}

}  // namespace switchyard::store

// The steps that made the schema what it is, in order. A released step never changes; a new one
// goes to the end.
#pragma once

#include <array>

namespace switchyard::store {

inline constexpr std::array kMigrations{
    // 1: gateway keys. `models` is a JSON array of patterns; times are seconds since 1970, 0 stands
    // for never.
    R"sql(
      CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        account TEXT NOT NULL,
        mac TEXT NOT NULL UNIQUE CHECK (length(mac) = 64),
        models TEXT NOT NULL,
        created_unix_s INTEGER NOT NULL,
        disabled_unix_s INTEGER NOT NULL DEFAULT 0
      ) STRICT
    )sql",
};

}  // namespace switchyard::store

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
    // 2: jobs, which go on at an upstream between requests; `state` is a JSON object. And how often
    // the keys changed, for jobs change all the time.
    R"sql(
      CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        provider TEXT NOT NULL,
        credential TEXT NOT NULL,
        resume BLOB NOT NULL,
        key_id TEXT NOT NULL,
        account TEXT NOT NULL,
        model TEXT NOT NULL,
        upstream_model TEXT NOT NULL,
        task TEXT NOT NULL,
        state TEXT NOT NULL,
        created_unix_s INTEGER NOT NULL,
        completed_unix_s INTEGER NOT NULL DEFAULT 0,
        expires_unix_s INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX jobs_by_owner ON jobs (key_id, seq);
      CREATE INDEX jobs_by_end ON jobs (expires_unix_s);
      CREATE TABLE changes (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT;
      INSERT INTO changes VALUES ('keys', 1);
      CREATE TRIGGER keys_added AFTER INSERT ON keys
        BEGIN UPDATE changes SET n = n + 1 WHERE name = 'keys'; END;
      CREATE TRIGGER keys_changed AFTER UPDATE ON keys
        BEGIN UPDATE changes SET n = n + 1 WHERE name = 'keys'; END;
      CREATE TRIGGER keys_gone AFTER DELETE ON keys
        BEGIN UPDATE changes SET n = n + 1 WHERE name = 'keys'; END;
    )sql",
    // Price lists and rates of exchange: each import is a version, and no version ever changes.
    R"sql(
      CREATE TABLE price_lists (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        book TEXT NOT NULL CHECK (book IN ('purchase', 'sale', 'fx')),
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        body TEXT NOT NULL,
        created_unix_s INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        UNIQUE (name, version)
      ) STRICT;
      CREATE TRIGGER price_lists_changed BEFORE UPDATE ON price_lists
        BEGIN SELECT RAISE(ABORT, 'a version of a price list never changes'); END;
      CREATE TRIGGER price_lists_gone BEFORE DELETE ON price_lists
        BEGIN SELECT RAISE(ABORT, 'a version of a price list never goes'); END;
    )sql",
};

}  // namespace switchyard::store

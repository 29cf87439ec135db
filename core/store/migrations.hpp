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
    // 3: accounts. `change` is what the count of changes was when the row was last written, so that
    // what is new is found without reading all.
    R"sql(
      DROP TRIGGER keys_added;
      DROP TRIGGER keys_changed;
      DROP TRIGGER keys_gone;
      CREATE TABLE accounts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        parent TEXT NOT NULL,
        parent_pays INTEGER NOT NULL,
        mode TEXT NOT NULL CHECK (mode IN ('unmetered', 'prepaid', 'postpaid')),
        currency TEXT NOT NULL,
        credit_limit_nano INTEGER NOT NULL CHECK (credit_limit_nano >= 0),
        markup_ppm INTEGER NOT NULL,
        zone TEXT NOT NULL,
        metadata TEXT NOT NULL,
        created_unix_s INTEGER NOT NULL,
        disabled_unix_s INTEGER NOT NULL,
        change INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX accounts_by_parent ON accounts (parent);
      CREATE INDEX accounts_by_change ON accounts (change);
      INSERT INTO accounts VALUES
        (1, 'default', 'default', '', 0, 'unmetered', 'USD', 0, 0, 'UTC', '{}', 0, 0, 1);
      UPDATE keys SET account = 'default';
      ALTER TABLE keys ADD COLUMN deleted_unix_s INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE keys ADD COLUMN expires_unix_s INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE keys ADD COLUMN old_macs TEXT NOT NULL DEFAULT '';
      ALTER TABLE keys ADD COLUMN features TEXT NOT NULL DEFAULT '[]';
      ALTER TABLE keys ADD COLUMN endpoints TEXT NOT NULL DEFAULT '[]';
      ALTER TABLE keys ADD COLUMN ip_ranges TEXT NOT NULL DEFAULT '[]';
      ALTER TABLE keys ADD COLUMN default_feature TEXT NOT NULL DEFAULT '';
      ALTER TABLE keys ADD COLUMN may_explain INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE keys ADD COLUMN stores_bodies INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE keys ADD COLUMN body_bytes_max INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
      ALTER TABLE keys ADD COLUMN change INTEGER NOT NULL DEFAULT 1;
      CREATE INDEX keys_by_age ON keys (created_unix_s, id);
      CREATE INDEX keys_by_account ON keys (account, created_unix_s, id);
      CREATE INDEX keys_by_change ON keys (change);
    )sql",
};

}  // namespace switchyard::store

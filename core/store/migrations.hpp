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
    // The books: append only, but for balances and for how far the journal is in them.
    R"sql(
      CREATE TABLE transactions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        note TEXT NOT NULL,
        rate_version TEXT NOT NULL,
        at_unix_ns INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE entries (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        transaction_seq INTEGER NOT NULL REFERENCES transactions (seq),
        account TEXT NOT NULL,
        currency TEXT NOT NULL,
        amount INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX entries_by_account ON entries (account, seq);
      CREATE INDEX entries_by_transaction ON entries (transaction_seq);
      CREATE TABLE balances (
        account TEXT NOT NULL,
        currency TEXT NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (account, currency)
      ) STRICT;
      CREATE TABLE receipts (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        request_id TEXT NOT NULL,
        account TEXT NOT NULL,
        key_id TEXT NOT NULL,
        feature TEXT NOT NULL,
        task TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model_used TEXT NOT NULL,
        provider TEXT NOT NULL,
        ended TEXT NOT NULL,
        quantities TEXT NOT NULL,
        currency TEXT NOT NULL,
        charge INTEGER,
        shortfall INTEGER NOT NULL,
        held INTEGER NOT NULL,
        price_version TEXT NOT NULL,
        cost INTEGER,
        cost_currency TEXT NOT NULL,
        estimated INTEGER NOT NULL,
        started_unix_ns INTEGER NOT NULL,
        settled_unix_ns INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX receipts_by_account ON receipts (account, settled_unix_ns);
      CREATE INDEX receipts_by_request ON receipts (request_id);
      CREATE TABLE costs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        request_id TEXT NOT NULL,
        account TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        currency TEXT NOT NULL,
        amount INTEGER,
        price_version TEXT NOT NULL,
        outcome TEXT NOT NULL,
        estimated INTEGER NOT NULL,
        at_unix_ns INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX costs_by_request ON costs (request_id);
      CREATE TABLE interrupted (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        request_id TEXT NOT NULL,
        account TEXT NOT NULL,
        key_id TEXT NOT NULL,
        held INTEGER NOT NULL,
        at_unix_ns INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE journal_places (
        writer TEXT PRIMARY KEY,
        segment INTEGER NOT NULL,
        place INTEGER NOT NULL
      ) STRICT;
      CREATE TRIGGER journal_places_forward BEFORE UPDATE ON journal_places
        WHEN NEW.segment < OLD.segment OR
             (NEW.segment = OLD.segment AND NEW.place < OLD.place)
        BEGIN SELECT RAISE(ABORT, 'a place in the journal goes forward only'); END;
      CREATE TRIGGER transactions_stay BEFORE UPDATE ON transactions
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER transactions_remain BEFORE DELETE ON transactions
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER entries_remain BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER receipts_stay BEFORE UPDATE ON receipts
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER receipts_remain BEFORE DELETE ON receipts
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER costs_stay BEFORE UPDATE ON costs
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER costs_remain BEFORE DELETE ON costs
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER interrupted_stay BEFORE UPDATE ON interrupted
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER interrupted_remain BEFORE DELETE ON interrupted
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
    )sql",
    // The admin API: its tokens (0 stands for never, an empty account for no scope), the audit log,
    // which is only ever appended to, and answers kept for calls with an idempotency key.
    R"sql(
      CREATE TABLE admin_tokens (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
        account TEXT NOT NULL,
        mac TEXT NOT NULL UNIQUE CHECK (length(mac) = 64),
        created_by TEXT NOT NULL,
        created_unix_s INTEGER NOT NULL,
        expires_unix_s INTEGER NOT NULL DEFAULT 0,
        disabled_unix_s INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      CREATE TABLE audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at_unix_ms INTEGER NOT NULL,
        caller_id TEXT NOT NULL,
        caller TEXT NOT NULL,
        role TEXT NOT NULL,
        peer TEXT NOT NULL,
        method TEXT NOT NULL,
        route TEXT NOT NULL,
        object TEXT NOT NULL,
        body TEXT NOT NULL,
        body_mac TEXT NOT NULL
      ) STRICT;
      CREATE TABLE audit_ends (
        seq INTEGER PRIMARY KEY REFERENCES audit (seq),
        status INTEGER NOT NULL,
        object TEXT NOT NULL,
        code TEXT NOT NULL
      ) STRICT;
      CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
      CREATE TRIGGER audit_kept BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
      CREATE TRIGGER audit_ends_fixed BEFORE UPDATE ON audit_ends
        BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
      CREATE TRIGGER audit_ends_kept BEFORE DELETE ON audit_ends
        BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END;
      CREATE TABLE replays (
        caller_id TEXT NOT NULL,
        key TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        begun_unix_s INTEGER NOT NULL,
        status INTEGER,
        type TEXT,
        body TEXT,
        PRIMARY KEY (caller_id, key)
      ) STRICT;
      CREATE INDEX replays_by_time ON replays (begun_unix_s);
    )sql",
    // Accounts. `change` is what the count of changes was when the row was last written, so that
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
    // Plans and what is sold: each change of a plan is a new version, which a subscription keeps.
    // Amounts are nano-units; `quota_tokens`, `limits` and `models` are JSON; `anchor_day` counts
    // days since 1970-01-01 in `zone`. An order belongs to one provider, amount and currency.
    R"sql(
      CREATE TABLE plans (
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        name TEXT NOT NULL,
        price INTEGER NOT NULL CHECK (price >= 0),
        currency TEXT NOT NULL,
        period TEXT NOT NULL,
        quota INTEGER NOT NULL CHECK (quota >= 0),
        quota_tokens TEXT NOT NULL,
        limits TEXT NOT NULL,
        models TEXT NOT NULL,
        offered INTEGER NOT NULL,
        created_unix_s INTEGER NOT NULL,
        PRIMARY KEY (id, version)
      ) STRICT;
      CREATE TABLE subscriptions (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        plan TEXT NOT NULL,
        plan_version INTEGER NOT NULL,
        next_plan TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL,
        ends INTEGER NOT NULL DEFAULT 0,
        zone TEXT NOT NULL,
        anchor_day INTEGER NOT NULL,
        start_unix_s INTEGER NOT NULL,
        end_unix_s INTEGER NOT NULL,
        due_unix_s INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        grant_id TEXT NOT NULL DEFAULT '',
        grant_amount INTEGER NOT NULL DEFAULT 0,
        created_unix_s INTEGER NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX subscriptions_once ON subscriptions (account, plan)
        WHERE state <> 'ended';
      CREATE INDEX subscriptions_by_due ON subscriptions (due_unix_s) WHERE state <> 'ended';
      CREATE TABLE orders (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        kind TEXT NOT NULL,
        provider TEXT NOT NULL,
        reference TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        currency TEXT NOT NULL,
        plan TEXT NOT NULL DEFAULT '',
        of_order TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL,
        payment TEXT NOT NULL DEFAULT '',
        refunded INTEGER NOT NULL DEFAULT 0,
        alarm TEXT NOT NULL DEFAULT '',
        created_unix_s INTEGER NOT NULL,
        changed_unix_s INTEGER NOT NULL,
        UNIQUE (provider, reference)
      ) STRICT;
      CREATE INDEX orders_by_account ON orders (account, id);
      CREATE INDEX orders_by_state ON orders (state) WHERE state = 'paid';
      CREATE INDEX orders_by_payment ON orders (provider, payment) WHERE payment <> '';
      CREATE TABLE payment_events (
        provider TEXT NOT NULL,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        order_id TEXT NOT NULL,
        outcome TEXT NOT NULL,
        at_unix_s INTEGER NOT NULL,
        PRIMARY KEY (provider, id)
      ) STRICT;
      CREATE TABLE code_batches (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        currency TEXT NOT NULL,
        count INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        expires_unix_s INTEGER NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0,
        created_unix_s INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE codes (
        mac TEXT PRIMARY KEY CHECK (length(mac) = 64),
        batch TEXT NOT NULL REFERENCES code_batches (id),
        uses_left INTEGER NOT NULL CHECK (uses_left >= 0)
      ) STRICT;
      CREATE INDEX codes_by_batch ON codes (batch);
      CREATE TABLE code_uses (
        mac TEXT NOT NULL REFERENCES codes (mac),
        account TEXT NOT NULL,
        order_id TEXT NOT NULL,
        at_unix_s INTEGER NOT NULL,
        PRIMARY KEY (mac, account)
      ) STRICT;
      CREATE TABLE invoices (
        number INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        currency TEXT NOT NULL,
        start_unix_s INTEGER NOT NULL,
        end_unix_s INTEGER NOT NULL,
        issued_unix_s INTEGER NOT NULL,
        document TEXT NOT NULL,
        UNIQUE (account, currency, start_unix_s)
      ) STRICT;
      CREATE TABLE budgets (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        account TEXT NOT NULL,
        key_id TEXT NOT NULL,
        feature TEXT NOT NULL,
        model TEXT NOT NULL,
        period TEXT NOT NULL,
        zone TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount >= 0),
        currency TEXT NOT NULL,
        hard INTEGER NOT NULL,
        thresholds TEXT NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0,
        created_unix_s INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE budget_spending (
        budget TEXT NOT NULL REFERENCES budgets (id),
        start_unix_s INTEGER NOT NULL,
        spent INTEGER NOT NULL,
        PRIMARY KEY (budget, start_unix_s)
      ) STRICT;
      INSERT INTO changes VALUES ('budgets', 1), ('budgets_booked', 0);
      CREATE TABLE alerts (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL,
        created_unix_s INTEGER NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0,
        due_unix_s INTEGER NOT NULL,
        delivered_unix_s INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      CREATE INDEX alerts_by_due ON alerts (due_unix_s) WHERE delivered_unix_s = 0;
    )sql",
    // What was charged by day (UTC): sums of the receipts, kept as these come in.
    R"sql(
      CREATE TABLE usage_days (
        account TEXT NOT NULL,
        key_id TEXT NOT NULL,
        day INTEGER NOT NULL,
        model TEXT NOT NULL,
        currency TEXT NOT NULL,
        requests INTEGER NOT NULL,
        charge INTEGER NOT NULL,
        PRIMARY KEY (account, key_id, day, model, currency)
      ) STRICT;
      INSERT INTO usage_days
        SELECT account, key_id, settled_unix_ns / 86400000000000, model_used, currency, COUNT(*),
          SUM(COALESCE(charge, 0)) FROM receipts GROUP BY 1, 2, 3, 4, 5;
      CREATE TRIGGER receipts_summed AFTER INSERT ON receipts BEGIN
        INSERT INTO usage_days VALUES (NEW.account, NEW.key_id,
          NEW.settled_unix_ns / 86400000000000, NEW.model_used, NEW.currency, 1,
          COALESCE(NEW.charge, 0))
        ON CONFLICT (account, key_id, day, model, currency) DO UPDATE
          SET requests = requests + 1, charge = charge + excluded.charge;
      END;
    )sql",
    // What keys and accounts may ask for in a time (JSON: {"rpm":N, ...}), whose requests go first
    // under overload, what limits of days and months have counted, and that subscriptions change.
    R"sql(
      ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
      ALTER TABLE keys ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
      ALTER TABLE accounts ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
      CREATE TABLE limit_counts (
        subject TEXT NOT NULL,
        which INTEGER NOT NULL,
        start_unix_s INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        PRIMARY KEY (subject, which)
      ) STRICT;
      INSERT INTO changes VALUES ('subscriptions', 1);
      CREATE TRIGGER subscriptions_added AFTER INSERT ON subscriptions BEGIN
        UPDATE changes SET n = n + 1 WHERE name = 'subscriptions';
      END;
      CREATE TRIGGER subscriptions_changed AFTER UPDATE ON subscriptions BEGIN
        UPDATE changes SET n = n + 1 WHERE name = 'subscriptions';
      END;
    )sql",
    // Where a key's requests may go.
    R"sql(
      ALTER TABLE keys ADD COLUMN providers TEXT NOT NULL DEFAULT '[]';
      ALTER TABLE keys ADD COLUMN providers_denied TEXT NOT NULL DEFAULT '[]';
      ALTER TABLE keys ADD COLUMN regions TEXT NOT NULL DEFAULT '[]';
    )sql",
    // Receipts in few bytes: what many have in common is a row of `receipt_names`, and many are
    // moved by one transaction, which names their range. `receipts` shows them as they were.
    R"sql(
      DROP TRIGGER receipts_summed;
      DROP TRIGGER receipts_stay;
      DROP TRIGGER receipts_remain;
      DROP TRIGGER transactions_stay;
      DROP TRIGGER costs_stay;
      ALTER TABLE transactions ADD COLUMN receipts_from INTEGER;
      ALTER TABLE transactions ADD COLUMN receipts_to INTEGER;
      ALTER TABLE costs ADD COLUMN transaction_seq INTEGER;
      UPDATE transactions SET receipts_from = r.seq, receipts_to = r.seq
        FROM receipts r WHERE r.id = transactions.id AND transactions.kind = 'charge';
      UPDATE costs SET transaction_seq = t.seq FROM transactions t WHERE t.id = costs.id;
      CREATE TABLE receipt_names (
        number INTEGER PRIMARY KEY,
        writer TEXT NOT NULL,
        key_id TEXT NOT NULL,
        feature TEXT NOT NULL,
        task TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model_used TEXT NOT NULL,
        provider TEXT NOT NULL,
        ended TEXT NOT NULL,
        currency TEXT NOT NULL,
        price_version TEXT NOT NULL,
        cost_currency TEXT NOT NULL,
        cost_version TEXT NOT NULL,
        original_currency TEXT NOT NULL,
        rate_version TEXT NOT NULL
      ) STRICT;
      CREATE TABLE receipt_rows (
        seq INTEGER PRIMARY KEY,
        names INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        account TEXT NOT NULL,
        request_id TEXT NOT NULL,
        quantities TEXT NOT NULL,
        estimated INTEGER NOT NULL,
        charge INTEGER,
        shortfall INTEGER NOT NULL,
        held INTEGER NOT NULL,
        original INTEGER,
        transaction_seq INTEGER,
        cost INTEGER,
        cost_alone INTEGER NOT NULL,
        cost_transaction_seq INTEGER,
        started_unix_ns INTEGER NOT NULL,
        settled_unix_ns INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE receipts_exchanged AS
        SELECT t.seq, t.rate_version, e.currency, -e.amount AS original
          FROM transactions t JOIN entries e ON e.transaction_seq = t.seq
          WHERE t.kind = 'charge' AND t.rate_version <> '' AND e.account = 'house:fx' AND
            e.amount < 0;
      CREATE INDEX receipts_exchanged_by_seq ON receipts_exchanged (seq);
      CREATE TABLE receipts_told AS
        SELECT r.*, t.seq AS transaction_seq, x.original,
            COALESCE(x.currency, '') AS original_currency,
            COALESCE(x.rate_version, '') AS rate_version
          FROM receipts r LEFT JOIN transactions t ON t.id = r.id AND t.kind = 'charge'
            LEFT JOIN receipts_exchanged x ON x.seq = t.seq;
      INSERT INTO receipt_names (writer, key_id, feature, task, model_asked, model_used, provider,
          ended, currency, price_version, cost_currency, cost_version, original_currency,
          rate_version)
        SELECT DISTINCT substr(id, 1, 16), key_id, feature, task, model_asked, model_used,
          provider, ended, currency, price_version, cost_currency, '', original_currency,
          rate_version FROM receipts_told;
      CREATE INDEX receipt_names_all ON receipt_names (writer, key_id, feature, task, model_asked,
        model_used, provider, ended, currency, price_version, cost_currency, original_currency,
        rate_version);
      INSERT INTO receipt_rows
        SELECT r.seq, n.number, CAST(substr(r.id, 18) AS INTEGER), r.account, r.request_id,
            r.quantities, r.estimated, r.charge, r.shortfall, r.held, r.original,
            r.transaction_seq, r.cost, 0, NULL, r.started_unix_ns, r.settled_unix_ns
          FROM receipts_told r JOIN receipt_names n ON n.writer = substr(r.id, 1, 16) AND
            n.key_id = r.key_id AND n.feature = r.feature AND n.task = r.task AND
            n.model_asked = r.model_asked AND n.model_used = r.model_used AND
            n.provider = r.provider AND n.ended = r.ended AND n.currency = r.currency AND
            n.price_version = r.price_version AND n.cost_currency = r.cost_currency AND
            n.original_currency = r.original_currency AND n.rate_version = r.rate_version
          ORDER BY r.seq;
      DROP INDEX receipt_names_all;
      DROP TABLE receipts_told;
      DROP TABLE receipts_exchanged;
      DROP TABLE receipts;
      CREATE INDEX receipt_rows_by_account ON receipt_rows (account, settled_unix_ns);
      CREATE VIEW receipts AS
        SELECT r.seq, n.writer || '-' || r.sequence AS id, r.request_id, r.account, n.key_id,
            n.feature, n.task, n.model_asked, n.model_used, n.provider, n.ended, r.quantities,
            n.currency, r.charge, r.shortfall, r.held, n.price_version, r.cost, n.cost_currency,
            r.estimated, r.started_unix_ns, r.settled_unix_ns, r.cost_alone, n.cost_version,
            r.original, n.original_currency, n.rate_version, r.transaction_seq,
            r.cost_transaction_seq, n.writer, r.sequence
          FROM receipt_rows r JOIN receipt_names n ON n.number = r.names;
      CREATE TABLE reconciliation (
        day INTEGER NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        estimated INTEGER NOT NULL,
        currency TEXT NOT NULL,
        cost_currency TEXT NOT NULL,
        requests INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        charge INTEGER NOT NULL,
        shortfall INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        q0 INTEGER NOT NULL,
        q1 INTEGER NOT NULL,
        q2 INTEGER NOT NULL,
        q3 INTEGER NOT NULL,
        q4 INTEGER NOT NULL,
        q5 INTEGER NOT NULL,
        q6 INTEGER NOT NULL,
        q7 INTEGER NOT NULL,
        q8 INTEGER NOT NULL,
        q9 INTEGER NOT NULL,
        q10 INTEGER NOT NULL,
        q11 INTEGER NOT NULL,
        q12 INTEGER NOT NULL,
        q13 INTEGER NOT NULL,
        q14 INTEGER NOT NULL,
        q15 INTEGER NOT NULL,
        PRIMARY KEY (day, provider, model, estimated, currency, cost_currency)
      ) STRICT;
      INSERT INTO reconciliation
        SELECT settled_unix_ns / 86400000000000, provider, model_used, estimated, currency, '',
            COUNT(*), 0, 0, SUM(COALESCE(charge, 0)), SUM(shortfall), 0,
            SUM(COALESCE(json_extract(quantities, '$[0]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[1]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[2]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[3]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[4]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[5]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[6]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[7]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[8]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[9]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[10]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[11]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[12]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[13]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[14]'), 0)),
            SUM(COALESCE(json_extract(quantities, '$[15]'), 0))
          FROM receipts GROUP BY 1, 2, 3, 4, 5;
      INSERT INTO reconciliation
        SELECT at_unix_ns / 86400000000000, provider, model, estimated, '', currency, 0, COUNT(*),
            SUM(amount IS NULL), 0, 0, SUM(COALESCE(amount, 0)),
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
          FROM costs WHERE true GROUP BY 1, 2, 3, 4, 6
        ON CONFLICT (day, provider, model, estimated, currency, cost_currency) DO UPDATE SET
          attempts = reconciliation.attempts + excluded.attempts,
          unpriced = reconciliation.unpriced + excluded.unpriced,
          cost = reconciliation.cost + excluded.cost;
      CREATE TRIGGER transactions_stay BEFORE UPDATE ON transactions
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER costs_stay BEFORE UPDATE ON costs
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER receipt_rows_stay BEFORE UPDATE ON receipt_rows
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER receipt_rows_remain BEFORE DELETE ON receipt_rows
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER receipt_names_stay BEFORE UPDATE ON receipt_names
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
      CREATE TRIGGER receipt_names_remain BEFORE DELETE ON receipt_names
        BEGIN SELECT RAISE(ABORT, 'the books are append only'); END;
    )sql",
    // The answers to calls made once, sealed; `body` has those that were kept before.
    R"sql(
      ALTER TABLE replays ADD COLUMN sealed BLOB;
    )sql",
};

}  // namespace switchyard::store

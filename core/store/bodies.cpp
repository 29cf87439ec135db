#include "core/store/bodies.hpp"

#include "core/base/seal.hpp"

namespace switchyard::store {
namespace {

constexpr const char* kMigrations[] = {R"sql(
  CREATE TABLE bodies (
    seq INTEGER PRIMARY KEY,
    at_unix_s INTEGER NOT NULL,
    size INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    cut INTEGER NOT NULL,
    request BLOB NOT NULL,
    answer BLOB NOT NULL
  );
  CREATE INDEX bodies_by_record ON bodies (record_id);
  CREATE INDEX bodies_by_key ON bodies (key_id);
  CREATE INDEX bodies_by_time ON bodies (at_unix_s, size);
)sql",
                                       R"sql(
  ALTER TABLE bodies ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
)sql",
                                       R"sql(
  ALTER TABLE bodies ADD COLUMN runner TEXT NOT NULL DEFAULT '';
  CREATE TABLE response_items (
    item_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    body INTEGER NOT NULL
  );
  CREATE INDEX response_items_by_id ON response_items (item_id, account_id);
  CREATE INDEX response_items_by_body ON response_items (body);
  CREATE TRIGGER response_items_end AFTER DELETE ON bodies BEGIN
    DELETE FROM response_items WHERE body = old.seq;
  END;
)sql"};

constexpr std::int64_t kRemovedAtOnce = 500;

Result<Sealer> sealer_of(const Secret& secret, const std::string& key_id) {
  return Sealer::make(secret, "switchyard bodies of " + key_id);
}

std::string about(const char* what, const std::string& record_id) {
  return std::string(what) + " " + record_id;
}

}  // namespace

std::filesystem::path bodies_file(const std::filesystem::path& state) {
  return state / "bodies.db";
}

Result<std::unique_ptr<Bodies>> Bodies::open(const std::filesystem::path& file, Secret secret) {
  auto database = Database::open_sqlite(file, kMigrations);
  if (!database) return database.error();
  return std::unique_ptr<Bodies>(new Bodies(std::move(*database), std::move(secret)));
}

Result<void> Bodies::insert(const BodyRow& row) {
  const auto sealer = sealer_of(secret_, row.key_id);
  if (!sealer) return sealer.error();
  const auto request = sealer->seal(row.request, about("request", row.record_id));
  if (!request) return request.error();
  const auto answer = sealer->seal(row.answer, about("answer", row.record_id));
  if (!answer) return answer.error();
  const auto insert = database_->prepare(
      "INSERT INTO bodies (at_unix_s, size, key_id, record_id, cut, request, answer, account_id,"
      " runner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert->bind(row.at_unix_s).bind(request->size() + answer->size()).bind(row.key_id);
  insert->bind(row.record_id).bind(row.cut).bind_blob(*request).bind_blob(*answer);
  insert->bind(row.account_id).bind(row.runner);
  if (auto inserted = insert->run(); !inserted) return inserted;
  return name_items(row);
}

Result<void> Bodies::name_items(const BodyRow& row) {
  if (row.items.empty()) return {};
  const auto newest =
      database_->prepare("SELECT MAX(seq) FROM bodies WHERE record_id = ? AND account_id = ?");
  const auto found = newest->bind(row.record_id).bind(row.account_id).step();
  if (!found) return found.error();
  const auto insert =
      database_->prepare("INSERT INTO response_items (item_id, account_id, body) VALUES (?, ?, ?)");
  for (const std::string& id : row.items) {
    const auto inserted = insert->bind(id).bind(row.account_id).bind(newest->number(0)).run();
    if (!inserted) return inserted;
    insert->reset();
  }
  return {};
}

Result<void> Bodies::write(std::span<const BodyRow> rows) {
  return database_->transact([&]() -> Result<void> {
    for (const BodyRow& row : rows) {
      if (auto inserted = insert(row); !inserted) return inserted;
    }
    return {};
  });
}

Result<std::optional<BodyRow>> Bodies::find(const std::string& record_id,
                                            const std::string& key_id) {
  const auto held = database_->lock();
  const auto select = database_->prepare(
      "SELECT key_id, at_unix_s, cut, request, answer, account_id, runner FROM bodies"
      " WHERE record_id = ? AND key_id = ? AND account_id = '' ORDER BY seq DESC LIMIT 1");
  return open_row(select->bind(record_id).bind(key_id), record_id);
}

Result<std::optional<BodyRow>> Bodies::find_response(const std::string& id,
                                                     const std::string& account_id) {
  const auto held = database_->lock();
  const auto select = database_->prepare(
      "SELECT key_id, at_unix_s, cut, request, answer, account_id, runner FROM bodies"
      " WHERE record_id = ? AND account_id = ? AND account_id <> '' ORDER BY seq DESC LIMIT 1");
  return open_row(select->bind(id).bind(account_id), id);
}

Result<bool> Bodies::end_response(const BodyRow& row) {
  const auto sealer = sealer_of(secret_, row.key_id);
  if (!sealer) return sealer.error();
  const auto answer = sealer->seal(row.answer, about("answer", row.record_id));
  if (!answer) return answer.error();
  bool ended = false;
  const auto written = database_->transact([&]() -> Result<void> {
    const auto update = database_->prepare(
        "UPDATE bodies SET answer = ?, size = length(request) + ?, runner = ''"
        " WHERE record_id = ? AND account_id = ? AND runner <> ''");
    update->bind_blob(*answer).bind(answer->size()).bind(row.record_id).bind(row.account_id);
    if (auto updated = update->run(); !updated) return updated;
    ended = database_->changed() > 0;
    return ended ? name_items(row) : Result<void>();
  });
  if (!written) return written.error();
  return ended;
}

Result<std::string> Bodies::response_of_item(const std::string& item_id,
                                             const std::string& account_id) {
  const auto held = database_->lock();
  const auto select = database_->prepare(
      "SELECT record_id FROM bodies JOIN response_items ON body = seq"
      " WHERE item_id = ? AND response_items.account_id = ? ORDER BY seq DESC LIMIT 1");
  const auto row = select->bind(item_id).bind(account_id).step();
  if (!row) return row.error();
  return *row ? select->text(0) : std::string();
}

Result<bool> Bodies::forget_response(const std::string& id, const std::string& account_id) {
  const auto held = database_->lock();
  const auto remove = database_->prepare(
      "DELETE FROM bodies WHERE record_id = ? AND account_id = ? AND account_id <> ''");
  if (auto removed = remove->bind(id).bind(account_id).run(); !removed) return removed.error();
  return database_->changed() > 0;
}

Result<std::optional<BodyRow>> Bodies::open_row(Statement& select, const std::string& record_id) {
  const auto row = select.step();
  if (!row) return row.error();
  if (!*row) return std::optional<BodyRow>();
  BodyRow found;
  found.record_id = record_id;
  found.key_id = select.text(0);
  found.at_unix_s = static_cast<std::uint64_t>(select.number(1));
  found.cut = select.number(2) != 0;
  found.account_id = select.text(5);
  found.runner = select.text(6);
  const auto sealer = sealer_of(secret_, found.key_id);
  if (!sealer) return sealer.error();
  auto request = sealer->open(select.blob(3), about("request", record_id));
  auto answer = sealer->open(select.blob(4), about("answer", record_id));
  if (!request || !answer) {
    return database_->error(
        "the bodies of " + record_id +
        " can't be opened: they are damaged, or were kept under another pepper");
  }
  found.request = std::move(*request);
  found.answer = std::move(*answer);
  return std::optional<BodyRow>(std::move(found));
}

Result<void> Bodies::tidy(const BodyLimits& limits, std::uint64_t now_unix_s) {
  return database_->transact([&]() -> Result<void> {
    const auto kept_s = static_cast<std::uint64_t>(std::chrono::seconds(limits.keep).count());
    const auto old = database_->prepare("DELETE FROM bodies WHERE at_unix_s < ?");
    old->bind(now_unix_s > kept_s ? now_unix_s - kept_s : 0);
    if (auto removed = old->run(); !removed) return removed;
    while (true) {
      const auto size = database_->number("SELECT COALESCE(SUM(size), 0) FROM bodies");
      if (!size) return size.error();
      if (static_cast<std::uint64_t>(*size) <= limits.size_max) return {};
      const auto oldest = database_->prepare(
          "DELETE FROM bodies WHERE seq IN (SELECT seq FROM bodies ORDER BY seq LIMIT ?)");
      if (auto removed = oldest->bind(kRemovedAtOnce).run(); !removed) return removed;
    }
  });
}

Result<std::vector<std::string>> Bodies::keys() {
  const auto held = database_->lock();
  const auto select = database_->prepare("SELECT DISTINCT key_id FROM bodies");
  std::vector<std::string> ids;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return ids;
    ids.push_back(select->text(0));
  }
}

Result<void> Bodies::forget(const std::string& key_id) {
  const auto held = database_->lock();
  return database_->prepare("DELETE FROM bodies WHERE key_id = ?")->bind(key_id).run();
}

}  // namespace switchyard::store

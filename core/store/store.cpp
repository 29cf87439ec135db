#include "core/store/store.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>

#include "core/store/migrations.hpp"

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

std::string models_to_json(const std::vector<std::string>& models) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartArray();
  for (const std::string& model : models) json.String(model);
  json.EndArray();
  return {buffer.GetString(), buffer.GetSize()};
}

// Nothing where the text is no array of texts: an unreadable restriction must not become none.
std::optional<std::vector<std::string>> models_from_json(const std::string& text) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (document.HasParseError() || !document.IsArray()) return std::nullopt;
  std::vector<std::string> models;
  for (const auto& model : document.GetArray()) {
    if (!model.IsString()) return std::nullopt;
    models.emplace_back(model.GetString(), model.GetStringLength());
  }
  return models;
}

std::uint64_t count(const Statement& row, int column) {
  return static_cast<std::uint64_t>(row.number(column));
}

JobRow job_of(const Statement& row) {
  return {row.text(0),    row.text(1),    row.text(2),   row.blob(3), row.text(4),
          row.text(5),    row.text(6),    row.text(7),   row.text(8), row.text(9),
          count(row, 10), count(row, 11), count(row, 12)};
}

}  // namespace

Store::Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Store::~Store() = default;

Result<std::unique_ptr<Database>> open_database(const fs::path& state_directory) {
  return Database::open_sqlite(state_directory / "switchyard.db", kMigrations);
}

Result<std::unique_ptr<Store>> Store::open(const fs::path& state_directory) {
  auto database = open_database(state_directory);
  if (!database) return database.error();
  return std::unique_ptr<Store>(new Store(std::move(*database)));
}

Result<void> Store::add_key(const KeyRow& key) {
  const auto held = database_->lock();
  const auto insert = database_->prepare(
      "INSERT INTO keys (id, name, account, mac, models, created_unix_s, "
      "disabled_unix_s) VALUES (?, ?, ?, ?, ?, ?, ?)");
  insert->bind(key.id).bind(key.name).bind(key.account).bind(key.mac_hex);
  insert->bind(models_to_json(key.models)).bind(key.created_unix_s).bind(key.disabled_unix_s);
  const auto done = insert->step();
  if (!done) return done.error();
  return {};
}

Result<std::vector<KeyRow>> Store::keys() {
  const auto held = database_->lock();
  const auto select = database_->prepare(
      "SELECT id, name, account, mac, models, created_unix_s, disabled_unix_s "
      "FROM keys ORDER BY created_unix_s, id");
  std::vector<KeyRow> rows;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return rows;
    auto models = models_from_json(select->text(4));
    if (!models) {
      return database_->error("key " + select->text(0) + ": its models are no JSON array of texts");
    }
    rows.push_back({select->text(0), select->text(1), select->text(2), select->text(3),
                    std::move(*models), count(*select, 5), count(*select, 6)});
  }
}

Result<bool> Store::disable_key(const std::string& id, std::uint64_t at_unix_s) {
  const auto held = database_->lock();
  const auto find = database_->prepare("SELECT 1 FROM keys WHERE id = ?");
  const auto found = find->bind(id).step();
  if (!found) return found.error();
  if (!*found) return false;
  // The first time stands.
  const auto update = database_->prepare(
      "UPDATE keys SET disabled_unix_s = ? WHERE id = ? AND disabled_unix_s = 0");
  const auto done = update->bind(at_unix_s).bind(id).step();
  if (!done) return done.error();
  return true;
}

Result<void> Store::backup(const fs::path& target) {
  const auto held = database_->lock();
  return database_->backup(target);
}

unsigned Store::schema_version() const { return static_cast<unsigned>(kMigrations.size()); }

Result<std::uint64_t> Store::keys_version() {
  const auto held = database_->lock();
  const auto version = database_->number("SELECT n FROM changes WHERE name = 'keys'");
  if (!version) return version.error();
  return static_cast<std::uint64_t>(*version);
}

// ---- jobs ----

#define JOB_COLUMNS                                                                         \
  "id, provider, credential, resume, key_id, account, model, upstream_model, task, state, " \
  "created_unix_s, completed_unix_s, expires_unix_s"

Result<void> Store::add_job(const JobRow& job, std::uint64_t now_unix_s) {
  const auto held = database_->lock();
  const auto expire = database_->prepare("DELETE FROM jobs WHERE expires_unix_s <= ?");
  const auto over = expire->bind(now_unix_s).step();
  if (!over) return over.error();
  const auto insert = database_->prepare("INSERT INTO jobs (" JOB_COLUMNS
                                         ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert->bind(job.id).bind(job.provider).bind(job.credential).bind_blob(job.resume);
  insert->bind(job.key_id).bind(job.account).bind(job.model).bind(job.upstream_model);
  insert->bind(job.task).bind(job.state).bind(job.created_unix_s).bind(job.completed_unix_s);
  const auto done = insert->bind(job.expires_unix_s).step();
  if (!done) return done.error();
  return {};
}

Result<std::optional<JobRow>> Store::job(const std::string& id, const std::string& key_id,
                                         std::uint64_t now_unix_s) {
  const auto held = database_->lock();
  const auto select = database_->prepare(
      "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ? AND key_id = ? AND expires_unix_s > ?");
  const auto row = select->bind(id).bind(key_id).bind(now_unix_s).step();
  if (!row) return row.error();
  std::optional<JobRow> found;
  if (*row) found = job_of(*select);
  return found;
}

Result<std::vector<JobRow>> Store::jobs(const std::string& key_id, const std::string& after,
                                        bool ascending, std::uint64_t max,
                                        std::uint64_t now_unix_s) {
  const auto held = database_->lock();
  std::uint64_t from = ascending ? 0 : std::uint64_t{1} << 62;
  if (!after.empty()) {
    const auto find = database_->prepare("SELECT seq FROM jobs WHERE id = ? AND key_id = ?");
    const auto row = find->bind(after).bind(key_id).step();
    if (!row) return row.error();
    if (!*row) return std::vector<JobRow>();
    from = count(*find, 0);
  }
  const auto select =
      database_->prepare(ascending ? "SELECT " JOB_COLUMNS
                                     " FROM jobs WHERE key_id = ? AND seq > ? AND "
                                     "expires_unix_s > ? ORDER BY seq LIMIT ?"
                                   : "SELECT " JOB_COLUMNS
                                     " FROM jobs WHERE key_id = ? AND seq < ? AND "
                                     "expires_unix_s > ? ORDER BY seq DESC LIMIT ?");
  select->bind(key_id).bind(from).bind(now_unix_s).bind(max);
  std::vector<JobRow> rows;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(job_of(*select));
  }
}

#undef JOB_COLUMNS

Result<void> Store::update_job(const JobRow& job) {
  const auto held = database_->lock();
  const auto update = database_->prepare(
      "UPDATE jobs SET resume = ?, state = ?, completed_unix_s = ?, "
      "expires_unix_s = ? WHERE id = ?");
  update->bind_blob(job.resume).bind(job.state).bind(job.completed_unix_s);
  const auto done = update->bind(job.expires_unix_s).bind(job.id).step();
  if (!done) return done.error();
  return {};
}

Result<void> Store::remove_job(const std::string& id) {
  const auto held = database_->lock();
  const auto remove = database_->prepare("DELETE FROM jobs WHERE id = ?");
  const auto done = remove->bind(id).step();
  if (!done) return done.error();
  return {};
}

}  // namespace switchyard::store

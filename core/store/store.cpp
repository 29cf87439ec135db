#include "core/store/store.hpp"

#include "core/store/migrations.hpp"

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

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

Result<void> Store::backup(const fs::path& target) {
  const auto held = database_->lock();
  return database_->backup(target);
}

unsigned Store::schema_version() const { return static_cast<unsigned>(kMigrations.size()); }

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

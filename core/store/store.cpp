#include "core/store/store.hpp"

#include <fcntl.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>

#include "core/store/migrations.hpp"

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

constexpr int kBusyMs = 5000;

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

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

// SQLite would make the file readable for all; its WAL and index take the mode over from it.
Result<void> make_file(const fs::path& file, int extra_flags) {
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | extra_flags, 0600);
  if (fd < 0) return Error{file.string() + ": " + std::strerror(errno)};
  close(fd);
  return {};
}

}  // namespace

class Store::Impl {
 public:
  explicit Impl(fs::path file) : file_(std::move(file)) {}

  // One prepared statement; parameters are bound in order, never written into the text.
  class Statement {
   public:
    Statement(Impl& impl, const char* sql) : impl_(impl) {
      sqlite3_stmt* made = nullptr;
      code_ = sqlite3_prepare_v2(impl.database_.get(), sql, -1, &made, nullptr);
      statement_.reset(made);
    }
    Statement& bind(const std::string& text) {
      if (code_ != SQLITE_OK) return *this;
      code_ = sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(),
                                  SQLITE_TRANSIENT, SQLITE_UTF8);
      return *this;
    }
    Statement& bind_blob(const std::string& bytes) {
      if (code_ != SQLITE_OK) return *this;
      code_ = sqlite3_bind_blob64(statement_.get(), ++bound_, bytes.data(), bytes.size(),
                                  SQLITE_TRANSIENT);
      return *this;
    }
    Statement& bind(std::uint64_t number) {
      if (code_ != SQLITE_OK) return *this;
      code_ = sqlite3_bind_int64(statement_.get(), ++bound_, static_cast<sqlite3_int64>(number));
      return *this;
    }
    // True: there is a row. False: the end.
    Result<bool> step() {
      if (code_ == SQLITE_OK) {
        const int stepped = sqlite3_step(statement_.get());
        if (stepped == SQLITE_ROW) return true;
        if (stepped == SQLITE_DONE) return false;
      }
      return impl_.error();
    }
    std::string text(int column) const {
      const auto* bytes = sqlite3_column_text(statement_.get(), column);
      const int size = sqlite3_column_bytes(statement_.get(), column);
      if (bytes == nullptr) return {};
      return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
    }
    std::string blob(int column) const {
      const void* bytes = sqlite3_column_blob(statement_.get(), column);
      const int size = sqlite3_column_bytes(statement_.get(), column);
      if (bytes == nullptr) return {};
      return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
    }
    std::uint64_t number(int column) const {
      return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
    }

   private:
    Impl& impl_;
    std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
    int code_ = SQLITE_OK;
    int bound_ = 0;
  };

  static JobRow job_of(const Statement& row);

  Error error() const { return Error{file_.string() + ": " + sqlite3_errmsg(database_.get())}; }

  Result<void> run(const std::string& sql) {
    if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
      return {};
    }
    return error();
  }

  Result<std::uint64_t> number(const char* sql) {
    Statement statement(*this, sql);
    const auto row = statement.step();
    if (!row) return row.error();
    if (!*row) return Error{file_.string() + ": no answer to " + sql};
    return statement.number(0);
  }

  Result<void> open() {
    const auto made = make_file(file_, 0);
    if (!made) return made.error();
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(
        file_.c_str(), &opened,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
    database_.reset(opened);
    if (code != SQLITE_OK) return error();
    sqlite3_busy_timeout(opened, kBusyMs);
    // Before anything is written: a file of a newer host stays as it is.
    const auto version = number("PRAGMA user_version");
    if (!version) return version.error();
    if (*version > kMigrations.size()) return too_new(*version);
    for (const char* pragma : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                               "PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF"}) {
      const auto ran = run(pragma);
      if (!ran) return ran.error();
    }
    return migrate();
  }

  Result<void> migrate() {
    // Immediate: of two hosts that start together one migrates and the other finds it done.
    const auto begun = run("BEGIN IMMEDIATE");
    if (!begun) return begun.error();
    const auto migrated = run_migrations();
    if (!migrated) {
      const Error reason = migrated.error();
      const auto undone = run("ROLLBACK");
      return undone ? reason : Error{reason.message + "; then: " + undone.error().message};
    }
    return run("COMMIT");
  }

  Result<void> run_migrations() {
    const auto version = number("PRAGMA user_version");
    if (!version) return version.error();
    if (*version > kMigrations.size()) return too_new(*version);
    for (std::size_t step = *version; step < kMigrations.size(); ++step) {
      const auto ran = run(kMigrations[step]);
      if (!ran) return ran.error();
    }
    return run("PRAGMA user_version = " + std::to_string(kMigrations.size()));
  }

  Error too_new(std::uint64_t version) const {
    return Error{file_.string() + ": has schema version " + std::to_string(version) +
                 ", this binary knows up to " + std::to_string(kMigrations.size()) +
                 "; run the newer one, or use another state directory"};
  }

  Result<void> backup(const fs::path& target) {
    fs::path draft = target;
    draft += ".new";
    const auto made = make_file(draft, O_EXCL);
    if (!made) return made.error();
    const auto copied = copy_to(draft);
    if (copied && rename(draft.c_str(), target.c_str()) == 0) return {};
    const Error reason =
        copied ? Error{target.string() + ": " + std::strerror(errno)} : copied.error();
    unlink(draft.c_str());
    return reason;
  }

  std::mutex mutex_;
  fs::path file_;
  Database database_;

 private:
  Result<void> copy_to(const fs::path& draft) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(draft.c_str(), &opened,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, nullptr);
    const Database copy(opened);
    const auto failure = [&] { return Error{draft.string() + ": " + sqlite3_errmsg(opened)}; };
    if (code != SQLITE_OK) return failure();
    sqlite3_backup* backup = sqlite3_backup_init(opened, "main", database_.get(), "main");
    if (backup == nullptr) return failure();
    const int stepped = sqlite3_backup_step(backup, -1);
    const int finished = sqlite3_backup_finish(backup);
    if (stepped != SQLITE_DONE || finished != SQLITE_OK) return failure();
    return {};
  }
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const fs::path& state_directory) {
  auto impl = std::make_unique<Impl>(state_directory / "switchyard.db");
  const auto opened = impl->open();
  if (!opened) return opened.error();
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<void> Store::add_key(const KeyRow& key) {
  const std::lock_guard lock(impl_->mutex_);
  Impl::Statement insert(*impl_,
                         "INSERT INTO keys (id, name, account, mac, models, created_unix_s, "
                         "disabled_unix_s) VALUES (?, ?, ?, ?, ?, ?, ?)");
  insert.bind(key.id).bind(key.name).bind(key.account).bind(key.mac_hex);
  insert.bind(models_to_json(key.models)).bind(key.created_unix_s).bind(key.disabled_unix_s);
  const auto done = insert.step();
  if (!done) return done.error();
  return {};
}

Result<std::vector<KeyRow>> Store::keys() {
  const std::lock_guard lock(impl_->mutex_);
  Impl::Statement select(*impl_,
                         "SELECT id, name, account, mac, models, created_unix_s, disabled_unix_s "
                         "FROM keys ORDER BY created_unix_s, id");
  std::vector<KeyRow> rows;
  while (true) {
    const auto row = select.step();
    if (!row) return row.error();
    if (!*row) return rows;
    auto models = models_from_json(select.text(4));
    if (!models) {
      return Error{impl_->file_.string() + ": key " + select.text(0) +
                   ": its models are no JSON array of texts"};
    }
    rows.push_back({select.text(0), select.text(1), select.text(2), select.text(3),
                    std::move(*models), select.number(5), select.number(6)});
  }
}

Result<bool> Store::disable_key(const std::string& id, std::uint64_t at_unix_s) {
  const std::lock_guard lock(impl_->mutex_);
  Impl::Statement find(*impl_, "SELECT 1 FROM keys WHERE id = ?");
  const auto found = find.bind(id).step();
  if (!found) return found.error();
  if (!*found) return false;
  // The first time stands.
  Impl::Statement update(
      *impl_, "UPDATE keys SET disabled_unix_s = ? WHERE id = ? AND disabled_unix_s = 0");
  const auto done = update.bind(at_unix_s).bind(id).step();
  if (!done) return done.error();
  return true;
}

Result<void> Store::backup(const fs::path& target) {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->backup(target);
}

unsigned Store::schema_version() const { return static_cast<unsigned>(kMigrations.size()); }

Result<std::uint64_t> Store::keys_version() {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->number("SELECT n FROM changes WHERE name = 'keys'");
}

// ---- jobs ----

#define JOB_COLUMNS                                                                         \
  "id, provider, credential, resume, key_id, account, model, upstream_model, task, state, " \
  "created_unix_s, completed_unix_s, expires_unix_s"

JobRow Store::Impl::job_of(const Statement& row) {
  return {row.text(0),    row.text(1),    row.text(2),   row.blob(3), row.text(4),
          row.text(5),    row.text(6),    row.text(7),   row.text(8), row.text(9),
          row.number(10), row.number(11), row.number(12)};
}

Result<void> Store::add_job(const JobRow& job, std::uint64_t now_unix_s) {
  const std::lock_guard lock(impl_->mutex_);
  const auto over =
      Impl::Statement(*impl_, "DELETE FROM jobs WHERE expires_unix_s <= ?").bind(now_unix_s).step();
  if (!over) return over.error();
  Impl::Statement insert(
      *impl_, "INSERT INTO jobs (" JOB_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(job.id).bind(job.provider).bind(job.credential).bind_blob(job.resume);
  insert.bind(job.key_id).bind(job.account).bind(job.model).bind(job.upstream_model);
  insert.bind(job.task).bind(job.state).bind(job.created_unix_s).bind(job.completed_unix_s);
  const auto done = insert.bind(job.expires_unix_s).step();
  if (!done) return done.error();
  return {};
}

Result<std::optional<JobRow>> Store::job(const std::string& id, const std::string& key_id,
                                         std::uint64_t now_unix_s) {
  const std::lock_guard lock(impl_->mutex_);
  Impl::Statement select(*impl_, "SELECT " JOB_COLUMNS
                                 " FROM jobs WHERE id = ? AND key_id = ? AND expires_unix_s > ?");
  const auto row = select.bind(id).bind(key_id).bind(now_unix_s).step();
  if (!row) return row.error();
  std::optional<JobRow> found;
  if (*row) found = Impl::job_of(select);
  return found;
}

Result<std::vector<JobRow>> Store::jobs(const std::string& key_id, const std::string& after,
                                        bool ascending, std::uint64_t max,
                                        std::uint64_t now_unix_s) {
  const std::lock_guard lock(impl_->mutex_);
  std::uint64_t from = ascending ? 0 : std::uint64_t{1} << 62;
  if (!after.empty()) {
    Impl::Statement find(*impl_, "SELECT seq FROM jobs WHERE id = ? AND key_id = ?");
    const auto row = find.bind(after).bind(key_id).step();
    if (!row) return row.error();
    if (!*row) return std::vector<JobRow>();
    from = find.number(0);
  }
  Impl::Statement select(*impl_, ascending ? "SELECT " JOB_COLUMNS
                                             " FROM jobs WHERE key_id = ? AND seq > ? AND "
                                             "expires_unix_s > ? ORDER BY seq LIMIT ?"
                                           : "SELECT " JOB_COLUMNS
                                             " FROM jobs WHERE key_id = ? AND seq < ? AND "
                                             "expires_unix_s > ? ORDER BY seq DESC LIMIT ?");
  select.bind(key_id).bind(from).bind(now_unix_s).bind(max);
  std::vector<JobRow> rows;
  while (true) {
    const auto row = select.step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(Impl::job_of(select));
  }
}

#undef JOB_COLUMNS

Result<void> Store::update_job(const JobRow& job) {
  const std::lock_guard lock(impl_->mutex_);
  Impl::Statement update(*impl_,
                         "UPDATE jobs SET resume = ?, state = ?, completed_unix_s = ?, "
                         "expires_unix_s = ? WHERE id = ?");
  update.bind_blob(job.resume).bind(job.state).bind(job.completed_unix_s);
  const auto done = update.bind(job.expires_unix_s).bind(job.id).step();
  if (!done) return done.error();
  return {};
}

Result<void> Store::remove_job(const std::string& id) {
  const std::lock_guard lock(impl_->mutex_);
  const auto done = Impl::Statement(*impl_, "DELETE FROM jobs WHERE id = ?").bind(id).step();
  if (!done) return done.error();
  return {};
}

}  // namespace switchyard::store

#include "core/store/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/store/write_turns.hpp"

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBusyMs = 5000;
constexpr char kLocked[] = "database is locked";

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Handle = std::unique_ptr<sqlite3, CloseDatabase>;

// SQLite would make the file readable for all; its WAL and index take the mode over from it. One
// that is there is not opened here: closing it would drop the locks that another connection of this
// process has on it, and who comes from outside would take the WAL away under that connection.
// False: it was there.
Result<bool> make_file(const fs::path& file) {
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) {
    close(fd);
    return true;
  }
  if (errno == EEXIST) return false;
  return Error{file.string() + ": " + std::strerror(errno)};
}

// SQLite takes a lock of the whole process at each allocation only to count them.
void leave_memory_uncounted() {
  [[maybe_unused]] static const int done = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

class SqliteStatement : public Statement {
 public:
  SqliteStatement(const Database& database, WriteTurns& turns, sqlite3* handle, const char* sql)
      : database_(database), turns_(turns), handle_(handle) {
    code_ = sqlite3_prepare_v2(handle, sql, -1, &statement_, nullptr);
  }
  ~SqliteStatement() override {
    sqlite3_finalize(statement_);
    give_turn();
  }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  Statement& bind(std::string_view text) override {
    return bound(sqlite3_bind_text64, text, SQLITE_UTF8);
  }
  Statement& bind_blob(std::string_view bytes) override {
    return bound(sqlite3_bind_blob64, bytes);
  }
  Statement& bind_number(std::int64_t number) override {
    if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, ++bound_, number);
    return *this;
  }
  Statement& bind_null() override {
    if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, ++bound_);
    return *this;
  }
  Result<bool> step() override {
    if (code_ == SQLITE_OK) {
      if (!take_turn()) return database_.error(kLocked);
      const int stepped = sqlite3_step(statement_);
      if (stepped != SQLITE_ROW) give_turn();
      if (stepped == SQLITE_ROW) return true;
      if (stepped == SQLITE_DONE) return false;
    }
    return database_.error(sqlite3_errmsg(handle_));
  }
  void reset() override {
    if (statement_ == nullptr) return;
    sqlite3_reset(statement_);
    give_turn();
    sqlite3_clear_bindings(statement_);
    bound_ = 0;
    code_ = SQLITE_OK;
  }
  std::string text(int column) const override {
    return {reinterpret_cast<const char*>(sqlite3_column_text(statement_, column)), size(column)};
  }
  std::string blob(int column) const override {
    return {static_cast<const char*>(sqlite3_column_blob(statement_, column)), size(column)};
  }
  std::int64_t number(int column) const override {
    return sqlite3_column_int64(statement_, column);
  }
  bool is_null(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }

 private:
  template <class Set, class... Rest>
  Statement& bound(Set set, std::string_view bytes, Rest... rest) {
    // A null pointer would bind NULL.
    const char* const data = bytes.data() == nullptr ? "" : bytes.data();
    if (code_ == SQLITE_OK) {
      code_ = set(statement_, ++bound_, data, bytes.size(), SQLITE_TRANSIENT, rest...);
    }
    return *this;
  }
  // One that writes outside a transaction is one of its own, until its last row.
  bool take_turn() {
    const bool alone = sqlite3_get_autocommit(handle_) != 0 && !sqlite3_stmt_readonly(statement_);
    if (!alone || has_turn_) return true;
    has_turn_ = turns_.take(std::chrono::milliseconds(kBusyMs));
    return has_turn_;
  }
  void give_turn() {
    if (std::exchange(has_turn_, false)) turns_.give();
  }
  // After the column was read as what it is wanted as.
  std::size_t size(int column) const {
    return static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  }

  const Database& database_;
  WriteTurns& turns_;
  sqlite3* handle_;
  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
  int bound_ = 0;
  bool has_turn_ = false;
};

class SqliteDatabase : public Database {
 public:
  explicit SqliteDatabase(fs::path file) : file_(std::move(file)), turns_(WriteTurns::of(file_)) {}

  Result<void> open(std::span<const char* const> migrations) {
    leave_memory_uncounted();
    const auto made = make_file(file_);
    if (!made) return made.error();
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(
        file_.c_str(), &opened,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
    handle_.reset(opened);
    if (code != SQLITE_OK) return fault();
    sqlite3_busy_timeout(opened, kBusyMs);
    // Before anything is written: a file of a newer host stays as it is.
    const auto version = Database::number("PRAGMA user_version");
    if (!version) return version.error();
    if (too_new(*version, migrations)) return newer(*version, migrations);
    for (const char* pragma : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                               "PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF"}) {
      const auto ran = run(pragma);
      if (!ran) return ran.error();
    }
    // Nothing to write: who only looks does not wait for a writer.
    if (*version == static_cast<std::int64_t>(migrations.size())) return {};
    return migrate(migrations);
  }

  std::unique_ptr<Statement> prepare(const char* sql) override {
    return std::make_unique<SqliteStatement>(*this, *turns_, handle_.get(), sql);
  }
  Result<void> run(const std::string& sql) override {
    if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return fault();
  }
  std::int64_t changed() const override { return sqlite3_changes64(handle_.get()); }
  Error error(std::string_view what) const override {
    return Error{file_.string() + ": " + std::string(what)};
  }

  void set_deadline(std::optional<Clock::time_point> at) override {
    constexpr int kOperations = 2000;  // between two looks at the clock: well under a millisecond
    deadline_ = at;
    const auto late = [](void* self) {
      return Clock::now() >= *static_cast<SqliteDatabase*>(self)->deadline_ ? 1 : 0;
    };
    sqlite3_progress_handler(handle_.get(), kOperations, at ? +late : nullptr, this);
  }

  Result<void> backup(const fs::path& target) override {
    const auto held = lock();
    fs::path draft = target;
    draft += ".new";
    const auto made = make_file(draft);
    if (!made) return made.error();
    if (!*made) return Error{draft.string() + ": " + std::strerror(EEXIST)};
    const auto copied = copy_to(draft);
    if (copied && rename(draft.c_str(), target.c_str()) == 0) return {};
    const Error reason =
        copied ? Error{target.string() + ": " + std::strerror(errno)} : copied.error();
    unlink(draft.c_str());
    return reason;
  }

 private:
  // Immediate: of two hosts that start together one migrates and the other finds it done.
  Result<void> begin() override {
    if (!turns_->take(std::chrono::milliseconds(kBusyMs))) return error(kLocked);
    auto begun = run("BEGIN IMMEDIATE");
    if (!begun) turns_->give();
    return begun;
  }
  Result<void> commit() override {
    auto committed = run("COMMIT");
    if (committed) turns_->give();
    return committed;
  }
  // A fault may have rolled it back already.
  Result<void> roll_back() override {
    auto undone = sqlite3_get_autocommit(handle_.get()) != 0 ? Result<void>() : run("ROLLBACK");
    turns_->give();
    return undone;
  }

  Result<void> migrate(std::span<const char* const> migrations) {
    return transact([&]() -> Result<void> {
      const auto version = Database::number("PRAGMA user_version");
      if (!version) return version.error();
      if (too_new(*version, migrations)) return newer(*version, migrations);
      for (const char* step : migrations.subspan(static_cast<std::size_t>(*version))) {
        const auto ran = run(step);
        if (!ran) return ran.error();
      }
      return run("PRAGMA user_version = " + std::to_string(migrations.size()));
    });
  }

  static bool too_new(std::int64_t version, std::span<const char* const> migrations) {
    return version > static_cast<std::int64_t>(migrations.size());
  }
  Error newer(std::int64_t version, std::span<const char* const> migrations) const {
    return error("has schema version " + std::to_string(version) + ", this binary knows up to " +
                 std::to_string(migrations.size()) +
                 "; run the newer one, or use another state directory");
  }
  Error fault() const { return error(sqlite3_errmsg(handle_.get())); }

  Result<void> copy_to(const fs::path& draft) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(draft.c_str(), &opened,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, nullptr);
    const Handle copy(opened);
    const auto failure = [&] { return Error{draft.string() + ": " + sqlite3_errmsg(opened)}; };
    if (code != SQLITE_OK) return failure();
    sqlite3_backup* backup = sqlite3_backup_init(opened, "main", handle_.get(), "main");
    if (backup == nullptr) return failure();
    const int stepped = sqlite3_backup_step(backup, -1);
    const int finished = sqlite3_backup_finish(backup);
    if (stepped != SQLITE_DONE || finished != SQLITE_OK) return failure();
    return {};
  }

  fs::path file_;
  std::shared_ptr<WriteTurns> turns_;
  Handle handle_;
  std::optional<Clock::time_point> deadline_;
};

}  // namespace

bool says_damaged(const Error& error) {
  return error.message.ends_with(kDamagedText) ||
         error.message.ends_with(sqlite3_errstr(SQLITE_NOTADB));
}

Result<void> Statement::run() {
  while (true) {
    const auto row = step();
    if (!row) return row.error();
    if (!*row) return {};
  }
}

Result<std::unique_ptr<Database>> Database::open_sqlite(const fs::path& file,
                                                        std::span<const char* const> migrations) {
  auto database = std::make_unique<SqliteDatabase>(file);
  const auto opened = database->open(migrations);
  if (!opened) return opened.error();
  return std::unique_ptr<Database>(std::move(database));
}

Result<std::int64_t> Database::number(const char* sql) {
  const auto held = lock();
  const auto statement = prepare(sql);
  const auto row = statement->step();
  if (!row) return row.error();
  if (!*row) return error("no answer to " + std::string(sql));
  return statement->number(0);
}

Error Database::also(const Error& first, const Error& second) {
  return Error{first.message + "; then: " + second.message};
}

}  // namespace switchyard::store

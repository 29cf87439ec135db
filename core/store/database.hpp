// The seam to the database: connections, statements, transactions. What the classes of this room
// say through it is SQL that SQLite and PostgreSQL both take.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::store {

// One prepared statement. Parameters are bound in order, never written into the text. A fault of
// bind() comes out of the next step().
class Statement {
 public:
  virtual ~Statement() = default;
  virtual Statement& bind(std::string_view text) = 0;
  virtual Statement& bind_number(std::int64_t number) = 0;
  virtual Statement& bind_blob(std::string_view bytes) = 0;
  virtual Statement& bind_null() = 0;
  Statement& bind(std::integral auto number) {
    return bind_number(static_cast<std::int64_t>(number));
  }
  template <class T>
  Statement& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind_null();
  }

  // True: there is a row. False: the end.
  virtual Result<bool> step() = 0;
  // Runs to the end, for what has no rows.
  Result<void> run();
  // Forgets its parameters and its place, so that it can be bound and run again.
  virtual void reset() = 0;

  // Columns of the row, from 0. NULL reads as empty or 0.
  virtual std::string text(int column) const = 0;
  virtual std::string blob(int column) const = 0;
  virtual std::int64_t number(int column) const = 0;
  virtual bool is_null(int column) const = 0;
  std::optional<std::int64_t> maybe_number(int column) const {
    return is_null(column) ? std::nullopt : std::optional(number(column));
  }
};

// One connection. A statement, and all between lock() and the lock's end, is one thread's; where
// several calls belong together, transact() makes them one. Blocking: never on a loop. Errors say
// the place and what the database said. [any thread]
class Database {
 public:
  // Opens or creates a file (0600, WAL) and brings it to the last of `migrations` in one
  // transaction. A schema newer than that is refused.
  static Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& file,
                                                       std::span<const char* const> migrations);
  virtual ~Database() = default;

  std::unique_lock<std::recursive_mutex> lock() { return std::unique_lock(mutex_); }
  virtual std::unique_ptr<Statement> prepare(const char* sql) = 0;
  // Statements without parameters or rows.
  virtual Result<void> run(const std::string& sql) = 0;
  // The one number that a statement answers with.
  Result<std::int64_t> number(const char* sql);
  // Rows that the last statement changed.
  virtual std::int64_t changed() const = 0;
  virtual Error error(std::string_view what) const = 0;  // "PLACE: what"
  // From then on a step that is still at work is broken off; nothing: it takes the time it needs.
  virtual void set_deadline(std::optional<std::chrono::steady_clock::time_point> at) = 0;

  // Runs `work` in one transaction that no other writer comes into, and returns its Result; one
  // that is an error undoes everything. Within a transaction it is part of that.
  template <class Work>
  auto transact(Work work) -> decltype(work()) {
    const auto held = lock();
    if (inside_) return work();
    if (auto begun = begin(); !begun) return begun.error();
    inside_ = true;
    auto done = work();
    inside_ = false;
    if (!done) {
      const auto undone = roll_back();
      return undone ? std::move(done) : also(done.error(), undone.error());
    }
    if (auto committed = commit(); !committed) {
      const auto undone = roll_back();
      return undone ? committed.error() : also(committed.error(), undone.error());
    }
    return done;
  }

  // A consistent copy while the database is in use.
  virtual Result<void> backup(const std::filesystem::path& target) = 0;

 private:
  virtual Result<void> begin() = 0;
  virtual Result<void> commit() = 0;
  virtual Result<void> roll_back() = 0;
  static Error also(const Error& first, const Error& second);

  std::recursive_mutex mutex_;
  bool inside_ = false;  // a transaction
};

// What the database says of a file that is torn.
inline constexpr char kDamagedText[] = "database disk image is malformed";
// Whether an error of open_sqlite() or a statement says that the file is torn, or no database.
bool says_damaged(const Error& error);

}  // namespace switchyard::store

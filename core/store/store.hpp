// What the host keeps between runs, in SQLite: schema versions and jobs. (Accounts and keys:
// accounts.hpp.)
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

// A job that goes on at an upstream. Its provider and credential are what it was begun with.
struct JobRow {
  std::string id, provider, credential, resume, key_id, account, model, upstream_model, task;
  std::string state;  // JSON object
  std::uint64_t created_unix_s = 0;
  std::uint64_t completed_unix_s = 0;  // 0: not yet
  std::uint64_t expires_unix_s = 0;
};

// A connection of its own to state/switchyard.db, migrated to the newest schema.
Result<std::unique_ptr<Database>> open_database(const std::filesystem::path& state_directory);

// One connection; calls are serialised inside. Blocking: never on a loop. Errors say the file and
// what SQLite said.
class Store {
 public:
  // As open_database(). A schema newer than this binary is refused.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& state_directory);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Jobs of other keys, and those that are over at `now_unix_s`, are not found.
  Result<void> add_job(const JobRow& job, std::uint64_t now_unix_s);  // removes what is over
  Result<std::optional<JobRow>> job(const std::string& id, const std::string& key_id,
                                    std::uint64_t now_unix_s);
  // At most `max`, the newest first unless `ascending`, those behind the job `after` where it is
  // not empty.
  Result<std::vector<JobRow>> jobs(const std::string& key_id, const std::string& after,
                                   bool ascending, std::uint64_t max, std::uint64_t now_unix_s);
  // Writes resume, state, completed and expires.
  Result<void> update_job(const JobRow& job);
  Result<void> remove_job(const std::string& id);

  // A consistent copy while the store is in use (SQLite's backup API).
  Result<void> backup(const std::filesystem::path& target);
  unsigned schema_version() const;

 private:
  explicit Store(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

// The state directory: made 0700 if absent, refused where others may enter. Holds the store,
// `pepper` (32 bytes, 0600) and `admin.token`. Creates what is missing.
struct State {
  std::filesystem::path directory;
  std::string pepper;  // raw bytes
  std::string admin_token;
  bool fresh = false;  // the admin token was made now
};
Result<State> open_state(const std::filesystem::path& directory);

// `admin.url`: where the admin API of the gateway with this state answers, "http://127.0.0.1:8081".
// Each worker that starts replaces it; it says nothing about whether one is alive.
Result<void> write_admin_url(const std::filesystem::path& directory, const std::string& url);
Result<std::string> read_admin_url(const std::filesystem::path& directory);

}  // namespace switchyard::store

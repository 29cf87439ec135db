// Calls that were made under an idempotency key, and what was answered. Answers are sealed: some
// are the only place where a secret is shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/secret.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

struct StoredAnswer {
  int status = 0;
  std::string type, body;
};

struct ReplayRow {
  std::string fingerprint;  // of the call's parameters
  std::uint64_t begun_unix_s = 0;
  std::optional<StoredAnswer> answer;  // nothing: it has not ended
};

// [any thread; may block]
class Replays {
 public:
  // `secret` is this host's own: without it nobody reads what was answered.
  Replays(Database& database, Secret secret) : database_(database), secret_(std::move(secret)) {}

  // Nothing: the call is the caller's to make, and is under way from here on. Else who was first.
  // Rows begun before `forget_before_unix_s` are gone.
  Result<std::optional<ReplayRow>> begin(const std::string& caller_id, const std::string& key,
                                         const std::string& fingerprint, std::uint64_t now_unix_s,
                                         std::uint64_t forget_before_unix_s);
  Result<void> end(const std::string& caller_id, const std::string& key,
                   const StoredAnswer& answer);
  // As if it had never been made.
  Result<void> forget(const std::string& caller_id, const std::string& key);

 private:
  Result<std::optional<ReplayRow>> find(const std::string& caller_id, const std::string& key);
  Database& database_;
  Secret secret_;
};

}  // namespace switchyard::store

// Calls that were made under an idempotency key, and what was answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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
  explicit Replays(Database& database) : database_(database) {}

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
};

}  // namespace switchyard::store

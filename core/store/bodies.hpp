// What requests and their answers said, of keys that have it kept, and the responses that these
// stored: sealed, in a file of its own, until it is too old, its key is gone, or there is too much
// of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

struct BodyRow {
  std::string record_id, key_id, request, answer;
  std::uint64_t at_unix_s = 0;
  bool cut = false;  // one of them was longer than what is kept
  // Of a stored response, whose id is then `record_id`: who may ask for it. `request` is what it
  // was asked with, `answer` the response. Empty: a record's bodies, for operators.
  std::string account_id;
  // Of a response that is not complete: the process that runs it (os::own_mark()).
  std::string runner;
  std::vector<std::string> items;  // to write: the ids by which its items are found
};

struct BodyLimits {
  std::chrono::hours keep{7 * 24};
  std::uint64_t size_max = 1'000'000'000;  // bytes of all
};

// `state/bodies.db`
std::filesystem::path bodies_file(const std::filesystem::path& state);

// Blocking: never on a loop. [any thread]
class Bodies {
 public:
  // Makes the file (0600) where there is none. `secret` is this host's own: without it nobody reads
  // what is kept.
  static Result<std::unique_ptr<Bodies>> open(const std::filesystem::path& file, Secret secret);

  Result<void> write(std::span<const BodyRow> rows);  // all or none
  // The newest of this record and key.
  Result<std::optional<BodyRow>> find(const std::string& record_id, const std::string& key_id);
  // A stored response of this account, and its end; false: there is none.
  Result<std::optional<BodyRow>> find_response(const std::string& id,
                                               const std::string& account_id);
  // The answer of a response that runs, which then does so no more; false: it is over, or removed.
  Result<bool> end_response(const BodyRow& row);
  // The newest response of this account that holds an item; empty: there is none.
  Result<std::string> response_of_item(const std::string& item_id, const std::string& account_id);
  Result<bool> forget_response(const std::string& id, const std::string& account_id);

  // Removes what is older than it may be, and the oldest while there is too much.
  Result<void> tidy(const BodyLimits& limits, std::uint64_t now_unix_s);
  // Whose bodies are kept, and the end of one's.
  Result<std::vector<std::string>> keys();
  Result<void> forget(const std::string& key_id);

 private:
  Bodies(std::unique_ptr<Database> database, Secret secret)
      : database_(std::move(database)), secret_(std::move(secret)) {}
  Result<void> insert(const BodyRow& row);
  Result<void> name_items(const BodyRow& row);
  Result<std::optional<BodyRow>> open_row(Statement& select, const std::string& record_id);

  std::unique_ptr<Database> database_;
  Secret secret_;
};

}  // namespace switchyard::store

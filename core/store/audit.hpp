// The audit log: who changed what, when and from where, and what came of it. Append only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/store/database.hpp"

namespace switchyard::store {

// What is known when a change begins. No secret is in it: `body` is redacted, `body_mac` is a MAC
// under the pepper, which tells only whether two bodies are the same.
struct AuditBegin {
  std::uint64_t unix_ms = 0;
  std::string caller_id, caller, role, peer;
  std::string method, route, object, body, body_mac;
};

struct AuditRow {
  std::uint64_t seq = 0;
  AuditBegin begin;
  // Nothing in `status`: it never ended; the gateway was killed meanwhile.
  std::optional<std::int64_t> status;
  std::string object, code;  // what was made, where its name was not known before; the error's code
};

// Two tables, each appended to: changes as they begin, and their ends. [any thread; may block]
class AuditLog {
 public:
  explicit AuditLog(Database& database) : database_(database) {}

  Result<std::int64_t> begin(const AuditBegin& entry);  // its number
  Result<void> end(std::int64_t seq, int status, const std::string& object,
                   const std::string& code);

  struct Query {
    std::uint64_t before = 0;  // 0: from the newest
    std::uint64_t limit = 100;
    std::string caller_id, object;  // empty: any
  };
  // The newest first.
  Result<std::vector<AuditRow>> list(const Query& query);

 private:
  Database& database_;
};

}  // namespace switchyard::store

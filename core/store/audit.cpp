#include "core/store/audit.hpp"

#include <limits>

namespace switchyard::store {
namespace {

AuditRow audit_row(const Statement& row) {
  AuditRow found;
  found.seq = static_cast<std::uint64_t>(row.number(0));
  found.begin.unix_ms = static_cast<std::uint64_t>(row.number(1));
  found.begin.caller_id = row.text(2);
  found.begin.caller = row.text(3);
  found.begin.role = row.text(4);
  found.begin.peer = row.text(5);
  found.begin.method = row.text(6);
  found.begin.route = row.text(7);
  found.begin.object = row.text(8);
  found.begin.body = row.text(9);
  found.begin.body_mac = row.text(10);
  found.status = row.maybe_number(11);
  found.object = row.text(12);
  found.code = row.text(13);
  return found;
}

}  // namespace

Result<std::int64_t> AuditLog::begin(const AuditBegin& entry) {
  const auto held = database_.lock();
  const auto insert = database_.prepare(
      "INSERT INTO audit (at_unix_ms, caller_id, caller, role, peer, method, route, object, body, "
      "body_mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq");
  insert->bind(entry.unix_ms).bind(entry.caller_id).bind(entry.caller).bind(entry.role);
  insert->bind(entry.peer).bind(entry.method).bind(entry.route).bind(entry.object);
  insert->bind(entry.body).bind(entry.body_mac);
  const auto row = insert->step();
  if (!row) return row.error();
  const std::int64_t seq = insert->number(0);
  // To its end: only then is the row committed.
  const auto done = insert->run();
  if (!done) return done.error();
  return seq;
}

Result<void> AuditLog::end(std::int64_t seq, int status, const std::string& object,
                           const std::string& code) {
  const auto held = database_.lock();
  const auto insert =
      database_.prepare("INSERT INTO audit_ends (seq, status, object, code) VALUES (?, ?, ?, ?)");
  return insert->bind(seq).bind(status).bind(object).bind(code).run();
}

Result<std::vector<AuditRow>> AuditLog::list(const Query& query) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT a.seq, a.at_unix_ms, a.caller_id, a.caller, a.role, a.peer, a.method, a.route, "
      "a.object, a.body, a.body_mac, e.status, e.object, e.code "
      "FROM audit a LEFT JOIN audit_ends e ON e.seq = a.seq "
      "WHERE a.seq < ? AND (? = '' OR a.caller_id = ?) "
      "AND (? = '' OR a.object = ? OR e.object = ?) ORDER BY a.seq DESC LIMIT ?");
  select->bind(query.before == 0 ? std::numeric_limits<std::int64_t>::max()
                                 : static_cast<std::int64_t>(query.before));
  select->bind(query.caller_id).bind(query.caller_id);
  select->bind(query.object).bind(query.object).bind(query.object).bind(query.limit);
  std::vector<AuditRow> rows;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(audit_row(*select));
  }
}

}  // namespace switchyard::store

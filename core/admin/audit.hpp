// Every change that is asked of the admin API goes into the audit log: as it begins, and what came
// of it.
#pragma once

#include <string>
#include <vector>

#include "core/account/keys.hpp"
#include "core/admin/server.hpp"
#include "core/store/audit.hpp"

namespace switchyard::admin {

// Each route but those that only read writes to `log`, which outlives them. A change that can't be
// written down is refused with a 503.
std::vector<Route> audited(std::vector<Route> routes, store::AuditLog& log,
                           const account::Pepper& pepper);

// A JSON body without what may be secret: members that are named like one, and texts that look
// like one. Empty for what is no JSON, or too long.
std::string redacted_body(const std::string& body);

std::string audit_json(const store::AuditRow& row);

// GET /admin/v1/audit
std::vector<Route> audit_routes(store::AuditLog& log);

}  // namespace switchyard::admin

// Whether the books agree with themselves.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

// Each violation in words; none: the books are proven. Sees one moment of them, and holds nobody
// up. `database` is a connection that nobody else uses meanwhile.
Result<std::vector<std::string>> verify_books(Database& database);

}  // namespace switchyard::store

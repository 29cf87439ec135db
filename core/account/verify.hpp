// The proof of the money: the books against themselves, and the journal against the books.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::account {

// Each violation in words; none: all is proven. Opens what it looks at for itself, changes nothing,
// and holds a running gateway up nowhere. Blocking.
Result<std::vector<std::string>> verify_ledger(const std::filesystem::path& state);

}  // namespace switchyard::account

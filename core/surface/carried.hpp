// What a dialect has no place for, carried through its clients in a field that they bring back
// without reading it: a signature, an encrypted block.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace switchyard::surface {

// Base64 that carried() knows again. `json` is one JSON value.
std::string carry(std::string_view json);
// nullopt: not ours, or not whole.
std::optional<std::string> carried(std::string_view text);

}  // namespace switchyard::surface

// Values within a JSON document by JSON pointer (RFC 6901).
#pragma once

#include <string_view>

namespace switchyard {

// The raw JSON of the value at `pointer` ("" is the whole text, "/a/0/b~1c" a value within), a view
// into `text`. Empty where the text is no JSON object, or has no such value.
std::string_view json_at(std::string_view text, std::string_view pointer);

}  // namespace switchyard

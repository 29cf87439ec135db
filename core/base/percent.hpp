#pragma once

#include <string>
#include <string_view>

namespace switchyard {

// Appends `text` as a part of a URL's path or query: all but RFC 3986's unreserved characters is
// escaped.
void append_percent_encoded(std::string& out, std::string_view text);
std::string percent_encoded(std::string_view text);

}  // namespace switchyard

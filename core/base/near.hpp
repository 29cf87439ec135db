// Names that resemble a mistyped one, for messages that say what would do.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard {

// At most `max` of `known` that look like `name`, nearest first: ASCII case ignored, an edit
// distance of at most 3 (and less than half the name), or one being part of the other. Names over
// 128 bytes resemble nothing.
std::vector<std::string> near_names(std::string_view name, std::span<const std::string> known,
                                    std::size_t max = 3);

// "; did you mean \"a\" or \"b\"?", or nothing where nothing is near.
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

}  // namespace switchyard

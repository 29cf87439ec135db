// JSON as people write it (comments, trailing commas), and where in it something is.
#pragma once

#include <rapidjson/document.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/config/config.hpp"

namespace switchyard::config {

using Json = rapidjson::Value;

inline constexpr std::size_t kTextBytesMax = 16 * 1024 * 1024;
inline constexpr unsigned kTextDepthMax = 64;

inline std::string_view text_of(const Json& value) {
  return {value.GetString(), value.GetStringLength()};
}

// The member, or nullptr where there is none or `value` is no object.
const Json* member(const Json& value, std::string_view name);

// The JSON pointer (RFC 6901) of a member or an element.
std::string child(std::string_view pointer, std::string_view name);
std::string child(std::string_view pointer, std::size_t index);

// One JSON value with comments and trailing commas allowed; faults say line and column. Doubled
// members and strings with a NUL are faults at their pointers.
Result<rapidjson::Document, Faults> parse_text(std::string_view text);

std::string to_json(const Json& value);

// A regular file, whole.
Result<std::string> read_file(const std::filesystem::path& path,
                              std::size_t bytes_max = kTextBytesMax);

}  // namespace switchyard::config

// One strict pass over a JSON text (RFC 8259) that finds the members of its top-level object and
// builds no tree.
#pragma once

#include <switchyard/plugin.h>

#include <cstddef>
#include <forward_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard {

inline std::string_view view(swy_str s) { return {s.p, static_cast<std::size_t>(s.n)}; }
inline swy_str to_swy(std::string_view s) { return {s.data(), s.size()}; }

struct JsonScanError {
  std::size_t at =
      0;  // offset of the byte that can't be there, or the text's size where it ended too early
  const char* what =
      "";  // static, for people: "unexpected end", "nested too deeply", "invalid UTF-8", ...
};

// The members of one JSON object as views into its text, which must outlive the index unmoved.
class JsonIndex {
 public:
  // More would only be there to fill memory: an index entry is many times the smallest member.
  static constexpr std::size_t kMembersMax = 16 * 1024;
  static constexpr unsigned kDepthCap = 1024;  // depth_max above it counts as this

  JsonIndex() = default;
  JsonIndex(JsonIndex&&) = default;
  JsonIndex& operator=(JsonIndex&&) = default;

  // Scans `text` whole: exactly one JSON value, which must be an object, with nothing but white
  // space around it. Every nested value is validated too (UTF-8, escapes incl. lone surrogates,
  // numbers, depth). Reusable: clears first.
  Result<void, JsonScanError> scan(std::string_view text, unsigned depth_max = 64);

  std::span<const swy_member> members() const { return members_; }
  std::string_view text() const { return text_; }

  // The first member of exactly this name, or nullptr.
  const swy_member* find(std::string_view name) const;
  // The raw JSON of a member's value.
  std::string_view value(const swy_member& member) const {
    return text_.substr(member.value_at, member.value_n);
  }
  // The name (as the text has it, unescaped) of a member that occurs twice, names compared after
  // unescaping and ASCII case-folding, where one of the two folds to a name of `guarded` (which are
  // lower case); empty where there is none.
  std::string_view duplicate(std::span<const std::string_view> guarded) const;

 private:
  void begin_member(std::string_view quoted_name, bool escaped);
  void end_member(std::size_t offset, char type);

  std::string_view text_;
  std::vector<swy_member> members_;
  std::forward_list<std::string> unescaped_;  // backs the names that were written with escapes
};

// The text of a JSON string value (with its quotes), unescaped. `value` must have passed a scan.
std::string json_unescape(std::string_view value);

// Appends `text` as a JSON string with quotes; invalid UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace switchyard

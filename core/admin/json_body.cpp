#include "core/admin/json_body.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace switchyard::admin {
namespace {

constexpr std::uint64_t kLimit = 100, kLimitMax = 1000;

// Iterative: a recursive parser would spend the thread's stack on what the body nests.
constexpr unsigned kParse = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;

}  // namespace

Answer bad_body(const std::string& message) {
  return error_answer(400, message, "invalid_request_error", "bad_body");
}

Result<JsonBody, Answer> JsonBody::read(const std::string& body,
                                        std::initializer_list<Field> fields) {
  JsonBody read;
  read.document_.Parse<kParse>(body.data(), body.size());
  if (read.document_.HasParseError() || !read.document_.IsObject()) {
    return bad_body("The body must be a JSON object.");
  }
  std::set<std::string> seen;
  for (const auto& member : read.document_.GetObject()) {
    const std::string name(member.name.GetString(), member.name.GetStringLength());
    const bool known = std::any_of(fields.begin(), fields.end(),
                                   [&](const Field& field) { return name == field.name; });
    if (!known) return bad_body(name + ": there is no such member here.");
    if (!seen.insert(name).second) return bad_body(name + ": is given twice.");
  }
  for (const Field& field : fields) {
    if (field.required && !read.has(field.name)) {
      return bad_body(std::string(field.name) + ": is missing.");
    }
  }
  return read;
}

bool JsonBody::has(const char* name) const {
  const auto found = document_.FindMember(name);
  return found != document_.MemberEnd() && !found->value.IsNull();
}

Result<std::string, Answer> JsonBody::text(const char* name) const {
  if (!has(name)) return std::string();
  const auto& value = document_[name];
  if (!value.IsString()) return bad_body(std::string(name) + ": must be a text.");
  return std::string(value.GetString(), value.GetStringLength());
}

std::optional<std::string> only_member(const std::string& body, const char* name) {
  const auto read = JsonBody::read(body, {{name, true}});
  if (!read) return std::nullopt;
  auto text = read->text(name);
  if (!text) return std::nullopt;
  return std::move(*text);
}

Result<std::uint64_t, Answer> read_limit(const Request& request) {
  const auto given = request.query.find("limit");
  if (given == request.query.end()) return kLimit;
  const std::string& text = given->second;
  std::uint64_t limit = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (fault != std::errc() || end != text.data() + text.size() || limit < 1 || limit > kLimitMax) {
    return error_answer(400, "limit: expected 1 to 1000.", "invalid_request_error", "bad_limit");
  }
  return limit;
}

}  // namespace switchyard::admin

// Bodies of the admin API: one JSON object with the members that the route knows, and no other.
#pragma once

#include <rapidjson/document.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "core/admin/server.hpp"

namespace switchyard::admin {

struct Field {
  const char* name;
  bool required = false;
};

class JsonBody {
 public:
  // A 400 that names what is wrong: no object, a member that is missing, unknown or given twice.
  static Result<JsonBody, Answer> read(const std::string& body,
                                       std::initializer_list<Field> fields);

  bool has(const char* name) const;  // and is not null
  // Empty where it is left out; a 400 where it is there and no text.
  Result<std::string, Answer> text(const char* name) const;

 private:
  rapidjson::Document document_;
};

// The one member of a body like {"level":"info"}.
std::optional<std::string> only_member(const std::string& body, const char* name);

Answer bad_body(const std::string& message);

// ?limit=, 1 to 1000, 100 where it is left out.
Result<std::uint64_t, Answer> read_limit(const Request& request);

}  // namespace switchyard::admin

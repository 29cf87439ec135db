// The members of a body and of a query that a route takes; the first that does not fit is the
// answer.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "core/account/refusal.hpp"
#include "core/admin/server.hpp"
#include "core/base/json_object.hpp"

namespace switchyard::admin {

// A JSON object with these members and no other. Each reader gives a default where a member is left
// out, and where it is of another kind; fault() says of the latter.
class Fields {
 public:
  Fields(const std::string& body, std::initializer_list<const char*> known);

  bool has(const char* name) const;
  std::string text(const char* name, const std::string& otherwise = {});
  std::int64_t number(const char* name, std::int64_t otherwise = 0);
  bool flag(const char* name, bool otherwise);
  std::int64_t amount(const char* name, std::int64_t otherwise = 0);  // "12.5", in nano-units
  std::int64_t signed_amount(const char* name);                       // "-12.5"
  std::int64_t time(const char* name);  // RFC 3339, in seconds since 1970; 0: left out
  // The JSON of an array or object.
  std::string json(const char* name, rapidjson::Type type, const std::string& otherwise);

  // A value that the reader's caller can't take; the first fault stays.
  void refuse(const std::string& message);
  const std::optional<Answer>& fault() const { return fault_; }

 private:
  const rapidjson::Value* find(const char* name) const;

  rapidjson::Document document_;
  std::optional<Answer> fault_;
};

std::string query_of(const Request& request, const char* name);

// ?after= and ?limit=.
struct Page {
  std::string after;
  std::int64_t limit = 100;
};
Result<Page, Answer> read_page(const Request& request);

// {"data":[...],"next":...} of rows that were asked for one more than the page takes; `cursor` says
// where the next page begins.
template <class Rows, class Write, class Cursor>
Answer page_answer(Rows rows, const Page& page, Write write, Cursor cursor) {
  const bool more = rows.size() > static_cast<std::size_t>(page.limit);
  if (more) rows.pop_back();
  std::string next = "null";
  if (more) next = json_text(cursor(rows.back()));
  return {200, JsonObject().raw("data", json_array(rows, write)).raw("next", next).take()};
}

Answer refusal_answer(const account::Refusal& refusal);

template <class Row, class Write>
Answer row_answer(const account::Asked<Row>& asked, Write write, int status = 200) {
  if (!asked) return refusal_answer(asked.error());
  return {status, write(*asked)};
}

}  // namespace switchyard::admin

#include "core/admin/fields.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>

#include "core/base/nano.hpp"
#include "core/base/utc.hpp"
#include "core/observe/log.hpp"

namespace switchyard::admin {
namespace {

constexpr std::int64_t kLimitMax = 1000;

Answer bad(const std::string& message) {
  return error_answer(400, message, "invalid_request_error", "bad_body");
}

}  // namespace

Fields::Fields(const std::string& body, std::initializer_list<const char*> known) {
  // Iterative: a recursive parser would spend this thread's stack on what the body nests.
  document_.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      body.empty() ? "{}" : body.c_str(), body.empty() ? 2 : body.size());
  if (document_.HasParseError() || !document_.IsObject()) {
    refuse("The body must be a JSON object.");
    document_.SetObject();
  }
  for (const auto& member : document_.GetObject()) {
    const std::string name(member.name.GetString(), member.name.GetStringLength());
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      refuse(name + ": there is no such member here.");
    }
  }
}

const rapidjson::Value* Fields::find(const char* name) const {
  const auto found = document_.FindMember(name);
  return found == document_.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}

void Fields::refuse(const std::string& message) {
  if (!fault_) fault_ = bad(message);
}

bool Fields::has(const char* name) const { return find(name) != nullptr; }

std::string Fields::text(const char* name, const std::string& otherwise) {
  const rapidjson::Value* const value = find(name);
  if (value == nullptr) return otherwise;
  if (value->IsString()) return {value->GetString(), value->GetStringLength()};
  refuse(std::string(name) + ": expected a text.");
  return otherwise;
}

std::int64_t Fields::number(const char* name, std::int64_t otherwise) {
  const rapidjson::Value* const value = find(name);
  if (value == nullptr) return otherwise;
  if (value->IsInt64()) return value->GetInt64();
  refuse(std::string(name) + ": expected a whole number.");
  return otherwise;
}

bool Fields::flag(const char* name, bool otherwise) {
  const rapidjson::Value* const value = find(name);
  if (value == nullptr) return otherwise;
  if (value->IsBool()) return value->GetBool();
  refuse(std::string(name) + ": expected true or false.");
  return otherwise;
}

std::int64_t Fields::amount(const char* name, std::int64_t otherwise) {
  if (!has(name)) return otherwise;
  const auto nano = parse_nano(text(name));
  if (nano) return *nano;
  refuse(std::string(name) + ": expected an amount as a text, like \"12.5\", not below 0.");
  return otherwise;
}

std::int64_t Fields::signed_amount(const char* name) {
  if (!has(name)) return 0;
  const auto nano = parse_signed_nano(text(name));
  if (nano) return *nano;
  refuse(std::string(name) + ": expected an amount as a text, like \"12.5\" or \"-12.5\".");
  return 0;
}

std::int64_t Fields::time(const char* name) {
  if (!has(name)) return 0;
  const auto at = parse_utc(text(name));
  if (at) return static_cast<std::int64_t>(*at);
  refuse(std::string(name) + ": expected a time, like 2030-01-31T00:00:00Z.");
  return 0;
}

std::string Fields::json(const char* name, rapidjson::Type type, const std::string& otherwise) {
  const rapidjson::Value* const value = find(name);
  if (value == nullptr) return otherwise;
  if (value->GetType() != type) {
    refuse(std::string(name) +
           (type == rapidjson::kArrayType ? ": expected a list." : ": expected an object."));
    return otherwise;
  }
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  value->Accept(writer);
  return {text.GetString(), text.GetSize()};
}

std::string query_of(const Request& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

Result<Page, Answer> read_page(const Request& request) {
  Page page;
  page.after = query_of(request, "after");
  const std::string limit = query_of(request, "limit");
  if (limit.empty()) return page;
  const char* const end = limit.data() + limit.size();
  const auto [stopped, fault] = std::from_chars(limit.data(), end, page.limit);
  if (fault != std::errc() || stopped != end || page.limit < 1 || page.limit > kLimitMax) {
    return error_answer(400, "limit: expected 1 to 1000.", "invalid_request_error", "bad_query");
  }
  return page;
}

Answer refusal_answer(const account::Refusal& refusal) {
  if (refusal.status < 500) {
    return error_answer(refusal.status, refusal.message, "invalid_request_error", refusal.code);
  }
  spdlog::error("admin_fault reason={}", observe::quote(refusal.message));
  return error_answer(refusal.status, "Something of the gateway failed; its log says what.",
                      "api_error", refusal.code);
}

}  // namespace switchyard::admin

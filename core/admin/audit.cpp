#include "core/admin/audit.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "core/admin/json_body.hpp"
#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"
#include "core/observe/log.hpp"

namespace switchyard::admin {
namespace {

using Json = rapidjson::Value;
using Allocator = rapidjson::Document::AllocatorType;

constexpr std::size_t kBodyBytesMax = 8 * 1024;
constexpr unsigned kDepthMax = 16;
constexpr unsigned kParse = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return text;
}

bool named_like_secret(const std::string& name) {
  if (name.ends_with("_id")) return false;
  for (const char* word : {"key", "secret", "token", "password", "passphrase", "credential",
                           "authorization", "signature", "cookie", "mac", "code"}) {
    if (name.find(word) != std::string::npos) return true;
  }
  return false;
}

bool looks_like_secret(const std::string& text) {
  for (const char* sign : {"sy-", "sya-", "sk-", "bearer ", "basic ", "-----begin", "whsec_"}) {
    if (text.find(sign) != std::string::npos) return true;
  }
  return false;
}

void redact_value(Json& value, Allocator& allocator, unsigned depth) {
  if (value.IsString()) {
    if (looks_like_secret(lower(value.GetString()))) value.SetString("[redacted]");
  } else if (depth == kDepthMax && (value.IsObject() || value.IsArray())) {
    value.SetString("[nested]");
  } else if (value.IsArray()) {
    for (Json& each : value.GetArray()) redact_value(each, allocator, depth + 1);
  } else if (value.IsObject()) {
    for (auto& member : value.GetObject()) {
      if (named_like_secret(lower(member.name.GetString()))) {
        member.value.SetString("[redacted]");
      } else {
        redact_value(member.value, allocator, depth + 1);
      }
    }
  }
}

std::string joined_params(const Request& request) {
  std::string joined;
  for (const auto& [name, value] : request.params) joined += (joined.empty() ? "" : "/") + value;
  return joined;
}

// What the answer says of what was made or of the error.
struct Outcome {
  std::string object, code;
};

std::string short_text(const Json& json, const char* name) {
  const auto found = json.FindMember(name);
  if (found == json.MemberEnd() || !found->value.IsString()) return {};
  return std::string(found->value.GetString()).substr(0, 128);
}

Outcome outcome_of(const Answer& answer) {
  Outcome outcome;
  rapidjson::Document document;
  document.Parse<kParse>(answer.body.data(), answer.body.size());
  if (document.HasParseError() || !document.IsObject()) return outcome;
  const auto error = document.FindMember("error");
  if (answer.status < 400) {
    outcome.object = short_text(document, "id");
  } else if (error != document.MemberEnd() && error->value.IsObject()) {
    outcome.code = short_text(error->value, "code");
  }
  if (answer.headers.contains("Idempotent-Replayed")) outcome.code = "replayed";
  return outcome;
}

store::AuditBegin begin_of(const Route& route, const Request& request,
                           const account::Pepper& pepper) {
  store::AuditBegin entry;
  entry.unix_ms = unix_ns() / 1'000'000u;
  entry.caller_id = request.caller.id;
  entry.caller = request.caller.name;
  entry.role = to_string(request.caller.role);
  entry.peer = request.peer;
  entry.method = request.method;
  entry.route = route.path;
  entry.object = joined_params(request);
  if (!route.private_body) entry.body = redacted_body(request.body);
  if (!request.body.empty()) entry.body_mac = account::to_hex(pepper.mac(request.body));
  return entry;
}

void note_end(store::AuditLog& log, std::int64_t seq, int status, const Outcome& outcome) {
  const auto noted = log.end(seq, status, outcome.object, outcome.code);
  if (!noted) {
    // The change is made, and its beginning is written.
    spdlog::error("audit_not_ended seq={} status={} reason={}", seq, status,
                  observe::quote(noted.error().message));
  }
}

Answer answer_audited(const Route& route, const Request& request, store::AuditLog& log,
                      const account::Pepper& pepper) {
  const auto seq = log.begin(begin_of(route, request, pepper));
  if (!seq) {
    spdlog::error("audit_not_written reason={}", observe::quote(seq.error().message));
    return error_answer(503, "The change can't be written to the audit log; nothing was done.",
                        "server_error", "audit_unavailable");
  }
  try {
    Answer answer = route.answer(request);
    note_end(log, *seq, answer.status, outcome_of(answer));
    return answer;
  } catch (...) {
    note_end(log, *seq, 500, {{}, "internal_error"});
    throw;
  }
}

Result<store::AuditLog::Query, Answer> read_query(const Request& request) {
  store::AuditLog::Query query;
  const auto limit = read_limit(request);
  if (!limit) return limit.error();
  query.limit = *limit;
  const auto text_of = [&](const char* name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string() : found->second;
  };
  query.caller_id = text_of("caller_id");
  query.object = text_of("object");
  const std::string after = text_of("after");
  const char* const end = after.data() + after.size();
  const auto read = std::from_chars(after.data(), end, query.before);
  const bool fits = read.ec == std::errc() && read.ptr == end && query.before > 0 &&
                    query.before <= static_cast<std::uint64_t>(INT64_MAX);
  if (!after.empty() && !fits) {
    return error_answer(400, "after: expected what \"next\" was in the page before.",
                        "invalid_request_error", "bad_cursor");
  }
  return query;
}

Answer list_audit(store::AuditLog& log, const Request& request) {
  auto query = read_query(request);
  if (!query) return query.error();
  const std::uint64_t limit = query->limit++;
  auto rows = log.list(*query);
  if (!rows) throw std::runtime_error(rows.error().message);
  const bool more = rows->size() > limit;
  if (more) rows->pop_back();
  return {200, JsonObject()
                   .raw("data", json_array(*rows, audit_json))
                   .text_or_null("next", more ? std::to_string(rows->back().seq) : "")
                   .take()};
}

}  // namespace

std::string redacted_body(const std::string& body) {
  rapidjson::Document document;
  document.Parse<kParse>(body.data(), body.size());
  if (document.HasParseError()) return {};
  redact_value(document, document.GetAllocator(), 0);
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  document.Accept(writer);
  return text.GetSize() > kBodyBytesMax ? std::string() : std::string(text.GetString());
}

std::vector<Route> audited(std::vector<Route> routes, store::AuditLog& log,
                           const account::Pepper& pepper) {
  for (Route& route : routes) {
    if (route.method == "GET" && !route.audited_read) continue;
    route.answer = [inner = route, &log, pepper](const Request& request) {
      return answer_audited(inner, request, log, pepper);
    };
  }
  return routes;
}

std::string audit_json(const store::AuditRow& row) {
  const store::AuditBegin& begin = row.begin;
  JsonObject json;
  json.number("seq", row.seq)
      .text("at", utc_text(begin.unix_ms / 1000))
      .text("caller", begin.caller)
      .text("caller_id", begin.caller_id)
      .text("role", begin.role)
      .text("peer", begin.peer)
      .text("method", begin.method)
      .text("route", begin.route)
      .text_or_null("object", begin.object.empty() ? row.object : begin.object)
      .raw("body", begin.body.empty() ? "null" : begin.body)
      .text_or_null("body_mac", begin.body_mac)
      .raw("status", row.status ? std::to_string(*row.status) : "null")
      .text_or_null("code", row.code);
  return json.take();
}

std::vector<Route> audit_routes(store::AuditLog& log) {
  return {{"GET", "/admin/v1/audit", Access::kToken,
           [&log](const Request& request) { return list_audit(log, request); }, Role::kOperator}};
}

}  // namespace switchyard::admin

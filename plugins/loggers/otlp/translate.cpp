#include "loggers/otlp/translate.hpp"

#include <charconv>

namespace otlp {
namespace {

using swy::view;
using swy::json::Writer;

constexpr int kServer = 2;       // SPAN_KIND_SERVER
constexpr int kStatusError = 2;  // STATUS_CODE_ERROR
// Span.flags: bits 8 and 9 say that it is known whether the parent is elsewhere, and that it is.
constexpr std::uint32_t kSampled = 1, kRemoteKnown = 0x100, kRemote = 0x200;

std::string decimal(std::uint64_t value) { return std::to_string(value); }

std::string_view parent_span(const swy_rec& record) {
  return SWY_HAS(&record, swy_rec, parent_span) ? view(record.parent_span) : std::string_view();
}

// What the client decided, and sampled where it said nothing.
std::uint32_t trace_flags(const swy_rec& record) {
  const bool given = record.trace.n > 0 && SWY_HAS(&record, swy_rec, trace_flags);
  return given ? record.trace_flags & 0xFFU : kSampled;
}

bool failed(const swy_rec& record) {
  const std::string_view status = view(record.final_status);
  return status == "upstream_error" || status == "gateway_error";
}

std::string_view error_type(const swy_rec& record) {
  if (record.error_code.n > 0) return view(record.error_code);
  return failed(record) ? view(record.final_status) : std::string_view();
}

double seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

// Each bit of the input moves about half of the output's.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}

// 64 bits that stand for this record; `salt` gives further ones.
std::uint64_t digest(const swy_rec& record, std::uint64_t salt) {
  std::uint64_t state = mix(record.start_unix_ns + salt);
  for (const char c : view(record.id)) state = mix(state ^ static_cast<unsigned char>(c)) + salt;
  return state != 0 ? state : 1;  // all zeroes is no id
}

std::string hex(std::uint64_t value) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = kHex[value & 15U];
  return text;
}

std::string span_name(const swy_rec& record) {
  std::string name(operation(record));
  if (name.empty()) return "request";
  if (record.model_asked.n > 0) name.append(" ").append(view(record.model_asked));
  return name;
}

void write_tokens(Attributes& attributes, const swy_rec& record) {
  if (record.attempts == 0) return;
  const auto count = [&](const char* key, std::uint64_t value) {
    attributes.integer(key, static_cast<std::int64_t>(value));
  };
  count("gen_ai.usage.input_tokens", record.tok_in);
  count("gen_ai.usage.output_tokens", record.tok_out);
  if (record.tok_cached > 0) count("gen_ai.usage.cache_read.input_tokens", record.tok_cached);
  if (record.tok_reasoning > 0) {
    count("gen_ai.usage.reasoning.output_tokens", record.tok_reasoning);
  }
  attributes.flag("switchyard.usage.estimated", (record.flags & SWY_REC_USAGE_ESTIMATED) != 0);
}

// What spans and log records have in common.
void write_attributes(Writer& json, const swy_rec& record) {
  const auto has = [&record](std::uint32_t flag) { return (record.flags & flag) != 0; };
  Attributes attributes(json);
  attributes.text("gen_ai.operation.name", operation(record));
  attributes.text("gen_ai.provider.name", provider_name(record));
  attributes.text("gen_ai.request.model", view(record.model_asked));
  attributes.text("gen_ai.response.model", view(record.model_used));
  attributes.flag("gen_ai.request.stream", has(SWY_REC_STREAM));
  attributes.texts_of_one("gen_ai.response.finish_reasons", view(record.finish_reason));
  if (has(SWY_REC_STREAM) && record.ttft_ns > 0) {
    attributes.real("gen_ai.response.time_to_first_chunk", seconds(record.ttft_ns));
  }
  write_tokens(attributes, record);
  attributes.text("error.type", error_type(record));
  attributes.integer("http.response.status_code", record.status);
  attributes.text("switchyard.request_id", view(record.id));
  attributes.text("switchyard.provider", view(record.provider));
  attributes.text("switchyard.status", view(record.final_status));
  attributes.text("switchyard.error_text", view(record.error_text));
  attributes.flag("switchyard.client_left", has(SWY_REC_CLIENT_LEFT));
  attributes.integer("switchyard.attempts", record.attempts);
  attributes.real("switchyard.upstream_wait", seconds(record.upstream_ns));
  if (has(SWY_REC_COST_KNOWN)) {
    attributes.integer("switchyard.cost_nano", record.cost_nano);
    attributes.text("switchyard.cost_currency", view(record.cost_currency));
  }
  attributes.text("switchyard.key_id", view(record.key_id));
  attributes.text("switchyard.account", view(record.account));
  attributes.text("switchyard.feature", view(record.feature));
  attributes.text("switchyard.surface", view(record.surface));
  attributes.text("switchyard.fallback_path", view(record.fallback_path));
  attributes.text("switchyard.route_reason", view(record.route_reason));
  for (std::uint64_t i = 0; i < record.nkv; ++i) {
    const std::string key = "switchyard.facts." + std::string(view(record.kv[i].k));
    attributes.text(key, view(record.kv[i].v));
  }
}

void write_span(Writer& json, const swy_rec& record) {
  const std::string_view parent = parent_span(record);
  json.open_object();
  json.key("traceId").text(trace_id(record));
  json.key("spanId").text(span_id(record));
  if (!parent.empty()) json.key("parentSpanId").text(parent);
  json.key("flags").natural(trace_flags(record) | kRemoteKnown | (parent.empty() ? 0 : kRemote));
  json.key("name").text(span_name(record));
  json.key("kind").integer(kServer);
  json.key("startTimeUnixNano").text(decimal(record.start_unix_ns));
  json.key("endTimeUnixNano").text(decimal(record.start_unix_ns + record.dur_ns));
  json.key("attributes");
  write_attributes(json, record);
  json.key("status").open_object();
  if (failed(record)) {
    json.key("code").integer(kStatusError);
    if (record.error_text.n > 0) json.key("message").text(view(record.error_text));
  }
  json.close_object();
  json.close_object();
}

// SeverityNumber and its text.
std::pair<int, const char*> severity(const swy_rec& record) {
  if (failed(record)) return {17, "ERROR"};
  if (view(record.final_status) == "client_error") return {13, "WARN"};
  return {9, "INFO"};
}

// For people who read logs: "chat fast -> openai/gpt-x 200".
std::string summary(const swy_rec& record) {
  std::string text = span_name(record);
  if (record.provider.n > 0) {
    text.append(" -> ").append(view(record.provider)).append("/").append(view(record.model_used));
  }
  text.append(" ").append(decimal(record.status));
  if (record.error_code.n > 0) text.append(" ").append(view(record.error_code));
  return text;
}

void write_log_record(Writer& json, const swy_rec& record, std::uint64_t now_unix_ns) {
  const auto [level, word] = severity(record);
  json.open_object();
  json.key("timeUnixNano").text(decimal(record.start_unix_ns + record.dur_ns));
  json.key("observedTimeUnixNano").text(decimal(now_unix_ns));
  json.key("severityNumber").integer(level);
  json.key("severityText").text(word);
  json.key("eventName").text("switchyard.request");
  json.key("body").open_object().key("stringValue").text(summary(record)).close_object();
  json.key("attributes");
  write_attributes(json, record);
  json.key("flags").natural(trace_flags(record));
  json.key("traceId").text(trace_id(record));
  json.key("spanId").text(span_id(record));
  json.close_object();
}

// {"resourceX":[{"resource":...,"scopeX":[{"scope":...,"X":[ ... ]}]}]}
struct Names {
  const char *resource, *scope, *items;
};

template <class Write>
std::string document(const Names& names, const swy::Records& records, std::string_view resource,
                     Write write) {
  std::string out;
  out.reserve(256 + resource.size() + records.size() * std::size_t{2048});
  Writer json(out);
  json.open_object().key(names.resource).open_array().open_object();
  json.key("resource").raw(resource);
  json.key(names.scope).open_array().open_object();
  write_scope(json);
  json.key(names.items).open_array();
  for (std::uint32_t i = 0; i < records.size(); ++i) write(json, records[i]);
  json.close_array();
  json.close_object().close_array().close_object().close_array().close_object();
  return out;
}

}  // namespace

Writer& Attributes::begin(std::string_view key, const char* type) {
  json_.open_object().key("key").text(key);
  return json_.key("value").open_object().key(type);
}

void Attributes::text(std::string_view key, std::string_view value) {
  if (value.empty()) return;
  begin(key, "stringValue").text(value).close_object().close_object();
}

void Attributes::texts_of_one(std::string_view key, std::string_view value) {
  if (value.empty()) return;
  begin(key, "arrayValue").open_object().key("values").open_array();
  json_.open_object().key("stringValue").text(value).close_object();
  json_.close_array().close_object().close_object().close_object();
}

void Attributes::integer(std::string_view key, std::int64_t value) {
  begin(key, "intValue").text(std::to_string(value)).close_object().close_object();
}

void Attributes::real(std::string_view key, double value) {
  begin(key, "doubleValue").raw(number(value)).close_object().close_object();
}

void Attributes::flag(std::string_view key, bool value) {
  if (value) begin(key, "boolValue").boolean(true).close_object().close_object();
}

std::string resource_json(std::string_view service_name,
                          const std::vector<std::pair<std::string, std::string>>& attributes) {
  std::string out;
  Writer json(out);
  json.open_object().key("attributes");
  {
    Attributes all(json);
    all.text("service.name", service_name);
    for (const auto& [key, value] : attributes) all.text(key, value);
  }
  json.close_object();
  return out;
}

void write_scope(Writer& json) {
  json.key("scope").open_object().key("name").text("switchyard").close_object();
}

std::string traces_json(const swy::Records& records, std::string_view resource) {
  return document({"resourceSpans", "scopeSpans", "spans"}, records, resource, write_span);
}

std::string logs_json(const swy::Records& records, std::string_view resource,
                      std::uint64_t now_unix_ns) {
  const auto write = [now_unix_ns](Writer& json, const swy_rec& record) {
    write_log_record(json, record, now_unix_ns);
  };
  return document({"resourceLogs", "scopeLogs", "logRecords"}, records, resource, write);
}

std::string_view operation(const swy_rec& record) {
  const std::string_view task = view(record.task);
  return task == "completions" ? "text_completion" : task;
}

std::string_view provider_name(const swy_rec& record) {
  const bool known = SWY_HAS(&record, swy_rec, provider_name) && record.provider_name.n > 0;
  return view(known ? record.provider_name : record.provider);
}

std::string trace_id(const swy_rec& record) {
  if (record.trace.n > 0) return std::string(view(record.trace));
  return hex(digest(record, 1)) + hex(digest(record, 2));
}

std::string span_id(const swy_rec& record) { return hex(digest(record, 3)); }

std::string number(double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return {digits, end};
}

}  // namespace otlp

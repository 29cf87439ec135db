#include "loggers/jsonl/translate.hpp"

#include <cstdio>
#include <ctime>
#include <switchyard/json.hpp>

namespace jsonl {

namespace {

using swy::view;

// OpenTelemetry's words for what is done; where it has none, the task's own name.
std::string_view operation(std::string_view task) {
  return task == "completions" ? "text_completion" : task;
}

std::string timestamp(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<unsigned>(unix_ns % 1'000'000'000 / 1000));
  return text;
}

// Writes members; texts that are empty are left out.
class Line {
 public:
  explicit Line(std::string& out) : writer_(out) { writer_.open_object(); }

  void text(const char* name, std::string_view value) {
    if (!value.empty()) writer_.key(name).text(value);
  }
  void count(const char* name, std::uint64_t value) { writer_.key(name).natural(value); }
  void flag(const char* name, bool value) {
    if (value) writer_.key(name).boolean(true);
  }
  // Milliseconds with three decimals.
  void duration(const char* name, std::uint64_t ns) {
    char digits[32];
    const std::uint64_t us = ns / 1000;
    std::snprintf(digits, sizeof digits, "%llu.%03llu", static_cast<unsigned long long>(us / 1000),
                  static_cast<unsigned long long>(us % 1000));
    writer_.key(name).raw(digits);
  }
  swy::json::Writer& writer() { return writer_; }

 private:
  swy::json::Writer writer_;
};

}  // namespace

void append_line(std::string& out, const swy_rec& record) {
  const auto has = [&record](std::uint32_t flag) { return (record.flags & flag) != 0; };
  Line line(out);
  line.text("timestamp", timestamp(record.start_unix_ns));
  line.text("trace_id", view(record.trace));
  if (SWY_HAS(&record, swy_rec, parent_span)) {
    line.text("parent_span_id", view(record.parent_span));
  }
  line.text("switchyard.request_id", view(record.id));
  line.text("gen_ai.operation.name", operation(view(record.task)));
  const bool named = SWY_HAS(&record, swy_rec, provider_name) && record.provider_name.n > 0;
  line.text("gen_ai.provider.name", view(named ? record.provider_name : record.provider));
  line.text("switchyard.provider", view(record.provider));
  line.text("gen_ai.request.model", view(record.model_asked));
  line.text("gen_ai.response.model", view(record.model_used));
  if (record.finish_reason.n > 0) {
    line.writer().key("gen_ai.response.finish_reasons").open_array();
    line.writer().text(view(record.finish_reason)).close_array();
  }
  line.count("gen_ai.usage.input_tokens", record.tok_in);
  line.count("gen_ai.usage.output_tokens", record.tok_out);
  line.count("gen_ai.usage.cache_read.input_tokens", record.tok_cached);
  line.count("gen_ai.usage.reasoning.output_tokens", record.tok_reasoning);
  line.flag("switchyard.usage.estimated", has(SWY_REC_USAGE_ESTIMATED));
  line.count("http.response.status_code", record.status);
  line.text("switchyard.status", view(record.final_status));
  line.text("error.type", view(record.error_code));
  line.text("switchyard.error_text", view(record.error_text));
  line.flag("switchyard.stream", has(SWY_REC_STREAM));
  line.flag("switchyard.client_left", has(SWY_REC_CLIENT_LEFT));
  line.duration("switchyard.duration_ms", record.dur_ns);
  if (record.ttft_ns > 0) line.duration("switchyard.time_to_first_token_ms", record.ttft_ns);
  line.duration("switchyard.upstream_ms", record.upstream_ns);
  line.count("switchyard.attempts", record.attempts);
  if (has(SWY_REC_COST_KNOWN)) {
    line.writer().key("switchyard.cost_nano").integer(record.cost_nano);
    line.text("switchyard.cost_currency", view(record.cost_currency));
  }
  line.text("switchyard.key_id", view(record.key_id));
  line.text("switchyard.account", view(record.account));
  line.text("switchyard.feature", view(record.feature));
  line.text("switchyard.surface", view(record.surface));
  line.text("switchyard.fallback_path", view(record.fallback_path));
  line.text("switchyard.route_reason", view(record.route_reason));
  if (record.nkv > 0) {
    line.writer().key("switchyard.facts").open_object();
    for (std::uint64_t i = 0; i < record.nkv; ++i) {
      line.writer().key(view(record.kv[i].k)).text(view(record.kv[i].v));
    }
    line.writer().close_object();
  }
  line.writer().close_object();
  out += '\n';
}

}  // namespace jsonl

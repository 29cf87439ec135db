#include "loggers/otlp/exporter.hpp"

#include "loggers/otlp/translate.hpp"

namespace otlp {
namespace {

namespace json = swy::json;

constexpr std::uint64_t kTellEvery_ns = 60'000'000'000;

struct Words {
  const char *name, *path, *items, *rejected;
};

// OTLP's names of a signal.
const Words& words(unsigned signal) {
  static constexpr Words kTraces{"traces", "/v1/traces", "spans", "rejectedSpans"};
  static constexpr Words kLogs{"logs", "/v1/logs", "log records", "rejectedLogRecords"};
  static constexpr Words kMetrics{"metrics", "/v1/metrics", "data points", "rejectedDataPoints"};
  return signal == 1 ? kTraces : signal == 2 ? kLogs : kMetrics;
}

// OTLP 1.x, "Retryable Response Codes"; all others are final.
bool is_retryable(std::uint32_t status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

// Either a number or, as protobuf's JSON has it, a string of digits.
std::int64_t integer(std::string_view value) {
  const std::string text = json::to_text(value).value_or(std::string(value));
  return json::to_integer(text).value_or(0);
}

std::vector<std::pair<std::string, std::string>> pairs(std::string_view object) {
  std::vector<std::pair<std::string, std::string>> found;
  json::Cursor cursor(object);
  std::string_view name;
  if (!cursor.object()) return found;
  while (cursor.member(name)) {
    const auto value = json::to_text(cursor.value());
    if (value) found.emplace_back(json::unescape("\"" + std::string(name) + "\""), *value);
  }
  return found;
}

}  // namespace

swy::Result<Exporter> Exporter::open(std::string_view config_json, swy::Host host) {
  const auto name = json::to_text(json::find(config_json, "destination"));
  if (!name) return swy::Error{SWY_CLS_PLUGIN, "destination: missing"};
  auto destination = swy::Destination::open(host, *name);
  if (!destination) return destination.error();
  Exporter exporter(host, *std::move(destination));

  const std::string_view signals = json::find(config_json, "signals");
  if (!signals.empty()) {
    exporter.signals_ = 0;
    json::Cursor cursor(signals);
    if (!cursor.array()) return swy::Error{SWY_CLS_PLUGIN, "signals: expected an array"};
    while (cursor.element()) {
      const auto signal = json::to_text(cursor.value());
      unsigned known = 0;
      for (const unsigned each : {kTraces, kLogs, kMetrics}) {
        if (signal == words(each).name) known = each;
      }
      if (known == 0) {
        return swy::Error{SWY_CLS_PLUGIN, "signals: expected traces, logs or metrics"};
      }
      exporter.signals_ |= known;
    }
  }
  const auto service = json::to_text(json::find(config_json, "service_name"));
  exporter.resource_ =
      resource_json(service.value_or("switchyard"), pairs(json::find(config_json, "resource")));
  return exporter;
}

Exporter::Mark Exporter::mark_of(const swy::Records& records) {
  if (records.size() == 0) return {};
  const auto stands_for = [&](std::uint32_t i) {
    return records[i].start_unix_ns + std::hash<std::string_view>()(swy::view(records[i].id));
  };
  return {records.size(), stands_for(0), stands_for(records.size() - 1)};
}

swy::Result<std::uint32_t> Exporter::write(const swy::Records& records, std::uint64_t deadline_ns) {
  // What one signal has got of a batch that comes again it does not get twice.
  const Mark mark = mark_of(records);
  if (mark != pending_) sent_ = 0;
  pending_ = mark;
  if (wants(kTraces) && (sent_ & kTraces) == 0) {
    const auto sent = send(kTraces, traces_json(records, resource_), records.size(), deadline_ns);
    if (!sent) return sent.error();
    sent_ |= kTraces;
  }
  if (wants(kLogs) && (sent_ & kLogs) == 0) {
    const std::string body = logs_json(records, resource_, host_.unix_ns());
    const auto sent = send(kLogs, body, records.size(), deadline_ns);
    if (!sent) return sent.error();
  }
  pending_ = {};
  sent_ = 0;
  if (wants(kMetrics)) {
    for (std::uint32_t i = 0; i < records.size(); ++i) metrics_.add(records[i]);
  }
  return records.size();
}

swy::Result<> Exporter::flush(std::uint64_t deadline_ns) {
  if (metrics_.empty()) return {};
  const std::uint64_t now = host_.unix_ns();
  const std::string body = metrics_.json(resource_, from_unix_ns_, now);
  const auto sent = send(kMetrics, body, metrics_.points(), deadline_ns);
  // What could not be sent goes on adding up.
  if (!sent) return sent;
  metrics_.clear();
  from_unix_ns_ = now;
  return {};
}

swy::Result<> Exporter::send(Signal signal, const std::string& json, std::uint64_t items,
                             std::uint64_t deadline_ns) {
  const std::string place = destination_.name() + words(signal).path + ": ";
  const std::uint64_t now = host_.monotonic_ns();
  if (now < not_before_ns_) {
    return swy::overloaded(place + "waits as it was asked to",
                           static_cast<std::uint32_t>((not_before_ns_ - now) / 1'000'000 + 1));
  }
  const auto answer = destination_.post_json(words(signal).path, json, deadline_ns);
  if (!answer) {
    if (answer.error().cls == SWY_CLS_PLUGIN) return answer.error();
    return swy::overloaded(answer.error().message);
  }
  const std::string status = "status " + std::to_string(answer->status);
  if (is_retryable(answer->status)) {
    not_before_ns_ = host_.monotonic_ns() + std::uint64_t{answer->retry_after_ms} * 1'000'000;
    return swy::overloaded(place + status, answer->retry_after_ms);
  }
  if (answer->status >= 200 && answer->status < 300) {
    tell_partial(signal, answer->body);
    return {};
  }
  const auto message = json::to_text(json::find(answer->body, "message"));
  tell_rejected(signal, items, status + (message ? ": " + *message : ""));
  return {};
}

void Exporter::tell_partial(Signal signal, std::string_view answer) {
  const std::string_view partial = json::find(answer, "partialSuccess");
  const std::int64_t rejected = integer(json::find(partial, words(signal).rejected));
  const std::string message = json::to_text(json::find(partial, "errorMessage")).value_or("");
  if (rejected > 0) tell_rejected(signal, static_cast<std::uint64_t>(rejected), message);
}

// Once a minute; what was held back is counted in the next line.
void Exporter::tell_rejected(Signal signal, std::uint64_t items, const std::string& why) {
  rejected_ += items;
  const std::uint64_t now = host_.monotonic_ns();
  if (told_ns_ != 0 && now - told_ns_ < kTellEvery_ns) return;
  host_.log(SWY_LOG_ERROR, destination_.name() + words(signal).path + " rejected " +
                               std::to_string(items) + " " + words(signal).items + " for good (" +
                               std::to_string(rejected_) +
                               " items since this was last told): " + why);
  rejected_ = 0;
  told_ns_ = now;
}

}  // namespace otlp

#include "core/observe/metrics.hpp"

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdio>
#include <functional>
#include <map>
#include <span>

namespace switchyard::observe {
namespace {

constexpr std::size_t kLabelBytesMax = 128;

// Only the loop's thread writes, so a load and a store do; readers see each value whole.
void add(std::atomic<std::uint64_t>& cell, std::uint64_t n) {
  cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// The span between two moments of a record, where both were reached.
void add_span(Histogram& histogram, std::uint64_t from_ns, std::uint64_t to_ns) {
  if (from_ns != 0 && to_ns >= from_ns) histogram.add_ns(to_ns - from_ns);
}

// The length of the well-formed UTF-8 sequence (RFC 3629) at the start of `text`, 0 where there is
// none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xc2   ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
  if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
  return length;
}

void append_label_value(std::string& out, std::string_view value) {
  while (!value.empty()) {
    const std::size_t length = utf8_length(value);
    if (length == 0) {
      out += "\xef\xbf\xbd";  // U+FFFD
    } else if (value[0] == '\n') {
      out += "\\n";
    } else {
      if (value[0] == '"' || value[0] == '\\') out += '\\';
      out += value.substr(0, length);
    }
    value.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

std::string seconds(std::uint64_t ns) { return number(static_cast<double>(ns) / 1e9); }

}  // namespace

// Prometheus text format 0.0.4 as it grows.
class MetricsPage {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    out_.append("# HELP ").append(name).append(" ").append(help);
    out_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  void sample(std::string_view labels, std::string_view value) { line("", labels, value); }
  void sample(std::string_view labels, std::integral auto value) {
    line("", labels, std::to_string(value));
  }
  // Bounds 2^first .. 2^last microseconds; what lies between two of them counts in the upper one.
  void histogram(std::string_view labels, const Histogram::Snapshot& snapshot, std::size_t first,
                 std::size_t last) {
    std::string open = "{";
    if (!labels.empty()) open.append(labels.substr(1, labels.size() - 2)).append(",");
    std::uint64_t count = 0;
    for (std::size_t i = 0; i <= last; ++i) {
      count += snapshot.counts[i];
      if (i < first) continue;
      const std::string bound = seconds((std::uint64_t{1} << i) * 1000);
      line("_bucket", open + "le=\"" + bound + "\"}", std::to_string(count));
    }
    line("_bucket", open + "le=\"+Inf\"}", std::to_string(snapshot.count));
    line("_sum", labels, seconds(snapshot.sum_ns));
    line("_count", labels, std::to_string(snapshot.count));
  }
  std::string take() { return std::move(out_); }

 private:
  void line(std::string_view suffix, std::string_view labels, std::string_view value) {
    out_.append(name_).append(suffix).append(labels).append(" ").append(value).append("\n");
  }
  std::string out_, name_;
};

namespace {

// Bounds as powers of two of a microsecond: from 0.5 ms to 67 s for what a request takes, from 1 us
// to 8.4 s for what the gateway adds.
constexpr std::size_t kRequestFirst = 9, kRequestLast = 26, kPhaseFirst = 0, kPhaseLast = 23;

struct TargetTotals {
  std::uint64_t tok_in = 0, tok_out = 0;
  Histogram::Snapshot ttft, duration;
};

void write_targets(MetricsPage& page, const std::map<std::string, TargetTotals>& targets) {
  page.family("switchyard_tokens_total", "counter",
              "Tokens of finished requests, reported or estimated.");
  for (const auto& [labels, totals] : targets) {
    page.sample("{direction=\"input\"," + labels.substr(1), totals.tok_in);
    page.sample("{direction=\"output\"," + labels.substr(1), totals.tok_out);
  }
  page.family("switchyard_time_to_first_token_seconds", "histogram",
              "From the request's head to the first content handed to the client.");
  for (const auto& [labels, totals] : targets) {
    if (totals.ttft.count == 0) continue;
    page.histogram(labels, totals.ttft, kRequestFirst, kRequestLast);
  }
  page.family("switchyard_request_duration_seconds", "histogram",
              "From the request's head to the answer's last byte.");
  for (const auto& [labels, totals] : targets) {
    page.histogram(labels, totals.duration, kRequestFirst, kRequestLast);
  }
}

void write_extra(MetricsPage& page, const std::vector<Metrics::Extra>& extra) {
  std::vector<bool> written(extra.size(), false);
  for (std::size_t i = 0; i < extra.size(); ++i) {
    if (written[i]) continue;
    page.family(extra[i].name, extra[i].type, extra[i].help);
    for (std::size_t j = i; j < extra.size(); ++j) {
      if (extra[j].name != extra[i].name) continue;
      page.sample(extra[j].labels, number(extra[j].value));
      written[j] = true;
    }
  }
}

}  // namespace

void Histogram::add_ns(std::uint64_t ns) {
  const std::uint64_t us = ns / 1000 + (ns % 1000 != 0);
  const std::size_t bucket = us == 0 ? 0 : static_cast<std::size_t>(std::bit_width(us - 1));
  add(counts_[std::min(bucket, kBuckets - 1)], 1);
  add(sum_ns_, ns);
}

void Histogram::add_to(Snapshot& total) const {
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::uint64_t n = counts_[i].load(std::memory_order_relaxed);
    total.counts[i] += n;
    total.count += n;  // summed here, so that it always fits the buckets
  }
  total.sum_ns += sum_ns_.load(std::memory_order_relaxed);
}

std::size_t LoopMetrics::KeyHash::operator()(const KeyView& key) const {
  const std::hash<std::string_view> hash;
  constexpr std::size_t kOdd = 0x9e3779b97f4a7c15u;
  std::size_t sum = key.status;
  for (const std::string_view part : {key.provider, key.model, key.task}) {
    sum = std::rotl(sum * kOdd, 29) ^ hash(part);
  }
  return sum;
}

bool LoopMetrics::KeyEqual::operator()(const KeyView& a, const KeyView& b) const {
  return a.status == b.status && a.model == b.model && a.provider == b.provider && a.task == b.task;
}

LoopMetrics::Series& LoopMetrics::series_of(const Record& record) {
  const unsigned status = record.status >= 100 && record.status <= 999 ? record.status : 0;
  const KeyView key{status, cut_utf8(record.provider, kLabelBytesMax),
                    cut_utf8(record.model_used, kLabelBytesMax),
                    cut_utf8(record.task, kLabelBytesMax)};
  if (const auto found = series_.find(key); found != series_.end()) return *found->second;
  if (series_.size() < kSeriesMax) return new_series(key);

  const KeyView other{status, "other", "other", "other"};
  if (const auto found = series_.find(other); found != series_.end()) return *found->second;
  return new_series(other);
}

LoopMetrics::Series& LoopMetrics::new_series(const KeyView& key) {
  Key owned{key.status, std::string(key.provider), std::string(key.model), std::string(key.task)};
  const std::lock_guard lock(mutex_);
  return *series_.emplace(std::move(owned), std::make_unique<Series>()).first->second;
}

namespace {

constexpr const char* kContinued[] = {"completed", "cut", "client_left", "nobody"};

std::size_t how_continued(const Record& record) {
  if (record.continued == Continued::kTried) return 3;
  if (record.final_status == FinalStatus::kClientLeft) return 2;
  return record.final_status == FinalStatus::kOk ? 0 : 1;
}

}  // namespace

void LoopMetrics::add(const Record& record) {
  Series& series = series_of(record);
  observe::add(series.requests, 1);
  if (record.usage.tok_in != 0) observe::add(series.tok_in, record.usage.tok_in);
  if (record.usage.tok_out != 0) observe::add(series.tok_out, record.usage.tok_out);
  if (record.usage.clamped) observe::add(usage_impossible, 1);
  if (record.continued != Continued::kNo) observe::add(continued[how_continued(record)], 1);
  if (record.first_ns != 0) add_span(series.ttft, record.start_ns, record.first_ns);
  add_span(series.duration, record.start_ns, record.end_ns);

  add_span(admit_, record.start_ns, record.body_ns);
  add_span(plan_, record.body_ns, record.planned_ns);
  if (record.attempts == 0) return;
  upstream_.add_ns(record.upstream_ns);
  add_span(relay_, record.head_ns, record.end_ns);
  // Attempts before the last have waited too, between plan and send.
  const bool answered = record.head_ns >= record.sent_ns && record.sent_ns != 0;
  const std::uint64_t last_wait = answered ? record.head_ns - record.sent_ns : 0;
  const std::uint64_t earlier = record.upstream_ns > last_wait ? record.upstream_ns - last_wait : 0;
  if (record.planned_ns != 0) add_span(connect_, record.planned_ns + earlier, record.sent_ns);
}

LoopMetrics& Metrics::add_loop() {
  const std::lock_guard lock(mutex_);
  return *loops_.emplace_back(std::make_unique<LoopMetrics>());
}

std::string Metrics::prometheus(const std::vector<Extra>& extra) const {
  MetricsPage page;
  const std::lock_guard lock(mutex_);
  write_counters(page);
  write_requests(page);
  write_phases(page);
  write_extra(page, extra);
  return page.take();
}

void Metrics::write_counters(MetricsPage& page) const {
  using L = LoopMetrics;
  const auto sum = [this](auto member) {
    decltype((loops_.front().get()->*member).load()) total = 0;
    for (const auto& loop : loops_) total += (loop.get()->*member).load(std::memory_order_relaxed);
    return total;
  };
  const auto single = [&](const char* name, const char* type, const char* help, auto member) {
    page.family(name, type, help);
    page.sample("", sum(member));
  };
  single("switchyard_open_connections", "gauge", "Client connections that are open.",
         &L::open_connections);
  single("switchyard_open_requests", "gauge", "Requests being served.", &L::open_requests);
  single("switchyard_open_streams", "gauge", "Streamed answers being relayed.", &L::open_streams);
  single("switchyard_connections_total", "counter", "Client connections accepted.",
         &L::connections);
  single("switchyard_connections_refused_total", "counter",
         "Client connections refused by a limit.", &L::refused_connections);
  single("switchyard_bad_requests_total", "counter",
         "Requests refused because they are not proper HTTP/1.1.", &L::bad_requests);
  single("switchyard_usage_impossible_total", "counter",
         "Reports of usage that could not be true and were clamped.", &L::usage_impossible);
  single("switchyard_upstream_connections_opened_total", "counter",
         "Connections opened to upstreams.", &L::upstream_opened);
  single("switchyard_upstream_connections_reused_total", "counter",
         "Requests sent on a kept connection.", &L::upstream_reused);
  single("switchyard_upstream_connections_failed_total", "counter",
         "Connections to upstreams that could not be made.", &L::upstream_failed);
  const auto each = [&](const char* label, std::span<const char* const> names, auto member) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      std::uint64_t total = 0;
      for (const auto& loop : loops_) {
        total += (loop.get()->*member)[i].load(std::memory_order_relaxed);
      }
      page.sample(prometheus_labels({{label, names[i]}}), total);
    }
  };
  page.family("switchyard_requests_shed_total", "counter",
              "Requests turned away because the gateway had more to do than it can.");
  constexpr const char* kReasons[] = {"requests", "memory", "descriptors", "lag"};
  each("reason", kReasons, &L::shed);
  page.family("switchyard_continuations_total", "counter",
              "Streams that were cut and that another model was to go on with.");
  each("outcome", kContinued, &L::continued);
  page.family("switchyard_upstream_connections", "gauge", "Connections to upstreams by state.");
  page.sample("{state=\"active\"}", sum(&L::upstream_active));
  page.sample("{state=\"idle\"}", sum(&L::upstream_idle));
}

void Metrics::write_requests(MetricsPage& page) const {
  std::map<std::string, std::uint64_t> requests;
  std::map<std::string, TargetTotals> targets;
  for (const auto& loop : loops_) {
    const std::lock_guard shape(loop->mutex_);
    for (const auto& [key, series] : loop->series_) {
      const std::string target =
          prometheus_labels({{"provider", key.provider}, {"model", key.model}, {"task", key.task}});
      requests["{status=\"" + std::to_string(key.status) + "\"," + target.substr(1)] +=
          series->requests.load(std::memory_order_relaxed);
      TargetTotals& totals = targets[target];
      totals.tok_in += series->tok_in.load(std::memory_order_relaxed);
      totals.tok_out += series->tok_out.load(std::memory_order_relaxed);
      series->ttft.add_to(totals.ttft);
      series->duration.add_to(totals.duration);
    }
  }
  page.family("switchyard_requests_total", "counter", "Finished requests.");
  for (const auto& [labels, n] : requests) page.sample(labels, n);
  write_targets(page, targets);
}

void Metrics::write_phases(MetricsPage& page) const {
  Histogram::Snapshot admit, plan, connect, upstream, relay;
  for (const auto& loop : loops_) {
    loop->admit_.add_to(admit);
    loop->plan_.add_to(plan);
    loop->connect_.add_to(connect);
    loop->upstream_.add_to(upstream);
    loop->relay_.add_to(relay);
  }
  page.family("switchyard_overhead_seconds", "histogram",
              "Time until the upstream has the request. admit: from the head to the whole body; "
              "plan: until a route is chosen; connect: translating, connecting and sending.");
  page.histogram("{phase=\"admit\"}", admit, kPhaseFirst, kPhaseLast);
  page.histogram("{phase=\"plan\"}", plan, kPhaseFirst, kPhaseLast);
  page.histogram("{phase=\"connect\"}", connect, kPhaseFirst, kPhaseLast);
  page.family("switchyard_upstream_wait_seconds", "histogram",
              "Waiting for the heads of upstreams' answers, all attempts of a request together.");
  page.histogram("", upstream, kRequestFirst, kRequestLast);
  page.family("switchyard_relay_seconds", "histogram",
              "From the upstream's head to the answer's last byte; follows the upstream's pace.");
  page.histogram("", relay, kPhaseFirst, kRequestLast);
}

std::string prometheus_labels(
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    if (out.size() > 1) out += ',';
    out.append(name).append("=\"");
    append_label_value(out, value);
    out += '"';
  }
  return out += '}';
}

void add_logger_stats(std::vector<Metrics::Extra>& extra,
                      const std::vector<LoggerFanout::Stats>& loggers) {
  for (const LoggerFanout::Stats& logger : loggers) {
    const std::string labels = prometheus_labels({{"logger", logger.name}});
    const auto put = [&](const char* name, const char* help, const char* type, std::uint64_t n) {
      extra.push_back({name, help, type, labels, static_cast<double>(n)});
    };
    put("switchyard_logger_queued_records", "Records that wait for a logger.", "gauge",
        logger.queued);
    put("switchyard_logger_records_total", "Records that a logger took.", "counter",
        logger.written);
    put("switchyard_logger_dropped_total", "Records lost because a logger was too slow or failed.",
        "counter", logger.dropped);
    put("switchyard_logger_faults_total", "Calls in which a logger failed.", "counter",
        logger.failed);
  }
}

void add_loop_lag(std::vector<Metrics::Extra>& extra, unsigned loop, std::uint64_t lag_ns) {
  extra.push_back({"switchyard_loop_lag_seconds",
                   "The longest delay of an event loop's timer since the last look.", "gauge",
                   prometheus_labels({{"loop", std::to_string(loop)}}),
                   static_cast<double>(lag_ns) / 1e9});
}

}  // namespace switchyard::observe

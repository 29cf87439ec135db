#include "core/observe/metrics.hpp"

#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

using namespace switchyard::observe;

namespace {

// Reads an exposition as a scraper would (text format 0.0.4) and refuses what promtool would find
// fault with.
class Exposition {
 public:
  explicit Exposition(const std::string& text) {
    REQUIRE(!text.empty());
    REQUIRE(text.back() == '\n');
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      take(line);
    }
    check_histograms();
  }

  std::optional<double> value(const std::string& series) const {
    const auto found = samples_.find(series);
    if (found == samples_.end()) return std::nullopt;
    return found->second;
  }
  std::size_t count(const std::string& name) const {
    std::size_t n = 0;
    for (const auto& [series, value] : samples_) n += series.starts_with(name + "{");
    return n;
  }

 private:
  void take(const std::string& line) {
    static const std::regex help(R"(# HELP ([a-z_]+) (\S.*\S))");
    static const std::regex type(R"(# TYPE ([a-z_]+) (counter|gauge|histogram))");
    static const std::regex sample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+))re");
    std::smatch match;
    if (std::regex_match(line, match, help)) {
      family_ = match[1];
      REQUIRE(types_.count(family_) == 0);  // a family is one block
      REQUIRE(family_.starts_with("switchyard_"));
      helped_ = family_;
      return;
    }
    if (std::regex_match(line, match, type)) {
      REQUIRE(match[1] == helped_);
      REQUIRE(types_.emplace(match[1], match[2]).second);
      const bool total = family_.ends_with("_total");
      REQUIRE(total == (match[2] == "counter"));
      return;
    }
    REQUIRE(std::regex_match(line, match, sample));
    std::string name = match[1];
    REQUIRE(types_.count(family_) == 1);
    if (types_[family_] == "histogram") {
      bool known = false;
      for (const char* suffix : {"_bucket", "_sum", "_count"}) known |= name == family_ + suffix;
      REQUIRE(known);
    } else {
      REQUIRE(name == family_);
    }
    std::size_t used = 0;
    const std::string number = match[3];
    const double parsed = std::stod(number, &used);
    REQUIRE(used == number.size());
    REQUIRE(samples_.emplace(name + match[2].str(), parsed).second);  // no series twice
    if (name.ends_with("_bucket")) buckets_.push_back({name, match[2], parsed});
  }

  // Buckets of one series come together, rising in bound and count, and end with +Inf, which is
  // _count.
  void check_histograms() {
    static const std::regex le(R"re((.*?),?le="([^"]+)"\})re");
    std::string open;
    double bound = 0, count = 0;
    std::set<std::string> closed;
    for (const Bucket& bucket : buckets_) {
      std::smatch match;
      CAPTURE(bucket.name, bucket.labels);
      REQUIRE(std::regex_match(bucket.labels, match, le));
      const std::string series = bucket.name + match[1].str();
      if (series != open) {
        REQUIRE(open.empty());
        REQUIRE(closed.count(series) == 0);
        open = series;
        bound = count = 0;
      }
      REQUIRE(bucket.value >= count);
      count = bucket.value;
      const double upper = std::stod(match[2]);
      REQUIRE(upper > bound);
      bound = upper;
      if (match[2] != "+Inf") continue;
      const std::string base = bucket.name.substr(0, bucket.name.size() - 7);
      const std::string labels = match[1] == "{" ? "" : match[1].str() + "}";
      REQUIRE(value(base + "_count" + labels) == count);
      REQUIRE(value(base + "_sum" + labels).has_value());
      closed.insert(series);
      open.clear();
    }
    REQUIRE(open.empty());
  }

  struct Bucket {
    std::string name, labels;
    double value;
  };
  std::string family_, helped_;
  std::map<std::string, std::string> types_;
  std::map<std::string, double> samples_;
  std::vector<Bucket> buckets_;
};

constexpr std::uint64_t kMs = 1'000'000;

Record finished(unsigned status, const std::string& model) {
  Record record;
  record.provider = "openai";
  record.model_used = model;
  record.task = "chat";
  record.status = status;
  record.attempts = 1;
  record.start_ns = 100 * kMs;
  record.body_ns = 101 * kMs;
  record.planned_ns = 103 * kMs;
  record.sent_ns = 107 * kMs;
  record.head_ns = 207 * kMs;
  record.upstream_ns = 100 * kMs;
  record.first_ns = 300 * kMs;
  record.end_ns = 1100 * kMs;
  record.usage = {10, 20, 0, 0, true};
  return record;
}

}  // namespace

TEST_CASE("metrics: an exposition without any request is valid", "[unit][observe]") {
  Metrics metrics;
  const Exposition none(metrics.prometheus({}));
  REQUIRE(none.value("switchyard_open_requests") == 0);
}

TEST_CASE("metrics: usage that could not be true is counted", "[unit][observe]") {
  Metrics metrics;
  LoopMetrics& loop = metrics.add_loop();
  loop.add(finished(200, "gpt-x"));
  Record record = finished(200, "gpt-x");
  record.usage.clamped = true;
  loop.add(record);
  const Exposition text(metrics.prometheus({}));
  CHECK(text.value("switchyard_usage_impossible_total") == 1);
}

TEST_CASE("metrics: requests of all loops are summed by status, provider, model and task",
          "[unit][observe]") {
  Metrics metrics;
  LoopMetrics& one = metrics.add_loop();
  LoopMetrics& two = metrics.add_loop();
  one.add(finished(200, "gpt-x"));
  two.add(finished(200, "gpt-x"));
  two.add(finished(429, "gpt-x"));
  one.open_streams = 3;
  two.open_streams = 4;
  two.upstream_idle = 5;

  const Exposition text(metrics.prometheus({}));
  const std::string target = R"(provider="openai",model="gpt-x",task="chat"})";
  REQUIRE(text.value(R"(switchyard_requests_total{status="200",)" + target) == 2);
  REQUIRE(text.value(R"(switchyard_requests_total{status="429",)" + target) == 1);
  REQUIRE(text.value(R"(switchyard_tokens_total{direction="input",)" + target) == 30);
  REQUIRE(text.value(R"(switchyard_tokens_total{direction="output",)" + target) == 60);
  REQUIRE(text.value("switchyard_open_streams") == 7);
  REQUIRE(text.value(R"(switchyard_upstream_connections{state="idle"})") == 5);

  const std::string ttft = "switchyard_time_to_first_token_seconds";
  REQUIRE(text.value(ttft + "_count{" + target) == 3);
  REQUIRE(text.value(ttft + "_sum{" + target) == Approx(0.6));
  REQUIRE(text.value(ttft + "_bucket{" + target.substr(0, target.size() - 1) +
                     R"(,le="0.131072"})") == 0);
  REQUIRE(text.value(ttft + "_bucket{" + target.substr(0, target.size() - 1) +
                     R"(,le="0.262144"})") == 3);
  REQUIRE(text.value("switchyard_request_duration_seconds_sum{" + target) == Approx(3.0));
}

TEST_CASE("metrics: the phases of a request are told apart", "[unit][observe]") {
  Metrics metrics;
  LoopMetrics& loop = metrics.add_loop();
  Record record = finished(200, "gpt-x");
  record.attempts = 2;
  record.upstream_ns += 1 * kMs;  // a first attempt waited too
  loop.add(record);
  Record refused;  // no key: it got no further than its head
  refused.status = 401;
  refused.start_ns = 100 * kMs;
  refused.end_ns = 101 * kMs;
  loop.add(refused);

  const Exposition text(metrics.prometheus({}));
  const auto phase = [&](const std::string& name, const char* what) {
    return text.value("switchyard_overhead_seconds_" + name + "{phase=\"" + what + "\"}");
  };
  REQUIRE(phase("sum", "admit") == Approx(0.001));
  REQUIRE(phase("sum", "plan") == Approx(0.002));
  REQUIRE(phase("sum", "connect") == Approx(0.003));
  REQUIRE(phase("count", "admit") == 1);
  REQUIRE(text.value("switchyard_upstream_wait_seconds_sum") == Approx(0.101));
  REQUIRE(text.value("switchyard_upstream_wait_seconds_count") == 1);
  REQUIRE(text.value("switchyard_relay_seconds_sum") == Approx(0.893));
  REQUIRE(text.value(R"(switchyard_requests_total{status="401",provider="",model="",task=""})") ==
          1);
}

TEST_CASE("metrics: a name that a client made up is escaped and cut", "[unit][observe]") {
  Metrics metrics;
  LoopMetrics& loop = metrics.add_loop();
  loop.add(finished(200, "a\"b\\c\nd\xff\xed\xa0\x80"));
  loop.add(finished(200, std::string(127, 'x') + "模型"));
  const Exposition text(metrics.prometheus({}));
  const auto series = [](const std::string& model) {
    return R"(switchyard_requests_total{status="200",provider="openai",model=")" + model +
           R"(",task="chat"})";
  };
  const std::string bad = "\xef\xbf\xbd";
  REQUIRE(text.value(series(R"(a\"b\\c\nd)" + bad + bad + bad + bad)) == 1);
  REQUIRE(text.value(series(std::string(127, 'x'))) == 1);
}

TEST_CASE("metrics: made-up names cannot grow the series without bound", "[unit][observe]") {
  Metrics metrics;
  LoopMetrics& loop = metrics.add_loop();
  for (std::size_t i = 0; i < 5 * LoopMetrics::kSeriesMax; ++i) {
    loop.add(finished(i % 2 == 0 ? 200 : 404, "made-up-" + std::to_string(i)));
  }
  const Exposition text(metrics.prometheus({}));
  REQUIRE(text.count("switchyard_requests_total") == LoopMetrics::kSeriesMax + 2);
  const std::string other = R"(provider="other",model="other",task="other"})";
  REQUIRE(text.value(R"(switchyard_requests_total{status="200",)" + other) ==
          2 * LoopMetrics::kSeriesMax);
  REQUIRE(text.value(R"(switchyard_requests_total{status="404",)" + other) ==
          2 * LoopMetrics::kSeriesMax);
}

TEST_CASE("metrics: extras of one name become one family", "[unit][observe]") {
  Metrics metrics;
  std::vector<Metrics::Extra> extra;
  add_loop_lag(extra, 0, 2 * kMs);
  LoggerFanout::Stats jsonl{.name = "jsonl", .written = 7, .dropped = 1, .failed = 2, .queued = 3};
  LoggerFanout::Stats second = jsonl;
  second.name = "jsonl-2";
  add_logger_stats(extra, {jsonl, second});
  add_loop_lag(extra, 1, 0);

  const Exposition text(metrics.prometheus(extra));
  REQUIRE(text.value(R"(switchyard_loop_lag_seconds{loop="0"})") == Approx(0.002));
  REQUIRE(text.value(R"(switchyard_loop_lag_seconds{loop="1"})") == 0);
  REQUIRE(text.value(R"(switchyard_logger_records_total{logger="jsonl-2"})") == 7);
  REQUIRE(text.value(R"(switchyard_logger_dropped_total{logger="jsonl"})") == 1);
  REQUIRE(text.value(R"(switchyard_logger_faults_total{logger="jsonl"})") == 2);
  REQUIRE(text.value(R"(switchyard_logger_queued_records{logger="jsonl"})") == 3);
}

TEST_CASE("metrics: a histogram's bound belongs to its bucket", "[unit][observe]") {
  Histogram histogram;
  for (const std::uint64_t ns : {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{1001},
                                 std::uint64_t{2000}, std::uint64_t{2001}}) {
    histogram.add_ns(ns);
  }
  histogram.add_ns((std::uint64_t{1} << 26) * 1000);
  histogram.add_ns((std::uint64_t{1} << 26) * 1000 + 1);
  histogram.add_ns(std::uint64_t(-1));
  Histogram::Snapshot snapshot;
  histogram.add_to(snapshot);
  REQUIRE(snapshot.counts[0] == 2);
  REQUIRE(snapshot.counts[1] == 2);
  REQUIRE(snapshot.counts[2] == 1);
  REQUIRE(snapshot.counts[26] == 1);
  REQUIRE(snapshot.counts[27] == 2);
  REQUIRE(snapshot.count == 8);
}

TEST_CASE("metrics: a scrape sees whole numbers while a loop writes", "[unit][observe]") {
  Metrics metrics;
  LoopMetrics& loop = metrics.add_loop();
  constexpr int kRequests = 3000;
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) loop.add(finished(200, "m" + std::to_string(i % 50)));
  });
  for (int i = 0; i < 3; ++i) metrics.prometheus({});
  writer.join();
  const Exposition text(metrics.prometheus({}));
  REQUIRE(text.value("switchyard_upstream_wait_seconds_count") == kRequests);
}

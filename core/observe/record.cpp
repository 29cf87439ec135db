#include "core/observe/record.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <span>
#include <thread>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/os_thread.hpp"
#include "core/observe/log.hpp"

namespace switchyard::observe {

const char* to_string(FinalStatus status) {
  switch (status) {
    case FinalStatus::kOk:
      return "ok";
    case FinalStatus::kClientError:
      return "client_error";
    case FinalStatus::kUpstreamError:
      return "upstream_error";
    case FinalStatus::kClientLeft:
      return "client_left";
    case FinalStatus::kGatewayError:
      return "gateway_error";
  }
  return "gateway_error";
}

std::string_view cut_utf8(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

namespace {

// Null where there is nothing to tell, as of most requests.
std::shared_ptr<const Facts> logger_facts(const Record& record) {
  const bool more = !record.dropped.empty() || record.charge_nano || !record.price_version.empty();
  if (!more) return record.facts;
  auto facts = std::make_shared<Facts>();
  if (record.facts) {
    for (const swy_kv& fact : record.facts->kv) {
      facts->texts.emplace_front(view(fact.v));
      facts->kv.push_back({fact.k, to_swy(facts->texts.front())});
    }
  }
  if (!record.dropped.empty()) facts->add("switchyard.dropped", record.dropped);
  if (record.charge_nano) {
    facts->add("switchyard.charge_nano", std::to_string(*record.charge_nano));
    facts->add("switchyard.charge_currency", record.charge_currency);
  }
  if (!record.price_version.empty()) {
    facts->add("switchyard.price_version", record.price_version);
  }
  return facts;
}

}  // namespace

void cut_texts(Record& record) {
  constexpr std::size_t kNameMax = 256, kTextMax = 1024;
  const auto cut = [](std::string& text, std::size_t bytes_max) {
    // A new string: a shorter one would keep its memory.
    if (text.size() > bytes_max) text = std::string(cut_utf8(text, bytes_max));
  };
  for (std::string* name :
       {&record.model_asked, &record.model_used, &record.error_code, &record.finish_reason}) {
    cut(*name, kNameMax);
  }
  for (std::string* text : {&record.error_text, &record.fallback_path, &record.route_reason}) {
    cut(*text, kTextMax);
  }
  record.logger_facts = logger_facts(record);
}

std::string_view provider_name(std::string_view family) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"azure", "azure.ai.openai"},  {"bedrock", "aws.bedrock"},
      {"gemini", "gcp.gemini"},      {"grok", "x_ai"},
      {"mistral", "mistral_ai"},     {"vertex", "gcp.vertex_ai"},
      {"watsonx", "ibm.watsonx.ai"},
  };
  for (const auto& [ours, theirs] : kNames) {
    if (family == ours) return theirs;
  }
  return family;
}

void Facts::add(const char* name, std::string value) {
  texts.push_front(std::move(value));
  kv.push_back({to_swy(name), to_swy(texts.front())});
}

swy_rec to_plugin(const Record& record) {
  const auto since_start = [&](std::uint64_t ns) {
    return ns > record.start_ns ? ns - record.start_ns : 0;
  };
  swy_rec out{};
  out.size = sizeof out;
  if (record.stream) out.flags |= SWY_REC_STREAM;
  if (!record.usage.reported) out.flags |= SWY_REC_USAGE_ESTIMATED;
  if (record.final_status == FinalStatus::kClientLeft) out.flags |= SWY_REC_CLIENT_LEFT;
  out.status = record.status;
  out.attempts = record.attempts;
  out.start_unix_ns = record.start_unix_ns;
  out.dur_ns = since_start(record.end_ns);
  out.ttft_ns = since_start(record.first_ns);
  out.upstream_ns = record.upstream_ns;
  out.tok_in = record.usage.tok_in;
  out.tok_out = record.usage.tok_out;
  out.tok_cached = record.usage.tok_cached;
  out.tok_reasoning = record.usage.tok_reasoning;
  out.id = to_swy(record.id);
  out.trace = to_swy(record.trace);
  out.key_id = to_swy(record.key_id);
  out.account = to_swy(record.account);
  out.feature = to_swy(record.feature);
  out.task = to_swy(record.task);
  out.surface = to_swy(record.surface);
  out.model_asked = to_swy(record.model_asked);
  out.model_used = to_swy(record.model_used);
  out.provider = to_swy(record.provider);
  out.final_status = to_swy(to_string(record.final_status));
  out.error_code = to_swy(record.error_code);
  out.error_text = to_swy(record.error_text);
  out.finish_reason = to_swy(record.finish_reason);
  if (record.logger_facts) {
    out.kv = record.logger_facts->kv.data();
    out.nkv = record.logger_facts->kv.size();
  }
  out.fallback_path = to_swy(record.fallback_path);
  out.route_reason = to_swy(record.route_reason);
  out.parent_span = to_swy(record.parent_span);
  out.provider_name = to_swy(provider_name(record.provider_family));
  out.trace_flags = record.trace_flags;
  if (record.cost_nano) {
    out.flags |= SWY_REC_COST_KNOWN;
    out.cost_nano = *record.cost_nano;
    out.cost_currency = to_swy(record.cost_currency);
  }
  return out;
}

namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t ns(std::chrono::nanoseconds duration) {
  return static_cast<std::uint64_t>(duration.count());
}

constexpr unsigned kTriesAlone = 3;

class PluginSink : public RecordSink {
 public:
  explicit PluginSink(std::unique_ptr<plugin::LoggerInstance> logger)
      : logger_(std::move(logger)) {}

  Result<std::uint32_t, plugin::LoggerFault> write(
      std::span<const std::shared_ptr<const Record>> records, std::uint64_t deadline_ns) override {
    std::array<swy_rec, LoggerFanout::kBatchMax> views;
    for (std::size_t i = 0; i < records.size(); ++i) views[i] = to_plugin(*records[i]);
    return logger_->write(std::span(views).first(records.size()), deadline_ns);
  }
  Result<void, plugin::LoggerFault> flush(std::uint64_t deadline_ns) override {
    return logger_->flush(deadline_ns);
  }

 private:
  std::unique_ptr<plugin::LoggerInstance> logger_;
};

}  // namespace

// One logger: its queue, and the thread that empties it.
struct LoggerFanout::Line::Sink {
  using Batch = std::vector<std::shared_ptr<const Record>>;
  struct Taken {
    std::uint32_t records = 0;
    bool fault = false;                 // one of the records may be what it can't stomach
    std::chrono::milliseconds wait{0};  // before it is asked again
  };

  Sink(std::unique_ptr<RecordSink> target, std::string unique_name, const FanoutTimes& fanout_times)
      : times(fanout_times), name(std::move(unique_name)), logger(std::move(target)) {}

  const FanoutTimes times;
  const std::string name;

  std::mutex mutex;
  std::condition_variable wake;  // for the thread: records, or the end
  std::condition_variable gone;  // for the destructor: the thread is through
  std::thread thread;
  Batch queue;
  std::size_t in_hand = 0;  // taken off the queue, not yet written
  Stats counts;
  bool stopping = false, done = false;
  Clock::time_point stop_at;  // where stopping

  // [logger thread] from here on, but for the making and the closing of the logger
  std::unique_ptr<RecordSink> logger;
  bool dirty = false;  // written since the last flush
  Clock::time_point flushed_at = Clock::now();
  LogGate fault_gate{std::chrono::minutes(1)}, drop_gate{std::chrono::minutes(1)};
  std::uint64_t drops_told = 0;

  void publish(std::shared_ptr<const Record> record);
  void run();
  Batch collect();
  void write(const Batch& batch);
  std::chrono::milliseconds flush();
  Taken write_some(std::span<const std::shared_ptr<const Record>> records);
  std::uint64_t deadline_ns();
  bool out_of_time();
  void pause(std::chrono::milliseconds delay);
  void settle(std::uint64_t written, std::uint64_t dropped);
  void tell_fault(const char* call, const std::string& message);
  void tell_drops();
};

void LoggerFanout::Line::Sink::publish(std::shared_ptr<const Record> record) {
  bool wake_up;
  {
    const std::lock_guard lock(mutex);
    if (queue.size() + in_hand >= kQueueMax) {
      ++counts.dropped;
      return;
    }
    queue.push_back(std::move(record));
    // The thread sleeps without records, or until a batch is full: one wake-up for each, not one
    // per record.
    wake_up = queue.size() == 1 || queue.size() == kBatchMax;
  }
  if (wake_up) wake.notify_one();
}

void LoggerFanout::Line::Sink::run() {
  name_thread(("log " + name.substr(0, 11)).c_str());
  for (;;) {
    const Batch batch = collect();
    if (batch.empty()) break;
    write(batch);
    tell_drops();
    if (dirty && Clock::now() - flushed_at >= times.flush_after) flush();
  }
  if (dirty) flush();
  tell_drops();
  const std::lock_guard lock(mutex);
  done = true;
  gone.notify_all();
}

// Waits for records and takes all there are; none at the end.
LoggerFanout::Line::Sink::Batch LoggerFanout::Line::Sink::collect() {
  Batch batch;
  batch.reserve(kBatchMax);
  std::unique_lock lock(mutex);
  const auto due = [this] { return stopping || !queue.empty(); };
  auto delay = times.window;
  while (dirty && !wake.wait_for(lock, delay, due)) {
    lock.unlock();
    const auto wait = flush();
    lock.lock();
    delay = std::max(std::min(delay * 2, times.back_off_max), wait);
  }
  while (!wake.wait_for(lock, times.idle_every, due)) {
    lock.unlock();
    logger->idle();
    lock.lock();
  }
  wake.wait_for(lock, times.window, [this] { return stopping || queue.size() >= kBatchMax; });
  batch.swap(queue);
  in_hand = batch.size();
  return batch;
}

void LoggerFanout::Line::Sink::write(const Batch& batch) {
  std::span<const std::shared_ptr<const Record>> rest(batch);
  std::size_t size = kBatchMax;
  unsigned tries_alone = 0;
  auto delay = times.back_off_min;
  while (!rest.empty()) {
    if (out_of_time()) return settle(0, rest.size());
    const auto part = rest.first(std::min(size, rest.size()));
    const Taken taken = write_some(part);
    settle(taken.records, 0);
    rest = rest.subspan(taken.records);
    if (taken.records == part.size()) {
      size = kBatchMax;
      tries_alone = 0;
      delay = times.back_off_min;
      continue;
    }
    if (taken.records != 0) delay = times.back_off_min;
    pause(std::max(delay, taken.wait));
    delay = std::min(delay * 2, times.back_off_max);
    if (!taken.fault) continue;
    // One record may be what it can't stomach: halve until it stands alone.
    size = std::max<std::size_t>(part.size() / 2, 1);
    if (part.size() > 1 || ++tries_alone < kTriesAlone) continue;
    settle(0, 1);
    rest = rest.subspan(1);
    tries_alone = 0;
  }
}

LoggerFanout::Line::Sink::Taken LoggerFanout::Line::Sink::write_some(
    std::span<const std::shared_ptr<const Record>> records) {
  const auto taken = logger->write(records, deadline_ns());
  if (!taken) {
    tell_fault("write", taken.error().message);
    return {.records = 0,
            .fault = !taken.error().overloaded,
            .wait = std::chrono::milliseconds(taken.error().retry_after_ms)};
  }
  if (*taken != 0) dirty = true;
  return {.records = std::min(*taken, static_cast<std::uint32_t>(records.size()))};
}

// How long to wait before the next one, where the logger says.
std::chrono::milliseconds LoggerFanout::Line::Sink::flush() {
  const auto flushed = logger->flush(deadline_ns());
  flushed_at = Clock::now();
  dirty = false;
  if (flushed) return {};
  tell_fault("flush", flushed.error().message);
  dirty = flushed.error().overloaded;
  return std::chrono::milliseconds(flushed.error().retry_after_ms);
}

// steady_clock and mono_ns() read the same clock.
std::uint64_t LoggerFanout::Line::Sink::deadline_ns() {
  const std::lock_guard lock(mutex);
  auto at = Clock::now() + times.call_max;
  if (stopping) at = std::min(at, stop_at);
  return ns(at.time_since_epoch());
}

bool LoggerFanout::Line::Sink::out_of_time() {
  const std::lock_guard lock(mutex);
  return stopping && Clock::now() >= stop_at;
}

// The end cuts it short, but pauses after that are slept: the logger is given its last seconds, not
// a busy loop.
void LoggerFanout::Line::Sink::pause(std::chrono::milliseconds delay) {
  std::unique_lock lock(mutex);
  const bool was_stopping = stopping;
  auto until = Clock::now() + delay;
  if (stopping) until = std::min(until, stop_at);
  wake.wait_until(lock, until, [&] { return stopping && !was_stopping; });
}

void LoggerFanout::Line::Sink::settle(std::uint64_t written, std::uint64_t dropped) {
  const std::lock_guard lock(mutex);
  in_hand -= written + dropped;
  counts.written += written;
  counts.dropped += dropped;
}

void LoggerFanout::Line::Sink::tell_fault(const char* call, const std::string& message) {
  {
    const std::lock_guard lock(mutex);
    ++counts.failed;
  }
  if (const auto held = fault_gate.pass(mono_ns())) {
    spdlog::error("logger_failed logger={} call={} held_back={} error={}", quote(name), call, *held,
                  quote(message));
  }
}

void LoggerFanout::Line::Sink::tell_drops() {
  std::uint64_t dropped;
  {
    const std::lock_guard lock(mutex);
    dropped = counts.dropped;
  }
  if (dropped == drops_told || !drop_gate.pass(mono_ns())) return;
  spdlog::error("records_dropped logger={} records={}", quote(name), dropped - drops_told);
  drops_told = dropped;
}

LoggerFanout::Line::Line(std::unique_ptr<plugin::LoggerInstance> logger, std::string name,
                         const FanoutTimes& times)
    : Line(std::make_unique<PluginSink>(std::move(logger)), std::move(name), times) {}

LoggerFanout::Line::Line(std::unique_ptr<RecordSink> sink, std::string name,
                         const FanoutTimes& times)
    : sink_(std::make_shared<Sink>(std::move(sink), std::move(name), times)) {
  sink_->thread = std::thread([sink = sink_] { sink->run(); });
}

// From now on it has its last seconds.
void LoggerFanout::Line::stop() {
  const std::lock_guard lock(sink_->mutex);
  if (sink_->stopping) return;
  sink_->stopping = true;
  sink_->stop_at = Clock::now() + sink_->times.close_max;
  sink_->wake.notify_one();
}

LoggerFanout::Line::~Line() {
  stop();
  std::unique_lock lock(sink_->mutex);
  // A call that respects its deadline is back by now; one that does not must not keep the process.
  const auto limit = sink_->stop_at + std::chrono::milliseconds(500);
  if (sink_->gone.wait_until(lock, limit, [this] { return sink_->done; })) {
    lock.unlock();
    sink_->thread.join();
    sink_->logger.reset();
    return;
  }
  sink_->thread.detach();
  spdlog::error("logger_hangs logger={} lost={}", quote(sink_->name),
                sink_->queue.size() + sink_->in_hand);
}

LoggerFanout::LoggerFanout(std::vector<std::unique_ptr<plugin::LoggerInstance>> loggers,
                           const FanoutTimes& times) {
  std::map<std::string, unsigned> seen;
  for (auto& logger : loggers) {
    std::string name = logger->name();
    if (const unsigned nth = ++seen[name]; nth > 1) name += "-" + std::to_string(nth);
    lines_.push_back(std::make_shared<Line>(std::move(logger), std::move(name), times));
  }
}

LoggerFanout::~LoggerFanout() {
  for (const auto& line : lines_) {
    if (line.use_count() == 1) line->stop();
  }
}

void LoggerFanout::publish(std::shared_ptr<const Record> record) {
  for (const auto& line : lines_) line->sink_->publish(record);
}

std::vector<LoggerFanout::Stats> LoggerFanout::stats() const {
  std::vector<Stats> all;
  all.reserve(lines_.size());
  for (const auto& line : lines_) {
    Line::Sink& sink = *line->sink_;
    const std::lock_guard lock(sink.mutex);
    Stats stats = sink.counts;
    stats.name = sink.name;
    stats.queued = sink.queue.size() + sink.in_hand;
    all.push_back(std::move(stats));
  }
  return all;
}

}  // namespace switchyard::observe

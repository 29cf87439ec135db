#include "core/observe/record.hpp"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <sstream>

#include "core/base/json_scan.hpp"

using namespace switchyard;
using namespace switchyard::observe;
using namespace std::chrono_literals;

namespace {

// A logger plugin inside the test. `behave` decides what a write does with its n records: how many
// it takes, or < 0.
struct FakeLogger {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> ids;        // taken, in order
  std::vector<std::uint32_t> batches;  // sizes as offered
  unsigned flushes = 0, closes = 0;
  std::size_t taken_at_close = 0;
  std::function<std::int64_t(const swy_rec*, std::uint32_t)> behave =
      [](const swy_rec*, std::uint32_t n) { return std::int64_t{n}; };
  // Whether a write or a flush that fails says that where records go is overloaded, and for how
  // long.
  bool overloaded = false;
  std::uint32_t retry_after_ms = 0;
  unsigned failing_flushes = 0;

  void excuse(swy_err* err) const {
    err->cls = overloaded ? SWY_CLS_OVERLOADED : SWY_CLS_PLUGIN;
    err->retry_after_ms = retry_after_ms;
  }

  void wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, 20s, condition));
  }
};
FakeLogger* opening = nullptr;

swy_rc SWY_CALL fake_open(swy_str cfg, const swy_host*, void*, void** inst, swy_err* err) {
  if (view(cfg) == "bad") {
    std::snprintf(err->msg, sizeof err->msg, "no such directory");
    return SWY_E_ARG;
  }
  *inst = opening;
  return SWY_OK;
}
void SWY_CALL fake_close(void* inst) {
  auto& fake = *static_cast<FakeLogger*>(inst);
  const std::lock_guard lock(fake.mutex);
  ++fake.closes;
  fake.taken_at_close = fake.ids.size();
}
swy_rc SWY_CALL fake_write(void* inst, const swy_rec* rec, std::uint32_t n, std::uint32_t stride,
                           std::uint64_t, std::uint32_t* taken, swy_err* err) {
  auto& fake = *static_cast<FakeLogger*>(inst);
  const std::int64_t result = fake.behave(rec, n);
  const std::lock_guard lock(fake.mutex);
  fake.batches.push_back(n);
  for (std::int64_t i = 0; i < result; ++i) {
    fake.ids.emplace_back(view(SWY_AT(swy_rec, rec, i, stride)->id));
  }
  fake.changed.notify_all();
  if (result < 0) {
    std::snprintf(err->msg, sizeof err->msg, "disk\nfull");
    fake.excuse(err);
    return static_cast<swy_rc>(result);
  }
  *taken = static_cast<std::uint32_t>(result);
  return SWY_OK;
}
swy_rc SWY_CALL fake_flush(void* inst, std::uint64_t, swy_err* err) {
  auto& fake = *static_cast<FakeLogger*>(inst);
  const std::lock_guard lock(fake.mutex);
  ++fake.flushes;
  fake.changed.notify_all();
  if (fake.failing_flushes == 0) return SWY_OK;
  --fake.failing_flushes;
  fake.excuse(err);
  return SWY_E_DATA;
}
constexpr swy_logger kTable{sizeof(swy_logger), 0, fake_open, fake_close, fake_write, fake_flush};

std::unique_ptr<plugin::LoggerInstance> open_fake(FakeLogger& fake) {
  opening = &fake;
  return std::move(*plugin::LoggerInstance::from_table(&kTable, "fake", "{}"));
}

template <class... Fakes>
std::unique_ptr<LoggerFanout> fan_out(const FanoutTimes& times, Fakes&... fakes) {
  std::vector<std::unique_ptr<plugin::LoggerInstance>> loggers;
  (loggers.push_back(open_fake(fakes)), ...);
  return std::make_unique<LoggerFanout>(std::move(loggers), times);
}

FanoutTimes quick() {
  FanoutTimes times;
  times.window = 1ms;
  times.back_off_min = 1ms;
  times.back_off_max = 2ms;
  return times;
}

std::shared_ptr<const Record> record(std::string id) {
  auto made = std::make_shared<Record>();
  made->id = std::move(id);
  return made;
}

std::vector<std::string> names(std::size_t n) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < n; ++i) all.push_back("r" + std::to_string(i));
  return all;
}

void publish(LoggerFanout& fanout, std::size_t n) {
  for (const std::string& name : names(n)) fanout.publish(record(name));
}

}  // namespace

TEST_CASE("observe: every logger gets every record, in order, and is closed after the last",
          "[unit][observe]") {
  FakeLogger one, two;
  auto fanout = fan_out(quick(), one, two);
  publish(*fanout, 1000);
  fanout.reset();
  for (FakeLogger* fake : {&one, &two}) {
    REQUIRE(fake->ids == names(1000));
    REQUIRE(fake->flushes >= 1);
    REQUIRE(fake->closes == 1);
    REQUIRE(fake->taken_at_close == 1000);
  }
}

TEST_CASE("observe: a logger that two fan-outs share is closed after the second",
          "[unit][observe]") {
  FakeLogger fake;
  auto line = std::make_shared<LoggerFanout::Line>(open_fake(fake), "shared", quick());
  std::weak_ptr<LoggerFanout::Line> watched = line;
  auto one = std::make_unique<LoggerFanout>(LoggerFanout::Lines{line});
  auto two = std::make_unique<LoggerFanout>(LoggerFanout::Lines{std::move(line)});
  one->publish(record("r0"));
  one.reset();
  REQUIRE_FALSE(watched.expired());
  two->publish(record("r1"));
  two.reset();
  REQUIRE(watched.expired());
  REQUIRE(fake.ids == names(2));
  REQUIRE(fake.closes == 1);
}

TEST_CASE("observe: a batch holds at most 256 records", "[unit][observe]") {
  FakeLogger fake;
  auto times = quick();
  times.window =
      10s;  // the end cuts it short, so that all records are queued before the first write
  auto fanout = fan_out(times, fake);
  publish(*fanout, 200);
  fanout.reset();
  REQUIRE(fake.batches == std::vector<std::uint32_t>{200});

  FakeLogger busy;
  fanout = fan_out(times, busy);
  publish(*fanout, 600);
  fanout.reset();
  REQUIRE(busy.ids == names(600));
  REQUIRE(*std::max_element(busy.batches.begin(), busy.batches.end()) <= 256);
}

TEST_CASE("observe: a full batch does not wait for the window", "[unit][observe]") {
  FakeLogger fake;
  auto times = quick();
  times.window = 10min;
  auto fanout = fan_out(times, fake);
  publish(*fanout, 256);
  fake.wait([&] { return fake.ids.size() == 256; });
}

TEST_CASE("observe: an idle logger is flushed", "[unit][observe]") {
  FakeLogger fake;
  auto fanout = fan_out(quick(), fake);
  publish(*fanout, 1);
  fake.wait([&] { return fake.flushes == 1; });
  REQUIRE(fake.ids == names(1));
}

TEST_CASE("observe: what a logger leaves is offered again", "[unit][observe]") {
  FakeLogger fake;
  unsigned calls = 0;
  fake.behave = [&](const swy_rec*, std::uint32_t n) {
    return std::int64_t{std::min(n, calls++ % 3)};  // none, one, two, none ...
  };
  auto fanout = fan_out(quick(), fake);
  publish(*fanout, 50);
  fake.wait([&] { return fake.ids.size() == 50; });
  fanout.reset();
  REQUIRE(fake.ids == names(50));
}

TEST_CASE("observe: a stuck logger costs its own records beyond the queue and nobody else's",
          "[unit][observe]") {
  FakeLogger stuck, fine;
  std::mutex gate;
  std::unique_lock closed(gate);
  stuck.behave = [&](const swy_rec*, std::uint32_t n) {
    const std::lock_guard pass(gate);
    return std::int64_t{n};
  };
  auto fanout = fan_out(quick(), stuck, fine);
  const std::size_t total = LoggerFanout::kQueueMax + 500;
  for (std::size_t sent = 0; sent < total; sent += 500) {
    publish(*fanout, std::min<std::size_t>(500, total - sent));
    fine.wait([&] { return fine.ids.size() == std::min(sent + 500, total); });
  }
  const auto stats = fanout->stats();
  REQUIRE(stats[0].name == "fake");
  REQUIRE(stats[0].queued == LoggerFanout::kQueueMax);
  REQUIRE(stats[0].dropped == 500);
  REQUIRE(stats[1].name == "fake-2");
  REQUIRE(stats[1].dropped == 0);
  closed.unlock();
  fanout.reset();
  REQUIRE(stuck.ids.size() == LoggerFanout::kQueueMax);
  REQUIRE(fine.ids.size() == total);
}

TEST_CASE("observe: a logger's fault is told once a minute, counted, and costs no record",
          "[unit][observe]") {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  FakeLogger fake;
  unsigned calls = 0;
  fake.behave = [&](const swy_rec*, std::uint32_t n) {
    return ++calls <= 4 ? std::int64_t{SWY_E_BUG} : std::int64_t{n};
  };
  auto fanout = fan_out(quick(), fake);
  publish(*fanout, 100);
  fake.wait([&] { return fake.ids.size() == 100; });
  REQUIRE(fanout->stats()[0].failed == 4);
  fanout.reset();
  spdlog::set_default_logger(before);

  REQUIRE(fake.ids == names(100));
  const std::string text = log.str();
  REQUIRE(text.find("logger_failed logger=fake call=write held_back=0 ") != std::string::npos);
  REQUIRE(text.find(R"(disk\nfull)") != std::string::npos);
  REQUIRE(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("observe: one record that a logger fails on does not take others with it",
          "[unit][observe]") {
  FakeLogger fake;
  fake.behave = [&](const swy_rec* rec, std::uint32_t n) {
    for (std::uint32_t i = 0; i < n; ++i) {
      if (view(rec[i].id) == "r77") return std::int64_t{SWY_E_DATA};
    }
    return std::int64_t{n};
  };
  auto fanout = fan_out(quick(), fake);
  publish(*fanout, 300);
  fake.wait([&] { return fake.ids.size() == 299; });
  fanout.reset();
  auto expected = names(300);
  expected.erase(expected.begin() + 77);
  REQUIRE(fake.ids == expected);
}

TEST_CASE("observe: a logger that is overloaded loses nothing while the queue has room",
          "[unit][observe]") {
  FakeLogger fake;
  fake.overloaded = true;
  unsigned calls = 0;
  std::vector<std::uint32_t> offered;
  // Far more faults than one record alone is given.
  fake.behave = [&](const swy_rec*, std::uint32_t n) {
    offered.push_back(n);
    return ++calls <= 40 ? std::int64_t{SWY_E_GONE} : std::int64_t{n};
  };
  auto fanout = fan_out(quick(), fake);
  publish(*fanout, 100);
  fake.wait([&] { return fake.ids.size() == 100; });
  const auto stats = fanout->stats()[0];
  fanout.reset();
  REQUIRE(fake.ids == names(100));
  REQUIRE(stats.failed == 40);
  REQUIRE(stats.dropped == 0);
  // The batch comes again as it was: the plugin may know what of it went out.
  for (unsigned i = 1; i <= 40; ++i) REQUIRE(offered[i] == offered[0]);
}

TEST_CASE("observe: an overloaded logger is left alone for as long as it says", "[unit][observe]") {
  FakeLogger fake;
  fake.overloaded = true;
  fake.retry_after_ms = 3'600'000;
  std::promise<void> failed;
  unsigned calls = 0;
  fake.behave = [&](const swy_rec*, std::uint32_t) {
    if (++calls == 1) failed.set_value();
    return std::int64_t{SWY_E_GONE};
  };
  auto times = quick();
  times.close_max = 0ms;
  auto fanout = fan_out(times, fake);
  publish(*fanout, 1);
  failed.get_future().wait();
  fanout.reset();  // the end does not wait for it
  REQUIRE(calls == 1);
}

TEST_CASE("observe: a flush that found its place overloaded is made again", "[unit][observe]") {
  FakeLogger fake;
  fake.overloaded = true;
  fake.failing_flushes = 3;
  auto fanout = fan_out(quick(), fake);
  publish(*fanout, 1);
  fake.wait([&] { return fake.flushes == 4; });
  fanout.reset();
  REQUIRE(fake.flushes == 4);

  FakeLogger broken;
  broken.failing_flushes = 1;
  fanout = fan_out(quick(), broken);
  publish(*fanout, 1);
  broken.wait([&] { return broken.flushes == 1; });
  fanout.reset();
  REQUIRE(broken.flushes == 1);
}

TEST_CASE("observe: providers go by OpenTelemetry's names", "[unit][observe]") {
  REQUIRE(provider_name("openai") == "openai");
  REQUIRE(provider_name("grok") == "x_ai");
  REQUIRE(provider_name("gemini") == "gcp.gemini");
  REQUIRE(provider_name("mine") == "mine");
  REQUIRE(provider_name("").empty());
}

TEST_CASE("observe: the end waits for a failing logger only so long", "[unit][observe]") {
  FakeLogger fake;
  fake.behave = [](const swy_rec*, std::uint32_t) { return std::int64_t{0}; };
  auto times = quick();
  times.close_max = 30ms;
  auto fanout = fan_out(times, fake);
  publish(*fanout, 10);
  fanout.reset();
  REQUIRE(fake.ids.empty());
  REQUIRE(fake.closes == 1);
}

TEST_CASE("observe: without loggers a record goes nowhere", "[unit][observe]") {
  auto fanout = fan_out(quick());
  REQUIRE(fanout->empty());
  publish(*fanout, 1);
  REQUIRE(fanout->stats().empty());
}

TEST_CASE("observe: a logger that does not open says why", "[unit][observe]") {
  const auto refused = plugin::LoggerInstance::from_table(&kTable, "fake", "bad");
  REQUIRE_FALSE(refused);
  REQUIRE(refused.error().message.find("no such directory") != std::string::npos);
}

TEST_CASE("observe: a record reaches a plugin whole", "[unit][observe]") {
  Record record;
  record.id = "req-1";
  record.trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  record.key_id = "key_a";
  record.account = "team";
  record.feature = "search";
  record.task = "chat";
  record.surface = "openai";
  record.model_asked = "fast";
  record.model_used = "gpt-x";
  record.provider = "openai";
  record.provider_family = "mistral";
  record.parent_span = "00f067aa0ba902b7";
  record.trace_flags = 1;
  record.stream = true;
  record.status = 200;
  record.attempts = 2;
  record.start_unix_ns = 1'700'000'000'000'000'000;
  record.start_ns = 1000;
  record.first_ns = 3500;
  record.end_ns = 9000;
  record.upstream_ns = 1200;
  record.usage = {11, 22, 3, 4, true};
  record.final_status = FinalStatus::kClientLeft;
  record.error_code = "client_left";
  record.error_text = "gone";
  record.finish_reason = "stop";
  record.fallback_path = "a/x:timeout > b/x:ok";
  record.route_reason = "alias fast";

  const swy_rec out = to_plugin(record);
  REQUIRE(out.size == sizeof(swy_rec));
  REQUIRE(out.flags == (SWY_REC_STREAM | SWY_REC_CLIENT_LEFT));
  REQUIRE(out.status == 200);
  REQUIRE(out.attempts == 2);
  REQUIRE(out.start_unix_ns == record.start_unix_ns);
  REQUIRE(out.dur_ns == 8000);
  REQUIRE(out.ttft_ns == 2500);
  REQUIRE(out.upstream_ns == 1200);
  REQUIRE(std::vector{out.tok_in, out.tok_out, out.tok_cached, out.tok_reasoning} ==
          std::vector<std::uint64_t>{11, 22, 3, 4});
  REQUIRE(view(out.id) == record.id);
  REQUIRE(view(out.trace) == record.trace);
  REQUIRE(view(out.key_id) == record.key_id);
  REQUIRE(view(out.account) == record.account);
  REQUIRE(view(out.feature) == record.feature);
  REQUIRE(view(out.task) == record.task);
  REQUIRE(view(out.surface) == record.surface);
  REQUIRE(view(out.model_asked) == record.model_asked);
  REQUIRE(view(out.model_used) == record.model_used);
  REQUIRE(view(out.provider) == record.provider);
  REQUIRE(view(out.final_status) == "client_left");
  REQUIRE(view(out.error_code) == record.error_code);
  REQUIRE(view(out.error_text) == record.error_text);
  REQUIRE(view(out.finish_reason) == record.finish_reason);
  REQUIRE(view(out.fallback_path) == record.fallback_path);
  REQUIRE(view(out.route_reason) == record.route_reason);
  REQUIRE(out.nkv == 0);
  REQUIRE(view(out.provider_name) == "mistral_ai");
  REQUIRE(view(out.parent_span) == record.parent_span);
  REQUIRE(out.trace_flags == 1);

  Facts facts;
  facts.add("bytes", "1");
  facts.add("more", std::string(100, 'x'));
  record.facts = std::make_shared<const Facts>(std::move(facts));
  cut_texts(record);
  const swy_rec told = to_plugin(record);
  REQUIRE(told.nkv == 2);
  REQUIRE(view(told.kv[0].k) == "bytes");
  REQUIRE(view(told.kv[0].v) == "1");
  REQUIRE(view(told.kv[1].v) == std::string(100, 'x'));

  REQUIRE(told.cost_currency.n == 0);
  record.cost_nano = -1;
  record.cost_currency = "CNY";
  record.charge_nano = 1'500'000'000;
  record.charge_currency = "USD";
  record.dropped = "/logit_bias";
  cut_texts(record);
  const swy_rec priced = to_plugin(record);
  REQUIRE((priced.flags & SWY_REC_COST_KNOWN) != 0);
  REQUIRE(priced.cost_nano == -1);
  REQUIRE(view(priced.cost_currency) == "CNY");
  std::map<std::string_view, std::string_view> facts_told;
  for (std::uint64_t i = 0; i < priced.nkv; ++i)
    facts_told[view(priced.kv[i].k)] = view(priced.kv[i].v);
  REQUIRE(facts_told["bytes"] == "1");
  REQUIRE(facts_told["switchyard.dropped"] == "/logit_bias");
  REQUIRE(facts_told["switchyard.charge_nano"] == "1500000000");
  REQUIRE(facts_told["switchyard.charge_currency"] == "USD");

  Record refused;
  refused.start_ns = 1000;
  REQUIRE(to_plugin(refused).ttft_ns == 0);
  REQUIRE(to_plugin(refused).dur_ns == 0);
  REQUIRE(to_plugin(refused).flags == SWY_REC_USAGE_ESTIMATED);
}

TEST_CASE("observe: what a client made long does not fill the queues", "[unit][observe]") {
  Record record;
  record.model_asked = std::string(255, 'm') + "模" + std::string(1'000'000, 'm');
  record.error_text = std::string(1'000'000, 'e');
  record.provider = "openai";
  cut_texts(record);
  REQUIRE(record.model_asked == std::string(255, 'm'));
  REQUIRE(record.model_asked.capacity() < 1000);
  REQUIRE(record.error_text.size() == 1024);
  REQUIRE(record.provider == "openai");
}

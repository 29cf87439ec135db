#include "core/observe/record_keeper.hpp"

#include <spdlog/spdlog.h>

#include <fstream>
#include <thread>

#include "../scratch.hpp"
#include "core/store/record_search.hpp"

using namespace switchyard;
using namespace switchyard::observe;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kNow = 1'795'132'800'000'000'000;  // 2026-11-20

std::shared_ptr<const Record> record(const std::string& id) {
  auto made = std::make_shared<Record>();
  made->id = id;
  made->start_unix_ns = kNow;
  made->start_ns = 5'000'000;
  made->first_ns = 7'000'000;
  made->end_ns = 9'001'000;
  made->usage = {11, 22, 3, 4, true};
  made->usage.images = 2;
  made->usage.searches = 1;
  Facts facts;
  facts.add("close \"reason\"", "a\nb");
  made->facts = std::make_shared<const Facts>(std::move(facts));
  made->plan = std::make_shared<const std::string>("{}");
  made->final_status = FinalStatus::kGatewayError;
  made->cost_nano = 0;
  made->cost_currency = "USD";
  return made;
}

std::unique_ptr<RecordKeeper> keeper(const std::filesystem::path& directory,
                                     const store::RecordLimits& limits = {}) {
  return std::make_unique<RecordKeeper>(std::make_unique<store::Records>(directory, limits),
                                        std::make_shared<RecordSettings>(limits),
                                        [] { return kNow; });
}

FanoutTimes quick() {
  FanoutTimes times;
  times.window = times.back_off_min = 1ms;
  times.back_off_max = 2ms;
  times.close_max = 100ms;
  return times;
}

}  // namespace

TEST_CASE("observe: a line that keeps records writes what was published", "[unit][observe]") {
  const Scratch scratch;
  {
    LoggerFanout fanout({std::make_shared<LoggerFanout::Line>(keeper(scratch.path()), "records")});
    for (int i = 0; i < 1000; ++i) fanout.publish(record("r" + std::to_string(i)));
  }
  store::SearchLimits limits;
  limits.rows_max = 2000;
  limits.time_max = 60s;
  const auto page = store::find_records(scratch.path(), {}, {}, limits);
  REQUIRE(page);
  REQUIRE(page->rows.size() == 1000);
  CHECK(page->rows.front().id == "r999");
  const auto found = store::find_record(scratch.path(), "r7");
  REQUIRE(found);
  REQUIRE(*found);
  const store::RecordRow& row = **found;
  CHECK(row.duration_us == 4001);
  CHECK(row.ttft_us == 2000);
  CHECK(row.tok_cached == 3);
  CHECK(row.quantities == R"({"images":2,"searches":1})");
  CHECK(row.facts == R"({"close \"reason\"":"a\nb"})");
  CHECK(row.plan == "{}");
  CHECK(row.final_status == "gateway_error");
  CHECK(row.cost_nano == 0);
  CHECK_FALSE(row.charge_nano);
}

TEST_CASE("observe: records that find no room are counted, and come later where there is some",
          "[unit][observe]") {
  spdlog::set_level(spdlog::level::off);
  const Scratch scratch;
  const auto directory = scratch.path() / "records";
  auto kept = keeper(directory);
  scratch.write("records", "no directory");
  auto line = std::make_shared<LoggerFanout::Line>(std::move(kept), "records", quick());
  auto fanout = std::make_unique<LoggerFanout>(LoggerFanout::Lines{line});
  const std::size_t more = 100;
  for (std::size_t i = 0; i < LoggerFanout::kQueueMax + more; ++i) fanout->publish(record("r"));
  CHECK(fanout->stats()[0].dropped == more);
  CHECK(fanout->stats()[0].queued == LoggerFanout::kQueueMax);
  SECTION("the room comes") {
    std::filesystem::remove(directory);
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (fanout->stats()[0].queued > 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    CHECK(fanout->stats()[0].written == LoggerFanout::kQueueMax);
  }
  SECTION("it does not") {}
  line.reset();
  fanout.reset();
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE("observe: days grow too old where no record comes", "[unit][observe][records]") {
  const Scratch scratch;
  const auto directory = scratch.path() / "records";
  std::filesystem::create_directory(directory);
  const auto old = directory / "2020-01-01.db.damaged";
  std::ofstream(old) << "x";
  FanoutTimes times = quick();
  times.idle_every = 1ms;
  LoggerFanout fanout({std::make_shared<LoggerFanout::Line>(keeper(directory), "records", times)});
  while (std::filesystem::exists(old)) std::this_thread::yield();
  CHECK_FALSE(std::filesystem::exists(old));
}

#include "core/plugin/strategy.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "core/base/json_scan.hpp"
#include "core/plugin/configuration.hpp"

namespace switchyard::plugin {
namespace {

// A strategy in plain C, whose configuration says how it behaves.
struct Raw {
  std::string config;
  unsigned observed = 0;
};

swy_rc SWY_CALL raw_open(swy_str config, const swy_host*, void*, void** instance, swy_err* err) {
  if (view(config) == "refuse") {
    std::strcpy(err->msg, "not this one");
    return SWY_E_ARG;
  }
  *instance = new Raw{std::string(view(config))};
  return SWY_OK;
}

void SWY_CALL raw_close(void* instance) { delete static_cast<Raw*>(instance); }

swy_rc SWY_CALL raw_score(void* instance, const swy_rreq*, const swy_cand*, std::uint32_t n,
                          std::uint32_t, swy_score* out, std::uint32_t, swy_err* err) {
  const std::string& how = static_cast<Raw*>(instance)->config;
  for (std::uint32_t i = 0; i < n; ++i) out[i].score = i;
  if (how == "silent") return SWY_E_LIMIT;
  if (how == "fail") {
    std::strcpy(err->msg, "no idea");
    return SWY_E_DATA;
  }
  if (how == "forget") out[1].score = SWY_SCORE_UNSET;
  if (how == "endless") std::memset(out[0].reason, 'x', sizeof out[0].reason);
  return how == "advice" ? 1 : SWY_OK;
}

void SWY_CALL raw_observe(void* instance, const swy_outcome*) {
  ++static_cast<Raw*>(instance)->observed;
}

swy_rc SWY_CALL raw_save(void* instance, swy_rc(SWY_CALL* write)(void*, swy_str), void* ctx) {
  const Raw& self = *static_cast<Raw*>(instance);
  if (self.config == "silent") return SWY_E_BUG;
  const std::string piece(self.config == "large" ? (9u << 20) : 3, 's');
  swy_rc rc = write(ctx, to_swy(piece));
  if (rc == SWY_OK) rc = write(ctx, to_swy(piece));
  return rc;
}

swy_rc SWY_CALL raw_load(void*, swy_str state) {
  return view(state) == "bad" ? SWY_E_DATA : view(state) == "worse" ? SWY_E_BUG : SWY_OK;
}

constexpr swy_strategy kRaw = {sizeof(swy_strategy), 0,        raw_open, raw_close, raw_score,
                               raw_observe,          raw_save, raw_load};
// As an author of the first hour compiled it: without what is optional.
constexpr swy_strategy kShort = {offsetof(swy_strategy, observe),
                                 0,
                                 raw_open,
                                 raw_close,
                                 raw_score,
                                 raw_observe,
                                 raw_save,
                                 raw_load};

std::unique_ptr<StrategyInstance> opened(std::string_view config,
                                         const swy_strategy* table = &kRaw) {
  auto instance = StrategyInstance::from_table(table, "raw", config);
  REQUIRE(instance);
  return std::move(*instance);
}

std::string fault_of(std::string_view config) {
  std::vector<swy_cand> candidates(2);
  candidates[0].provider = to_swy("a");
  candidates[0].model = to_swy("m");
  candidates[1].provider = to_swy("b");
  candidates[1].model = to_swy("n");
  std::vector<swy_score> out(2);
  const auto scored = opened(config)->score({}, candidates, out);
  return scored ? "" : scored.error().message;
}

}  // namespace

TEST_CASE("plugin: a strategy is opened with its configuration or says why not", "[unit][plugin]") {
  CHECK(StrategyInstance::from_table(&kRaw, "raw", "refuse").error().message ==
        "strategy \"raw\": not this one");
  CHECK(opened("{}")->name() == "raw");
}

TEST_CASE("plugin: an answer that is missing or impossible is the strategy's fault",
          "[unit][plugin]") {
  CHECK(fault_of("good").empty());
  CHECK(fault_of("advice").empty());
  CHECK(fault_of("fail") == "strategy \"raw\": score: no idea");
  CHECK(fault_of("silent") == "strategy \"raw\": score: SWY_E_LIMIT");
  CHECK(fault_of("forget") == "strategy \"raw\": score: left out b/n");
  CHECK(fault_of("endless") == "strategy \"raw\": score: the reason for a/m does not end");
}

TEST_CASE("plugin: what an earlier answer left behind is no answer", "[unit][plugin]") {
  const auto forgets = opened("forget");
  std::vector<swy_cand> candidates(2);
  std::vector<swy_score> out(2);
  for (swy_score& each : out) each.score = 5;
  CHECK_FALSE(forgets->score({}, candidates, out));
}

TEST_CASE("plugin: a strategy's state is taken in pieces, and within bounds", "[unit][plugin]") {
  CHECK(*opened("good")->save() == "ssssss");
  CHECK(opened("silent")->save().error().message == "strategy \"raw\": save: SWY_E_BUG");
  CHECK(opened("large")->save().error().message == "strategy \"raw\": save: SWY_E_LIMIT");
  CHECK(*opened("good")->load("fine"));
  CHECK_FALSE(*opened("good")->load("bad"));
  CHECK(opened("good")->load("worse").error().message == "strategy \"raw\": load: SWY_E_BUG");
}

TEST_CASE("plugin: what a strategy's table is too short for is not called", "[unit][plugin]") {
  const auto instance = opened("silent", &kShort);
  instance->observe({});
  CHECK(instance->save()->empty());
  CHECK_FALSE(*instance->load("worse"));
}

TEST_CASE("plugin: a configuration is held against its kind's schema", "[unit][plugin]") {
  Kind kind;
  kind.name = "weighted";
  CHECK(check_configuration(kind, "{\"anything\":1}").empty());

  kind.schema = R"({"type":"object","additionalProperties":false,
                    "properties":{"n":{"type":"integer","minimum":1},"t":{"enum":["x"]}}})";
  CHECK(check_configuration(kind, "{\"n\":1}").empty());
  const auto faults = check_configuration(kind, R"({"n":0,"t":"secret","m":1})");
  REQUIRE(faults.size() == 3);
  CHECK(faults[0].pointer + ": " + faults[0].message == "/n: found 0, expected at least 1");
  CHECK(faults[1].pointer + ": " + faults[1].message == "/t: found a text, expected one of \"x\"");
  CHECK(faults[2].pointer == "/m");

  kind.schema = R"({"type":"object","if":{}})";
  CHECK(check_configuration(kind, "{}")[0].message ==
        "the schema of \"weighted\": /if: the keyword \"if\" is not in the supported subset of "
        "draft 04");
}

}  // namespace switchyard::plugin

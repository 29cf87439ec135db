// The C++ comfort seen from the host: through the C table.
#include <catch2/catch.hpp>
#include <stdexcept>
#include <switchyard/testing.hpp>

using namespace swy::testing;

namespace {

// Does what its configuration says.
struct Clumsy {
  std::string how;
  mutable int observed = 0;

  static swy::Result<Clumsy> open(std::string_view config, swy::Host) {
    if (config == "refuse") return swy::Error{SWY_CLS_PLUGIN, "not this one"};
    if (config == "open") throw std::runtime_error("open threw");
    return Clumsy{std::string(config)};
  }
  swy::Result<> score(const swy::RouteRequest&, const swy::Candidates& candidates,
                      swy::Scores& scores) const {
    if (how == "throw") throw std::runtime_error("score threw");
    if (how == "fail") return swy::Error{SWY_CLS_PLUGIN, "no idea"};
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
      if (candidates.tag(i, "tier") == "out") {
        scores.exclude(i, "tier out");
      } else {
        scores.set(i, i, std::string(62, 'r') + "\xC3\xA9");
      }
    }
    return {};
  }
  void observe(const swy_outcome&) {
    ++observed;
    if (how == "observe") throw 1;
  }
  std::string save() const { return how == "save" ? throw 1 : std::to_string(observed); }
  swy::Result<> load(std::string_view state) {
    if (state.empty()) return swy::Error{SWY_CLS_PLUGIN, "nothing there"};
    observed = static_cast<int>(state.size());
    return {};
  }
};

// The least that a strategy needs.
struct Plain {
  void score(const swy::RouteRequest&, const swy::Candidates& candidates,
             swy::Scores& scores) const {
    for (std::uint32_t i = 0; i < candidates.size(); ++i) scores.set(i, 0, "");
  }
};

template <class S>
const swy_strategy& table() {
  static const swy_kind kind = swy::strategy<S>("tested");
  return *static_cast<const swy_strategy*>(kind.vt);
}

struct Instance {
  explicit Instance(std::string_view config) {
    err.size = sizeof err;
    opened = table<Clumsy>().open(swy::str(config), nullptr, nullptr, &instance, &err);
  }
  ~Instance() {
    if (opened == SWY_OK) table<Clumsy>().close(instance);
  }
  swy_rc score(std::vector<swy_cand> candidates) {
    out.assign(candidates.size(), swy_score{});
    swy_rreq request{};
    request.size = sizeof request;
    return table<Clumsy>().score(instance, &request, candidates.data(),
                                 static_cast<std::uint32_t>(candidates.size()), sizeof(swy_cand),
                                 out.data(), sizeof(swy_score), &err);
  }

  swy_rc opened = 1;
  void* instance = nullptr;
  swy_err err{};
  std::vector<swy_score> out;
};

swy_rc SWY_CALL keep(void* ctx, swy_str bytes) {
  *static_cast<std::string*>(ctx) += swy::view(bytes);
  return SWY_OK;
}

}  // namespace

TEST_CASE("sdk: a strategy's answer reaches the host, its reason cut between characters",
          "[unit][sdk]") {
  Instance strategy("{}");
  const swy_kv tag{swy::str("tier"), swy::str("out")};
  std::vector<swy_cand> candidates(2);
  candidates[1].tag = &tag;
  candidates[1].ntag = 1;
  REQUIRE(strategy.score(candidates) == SWY_OK);
  CHECK(strategy.out[0].score == 0);
  CHECK(strategy.out[0].reason == std::string(62, 'r'));
  CHECK(strategy.out[1].score == SWY_SCORE_EXCLUDE);
  CHECK(std::string(strategy.out[1].reason) == "tier out");
}

TEST_CASE("sdk: what a strategy throws or refuses is a return code with its words", "[unit][sdk]") {
  Instance refused("refuse");
  CHECK(refused.opened == SWY_E_ARG);
  CHECK(std::string(refused.err.msg) == "not this one");
  Instance open("open");
  CHECK(open.opened == SWY_E_BUG);
  CHECK(std::string(open.err.msg) == "open threw");

  Instance thrown("throw");
  CHECK(thrown.score({{}}) == SWY_E_BUG);
  CHECK(std::string(thrown.err.msg) == "score threw");
  Instance failed("fail");
  CHECK(failed.score({{}}) == SWY_E_DATA);
  CHECK(std::string(failed.err.msg) == "no idea");

  Instance observed("observe");
  const swy_outcome outcome{};
  table<Clumsy>().observe(observed.instance, &outcome);  // what it throws stays inside
  Instance saved("save");
  std::string state;
  CHECK(table<Clumsy>().save(saved.instance, keep, &state) == SWY_E_BUG);
}

TEST_CASE("sdk: a strategy's state goes out and comes in", "[unit][sdk]") {
  Instance strategy("{}");
  CHECK(table<Clumsy>().load(strategy.instance, swy::str("")) == SWY_E_DATA);
  CHECK(table<Clumsy>().load(strategy.instance, swy::str("12345")) == SWY_OK);
  const swy_outcome outcome{};
  table<Clumsy>().observe(strategy.instance, &outcome);
  std::string state;
  CHECK(table<Clumsy>().save(strategy.instance, keep, &state) == SWY_OK);
  CHECK(state == "6");
}

TEST_CASE("sdk: what a strategy does not do is not in its table", "[unit][sdk]") {
  CHECK(table<Plain>().observe == nullptr);
  CHECK(table<Plain>().save == nullptr);
  CHECK(table<Plain>().load == nullptr);
  CHECK(table<Clumsy>().observe != nullptr);
}

TEST_CASE("sdk: chance is the seed's alone, and a session's where there is one", "[unit][sdk]") {
  swy_rreq raw{};
  const swy::RouteRequest request(&raw);
  raw.seed = 7;
  const std::uint64_t first = request.chance(1);
  CHECK(request.chance(1) == first);
  CHECK(request.chance(2) != first);
  CHECK(request.sticky_chance(1) == first);
  raw.affinity = 9;
  const std::uint64_t sticky = request.sticky_chance(1);
  CHECK(sticky != first);
  raw.seed = 8;
  CHECK(request.chance(1) != first);
  CHECK(request.sticky_chance(1) == sticky);
}

TEST_CASE("sdk: a fake route orders as the host does", "[unit][sdk]") {
  FakeRoute route;
  route.add("a/one");
  route.add("b/two", {{"tier", "out"}});
  route.add("c/three/x");
  CHECK(route.order(Plain()) == "a/one b/two c/three/x");
  CHECK(route.order(Clumsy{}) == "c/three/x a/one");
  CHECK(route.score(Clumsy{})[1].reason == "tier out");
  CHECK(route.error().empty());
  CHECK(route.score(Clumsy{"fail"})[0].score == SWY_SCORE_UNSET);
  CHECK(route.error() == "no idea");
}

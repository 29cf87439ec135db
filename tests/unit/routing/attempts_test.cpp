#include "core/routing/attempts.hpp"

#include <switchyard/strategy.h>

#include <catch2/catch.hpp>
#include <set>

namespace switchyard::routing {
namespace {

constexpr std::uint64_t kMs = 1'000'000, kSecond = 1000 * kMs;
constexpr std::uint64_t kStart = 1'000'000 * kSecond;
using Barred = Lane::Barred;

Fault fault(std::int32_t cls, std::uint32_t retry_after_ms = 0) {
  return {cls, retry_after_ms, false};
}

Outcome outcome(std::int32_t cls, unsigned http = 0, std::uint32_t retry_after_ms = 0) {
  Outcome made;
  made.cls = cls;
  made.http = http;
  made.latency_us = 1'000;
  made.retry_after_ms = retry_after_ms;
  return made;
}

// A route of models at providers "a", "b", ..., each with so many credentials.
struct World {
  config::Provider& provider(std::size_t credentials = 1) {
    config::Provider made;
    made.id = std::string(1, static_cast<char>('a' + providers.size()));
    for (std::size_t i = 0; i < credentials; ++i) {
      config::Credential credential;
      credential.name = std::to_string(i);
      made.credentials.push_back(std::move(credential));
    }
    providers.push_back(std::move(made));
    return providers.back();
  }

  // Once the providers are as they should be.
  void make_route() {
    route.targets.clear();
    for (std::size_t i = 0; i < providers.size(); ++i) {
      lives.push_back(statistics.live(providers[i], "m"));
      route.targets.push_back({i, "m", 0, lives.back().get()});
    }
  }

  Lane& lane(std::size_t target, std::size_t credential = 0) {
    return route.targets[target].live->lane(credential);
  }

  // What is asked where every attempt fails so: "a0 b0 b0".
  std::string path(const std::vector<Fault>& faults, Attempts::Policy policy = {}) {
    Attempts attempts(route, policy, ++seed);
    std::string text;
    const Fault* last = nullptr;
    for (std::size_t i = 0;; ++i) {
      const auto step = attempts.next(last, now);
      if (!step) break;
      text += (text.empty() ? "" : " ") + providers[route.targets[step->target].provider].id +
              std::to_string(step->credential);
      if (i >= faults.size()) break;
      last = &faults[i];
      attempts.done(outcome(last->cls), now);
    }
    return text;
  }

  // So many requests that go to the first target and fail there.
  void fail(std::size_t target, std::int32_t cls, int times) {
    for (int i = 0; i < times; ++i) {
      Lane::Call call;
      REQUIRE(lane(target).begin({0, now, 0, true}, call) == Barred::kNot);
      lane(target).end(call, outcome(cls), now);
    }
  }

  std::vector<config::Provider> providers;
  Statistics statistics;
  std::vector<std::shared_ptr<Live>> lives;
  Route route;
  std::uint64_t now = kStart, seed = 0;
};

World of(std::size_t targets, std::size_t credentials = 1) {
  World world;
  for (std::size_t i = 0; i < targets; ++i) world.provider(credentials);
  world.make_route();
  return world;
}

}  // namespace

TEST_CASE("attempts: a fault that another target may not share goes on to it, once each",
          "[unit][routing]") {
  World world = of(3);
  const Fault timeout = fault(SWY_CLS_TIMEOUT), server = fault(SWY_CLS_SERVER);
  CHECK(world.path({timeout, timeout, timeout}) == "a0 b0 c0");
  CHECK(world.path({server, server, server, server}) == "a0 b0 c0");
  Attempts::Policy more;
  more.attempts_max = 5;
  CHECK(world.path({server, server, server, server, server}, more) == "a0 b0 c0 c0 c0");
  CHECK(world.path({timeout, timeout, timeout, timeout}, more) == "a0 b0 c0");
}

TEST_CASE("attempts: a fallback for such faults comes before a candidate that is unwell",
          "[unit][routing]") {
  World world = of(3);
  world.route.targets[1].on = 1u << SWY_CLS_TOO_LONG;
  world.route.targets[2].on = 1u << SWY_CLS_SERVER;
  CHECK(world.path({}) == "a0");
  world.fail(0, SWY_CLS_SERVER, 40);
  CHECK(world.path({}) == "c0");
  world.route.targets[2].on = 1u << SWY_CLS_FILTERED;
  CHECK(world.path({}) == "a0");  // unwell, but nobody else is meant
}

TEST_CASE("attempts: the request's own faults are final", "[unit][routing]") {
  World world = of(2);
  for (const auto cls : {SWY_CLS_BAD_REQUEST, SWY_CLS_TOO_LONG, SWY_CLS_FILTERED}) {
    CHECK(world.path({fault(cls)}) == "a0");
  }
  CHECK(world.path({fault(SWY_CLS_NOT_OFFERED)}) == "a0 b0");
}

TEST_CASE("attempts: a fallback is for the faults that it is meant for, and no other",
          "[unit][routing]") {
  World world = of(3);
  world.route.targets[1].on = 1u << SWY_CLS_TOO_LONG;
  world.route.targets[2].on = 1u << SWY_CLS_FILTERED | 1u << SWY_CLS_OVERLOADED;
  CHECK(world.path({fault(SWY_CLS_TOO_LONG)}) == "a0 b0");
  CHECK(world.path({fault(SWY_CLS_FILTERED)}) == "a0 c0");
  CHECK(world.path({fault(SWY_CLS_TOO_LONG), fault(SWY_CLS_OVERLOADED)}) == "a0 b0 c0");
  CHECK(world.path({fault(SWY_CLS_BAD_REQUEST)}) == "a0");
  CHECK(world.path({fault(SWY_CLS_TIMEOUT)}) == "a0");
}

TEST_CASE("attempts: the same target again only for what passes, after a pause that grows",
          "[unit][routing]") {
  World world = of(1);
  CHECK(world.path({fault(SWY_CLS_SERVER), fault(SWY_CLS_SERVER), fault(SWY_CLS_SERVER)}) ==
        "a0 a0 a0");
  CHECK(world.path({fault(SWY_CLS_TIMEOUT)}) == "a0");
  CHECK(world.path({fault(SWY_CLS_AUTH)}) == "a0");
  CHECK(world.path({fault(SWY_CLS_RATE_LIMIT, 5'001)}) == "a0");

  World fresh = of(1);
  std::set<std::uint64_t> pauses;
  for (int i = 0; i < 5; ++i) {
    Attempts attempts(fresh.route, {}, static_cast<std::uint64_t>(i));
    REQUIRE(attempts.next(nullptr, fresh.now)->delay_ns == 0);
    const Fault server = fault(SWY_CLS_SERVER), limit = fault(SWY_CLS_RATE_LIMIT, 1'500);
    auto step = attempts.next(&server, fresh.now);
    REQUIRE(step);
    CHECK(step->delay_ns <= 400 * kMs);
    pauses.insert(step->delay_ns);
    step = attempts.next(&limit, fresh.now);
    REQUIRE(step);
    CHECK(step->delay_ns == 1'500 * kMs);
  }
  CHECK(pauses.size() == 5);
}

TEST_CASE("attempts: what must not be begun twice is not, unless it surely was not begun",
          "[unit][routing]") {
  World world = of(2);
  Attempts::Policy once;
  once.once = true;
  Fault refused = fault(SWY_CLS_OVERLOADED);
  CHECK(world.path({refused}, once) == "a0");
  refused.not_begun = true;
  CHECK(world.path({refused}, once) == "a0 b0");
}

TEST_CASE("attempts: no attempt begins after the deadline, nor waits until it", "[unit][routing]") {
  World world = of(1);
  Attempts::Policy policy;
  policy.deadline_ns = kStart + kSecond;
  const Fault limit = fault(SWY_CLS_RATE_LIMIT, 1'000);
  Attempts attempts(world.route, policy, 1);
  REQUIRE(attempts.next(nullptr, kStart));
  CHECK_FALSE(attempts.next(&limit, kStart));
  Attempts late(world.route, policy, 1);
  CHECK_FALSE(late.next(nullptr, kStart + kSecond));
  CHECK(late.nobody().why == Barred::kNot);
}

TEST_CASE("attempts: retries of a target stay within their budget, failovers cost nothing",
          "[unit][routing]") {
  World world = of(2);
  const std::vector<Fault> down(3, fault(SWY_CLS_SERVER));
  world.route.targets.pop_back();
  int calls = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string path = world.path(down);
    calls += static_cast<int>(path.size() + 1) / 3;
  }
  CHECK(calls >= 500 + 90);
  CHECK(calls <= 500 + 100);

  world.route.targets.push_back({1, "m", 0, world.lives[1].get()});
  Attempts attempts(world.route, {}, 1);
  REQUIRE(attempts.next(nullptr, world.now));
  CHECK(attempts.next(&down[0], world.now)->target == 1);
}

// ---- who is asked ----

TEST_CASE("attempts: a target whose breaker is open is passed over while another is ready",
          "[unit][routing]") {
  World world = of(2);
  world.fail(0, SWY_CLS_SERVER, 20);
  Attempts attempts(world.route, {}, 1);
  auto step = attempts.next(nullptr, world.now);
  REQUIRE(step);
  CHECK(step->target == 1);
  const auto passed = attempts.take_passed();
  REQUIRE(passed.size() == 1);
  CHECK(passed[0].target == 0);
  CHECK(passed[0].why == Barred::kOpen);
  // The other one failed: better a target that is unwell than none.
  const Fault timeout = fault(SWY_CLS_TIMEOUT);
  attempts.done(outcome(SWY_CLS_TIMEOUT), world.now);
  step = attempts.next(&timeout, world.now);
  REQUIRE(step);
  CHECK(step->target == 0);

  world.fail(1, SWY_CLS_SERVER, 40);
  Attempts all_down(world.route, {}, 1);
  step = all_down.next(nullptr, world.now);
  REQUIRE(step);
  CHECK(step->target == 0);
  CHECK(all_down.take_passed().size() == 1);
}

TEST_CASE("attempts: what an operator closed off is never asked", "[unit][routing]") {
  World world = of(2);
  world.lane(0).breaker.force(Breaker::Force::kOpen);
  CHECK(world.path({fault(SWY_CLS_TIMEOUT)}) == "b0");
  world.lane(1).breaker.force(Breaker::Force::kOpen);
  Attempts attempts(world.route, {}, 1);
  CHECK_FALSE(attempts.next(nullptr, world.now));
  CHECK(attempts.nobody().why == Barred::kForced);
  CHECK(attempts.take_passed().size() == 2);
}

TEST_CASE("attempts: a configured limit holds, and the client is told for how long",
          "[unit][routing]") {
  World world;
  world.provider().model_limits["m"].concurrency = 1;
  world.make_route();
  Attempts first(world.route, {}, 1);
  REQUIRE(first.next(nullptr, world.now));
  {
    Attempts second(world.route, {}, 2);
    CHECK_FALSE(second.next(nullptr, world.now));
    CHECK(second.nobody().why == Barred::kLimit);
  }
  first.done(outcome(-1), world.now);
  CHECK(world.path({}) == "a0");

  World slow;
  slow.provider().limits.rpm = 2;
  slow.make_route();
  CHECK(slow.path({fault(SWY_CLS_SERVER), fault(SWY_CLS_SERVER)}) == "a0 a0");
  Attempts third(slow.route, {}, 3);
  CHECK_FALSE(third.next(nullptr, slow.now));
  CHECK(third.nobody().eases_ns > 55 * kSecond);
  CHECK(third.nobody().eases_ns <= 65 * kSecond);
}

TEST_CASE("attempts: an attempt that is given up leaves nothing behind", "[unit][routing]") {
  World world;
  auto& limits = world.provider().model_limits["m"];
  limits.concurrency = limits.rpm = 1;
  world.make_route();
  for (int i = 0; i < 3; ++i) {
    Attempts attempts(world.route, {}, 1);
    REQUIRE(attempts.next(nullptr, world.now));
  }
  CHECK(world.lane(0).gate.inflight() == 0);
  CHECK(world.lane(0).gate.requests_left(world.now) == 1);
}

// ---- credentials ----

TEST_CASE("attempts: a refused credential gives way to another, which is an attempt",
          "[unit][routing]") {
  for (const auto cls : {SWY_CLS_AUTH, SWY_CLS_QUOTA, SWY_CLS_RATE_LIMIT}) {
    World world = of(2, 2);
    const std::string path = world.path({fault(cls), fault(cls)});
    CHECK((path == "a0 a1 b0" || path == "a1 a0 b0" || path == "a0 a1 b1" || path == "a1 a0 b1"));
  }
  World world = of(2, 2);
  const std::string path = world.path({fault(SWY_CLS_SERVER)});
  CHECK(path.substr(3, 1) == "b");
}

TEST_CASE("attempts: who is refused stays alone for long, at every model; a 403 at its own",
          "[unit][routing]") {
  World world = of(1, 2);
  const auto other = world.statistics.live(world.providers[0], "other");
  const auto end_with = [&](std::size_t credential, std::int32_t cls, unsigned http) {
    Lane::Call call;
    REQUIRE(world.lane(0, credential).begin({0, world.now, 0, true}, call) == Barred::kNot);
    world.lane(0, credential).end(call, outcome(cls, http), world.now);
  };
  end_with(0, SWY_CLS_AUTH, 401);
  for (int i = 0; i < 20; ++i) CHECK(world.path({}) == "a1");
  CHECK(other->lane(0).barred(0, world.now) == Barred::kRefused);
  CHECK(other->lane(1).barred(0, world.now) == Barred::kNot);
  world.now += 599 * kSecond;
  CHECK(world.lane(0, 0).barred(0, world.now) == Barred::kRefused);
  world.now += kSecond;
  CHECK(world.lane(0, 0).barred(0, world.now) == Barred::kNot);

  end_with(1, SWY_CLS_AUTH, 403);
  CHECK(world.lane(0, 1).barred(0, world.now) == Barred::kResting);
  CHECK(other->lane(1).barred(0, world.now) == Barred::kNot);
  // One that the upstream takes is taken back at once.
  end_with(0, SWY_CLS_QUOTA, 429);
  CHECK(other->lane(0).barred(0, world.now) == Barred::kRefused);
  end_with(0, -1, 200);
  CHECK(other->lane(0).barred(0, world.now) == Barred::kNot);
}

TEST_CASE("attempts: calls go to the credential with the fewest for its weight",
          "[unit][routing]") {
  World world;
  world.provider(2).credentials[1].weight = 3;
  world.make_route();
  std::vector<std::unique_ptr<Attempts>> running;
  int by[2] = {0, 0};
  for (std::uint64_t i = 0; i < 40; ++i) {
    running.push_back(std::make_unique<Attempts>(world.route, Attempts::Policy{}, i));
    ++by[running.back()->next(nullptr, world.now)->credential];
  }
  CHECK(by[0] == 10);
  CHECK(by[1] == 30);
  running.clear();
  by[0] = by[1] = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    Attempts alone(world.route, {}, i);
    ++by[alone.next(nullptr, world.now)->credential];
  }
  CHECK(by[1] > 250);
  CHECK(by[1] < 350);
}

TEST_CASE("attempts: a request that is bound to a credential uses no other", "[unit][routing]") {
  World world = of(1, 3);
  Attempts::Policy policy;
  policy.credential = 2;
  CHECK(world.path({fault(SWY_CLS_AUTH)}, policy) == "a2");
  CHECK(world.path({fault(SWY_CLS_SERVER)}, policy) == "a2 a2");
}

TEST_CASE("attempts: a pause that the upstream asks for is kept while others serve",
          "[unit][routing]") {
  World world = of(2);
  Lane::Call call;
  REQUIRE(world.lane(0).begin({0, world.now, 0, false}, call) == Barred::kNot);
  world.lane(0).end(call, outcome(SWY_CLS_RATE_LIMIT, 429, 7'000), world.now);
  CHECK(world.path({}) == "b0");
  world.now += 7 * kSecond - 1;
  CHECK(world.path({}) == "b0");
  world.now += 1;
  CHECK(world.path({}) == "a0");
  // A limit is no illness.
  CHECK(world.lane(0).breaker.state(world.now) == Breaker::State::kClosed);
  world.fail(0, SWY_CLS_RATE_LIMIT, 100);
  CHECK(world.lane(0).breaker.state(world.now) == Breaker::State::kClosed);
}

TEST_CASE("attempts: the request's own faults and clients that leave open no breaker",
          "[unit][routing]") {
  World world = of(1);
  for (const auto cls :
       {SWY_CLS_BAD_REQUEST, SWY_CLS_TOO_LONG, SWY_CLS_FILTERED, SWY_CLS_NOT_OFFERED}) {
    world.fail(0, cls, 50);
  }
  for (int i = 0; i < 50; ++i) {
    Attempts attempts(world.route, {}, 1);
    REQUIRE(attempts.next(nullptr, world.now));
    Outcome left = outcome(SWY_CLS_TIMEOUT);
    left.left = true;
    attempts.done(left, world.now);
  }
  CHECK(world.lane(0).breaker.state(world.now) == Breaker::State::kClosed);
  swy_cand shown{};
  world.lives[0]->read(shown, world.now);
  CHECK(shown.samples == 0);
}

// ---- what strategies are shown ----

TEST_CASE("live: a target is as well as its best credential", "[unit][routing]") {
  World world = of(1, 2);
  Live& live = *world.lives[0];
  const auto read = [&] {
    swy_cand shown{};
    live.read(shown, world.now);
    return shown;
  };
  CHECK(read().state == SWY_STATE_CLOSED);
  CHECK(read().inflight_max == UINT32_MAX);
  CHECK(read().rpm_left == UINT32_MAX);
  world.fail(0, SWY_CLS_SERVER, 20);
  CHECK(read().state == SWY_STATE_CLOSED);
  for (int i = 0; i < 20; ++i) {
    Lane::Call call;
    REQUIRE(world.lane(0, 1).begin({0, world.now, 0, true}, call) == Barred::kNot);
    world.lane(0, 1).end(call, outcome(SWY_CLS_SERVER), world.now);
  }
  CHECK(read().state == SWY_STATE_OPEN);
  CHECK(read().samples == 40);
  world.now += 5 * kSecond;
  CHECK(read().state == SWY_STATE_HALF_OPEN);
}

TEST_CASE(
    "live: what is left is that of the credentials that may be used, and no more than the "
    "provider's",
    "[unit][routing]") {
  World world;
  config::Provider& provider = world.provider(2);
  provider.limits.concurrency = 5;
  provider.model_limits["*"].rpm = 10;
  provider.credentials[0].limits.concurrency = 2;
  provider.credentials[1].limits.tpm = 1'000;
  world.make_route();
  const auto read = [&] {
    swy_cand shown{};
    world.lives[0]->read(shown, world.now);
    return shown;
  };
  CHECK(read().inflight_max == 5);
  CHECK(read().rpm_left == 20);
  CHECK(read().tpm_left == UINT64_MAX);
  Lane::Call call;
  REQUIRE(world.lane(0, 0).begin({0, world.now, 0, false}, call) == Barred::kNot);
  CHECK(read().inflight == 1);
  CHECK(read().inflight_max == 5);
  CHECK(read().rpm_left == 19);
  world.lane(0, 0).end(call, outcome(SWY_CLS_AUTH, 401), world.now);
  CHECK(read().rpm_left == 10);
  CHECK(read().tpm_left == 1'000);
  REQUIRE(world.lane(0, 1).begin({0, world.now, 0, false}, call) == Barred::kNot);
  world.lane(0, 1).end(call, outcome(SWY_CLS_RATE_LIMIT, 429, 5'000), world.now);
  CHECK(read().rpm_left == 0);
  CHECK(read().state == SWY_STATE_CLOSED);
}

TEST_CASE("live: models that no list names are known one by one, to a bound", "[unit][routing]") {
  Statistics statistics;
  config::Provider provider;
  provider.id = "any";
  const auto unlisted = statistics.unlisted(provider);
  CHECK(statistics.unlisted(provider) == unlisted);
  std::set<Live*> seen;
  for (std::size_t i = 0; i < Unlisted::kNamesMax; ++i) {
    seen.insert(unlisted->find("m" + std::to_string(i)));
  }
  CHECK(seen.size() == Unlisted::kNamesMax);
  CHECK(unlisted->find("m7")->model() == "m7");
  Live* const others = unlisted->find("one too many");
  CHECK(others->model() == "*");
  CHECK(unlisted->find("another") == others);
  // There what is missing says nothing of the others.
  for (int i = 0; i < 50; ++i) {
    Lane::Call call;
    REQUIRE(others->lane(0).begin({0, kStart, 0, false}, call) == Barred::kNot);
    others->lane(0).end(call, outcome(SWY_CLS_NO_MODEL, 404), kStart);
  }
}

TEST_CASE("live: a target is one as long as somebody holds it and its policy is the same",
          "[unit][routing]") {
  Statistics statistics;
  config::Provider provider;
  provider.id = "a";
  auto live = statistics.live(provider, "m");
  statistics.drop_unused();
  CHECK(statistics.live(provider, "m") == live);
  CHECK(statistics.live(provider, "n") != live);
  provider.breaker.errors_percent = 50;
  CHECK(statistics.live(provider, "m") != live);
  std::weak_ptr<Live> gone = statistics.live(provider, "m");
  statistics.drop_unused();
  CHECK(gone.expired());
}

// ---- hedging ----

namespace {

// So many streams whose first tokens took so long.
void serve(World& world, std::size_t target, int times, std::uint32_t ttft_us) {
  Outcome well;
  well.ttft_us = ttft_us;
  well.latency_us = 2 * ttft_us;
  for (int i = 0; i < times; ++i) {
    Lane::Call call;
    REQUIRE(world.lane(target).begin({0, world.now, 0, false}, call) == Barred::kNot);
    world.lane(target).end(call, well, world.now);
  }
}

std::uint32_t same(std::uint32_t) { return 100; }

Outcome left() {
  Outcome made;
  made.left = true;
  return made;
}

}  // namespace

TEST_CASE("attempts: a target is slow by its own first tokens, once there are enough",
          "[unit][routing]") {
  World world = of(2);
  serve(world, 0, 19, 200'000);
  Attempts early(world.route, {}, 1);
  REQUIRE(early.next(nullptr, world.now));
  CHECK_FALSE(early.slow_after_ns(world.now));
  serve(world, 0, 1, 200'000);
  Attempts attempts(world.route, {}, 2);
  CHECK_FALSE(attempts.slow_after_ns(world.now));  // nothing runs
  REQUIRE(attempts.next(nullptr, world.now));
  const auto after_ns = attempts.slow_after_ns(world.now);
  REQUIRE(after_ns);
  CHECK(*after_ns >= 200 * kMs);
  CHECK(*after_ns < 300 * kMs);
}

TEST_CASE("attempts: hedges stay within their share of a target's cost", "[unit][routing]") {
  World world = of(3);
  serve(world, 0, 100, 200'000);
  const auto hedge = [&](const Attempts::CostPercent& cost) -> std::optional<std::uint32_t> {
    Attempts attempts(world.route, {}, ++world.seed);
    REQUIRE(attempts.next(nullptr, world.now));
    const auto step = attempts.hedge(5, cost, world.now);
    attempts.done(left(), world.now);
    if (!step) return std::nullopt;
    attempts.hedge_done(left(), world.now);
    return step->target;
  };
  // One of four times the price leaves room for one of the same; the cheaper one is asked instead.
  CHECK(hedge([](std::uint32_t target) { return target == 1 ? 600u : 400u; }) == 2u);
  CHECK(hedge(same) == 1u);
  CHECK_FALSE(hedge(same));
  world.now += 61 * kSecond;
  serve(world, 0, 20, 200'000);
  CHECK(hedge(same) == 1u);
}

TEST_CASE("attempts: a hedge goes to a candidate that is ready, and to no fallback",
          "[unit][routing]") {
  World world = of(4);
  serve(world, 0, 50, 200'000);
  world.fail(1, SWY_CLS_SERVER, 40);
  world.route.targets[2].on = 1u << SWY_CLS_SERVER;
  Attempts attempts(world.route, {}, 1);
  REQUIRE(attempts.next(nullptr, world.now));
  const auto step = attempts.hedge(100, same, world.now);
  REQUIRE(step);
  CHECK(step->target == 3);
  CHECK_FALSE(attempts.hedge(100, same, world.now));  // one at a time
  CHECK(world.lane(3).gate.inflight() == 1);
  // The first one is over: what runs beside it is the attempt now.
  attempts.hedge_stands(left(), world.now);
  CHECK(world.lane(0).gate.inflight() == 0);
  attempts.done(outcome(SWY_CLS_SERVER), world.now);
  CHECK(world.lane(3).gate.inflight() == 0);
  // Both count as attempts; of three one is left.
  const Fault server = fault(SWY_CLS_SERVER);
  const auto next = attempts.next(&server, world.now);
  REQUIRE(next);
  CHECK(next->target == 2);
  attempts.done(outcome(SWY_CLS_SERVER), world.now);
  CHECK_FALSE(attempts.next(&server, world.now));
}

TEST_CASE("attempts: the rest of an answer goes to one who can say it, is well and was not asked",
          "[unit][routing]") {
  World world = of(5);
  world.fail(2, SWY_CLS_SERVER, 40);
  world.route.targets[3].on = 1u << SWY_CLS_TOO_LONG;
  const Fault server = fault(SWY_CLS_SERVER);
  std::set<std::uint32_t> asked;
  const auto able = [&](std::uint32_t target) {
    asked.insert(target);
    return target != 1;
  };
  Attempts attempts(world.route, {}, 1);
  REQUIRE(attempts.next(nullptr, world.now)->target == 0);
  attempts.done(outcome(SWY_CLS_SERVER), world.now);
  const auto step = attempts.next_able(server, able, world.now);
  REQUIRE(step);
  CHECK(step->target == 4);
  CHECK(step->delay_ns == 0);
  CHECK(asked == std::set<std::uint32_t>{1, 2, 4});  // neither itself nor who is for other faults
  attempts.done(outcome(SWY_CLS_SERVER), world.now);
  // Neither the same again, nor who is unwell.
  CHECK_FALSE(attempts.next_able(server, able, world.now));
  CHECK(world.lane(4).gate.inflight() == 0);

  Attempts::Policy one;
  one.attempts_max = 1;
  Attempts last(world.route, one, 2);
  REQUIRE(last.next(nullptr, world.now));
  last.done(outcome(SWY_CLS_SERVER), world.now);
  CHECK_FALSE(last.next_able(server, able, world.now));
}

TEST_CASE("attempts: who begins what must not be twice has no hedge", "[unit][routing]") {
  World world = of(2);
  serve(world, 0, 50, 200'000);
  Attempts::Policy once, bound, short_of;
  once.once = true;
  bound.credential = 0;
  short_of.attempts_max = 1;
  for (const Attempts::Policy& policy : {once, bound, short_of}) {
    Attempts attempts(world.route, policy, 1);
    REQUIRE(attempts.next(nullptr, world.now));
    CHECK_FALSE(attempts.hedge(100, same, world.now));
  }
}

TEST_CASE("attempts: one that was outrun is slow, and neither well nor ill", "[unit][routing]") {
  World world;
  world.provider().breaker.slow = std::chrono::milliseconds(500);
  world.make_route();
  Outcome outrun = left();
  outrun.outrun = true;
  const auto lose = [&](std::uint32_t after_us) {
    outrun.ttft_us = after_us;
    for (int i = 0; i < 40; ++i) {
      Lane::Call call;
      REQUIRE(world.lane(0).begin({0, world.now, 0, true}, call) == Barred::kNot);
      world.lane(0).end(call, outrun, world.now);
    }
  };
  lose(400'000);
  CHECK(world.lane(0).breaker.state(world.now) == Breaker::State::kClosed);
  swy_cand seen{};
  world.route.targets[0].live->read(seen, world.now);
  CHECK(seen.err_ppm == 0);
  CHECK(seen.ttft_p95_us >= 400'000);
  lose(600'000);
  CHECK(world.lane(0).breaker.state(world.now) == Breaker::State::kOpen);
}

}  // namespace switchyard::routing

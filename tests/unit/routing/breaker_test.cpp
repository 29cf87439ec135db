#include "core/routing/breaker.hpp"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace switchyard::routing {
namespace {

constexpr std::uint64_t kMs = 1'000'000, kSecond = 1000 * kMs;
constexpr std::uint64_t kStart = 1'000'000 * kSecond;
using Kind = Breaker::Pass::Kind;
using State = Breaker::State;

// A breaker and a clock that only moves when it is told to.
struct Subject {
  explicit Subject(config::BreakerPolicy policy = {}) : breaker(policy) {}

  // A call that goes through and ends at once; false: it may not go.
  bool call(bool ok, std::uint64_t took_us = 1'000, std::uint32_t retry_after_ms = 0) {
    const auto pass = breaker.ask(now, chance);
    if (!pass) return false;
    breaker.end(pass, {!ok, took_us, retry_after_ms}, now);
    return true;
  }
  // Failed calls until it opens.
  void break_it(std::uint32_t retry_after_ms = 0) {
    for (int i = 0; i < 100 && breaker.state(now) != State::kOpen; ++i) {
      call(false, 1'000, retry_after_ms);
    }
    REQUIRE(breaker.state(now) == State::kOpen);
  }
  void mend_to_ramp() {
    now += breaker.rests_ns(now);
    for (int i = 0; i < 3; ++i) REQUIRE(call(true));
  }
  int share(int calls) {
    int gone = 0;
    for (int i = 0; i < calls; ++i) {
      chance = static_cast<std::uint32_t>(i * (1'000'000 / calls));
      gone += call(true) ? 1 : 0;
    }
    chance = 0;
    return gone;
  }

  Breaker breaker;
  std::uint64_t now = kStart;
  std::uint32_t chance = 0;
};

}  // namespace

TEST_CASE("breaker: a few calls are not enough to open it, whatever became of them",
          "[unit][routing]") {
  Subject subject;
  for (int i = 0; i < 19; ++i) REQUIRE(subject.call(false));
  CHECK(subject.breaker.state(subject.now) == State::kClosed);
  CHECK(subject.call(false));
  CHECK(subject.breaker.state(subject.now) == State::kOpen);
  CHECK_FALSE(subject.call(true));
  CHECK(subject.breaker.opened() == 1);
}

TEST_CASE("breaker: it opens at its share of failed calls, not below", "[unit][routing]") {
  for (const bool one_more : {false, true}) {
    Subject subject;
    for (int i = 0; i < (one_more ? 76 : 75); ++i) subject.call(true);
    for (int i = 0; i < 24; ++i) subject.call(false);
    CHECK(subject.breaker.state(subject.now) == State::kClosed);
    subject.call(false);  // 25 of 100, or of 101
    CHECK(subject.breaker.state(subject.now) == (one_more ? State::kClosed : State::kOpen));
  }
}

TEST_CASE("breaker: what is older than its window does not count", "[unit][routing]") {
  Subject subject;
  for (int i = 0; i < 19; ++i) subject.call(false);
  subject.now += 10 * kSecond;
  for (int i = 0; i < 19; ++i) subject.call(false);
  CHECK(subject.breaker.state(subject.now) == State::kClosed);
  subject.now += 9 * kSecond;
  subject.call(false);
  CHECK(subject.breaker.state(subject.now) == State::kOpen);

  // Nor does it where nothing came since that would have taken its place.
  Subject quiet;
  for (int i = 0; i < 19; ++i) quiet.call(false);
  quiet.now += 15 * kSecond;
  for (int i = 0; i < 19; ++i) quiet.call(false);
  CHECK(quiet.breaker.state(quiet.now) == State::kClosed);
}

TEST_CASE("breaker: calls that go well and are slow open it where it is told what slow is",
          "[unit][routing]") {
  Subject patient;
  config::BreakerPolicy policy;
  policy.slow = std::chrono::milliseconds(100);
  Subject strict(policy);
  for (int i = 0; i < 20; ++i) {
    patient.call(true, 200'000);
    strict.call(true, i % 2 == 0 ? 200'000 : 50'000);
  }
  CHECK(patient.breaker.state(patient.now) == State::kClosed);
  CHECK(strict.breaker.state(strict.now) == State::kClosed);
  strict.call(true, 200'000);  // 11 of 21
  CHECK(strict.breaker.state(strict.now) == State::kOpen);

  Subject half(policy);
  for (int i = 0; i < 10; ++i) half.call(true, 50'000);
  for (int i = 0; i < 10; ++i) half.call(true, 200'000);
  CHECK(half.breaker.state(half.now) == State::kOpen);
}

TEST_CASE("breaker: a probe that is slow is no good one", "[unit][routing]") {
  config::BreakerPolicy policy;
  policy.slow = std::chrono::milliseconds(100);
  Subject subject(policy);
  subject.break_it();
  subject.now += subject.breaker.rests_ns(subject.now);
  CHECK(subject.call(true, 200'000));
  CHECK(subject.breaker.state(subject.now) == State::kOpen);
  CHECK(subject.breaker.rests_ns(subject.now) == 10 * kSecond);
}

TEST_CASE("breaker: a probe tells of the time that it was sent in", "[unit][routing]") {
  Subject subject;
  subject.break_it();
  subject.now += subject.breaker.rests_ns(subject.now);
  const auto failing = subject.breaker.ask(subject.now, 0);
  const auto late = subject.breaker.ask(subject.now, 0);
  subject.breaker.end(failing, {true, 0, 0}, subject.now);
  subject.now += subject.breaker.rests_ns(subject.now);
  // Half open once more, with probes of its own: the one of before neither opens nor mends it.
  std::vector<Breaker::Pass> probes;
  for (int i = 0; i < 3; ++i) probes.push_back(subject.breaker.ask(subject.now, 0));
  CHECK_FALSE(subject.breaker.end(late, {true, 0, 0}, subject.now));
  subject.breaker.cancel(late);
  CHECK_FALSE(subject.breaker.ask(subject.now, 0));
  for (int i = 0; i < 3; ++i) CHECK(subject.breaker.end(probes[i], {}, subject.now) == (i == 2));
}

TEST_CASE("breaker: switched off it never opens", "[unit][routing]") {
  config::BreakerPolicy policy;
  policy.enabled = false;
  Subject subject(policy);
  for (int i = 0; i < 1'000; ++i) REQUIRE(subject.call(false));
}

TEST_CASE("breaker: after its cool-down so many probes go through and no more", "[unit][routing]") {
  Subject subject;
  subject.break_it();
  CHECK(subject.breaker.rests_ns(subject.now) == 5 * kSecond);
  subject.now += 5 * kSecond - kMs;
  CHECK_FALSE(subject.breaker.ask(subject.now, 0));
  subject.now += kMs;
  CHECK(subject.breaker.state(subject.now) == State::kHalfOpen);
  std::vector<Breaker::Pass> probes;
  for (int i = 0; i < 3; ++i) {
    probes.push_back(subject.breaker.ask(subject.now, 0));
    CHECK(probes.back().kind == Kind::kProbe);
    CHECK(probes.back().changed == (i == 0));
  }
  CHECK_FALSE(subject.breaker.ask(subject.now, 0));
  // One that says nothing makes room for another.
  subject.breaker.cancel(probes[0]);
  probes[0] = subject.breaker.ask(subject.now, 0);
  REQUIRE(probes[0]);
  CHECK_FALSE(subject.breaker.end(probes[0], {}, subject.now));
  CHECK_FALSE(subject.breaker.end(probes[1], {}, subject.now));
  CHECK_FALSE(subject.breaker.ask(subject.now, 0));
  CHECK(subject.breaker.end(probes[2], {}, subject.now));
  CHECK(subject.breaker.ask(subject.now, 0).kind == Kind::kCall);
}

TEST_CASE("breaker: a probe that fails opens it again for twice as long, up to its most",
          "[unit][routing]") {
  Subject subject;
  subject.break_it();
  for (const std::uint64_t rest : {10u, 20u, 30u, 30u}) {
    subject.now += subject.breaker.rests_ns(subject.now);
    const auto first = subject.breaker.ask(subject.now, 0);
    const auto second = subject.breaker.ask(subject.now, 0);
    CHECK(subject.breaker.end(first, {true, 0, 0}, subject.now));
    CHECK(subject.breaker.rests_ns(subject.now) == rest * kSecond);
    // What comes of the other one is late.
    CHECK_FALSE(subject.breaker.end(second, {true, 0, 0}, subject.now));
    CHECK(subject.breaker.rests_ns(subject.now) == rest * kSecond);
  }
  CHECK(subject.breaker.opened() == 5);
}

TEST_CASE("breaker: a cool-down is no shorter than the upstream asked for, within reason",
          "[unit][routing]") {
  Subject asked, absurd;
  asked.break_it(42'000);
  CHECK(asked.breaker.rests_ns(asked.now) == 42 * kSecond);
  absurd.break_it(UINT32_MAX);
  CHECK(absurd.breaker.rests_ns(absurd.now) == 600 * kSecond);
}

TEST_CASE("breaker: after the probes its share grows from a tenth to all", "[unit][routing]") {
  Subject subject;
  subject.break_it();
  subject.mend_to_ramp();
  CHECK(subject.breaker.state(subject.now) == State::kHalfOpen);
  CHECK(subject.share(100) == 10);
  subject.now += 10 * kSecond;
  CHECK(subject.share(100) == 55);
  subject.now += 10 * kSecond;
  CHECK(subject.breaker.state(subject.now) == State::kClosed);
  CHECK(subject.share(100) == 100);
  // Well again, it starts from the beginning.
  subject.break_it();
  CHECK(subject.breaker.rests_ns(subject.now) == 5 * kSecond);
}

TEST_CASE("breaker: on its way back fewer failures open it, and for longer", "[unit][routing]") {
  Subject subject;
  subject.break_it();
  subject.mend_to_ramp();
  subject.call(true);
  subject.call(true);
  subject.call(true);
  subject.call(false);
  CHECK(subject.breaker.state(subject.now) == State::kHalfOpen);
  subject.call(false);  // 2 of 5
  CHECK(subject.breaker.state(subject.now) == State::kOpen);
  CHECK(subject.breaker.rests_ns(subject.now) == 10 * kSecond);
}

TEST_CASE("breaker: what began before the ramp does not end it", "[unit][routing]") {
  Subject subject;
  std::vector<Breaker::Pass> late;
  for (int i = 0; i < 50; ++i) late.push_back(subject.breaker.ask(subject.now, 0));
  subject.break_it();
  subject.mend_to_ramp();
  for (const auto& pass : late) subject.breaker.end(pass, {true, 0, 0}, subject.now);
  CHECK(subject.breaker.state(subject.now) == State::kHalfOpen);
}

TEST_CASE("breaker: who has nowhere else to go goes, and mends it when that goes well",
          "[unit][routing]") {
  Subject subject;
  subject.break_it();
  auto pass = subject.breaker.ask_anyway(subject.now, 0);
  CHECK(pass.kind == Kind::kAnyway);
  CHECK_FALSE(subject.breaker.end(pass, {true, 0, 0}, subject.now));
  CHECK(subject.breaker.state(subject.now) == State::kOpen);
  const auto late = subject.breaker.ask_anyway(subject.now, 0);
  pass = subject.breaker.ask_anyway(subject.now, 0);
  CHECK(subject.breaker.end(pass, {}, subject.now));
  CHECK(subject.breaker.state(subject.now) == State::kHalfOpen);
  CHECK_FALSE(subject.breaker.end(late, {}, subject.now));
  CHECK(subject.call(true));
  CHECK(subject.call(true));
  CHECK(subject.share(100) == 10);
}

TEST_CASE("breaker: an operator's word holds until it is taken back", "[unit][routing]") {
  Subject subject;
  subject.breaker.force(Breaker::Force::kOpen);
  CHECK_FALSE(subject.breaker.ask(subject.now, 0));
  CHECK_FALSE(subject.breaker.ask_anyway(subject.now, 0));
  CHECK(subject.breaker.state(subject.now) == State::kOpen);
  subject.now += 3'600 * kSecond;
  CHECK_FALSE(subject.breaker.ask(subject.now, 0));

  subject.breaker.force(Breaker::Force::kClosed);
  for (int i = 0; i < 100; ++i) REQUIRE(subject.call(false));
  CHECK(subject.breaker.state(subject.now) == State::kClosed);

  subject.breaker.force(Breaker::Force::kNone);
  CHECK(subject.breaker.state(subject.now) == State::kClosed);
  subject.break_it();
}

TEST_CASE("breaker: many callers at once agree on each change", "[unit][routing]") {
  for (int round = 0; round < 20; ++round) {
    Subject subject;
    std::atomic<int> opened{0}, probes{0}, closed{0};
    const auto on_threads = [](const auto& work) {
      std::vector<std::thread> threads;
      for (int t = 0; t < 4; ++t) threads.emplace_back(work);
      for (std::thread& thread : threads) thread.join();
    };
    on_threads([&] {
      for (int i = 0; i < 200; ++i) {
        const auto pass = subject.breaker.ask(kStart, 0);
        if (pass) opened += subject.breaker.end(pass, {true, 0, 0}, kStart) ? 1 : 0;
      }
    });
    CHECK(opened == 1);
    const std::uint64_t later = kStart + 5 * kSecond;
    on_threads([&] {
      for (int i = 0; i < 200; ++i) probes += subject.breaker.ask(later, 0) ? 1 : 0;
    });
    CHECK(probes == 3);
    Breaker::Pass pass;
    pass.kind = Kind::kProbe;
    subject.breaker.force(Breaker::Force::kNone);
    subject.break_it();
    subject.now += subject.breaker.rests_ns(subject.now);
    std::vector<Breaker::Pass> passes;
    for (int i = 0; i < 3; ++i) passes.push_back(subject.breaker.ask(subject.now, 0));
    std::atomic<std::size_t> next{0};
    on_threads([&] {
      for (std::size_t i = next++; i < passes.size(); i = next++) {
        closed += subject.breaker.end(passes[i], {}, subject.now) ? 1 : 0;
      }
    });
    CHECK(closed == 1);
  }
}

}  // namespace switchyard::routing

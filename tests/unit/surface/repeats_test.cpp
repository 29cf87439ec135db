#include "core/surface/repeats.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

namespace switchyard::surface {

using Found = Repeats::Found;

TEST_CASE("surface: a named request runs once at a time, and once it was answered not again",
          "[unit][surface]") {
  Repeats repeats(64);
  Repeats::Run first, again;
  CHECK(repeats.begin(7, 70, 1'000, first) == Found::kFresh);
  CHECK(repeats.begin(7, 70, 1'000, again) == Found::kRunning);
  CHECK(repeats.begin(7, 71, 1'000, again) == Found::kOther);
  CHECK_FALSE(again);
  Repeats::Run other;
  CHECK(repeats.begin(8, 70, 1'000, other) == Found::kFresh);
  first.answered(1'010);
  CHECK(repeats.begin(7, 70, 1'020, again) == Found::kAnswered);
  CHECK(repeats.begin(7, 71, 1'020, again) == Found::kOther);
  CHECK(repeats.begin(7, 70, 1'010 + Repeats::kKeptS - 1, again) == Found::kAnswered);
  CHECK(repeats.begin(7, 71, 1'010 + Repeats::kKeptS, again) == Found::kFresh);
}

TEST_CASE("surface: a named request that failed may run again", "[unit][surface]") {
  Repeats repeats(64);
  for (int i = 0; i < 3; ++i) {
    Repeats::Run run;
    CHECK(repeats.begin(7, 70, 1'000, run) == Found::kFresh);
  }
}

TEST_CASE("surface: where there is no room the oldest answer is forgotten, what runs never is",
          "[unit][surface]") {
  Repeats repeats(8);
  std::vector<Repeats::Run> running(8);
  for (std::uint64_t i = 0; i < 8; ++i) {
    CHECK(repeats.begin(i + 1, 1, 1'000, running[i]) == Found::kFresh);
  }
  Repeats::Run more;
  CHECK(repeats.begin(100, 1, 1'000, more) == Found::kFull);
  running[3].answered(1'002);
  running[5].answered(1'001);
  CHECK(repeats.begin(100, 1, 1'003, more) == Found::kFresh);
  Repeats::Run again;
  CHECK(repeats.begin(4, 1, 1'003, again) == Found::kAnswered);
  CHECK(repeats.begin(6, 1, 1'003, again) == Found::kFresh);  // in the place of 4
}

TEST_CASE("surface: of many that begin at once no two run", "[unit][surface]") {
  Repeats repeats(64);
  std::atomic<int> running{0}, most{0}, ran{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < 20'000; ++i) {
        Repeats::Run run;
        if (repeats.begin(7, 70, 1'000, run) != Found::kFresh) continue;
        const int now = ++running;
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        ++ran;
        --running;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(most == 1);
  CHECK(ran > 0);
}

// Whoever looked before another began, and goes on after it.
TEST_CASE("surface: one who found nobody does not run beside another who began since",
          "[unit][surface]") {
  Repeats repeats(64);
  Repeats::Run first, late;
  CHECK(repeats.begin(7, 70, 1'000, first) == Found::kFresh);
  CHECK(repeats.begin_unseen(7, 70, 1'000, late) == Found::kRunning);
  CHECK_FALSE(late);
  first.answered(1'001);
  CHECK(repeats.begin_unseen(7, 70, 1'001, late) == Found::kRunning);
  CHECK(repeats.begin(7, 70, 1'001, late) == Found::kAnswered);
}

TEST_CASE("surface: stored answers are found by name and body, for as long as there is room",
          "[unit][surface]") {
  StoredAnswers answers(3 * 1256);
  const auto body = [&](std::uint64_t name, std::uint64_t of, std::uint64_t before_s) {
    const auto found = answers.find({name, of}, before_s);
    return found ? found->body : std::string();
  };
  const std::string long_text(999, 'x');
  answers.put({1, 10}, {"a", "one" + long_text.substr(3)}, 100);
  answers.put({2, 20}, {"a", "two" + long_text.substr(3)}, 101);
  CHECK(body(1, 10, 99).substr(0, 3) == "one");
  CHECK(body(1, 20, 99).empty());
  CHECK(body(2, 10, 99).empty());
  answers.put({3, 30}, {"a", long_text}, 102);
  answers.put({4, 40}, {"a", long_text}, 103);  // one too many
  CHECK(body(1, 10, 99).empty());
  CHECK(body(2, 20, 99).substr(0, 3) == "two");
  CHECK(body(2, 20, 101).empty());  // too old
  CHECK(body(3, 30, 101) == long_text);
  answers.put({5, 50}, {"a", std::string(10'000, 'x')}, 104);  // never fits
  CHECK(body(5, 50, 101).empty());
  CHECK(body(4, 40, 101) == long_text);
  // The same name again, a day later.
  answers.put({3, 30}, {"b", "new"}, 200);
  CHECK(body(3, 30, 150) == "new");
}

TEST_CASE("surface: names are told apart by their holders", "[unit][surface]") {
  CHECK(Repeats::digest("a", "bc") == Repeats::digest("a", "bc"));
  CHECK(Repeats::digest("a", "bc") != Repeats::digest("ab", "c"));
  CHECK(Repeats::digest("", "abc") != Repeats::digest("a", "bc"));
}

}  // namespace switchyard::surface

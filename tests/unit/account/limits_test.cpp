#include "core/account/limits.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <random>
#include <thread>

#include "../scratch.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using account::LimitedRequest;
using account::LimitRefusal;
using account::Limits;
using account::LimitSubject;
using account::LimitTable;
using account::LimitWindow;
using Outcome = LimitedRequest::Outcome;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000, kMinute = 60 * kSecond;
// Some way into a machine's run, so that nothing is near zero.
constexpr std::uint64_t kStart = 1000 * kSecond;

// A worker's limits on a state directory.
struct Bench {
  explicit Bench(const Scratch& scratch) {
    auto opened = store::open_database(scratch.path());
    if (!opened) FAIL(opened.error().message);
    database = std::move(*opened);
    counts = std::make_unique<store::LimitCounts>(*database);
    auto made = LimitTable::open(scratch.path());
    if (!made) FAIL(made.error().message);
    table = std::move(*made);
    limits = std::make_unique<Limits>(*table, *counts);
  }
  std::unique_ptr<store::Database> database;
  std::unique_ptr<store::LimitCounts> counts;
  std::unique_ptr<LimitTable> table;
  std::unique_ptr<Limits> limits;
};

LimitSubject subject(const std::string& name, const config::RateLimits& limits) {
  return {name, "this API key", limits, {86'400, 172'800}, {86'400, 2'678'400}, 0};
}

LimitSubject with_rpm(std::uint64_t rpm) {
  config::RateLimits limits;
  limits.rpm = rpm;
  return subject("key:a", limits);
}

LimitSubject with_concurrency(std::uint64_t most, const std::string& name = "key:a") {
  config::RateLimits limits;
  limits.concurrency = most;
  return subject(name, limits);
}

std::unique_ptr<LimitedRequest> request(Limits& limits, std::vector<LimitSubject> subjects,
                                        std::uint64_t tokens = 0) {
  return std::make_unique<LimitedRequest>(limits, std::move(subjects), tokens);
}

Outcome attempt(LimitedRequest& request, std::uint64_t now_ns) {
  const Outcome outcome = request.attempt(now_ns, nullptr);
  if (outcome != Outcome::kUnprepared) return outcome;
  const auto ready = request.prepare(now_ns);
  if (!ready) FAIL(ready.error().message);
  return request.attempt(now_ns, nullptr);
}

// A request that ends as soon as it was admitted.
bool passes(Limits& limits, const LimitSubject& subject, std::uint64_t now_ns,
            std::uint64_t tokens = 0, std::optional<std::uint64_t> used = std::nullopt) {
  const auto one = request(limits, {subject}, tokens);
  const bool admitted = attempt(*one, now_ns) == Outcome::kAdmitted;
  one->end(used.value_or(tokens), now_ns);
  return admitted;
}

// What is to be true of any 60 seconds, kept as people would by hand.
class Naive {
 public:
  std::uint64_t sum(std::uint64_t now_ns, std::uint64_t window_ns) const {
    std::uint64_t total = 0;
    for (const auto& [at, count] : events_) {
      if (at + window_ns > now_ns) total += count;
    }
    return total;
  }
  void add(std::uint64_t now_ns, std::uint64_t count) {
    events_.emplace_back(now_ns, count);
    while (events_.front().first + 2 * kMinute < now_ns) events_.pop_front();
  }

 private:
  std::deque<std::pair<std::uint64_t, std::uint64_t>> events_;
};

}  // namespace

TEST_CASE("limits: no 60 seconds ever hold more requests than the limit", "[unit][limits]") {
  const auto seed = GENERATE(range(1u, 9u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const Scratch scratch;
  const Bench bench(scratch);
  const std::uint64_t limit = std::uniform_int_distribution<std::uint64_t>(1, 40)(random);
  const LimitSubject key = with_rpm(limit);
  Naive naive;
  std::uint64_t now = kStart;
  std::size_t admitted = 0;
  for (int i = 0; i < 3000; ++i) {
    // Bursts, steady arrivals and pauses.
    const std::uint64_t kind = random() % 10;
    now += kind < 5   ? random() % 50'000'000
           : kind < 9 ? random() % (2 * kSecond)
                      : random() % (70 * kSecond);
    const bool passed = passes(*bench.limits, key, now);
    if (passed) naive.add(now, 1);
    admitted += passed;
    REQUIRE(naive.sum(now, kMinute) <= limit);
    // Refused only where one who counts exactly would refuse, or would have half a second ago.
    if (!passed) REQUIRE(naive.sum(now, kMinute + LimitWindow::kBucketNs) >= limit);
  }
  CHECK(admitted > limit);
}

TEST_CASE("limits: no 60 seconds hold more tokens than the limit, given back as they are not used",
          "[unit][limits]") {
  const auto seed = GENERATE(range(1u, 9u));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const Scratch scratch;
  const Bench bench(scratch);
  config::RateLimits limits;
  limits.tpm = 10'000;
  const LimitSubject key = subject("key:a", limits);
  struct Running {
    std::unique_ptr<LimitedRequest> request;
    std::uint64_t begun = 0, asked = 0;
  };
  std::deque<Running> running;
  Naive used;
  std::uint64_t now = kStart, admitted = 0;
  for (int i = 0; i < 3000; ++i) {
    now += random() % kSecond;
    if (running.size() > random() % 8) {
      Running over = std::move(running.front());
      running.pop_front();
      const std::uint64_t tokens = random() % (over.asked + 1);
      over.request->end(tokens, now);
      used.add(over.begun, tokens);
    }
    Running next{nullptr, now, 1 + random() % 3000};
    next.request = request(*bench.limits, {key}, next.asked);
    const std::uint64_t asked = next.asked;
    const bool passed = attempt(*next.request, now) == Outcome::kAdmitted;
    admitted += passed;
    const auto reserved_in = [&](std::uint64_t window_ns) {
      std::uint64_t sum = used.sum(now, window_ns);
      for (const Running& each : running) {
        if (each.begun + window_ns > now) sum += each.asked;
      }
      return sum;
    };
    // Refused only where one who counts exactly would refuse, or would have half a second ago.
    if (!passed) REQUIRE(reserved_in(kMinute + LimitWindow::kBucketNs) + asked > limits.tpm);
    if (passed) running.push_back(std::move(next));
    const std::uint64_t reserved = reserved_in(kMinute);
    REQUIRE(reserved <= limits.tpm);
  }
  CHECK(admitted > 100);
}

TEST_CASE("limits: an answer longer than was foreseen counts from when it ended",
          "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  config::RateLimits limits;
  limits.tpm = 100;
  const LimitSubject key = subject("key:a", limits);
  CHECK(passes(*bench.limits, key, kStart, 10, 100));
  CHECK_FALSE(passes(*bench.limits, key, kStart + 59 * kSecond, 1));
  // What was foreseen, and what was more.
  CHECK(passes(*bench.limits, key, kStart + 61 * kSecond, 100));

  const auto large = request(*bench.limits, {key}, 101);
  CHECK(attempt(*large, kStart + 10 * kMinute) == Outcome::kRefused);
  CHECK(large->refusal().why == LimitRefusal::Why::kTooLarge);
}

TEST_CASE("limits: what ends long after its minute gives nothing back of another's",
          "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  config::RateLimits limits;
  limits.tpm = 1'000;
  // Wherever its tokens were noted there may be others' now.
  for (std::uint64_t bucket = LimitWindow::kBuckets + 1; bucket <= 2 * LimitWindow::kBuckets;
       ++bucket) {
    const LimitSubject key = subject("key:" + std::to_string(bucket), limits);
    const auto slow = request(*bench.limits, {key}, 900);
    REQUIRE(attempt(*slow, kStart) == Outcome::kAdmitted);
    const std::uint64_t later = kStart + bucket * LimitWindow::kBucketNs;
    REQUIRE(passes(*bench.limits, key, later, 1'000));
    slow->end(0, later);
    REQUIRE_FALSE(passes(*bench.limits, key, later, 1));
  }
}

TEST_CASE("limits: a refusal says when there will be room, and there is", "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  const LimitSubject key = with_rpm(3);
  for (const std::uint64_t s : {0, 10, 20}) CHECK(passes(*bench.limits, key, kStart + s * kSecond));
  const auto refused = request(*bench.limits, {key});
  const std::uint64_t now = kStart + 30 * kSecond;
  REQUIRE(attempt(*refused, now) == Outcome::kRefused);
  CHECK(refused->refusal().why == LimitRefusal::Why::kRequests);
  CHECK(refused->refusal().limit == 3);
  const std::uint64_t wait = refused->refusal().wait_ns;
  CHECK(wait >= 30 * kSecond);
  CHECK(wait <= 30 * kSecond + LimitWindow::kBucketNs);
  CHECK(refused->standing().requests.left == 0);
  CHECK(refused->standing().requests.reset_ns >= 50 * kSecond);
  CHECK_FALSE(passes(*bench.limits, key, now + wait - 1));
  CHECK(passes(*bench.limits, key, now + wait));
}

TEST_CASE("limits: of several subjects a request takes its part of all or of none",
          "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  config::RateLimits wide, narrow;
  wide.rpm = 10;
  wide.concurrency = 10;
  narrow.rpm = 1;
  const LimitSubject key = subject("key:a", wide), account = subject("account:b", narrow);
  const auto first = request(*bench.limits, {key, account});
  CHECK(attempt(*first, kStart) == Outcome::kAdmitted);
  CHECK(first->standing().requests.limit == 1);
  for (int i = 0; i < 20; ++i) {
    const auto next = request(*bench.limits, {key, account});
    REQUIRE(attempt(*next, kStart) == Outcome::kRefused);
  }
  // The key has nine left.
  for (int i = 0; i < 9; ++i) REQUIRE(passes(*bench.limits, key, kStart));
  CHECK_FALSE(passes(*bench.limits, key, kStart));
}

TEST_CASE("limits: threads never run more at a time than the limit", "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  const Bench other(scratch);  // a worker beside it
  constexpr std::uint64_t kMost = 3;
  std::atomic<std::uint64_t> running{0}, admitted{0};
  std::atomic<bool> exceeded{false};
  const auto work = [&](Limits& limits) {
    for (int i = 0; i < 4000; ++i) {
      const auto one = request(limits, {with_concurrency(kMost)});
      Outcome outcome = one->attempt(kStart, nullptr);
      if (outcome == Outcome::kUnprepared && one->prepare(kStart)) {
        outcome = one->attempt(kStart, nullptr);
      }
      if (outcome != Outcome::kAdmitted) continue;
      ++admitted;
      if (++running > kMost) exceeded = true;
      std::this_thread::yield();
      --running;
      one->end(0, kStart);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] { work(i % 2 == 0 ? *bench.limits : *other.limits); });
  }
  for (auto& thread : threads) thread.join();
  CHECK_FALSE(exceeded);
  CHECK(admitted > 0);
  const auto slot = bench.table->find(account::LimitId::of("key:a"));
  REQUIRE(slot != nullptr);
  CHECK(slot->running() == 0);
}

TEST_CASE("limits: who waits for one to end has its turn, in the order they came",
          "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  auto running = request(*bench.limits, {with_concurrency(1)});
  REQUIRE(attempt(*running, kStart) == Outcome::kAdmitted);

  std::vector<int> woken;
  std::vector<std::unique_ptr<LimitedRequest>> waiting;
  std::vector<std::unique_ptr<account::LimitQueues::Place>> places;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(request(*bench.limits, {with_concurrency(1)}));
    REQUIRE(attempt(*waiting[i], kStart) == Outcome::kBusy);
    places.push_back(
        bench.limits->queues().enter(waiting[i]->busy(), [&woken, i] { woken.push_back(i); }));
    REQUIRE(waiting[i]->attempt(kStart, places[i].get()) == Outcome::kBusy);
  }
  running->end(0, kStart);
  CHECK(woken == std::vector<int>{0});
  // Neither a newcomer nor one further behind is before it.
  CHECK(attempt(*request(*bench.limits, {with_concurrency(1)}), kStart) == Outcome::kBusy);
  CHECK(waiting[1]->attempt(kStart, places[1].get()) == Outcome::kBusy);
  CHECK(waiting[0]->attempt(kStart, places[0].get()) == Outcome::kAdmitted);
  places[0].reset();

  // Its client leaves: the next one is told when it leaves the queue, and when the first one ends.
  places[1].reset();
  woken.clear();
  waiting[0]->end(0, kStart);
  CHECK(woken == std::vector<int>{2});
  CHECK(waiting[2]->attempt(kStart, places[2].get()) == Outcome::kAdmitted);
}

TEST_CASE("limits: a queue has an end", "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  auto running = request(*bench.limits, {with_concurrency(1)});
  REQUIRE(attempt(*running, kStart) == Outcome::kAdmitted);
  const auto waiting = request(*bench.limits, {with_concurrency(1)});
  REQUIRE(attempt(*waiting, kStart) == Outcome::kBusy);
  std::vector<std::unique_ptr<account::LimitQueues::Place>> places;
  for (std::size_t i = 0; i < account::LimitQueues::kMax; ++i) {
    places.push_back(bench.limits->queues().enter(waiting->busy(), [] {}));
    REQUIRE(places.back() != nullptr);
  }
  CHECK(bench.limits->queues().enter(waiting->busy(), [] {}) == nullptr);
  places.pop_back();
  CHECK(bench.limits->queues().enter(waiting->busy(), [] {}) != nullptr);
}

TEST_CASE("limits: days and months are counted by their calendar, and begin anew",
          "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  config::RateLimits limits;
  limits.requests_per_day = 2;
  limits.tokens_per_month = 100;
  LimitSubject key = subject("key:a", limits);
  CHECK(passes(*bench.limits, key, kStart, 30));
  CHECK(passes(*bench.limits, key, kStart, 30));
  const auto third = request(*bench.limits, {key}, 1);
  REQUIRE(attempt(*third, kStart) == Outcome::kRefused);
  CHECK(third->refusal().why == LimitRefusal::Why::kDay);
  CHECK_FALSE(third->refusal().tokens);
  CHECK(third->refusal().until_unix_s == 172'800);

  key.day = {172'800, 259'200};
  CHECK(passes(*bench.limits, key, kStart, 40, 20));
  const auto many = request(*bench.limits, {key}, 21);
  REQUIRE(attempt(*many, kStart) == Outcome::kRefused);
  CHECK(many->refusal().why == LimitRefusal::Why::kMonth);
  CHECK(many->refusal().tokens);
  CHECK(passes(*bench.limits, key, kStart, 20));
}

TEST_CASE("limits: what began yesterday gives nothing back of today's", "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  config::RateLimits limits;
  limits.tokens_per_day = 100;
  LimitSubject key = subject("key:a", limits);
  const auto slow = request(*bench.limits, {key}, 90);
  REQUIRE(attempt(*slow, kStart) == Outcome::kAdmitted);
  key.day = {172'800, 259'200};
  CHECK(passes(*bench.limits, key, kStart, 100));
  slow->end(0, kStart);
  CHECK_FALSE(passes(*bench.limits, key, kStart, 1));
}

TEST_CASE("limits: counts outlive the process, and the file", "[unit][limits]") {
  const Scratch scratch;
  config::RateLimits limits;
  limits.rpm = 3;
  limits.requests_per_day = 4;
  const LimitSubject key = subject("key:a", limits);
  {
    const Bench bench(scratch);
    for (int i = 0; i < 3; ++i) REQUIRE(passes(*bench.limits, key, kStart));
  }
  {
    const Bench bench(scratch);
    CHECK_FALSE(passes(*bench.limits, key, kStart + kSecond));
    CHECK(passes(*bench.limits, key, kStart + 2 * kMinute));
    REQUIRE(bench.limits->keep());
  }
  // As after a loss of power: what was saved is there.
  std::filesystem::remove(scratch.path() / "limits.1");
  const Bench bench(scratch);
  const auto last = request(*bench.limits, {key});
  REQUIRE(attempt(*last, kStart + 4 * kMinute) == Outcome::kRefused);
  CHECK(last->refusal().why == LimitRefusal::Why::kDay);
}

TEST_CASE("limits: what ran in a process that is no more runs no more", "[unit][limits]") {
  const Scratch scratch;
  const Bench survivor(scratch);
  const LimitSubject key = with_concurrency(1);
  REQUIRE(passes(*survivor.limits, key, kStart));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // A process of its own, that dies with a request at work and without a word.
    auto table = LimitTable::open(scratch.path());
    if (!table) _exit(1);
    auto* const slot = (*table)->find(account::LimitId::of("key:a"));
    if (slot == nullptr) _exit(2);
    (*table)->lock(*slot);
    ++slot->in_flight[(*table)->seat()];
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  // It held the slot's lock, too.
  CHECK(attempt(*request(*survivor.limits, {key}), kStart) == Outcome::kBusy);
  REQUIRE(survivor.limits->keep());
  CHECK(passes(*survivor.limits, key, kStart));
}

TEST_CASE("limits: a slot goes to another subject once nobody needs it", "[unit][limits]") {
  const Scratch scratch;
  const Bench bench(scratch);
  constexpr int kSubjects = 3000;  // more than a file begins with
  const auto use_all = [&](std::uint64_t now) {
    for (int i = 0; i < kSubjects; ++i) {
      LimitSubject each = with_rpm(1);
      each.name = "key:" + std::to_string(now) + std::to_string(i);
      REQUIRE(passes(*bench.limits, each, now));
      REQUIRE_FALSE(passes(*bench.limits, each, now));
    }
  };
  use_all(kStart);
  const auto size = std::filesystem::file_size(scratch.path() / "limits.1");
  for (std::uint64_t minutes = 2; minutes < 8; minutes += 2) use_all(kStart + minutes * kMinute);
  CHECK(std::filesystem::file_size(scratch.path() / "limits.1") == size);
}

TEST_CASE("limits: a table that is torn is made anew, and one in use is left alone",
          "[unit][limits]") {
  const Scratch scratch;
  scratch.write("limits.1", "no table");
  {
    const Bench bench(scratch);
    CHECK(passes(*bench.limits, with_rpm(1), kStart));
    const Bench second(scratch);
    CHECK_FALSE(passes(*second.limits, with_rpm(1), kStart));
  }
  std::vector<std::unique_ptr<Bench>> workers;
  for (std::size_t i = 0; i < account::LimitSlot::kSeats; ++i) {
    workers.push_back(std::make_unique<Bench>(scratch));
  }
  const auto crowd = LimitTable::open(scratch.path());
  REQUIRE_FALSE(crowd);
  CHECK(crowd.error().message.find("eight processes") != std::string::npos);
}

// Checks of strategies.
#include <switchyard/strategy.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <switchyard/plugin.hpp>
#include <thread>

#include "bench.hpp"
#include "json.hpp"
#include "session.hpp"

namespace swy::check {
namespace {

constexpr std::size_t kTail = 40;

// A snapshot and all that it points at.
class Snapshot {
 public:
  explicit Snapshot(std::uint32_t n, std::uint64_t seed = 1) : chance_(seed) {
    for (std::uint32_t i = 0; i < n; ++i) add(i);
    request_.size = sizeof request_;
    request_.task = str("chat");
    request_.model = str("m");
    request_.tok_in_est = 1000;
    request_.tok_out_max = 500;
    request_.seed = 42;
    request_.now_ns = 1'000'000'000'000;
    request_.deadline_ns = request_.now_ns + 60'000'000'000;
    request_.affinity = 7;
  }
  std::vector<swy_cand>& candidates() { return candidates_; }
  swy_rreq& request() { return request_; }

  // The outermost values that the fields may have.
  void make_extreme() {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      swy_cand& c = candidates_[i];
      const bool most = i % 2 == 0;
      c.est_cost_nano = i % 3 == 0 ? INT64_MIN : most ? INT64_MAX : 0;
      c.weight = c.priority = c.inflight = c.inflight_max = most ? UINT32_MAX : 0;
      c.err_ppm = most ? 1'000'000 : 0;
      c.rpm_left = most ? UINT32_MAX : 0;
      c.tpm_left = c.ctx_tokens = most ? UINT64_MAX : 0;
      c.ttft_us = c.ttft_p95_us = c.latency_us = c.latency_p95_us = most ? UINT32_MAX : 0;
      c.tok_per_s = most ? UINT32_MAX : 0;
      c.provider = c.model = c.region = {nullptr, 0};
      c.tag = nullptr;
      c.ntag = 0;
    }
    request_.task = request_.model = request_.feature = {nullptr, 0};
    request_.tok_in_est = request_.tok_out_max = UINT64_MAX;
    request_.deadline_ns = 0;
    request_.seed = request_.affinity = UINT64_MAX;
  }

 private:
  void add(std::uint32_t i) {
    names_.push_back("provider-" + std::to_string(i));
    swy_cand c{};
    c.size = sizeof c;
    c.id = i + 1;
    c.state = i % 7 == 6 ? SWY_STATE_HALF_OPEN : SWY_STATE_CLOSED;
    c.provider = str(names_.back());
    c.model = str("m");
    c.region = str(i % 2 == 0 ? "eu" : "us");
    c.est_cost_nano = static_cast<std::int64_t>(chance_.below(1'000'000'000));
    c.weight = static_cast<std::uint32_t>(1 + chance_.below(10));
    c.priority = static_cast<std::uint32_t>(chance_.below(3));
    c.inflight = static_cast<std::uint32_t>(chance_.below(20));
    c.inflight_max = 100;
    c.rpm_left = UINT32_MAX;
    c.tpm_left = UINT64_MAX;
    c.ctx_tokens = 128'000;
    c.ttft_us = static_cast<std::uint32_t>(100'000 + chance_.below(900'000));
    c.ttft_p95_us = c.ttft_us * 2;
    c.latency_us = c.ttft_us * 4;
    c.latency_p95_us = c.ttft_us * 8;
    c.tok_per_s = static_cast<std::uint32_t>(10 + chance_.below(90));
    c.tag = &tag_;
    c.ntag = 1;
    candidates_.push_back(c);
  }

  Chance chance_;
  std::deque<std::string> names_;
  std::vector<swy_cand> candidates_;
  swy_kv tag_ = {str("tier"), str("gold")};
  swy_rreq request_{};
};

struct Scores {
  std::vector<swy_score> all;
  std::string fault;

  bool same(const Scores& other) const {
    return all.size() == other.all.size() &&
           std::equal(all.begin(), all.end(), other.all.begin(), [](const auto& a, const auto& b) {
             return a.score == b.score && a.timeout_ms == b.timeout_ms &&
                    a.hedge_after_ms == b.hedge_after_ms && a.retries == b.retries &&
                    a.retry_cls_mask == b.retry_cls_mask &&
                    std::strncmp(a.reason, b.reason, sizeof a.reason) == 0;
           });
  }
  // The first that differs.
  std::string unlike(const Scores& other) const {
    for (std::size_t i = 0; i < all.size() && i < other.all.size(); ++i) {
      if (all[i].score != other.all[i].score) {
        return "candidate " + std::to_string(i) + " scored " + std::to_string(all[i].score) +
               ", then " + std::to_string(other.all[i].score);
      }
    }
    return "settings or reasons differ";
  }
};

struct Manner {
  Lender::Mode mode = Lender::Mode::kHeap;
  std::size_t tail = 0;
  std::int64_t before = 0;  // what stands in the score
};

std::string score_fault(const swy_score& score, std::size_t i) {
  const std::string place = "out[" + std::to_string(i) + "]";
  if (std::memchr(score.reason, 0, sizeof score.reason) == nullptr) {
    return place + ".reason has no NUL at its end";
  }
  if (!is_utf8(score.reason)) return place + ".reason is not UTF-8: " + shown(score.reason);
  return {};
}

Scores score(const Bench& bench, void* instance, Snapshot& snapshot, const Manner& manner = {}) {
  const auto n = static_cast<std::uint32_t>(snapshot.candidates().size());
  const std::size_t in_stride = sizeof(swy_cand) + manner.tail,
                    out_stride = sizeof(swy_score) + manner.tail;
  std::string in(n * in_stride, '\xEE'), out(n * out_stride, '\xEE');
  for (std::uint32_t i = 0; i < n; ++i) {
    snapshot.candidates()[i].size = static_cast<std::uint32_t>(in_stride);
    std::memcpy(in.data() + i * in_stride, &snapshot.candidates()[i], sizeof(swy_cand));
    swy_score empty{};
    empty.size = static_cast<std::uint32_t>(out_stride);
    empty.score = manner.before;
    std::memcpy(out.data() + i * out_stride, &empty, sizeof empty);
  }
  Lender lender(manner.mode);
  entering("strategy.score");
  const auto* cand =
      static_cast<const swy_cand*>(n == 0 ? nullptr : lender.lend(in.data(), in.size(), "cand"));
  auto* lent = static_cast<char*>(n == 0 ? nullptr : lender.lend(out.data(), out.size(), "out"));
  const swy_rreq* request = lender.lend_struct(snapshot.request(), "swy_rreq");
  swy_err err = empty_err();
  const swy_rc rc = bench.table<swy_strategy>().score(
      instance, request, cand, n, static_cast<std::uint32_t>(in_stride),
      reinterpret_cast<swy_score*>(lent), static_cast<std::uint32_t>(out_stride), &err);
  left();
  Scores scores;
  if (rc < 0) scores.fault = "score returned " + rc_name(rc) + ": " + err_text(err);
  for (std::uint32_t i = 0; i < n; ++i) {
    const char* at = lent + i * out_stride;
    std::memcpy(&scores.all.emplace_back(), at, sizeof(swy_score));
    if (scores.fault.empty()) scores.fault = score_fault(scores.all.back(), i);
    const bool changed =
        std::any_of(at + sizeof(swy_score), at + out_stride, [](char c) { return c != '\xEE'; });
    if (changed && scores.fault.empty()) {
      scores.fault = "it wrote behind out[" + std::to_string(i) + "] as its own header has it";
    }
  }
  lender.take_back();
  return scores;
}

swy_outcome outcome_of(std::uint64_t cand, Chance& chance) {
  swy_outcome outcome{};
  outcome.size = sizeof outcome;
  outcome.cls = chance.below(4) == 0 ? static_cast<std::int32_t>(chance.below(13)) : -1;
  outcome.http = outcome.cls < 0 ? 200 : 500;
  outcome.cand = cand;
  outcome.ttft_us = static_cast<std::uint32_t>(chance.below(1'000'000));
  outcome.latency_us = outcome.ttft_us * 3;
  outcome.tok_in = 100;
  outcome.tok_out = chance.below(1000);
  outcome.cost_nano = static_cast<std::int64_t>(chance.below(1'000'000));
  return outcome;
}

bool observes(const Bench& bench) {
  const swy_strategy* table = &bench.table<swy_strategy>();
  return SWY_FN(table, swy_strategy, observe);
}

void observe_some(const Bench& bench, void* instance, std::uint64_t seed, std::size_t n) {
  if (!observes(bench)) return;
  Chance chance(seed);
  for (std::size_t i = 0; i < n; ++i) {
    Lender lender(Lender::Mode::kHeap);
    const swy_outcome outcome = outcome_of(1 + chance.below(8), chance);
    entering("strategy.observe");
    bench.table<swy_strategy>().observe(instance, lender.lend_struct(outcome, "swy_outcome"));
    left();
  }
}

Outcome bad(const Scores& scores) {
  return Outcome::failed(scores.fault + (tried().empty() ? "" : "; tried: " + tried()));
}

Outcome fills(Bench& bench) {
  void* instance = bench.open_own();
  Snapshot snapshot(5);
  const std::int64_t marks[] = {0x5151515151515151, -0x2323232323232323};
  Scores scores[2];
  for (int i = 0; i < 2; ++i) {
    scores[i] = score(bench, instance, snapshot, {Lender::Mode::kHeap, 0, marks[i]});
    if (!scores[i].fault.empty()) return bad(scores[i]);
  }
  std::size_t excluded = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    if (scores[0].all[i].score == marks[0] && scores[1].all[i].score == marks[1]) {
      return Outcome::failed("score fills out[i] for every candidate; out[" + std::to_string(i) +
                             "].score was left as it was");
    }
    excluded += scores[0].all[i].score == INT64_MIN ? 1 : 0;
  }
  if (excluded == 5) {
    return Outcome::warned("all of five healthy candidates were excluded with INT64_MIN");
  }
  return Outcome::passed();
}

Outcome same_answer(Bench& bench) {
  Snapshot snapshot(20);
  void* instance = bench.open_own();
  const Scores first = score(bench, instance, snapshot);
  for (int i = 0; i < 20; ++i) {
    const Scores again = score(bench, i % 2 == 0 ? instance : bench.open_own(), snapshot);
    if (!again.fault.empty()) return bad(again);
    if (!first.same(again)) {
      return Outcome::failed(
          "a strategy is a pure function of snapshot, seed, configuration and "
          "feedback; with all of them the same " +
          first.unlike(again));
    }
  }
  return Outcome::passed();
}

Outcome strides(Bench& bench) {
  Snapshot snapshot(12);
  void* instance = bench.open_own();
  const Scores tight = score(bench, instance, snapshot);
  const Scores wide = score(bench, instance, snapshot, {Lender::Mode::kHeap, kTail, 0});
  if (!wide.fault.empty()) return bad(wide);
  if (!tight.same(wide)) {
    return Outcome::failed("arrays are read and written through their strides; with larger ones " +
                           tight.unlike(wide));
  }
  return Outcome::passed();
}

Outcome counts(Bench& bench) {
  void* instance = bench.open_own();
  for (const std::uint32_t n : {0U, 1U, 2U, 1000U}) {
    trying(std::to_string(n) + " candidates");
    Snapshot snapshot(n);
    const Scores scores = score(bench, instance, snapshot);
    if (!scores.fault.empty()) return bad(scores);
  }
  return Outcome::passed();
}

Outcome extremes(Bench& bench) {
  void* instance = bench.open_own();
  Snapshot snapshot(16);
  snapshot.make_extreme();
  trying("the outermost values of every field, costs unknown, texts empty");
  const Scores scores = score(bench, instance, snapshot);
  if (!scores.fault.empty()) return bad(scores);
  if (observes(bench)) {
    swy_outcome outcome{};
    outcome.size = sizeof outcome;
    outcome.cls = SWY_CLS_BAD_ANSWER;
    outcome.cand = UINT64_MAX;
    outcome.ttft_us = outcome.latency_us = UINT32_MAX;
    outcome.tok_in = outcome.tok_out = UINT64_MAX;
    outcome.cost_nano = INT64_MIN;
    entering("strategy.observe");
    for (int i = 0; i < 100; ++i) bench.table<swy_strategy>().observe(instance, &outcome);
    left();
  }
  return Outcome::passed();
}

Outcome concurrent(Bench& bench) {
  void* instance = bench.open_own();
  trying("4 threads score, 2 observe");
  std::atomic<bool> wrong = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Snapshot snapshot(10);
      for (int i = 0; i < 500; ++i) {
        if (!score(bench, instance, snapshot).fault.empty()) wrong = true;
      }
    });
  }
  for (std::uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] { observe_some(bench, instance, t + 1, 500); });
  }
  for (std::thread& thread : threads) thread.join();
  return wrong ? Outcome::failed("score failed beside itself and observe")
               : Outcome::passed("2,000 scores beside 1,000 outcomes");
}

swy_rc SWY_CALL append(void* ctx, swy_str bytes) noexcept {
  static_cast<std::string*>(ctx)->append(view(bytes));
  return SWY_OK;
}
swy_rc SWY_CALL refuse(void*, swy_str) noexcept { return SWY_E_LIMIT; }

Outcome state(Bench& bench) {
  const swy_strategy* table = &bench.table<swy_strategy>();
  if (!SWY_FN(table, swy_strategy, save) || !SWY_FN(table, swy_strategy, load)) {
    return Outcome::skipped("keeps no state: save or load is not there");
  }
  void* instance = bench.open_own();
  Snapshot snapshot(8);
  for (int i = 0; i < 50; ++i) score(bench, instance, snapshot);
  observe_some(bench, instance, 3, 500);
  std::string saved;
  entering("strategy.save");
  const swy_rc rc = table->save(instance, append, &saved);
  table->save(instance, refuse, nullptr);
  left();
  if (rc < 0) return Outcome::failed("save returned " + rc_name(rc));
  const Scores before = score(bench, instance, snapshot);

  const auto load = [&](void* into, const std::string& text) {
    Lender lender(Lender::Mode::kGuarded);
    entering("strategy.load");
    const swy_rc answer = table->load(into, lender.lend(text, "state"));
    left();
    return answer;
  };
  void* successor = bench.open_own();
  const swy_rc taken = load(successor, saved);
  if (taken < 0) return Outcome::failed("load of its own state returned " + rc_name(taken));
  const Scores after = score(bench, successor, snapshot);
  if (!before.same(after)) {
    return Outcome::failed("a successor that loads the saved state scores as its predecessor; " +
                           before.unlike(after));
  }
  for (std::size_t cut = 0; cut < saved.size(); cut += saved.size() / 200 + 1) {
    trying("a state that ends at byte " + std::to_string(cut));
    load(bench.open_own(), saved.substr(0, cut));
  }
  Chance chance(5);
  for (int i = 0; i < 500; ++i) {
    trying("a state with bytes changed, number " + std::to_string(i));
    std::string broken = saved.empty() ? "x" : saved;
    for (int k = 0; k < 4; ++k)
      broken[chance.below(broken.size())] = static_cast<char>(chance.next());
    void* fresh = bench.open_own();
    load(fresh, broken);
    score(bench, fresh, snapshot);
    bench.close(fresh);
  }
  return Outcome::passed(std::to_string(saved.size()) + " bytes of state");
}

Outcome borrowed(Bench& bench) {
  void* instance = bench.open_own();
  for (int i = 0; i < 50; ++i) {
    Snapshot snapshot(6, static_cast<std::uint64_t>(i));
    const Scores scores = score(bench, instance, snapshot, {Lender::Mode::kGuarded, 0, 0});
    if (!scores.fault.empty()) return bad(scores);
    observe_some(bench, instance, 1, 5);
  }
  bench.close(instance);
  return Outcome::passed();
}

Outcome leaks(Bench& bench) {
  void* instance = bench.open_own();
  return growth("scores and outcomes", [&](std::size_t n) {
    Snapshot snapshot(8);
    for (std::size_t i = 0; i < n; ++i) {
      snapshot.request().seed = i;
      score(bench, instance, snapshot);
      observe_some(bench, instance, i, 1);
    }
  });
}

std::uint64_t cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

template <class Call>
void measure(Times& times, int counter, Call&& call) {
  const std::uint64_t wall = mono_ns(), cpu = cpu_ns(),
                      count = counter >= 0 ? read_counter(counter) : 0;
  call();
  if (counter >= 0) times.instructions.push_back(read_counter(counter) - count);
  times.cpu_ns.push_back(static_cast<std::uint32_t>(cpu_ns() - cpu));
  times.wall_ns.push_back(static_cast<std::uint32_t>(mono_ns() - wall));
}

Outcome time(Bench& bench) {
  constexpr std::size_t kTimes = 2000;
  constexpr std::uint32_t kCandidates = 20;
  void* instance = bench.open_own();
  Snapshot snapshot(kCandidates);
  std::vector<swy_score> out(kCandidates);
  const int counter = open_counter();
  Times scoring, observing;
  Chance chance(1);
  for (std::size_t i = 0; i < kTimes; ++i) {
    std::fill(out.begin(), out.end(), swy_score{});
    for (swy_score& each : out) each.size = sizeof each;
    swy_err err = empty_err();
    snapshot.request().seed = i;
    measure(scoring, counter, [&] {
      bench.table<swy_strategy>().score(instance, &snapshot.request(), snapshot.candidates().data(),
                                        kCandidates, sizeof(swy_cand), out.data(),
                                        sizeof(swy_score), &err);
    });
    if (!observes(bench)) continue;
    const swy_outcome outcome = outcome_of(1 + chance.below(kCandidates), chance);
    measure(observing, counter, [&] { bench.table<swy_strategy>().observe(instance, &outcome); });
  }
  const Outcome first = judge_times("score of 20 candidates", std::move(scoring), 100'000);
  if (!observes(bench)) return first;
  const Outcome second = judge_times("observe", std::move(observing), 20'000);
  return {std::max(first.verdict, second.verdict), first.text + "; " + second.text};
}

}  // namespace

const std::vector<Check> kStrategyChecks = {
    {"strategy.fills", fills},       {"strategy.same-answer", same_answer},
    {"strategy.strides", strides},   {"strategy.counts", counts},
    {"strategy.extremes", extremes}, {"strategy.concurrent", concurrent},
    {"strategy.state", state},       {"strategy.borrowed", borrowed},
    {"strategy.leaks", leaks},       {"strategy.time", time}};

}  // namespace swy::check

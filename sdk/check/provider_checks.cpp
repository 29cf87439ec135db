// Checks of providers.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "bench.hpp"
#include "canonical.hpp"
#include "corpus.hpp"

namespace swy::check {
namespace {

constexpr std::size_t kBytesTriedMax = 4096, kWritersTriedMax = 200;

// A case that the provider answers well, and what it does then.
struct Ready {
  Case made;
  Provider provider;
  Trace base;
  bool repeatable = false;  // the same again, byte for byte
};

std::vector<std::string> strings(const Value& caps, const char* name) {
  std::vector<std::string> texts;
  if (const Value* list = caps.find(name)) {
    for (const Value& item : list->items) texts.push_back(item.text);
  }
  return texts;
}

std::vector<Case> all_cases(const Bench& bench) {
  std::string why;
  const std::optional<Value> caps = parse(bench.kind().caps, why);
  std::vector<Case> cases =
      built_in_cases(strings(*caps, "tasks"), strings(*caps, "dialects"), bench.options().model);
  if (bench.options().transcripts.empty()) return cases;
  for (Case& transcript : read_transcripts(bench.options().transcripts, why)) {
    cases.push_back(std::move(transcript));
  }
  return cases;
}

Provider provider_for(const Bench& bench, const Case& made) {
  void* instance = nullptr;
  std::string why;
  const std::string& config = made.config.empty() ? bench.options().config : made.config;
  if (!bench.open(config, instance, why)) throw std::runtime_error("open failed: " + why);
  return {&bench.table<swy_provider>(), instance};
}

// What differs only from run to run, such as ids and times, left out.
bool same_shape(const Trace& a, const Trace& b) {
  return a.end == b.end && a.sent.size() == b.sent.size() &&
         std::equal(a.emits.begin(), a.emits.end(), b.emits.begin(), b.emits.end(),
                    [](const Emit& x, const Emit& y) {
                      return x.what == y.what && x.flags == y.flags && x.message == y.message;
                    });
}

bool same(const Ready& ready, const Trace& trace) {
  return same_shape(ready.base, trace) && (!ready.repeatable || ready.base.emits == trace.emits);
}

std::string same_form(const Case& made) {
  return made.ask.task + made.ask.dialect + (made.ask.stream ? "s" : "") +
         (made.ask.want_usage ? "u" : "") + made.file;
}

// One for each form of request: the first dialect of answers that the provider understands.
std::vector<Ready> ready_cases(const Bench& bench) {
  std::vector<Ready> ready;
  for (Case& made : all_cases(bench)) {
    if (!ready.empty() && same_form(ready.back().made) == same_form(made)) continue;
    trying(made.name);
    const Provider provider = provider_for(bench, made);
    Trace base = run(provider, made.ask, made.answers);
    if (base.end != End::kDone) continue;
    const bool repeatable = run(provider, made.ask, made.answers).emits == base.emits;
    ready.push_back({std::move(made), provider, std::move(base), repeatable});
  }
  return ready;
}

// Those that have an answer of an upstream to spoil.
std::vector<Ready> answered_cases(const Bench& bench) {
  std::vector<Ready> ready = ready_cases(bench);
  std::erase_if(ready, [](const Ready& r) {
    return r.made.answers.empty() || r.base.sent.size() != r.made.answers.size();
  });
  return ready;
}

Outcome nothing_ready() {
  return Outcome::skipped("no request of the corpus ends DONE: give --model or --transcripts");
}
Outcome nothing_answered() {
  return Outcome::skipped(
      "no request of the corpus is sent upstream and ends DONE: give --model "
      "or --transcripts");
}

std::string cases_tried(const std::vector<Ready>& ready, std::size_t runs) {
  return std::to_string(runs) + " runs of " + std::to_string(ready.size()) + " requests";
}

Outcome bad(const std::string& contract, const Trace& trace) {
  return Outcome::failed(contract + "; seen: " + trace.end_text() + "; tried: " + tried());
}

// An end that the contract allows.
bool sound(const Trace& trace) {
  return trace.end == End::kDone || trace.end == End::kFail || trace.end == End::kRefused;
}

// ---- requests and answers ----

std::string body_fault(const Trace& trace) {
  for (const Sent& sent : trace.sent) {
    const bool json = std::any_of(sent.headers.begin(), sent.headers.end(), [](const auto& pair) {
      return pair.first == "content-type" && pair.second.starts_with("application/json");
    });
    std::string why;
    if (json && !parse(sent.body, why)) return why + ", in " + shown(sent.body);
  }
  return {};
}

Outcome minimal(Bench& bench) {
  std::size_t tried_n = 0, done = 0;
  std::string first_end;
  for (const Case& made : all_cases(bench)) {
    trying(made.name);
    const Trace trace = run(provider_for(bench, made), made.ask, made.answers);
    if (!sound(trace)) return bad("a request ends DONE or FAIL", trace);
    const std::string fault = body_fault(trace);
    if (!fault.empty()) {
      return Outcome::failed("the body of the request says JSON and is none: " + fault +
                             "; tried: " + made.name);
    }
    ++tried_n;
    done += trace.end == End::kDone ? 1 : 0;
    if (first_end.empty() && trace.end != End::kDone) first_end = trace.end_text();
  }
  const std::string text = std::to_string(done) + " of " + std::to_string(tried_n) + " end DONE";
  if (done > 0) return Outcome::passed(text);
  return Outcome::warned(text + "; the first ends: " + first_end +
                         "; with --model or --transcripts more can be checked");
}

Outcome canonical(Bench& bench) {
  for (const Case& made : all_cases(bench)) {
    trying(made.name);
    const Trace trace = run(provider_for(bench, made), made.ask, made.answers);
    if (trace.end != End::kDone) continue;  // an answer that is not of its dialect may be passed on
    const std::string fault = canonical_fault(made.ask, trace);
    if (!fault.empty()) return Outcome::failed(fault + "; tried: " + made.name);
  }
  return Outcome::passed();
}

Outcome io_error(Bench& bench) {
  const std::vector<Ready> ready = answered_cases(bench);
  if (ready.empty()) return nothing_answered();
  for (const Ready& each : ready) {
    trying(each.made.name + "; the exchange breaks before the head");
    const Trace trace = run(each.provider, each.made.ask, {});
    if (trace.end != End::kFail) return bad("IOERR ends in FAIL", trace);
  }
  return Outcome::passed(cases_tried(ready, ready.size()));
}

Outcome cut_stream(Bench& bench) {
  const std::vector<Ready> ready = answered_cases(bench);
  if (ready.empty()) return nothing_answered();
  std::size_t runs = 0;
  for (const Ready& each : ready) {
    const std::size_t n = each.made.answers.back().body.size();
    const std::size_t stride = n / kBytesTriedMax + 1;
    for (std::size_t at = 0; at <= n; at += stride, ++runs) {
      Policy policy;
      policy.cut_at = at;
      trying(each.made.name + "; the answer comes in two pieces, cut at byte " +
             std::to_string(at));
      const Trace trace = run(each.provider, each.made.ask, each.made.answers, policy);
      if (each.base.sent.back().framing == SWY_FRAME_RAW ? trace.end != End::kDone
                                                         : !same(each, trace)) {
        return bad("the way an answer is cut must not show in what is emitted", trace);
      }
    }
  }
  return Outcome::passed(cases_tried(ready, runs));
}

// True where what the upstream has said was all that there was to say.
bool complete(const Ready& each, const Trace& trace, std::string_view given) {
  std::string why;
  if (each.base.sent.back().framing == SWY_FRAME_WHOLE) return parse(given, why).has_value();
  return said_finished(trace) || trace.emits == each.base.emits;
}

Outcome truncated(Bench& bench) {
  const std::vector<Ready> ready = answered_cases(bench);
  if (ready.empty()) return nothing_answered();
  std::size_t runs = 0;
  for (const Ready& each : ready) {
    const std::string& body = each.made.answers.back().body;
    const std::size_t stride = body.size() / kBytesTriedMax + 1;
    for (std::size_t at = 0; at < body.size(); at += stride) {
      for (const bool ends_well : {false, true}) {
        Policy policy;
        policy.ends_at = at;
        policy.ends_well = ends_well;
        trying(each.made.name + "; the answer ends at byte " + std::to_string(at) + " of " +
               std::to_string(body.size()) +
               (ends_well ? ", as if it were whole" : ", the connection broke"));
        const Trace trace = run(each.provider, each.made.ask, each.made.answers, policy);
        ++runs;
        if (!sound(trace)) return bad("an answer that ends too early is a FAIL", trace);
        const bool raw = each.base.sent.back().framing == SWY_FRAME_RAW && ends_well;
        if (trace.end == End::kDone && !raw && !complete(each, trace, body.substr(0, at))) {
          return bad(
              "DONE is answered only when the upstream said that its answer is complete "
              "(CANONICAL.md section 4, rule 6)",
              trace);
        }
        const std::string fault = canonical_fault(each.made.ask, trace);
        if (trace.end != End::kDone && !fault.empty()) {
          return Outcome::failed(fault + "; tried: " + tried());
        }
      }
    }
  }
  return Outcome::passed(cases_tried(ready, runs));
}

// ---- bad answers ----

struct Class {
  std::uint32_t status;
  std::vector<std::int32_t> cls;
};

// CANONICAL.md section 6, for an answer that says no more than its status.
const std::vector<Class>& classes() {
  static const std::vector<Class> table = {
      {400, {SWY_CLS_BAD_REQUEST}},
      {401, {SWY_CLS_AUTH}},
      {402, {SWY_CLS_QUOTA}},
      {403, {SWY_CLS_AUTH}},
      {404, {SWY_CLS_NO_MODEL, SWY_CLS_BAD_REQUEST, SWY_CLS_NOT_OFFERED}},
      {408, {SWY_CLS_TIMEOUT}},
      {413, {SWY_CLS_TOO_LONG, SWY_CLS_BAD_REQUEST}},
      {422, {SWY_CLS_BAD_REQUEST}},
      {429, {SWY_CLS_RATE_LIMIT, SWY_CLS_QUOTA}},
      {500, {SWY_CLS_SERVER}},
      {502, {SWY_CLS_SERVER}},
      {503, {SWY_CLS_OVERLOADED}},
      {504, {SWY_CLS_TIMEOUT}},
      {529, {SWY_CLS_OVERLOADED}},
  };
  return table;
}

std::vector<std::string> error_bodies() {
  return {"",
          "<html><body>502 Bad Gateway</body></html>",
          R"({"error":{"message":"no","type":"x","code":null}})",
          R"({"error":"no"})",
          R"({"message":null})",
          "[]",
          "null",
          "\"no\"",
          "{\"error\":{",
          std::string("\xff\xfe\0\x01", 4),
          "{\"error\":{\"message\":\"" + std::string(100'000, 'a') + "\"}}",
          std::string(50'000, '[')};
}

Outcome error_answers(Bench& bench) {
  const std::vector<Ready> ready = answered_cases(bench);
  if (ready.empty()) return nothing_answered();
  std::size_t runs = 0;
  std::string doubt;
  for (const Ready& each : ready) {
    for (const Class& expected : classes()) {
      for (const std::string& body : error_bodies()) {
        std::vector<Answer> answers = each.made.answers;
        answers.back().status = expected.status;
        answers.back().body = body;
        trying(each.made.name + "; the answer is a " + std::to_string(expected.status) + " with " +
               shown(body, 40));
        const Trace trace = run(each.provider, each.made.ask, answers);
        ++runs;
        if (trace.end != End::kFail) return bad("an error of the upstream is a FAIL", trace);
        const std::string fault = canonical_fault(each.made.ask, trace);
        if (!fault.empty()) return Outcome::failed(fault + "; tried: " + tried());
        const bool right = std::find(expected.cls.begin(), expected.cls.end(), trace.err.cls) !=
                           expected.cls.end();
        if (doubt.empty() && body.empty() && !right) {
          doubt = "status " + std::to_string(expected.status) + " alone is class " +
                  std::to_string(trace.err.cls) + ", CANONICAL.md section 6 has " +
                  std::to_string(expected.cls.front());
        }
      }
    }
  }
  return doubt.empty() ? Outcome::passed(cases_tried(ready, runs)) : Outcome::warned(doubt);
}

std::vector<std::string> garbage_bodies() {
  Chance chance(7);
  std::string noise;
  for (int i = 0; i < 4096; ++i) noise += static_cast<char>(chance.next());
  std::vector<std::string> bodies = {
      "",    "<html><body>hello</body></html>", "null", "[]",  "{}", "{\"a\":", "\"x\"", "12345",
      noise, std::string(50'000, '['),          "\n\n", "data"};
  const std::size_t plain = bodies.size();
  for (std::size_t i = 0; i < plain; ++i) bodies.push_back("data: " + bodies[i] + "\n\n");
  bodies.push_back("event: error\ndata: {}\n\n");
  bodies.push_back("data: [DONE]\n\n");
  bodies.push_back("data: {\"choices\":[{}]}\n\n");
  bodies.push_back("data: {\"choices\":[{\"delta\":null,\"finish_reason\":1}]}\n\n");
  return bodies;
}

Outcome garbage_answers(Bench& bench) {
  const std::vector<Ready> ready = answered_cases(bench);
  if (ready.empty()) return nothing_answered();
  std::size_t runs = 0;
  for (const Ready& each : ready) {
    // Whether bytes are a good video nobody can say here.
    const bool judged = has_form(each.made.ask.task) && !each.base.emitted(SWY_EMIT_RAW);
    for (const std::uint32_t status : {200U, 204U, 302U}) {
      for (const std::string& body : garbage_bodies()) {
        std::vector<Answer> answers = each.made.answers;
        answers.back().status = status;
        answers.back().body = body;
        trying(each.made.name + "; the answer is a " + std::to_string(status) + " with " +
               shown(body, 60));
        const Trace trace = run(each.provider, each.made.ask, answers);
        ++runs;
        if (!sound(trace) || (judged && trace.end == End::kDone)) {
          return bad("an answer that can't be understood is a FAIL", trace);
        }
      }
    }
  }
  return Outcome::passed(cases_tried(ready, runs));
}

// ---- events that no host sends ----

Outcome unknown_event(Bench& bench) {
  const std::vector<Case> cases = all_cases(bench);
  for (const Case& made : cases) {
    const Provider provider = provider_for(bench, made);
    for (const std::uint32_t kind : {12U, 99U, UINT32_MAX}) {
      for (const bool started : {false, true}) {
        trying(made.name + "; event kind " + std::to_string(kind) +
               (started ? " after START" : " as the first"));
        std::vector<OddEvent> events;
        if (started) events.push_back({SWY_EV_START, 0, 0, {}, {}});
        events.push_back({kind, 0, 0, {}, "{}"});
        const Trace trace = run_odd(provider, made.ask, events);
        if (trace.end == End::kBroken)
          return bad("an unknown event is answered SWY_E_UNSUP", trace);
        const bool ended_before = trace.steps.size() < events.size();
        if (!ended_before && trace.steps.back().rc != SWY_E_UNSUP) {
          return Outcome::failed(
              "an unknown event is answered SWY_E_UNSUP; seen: " + rc_name(trace.steps.back().rc) +
              " with act " + std::to_string(trace.steps.back().act) + "; tried: " + tried());
        }
      }
    }
  }
  return Outcome::passed();
}

Outcome random_events(Bench& bench) {
  constexpr std::uint64_t kRuns = 3000;
  const std::vector<Case> cases = all_cases(bench);
  std::vector<std::string> pieces = garbage_bodies();
  for (const Case& made : cases) {
    for (const Answer& answer : made.answers) {
      Framer framer(SWY_FRAME_SSE);
      std::vector<Frame> frames;
      framer.feed(answer.body, frames);
      for (const Frame& frame : frames) pieces.push_back(frame.data);
      pieces.push_back(answer.body);
    }
  }
  const Provider provider = provider_for(bench, cases.front());
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    Chance chance(seed);
    trying("events in the order of seed " + std::to_string(seed));
    std::vector<OddEvent> events;
    const std::uint64_t n = 1 + chance.below(12);
    for (std::uint64_t i = 0; i < n; ++i) {
      constexpr std::uint32_t kStatus[] = {0, 200, 200, 200, 404, 500, 599};
      constexpr const char* kNames[] = {"", "", "message_start", "error", "text"};
      OddEvent event;
      const bool start = i == 0 && chance.below(2) == 0;
      event.kind = start ? SWY_EV_START : static_cast<std::uint32_t>(chance.below(14));
      event.status = event.kind == SWY_EV_IOERR
                         ? static_cast<std::uint32_t>(chance.below(SWY_CLS_BAD_ANSWER + 1))
                         : kStatus[chance.below(std::size(kStatus))];
      event.xid = static_cast<std::uint32_t>(chance.below(3));
      event.name = kNames[chance.below(std::size(kNames))];
      event.data =
          event.kind == SWY_EV_IOERR ? "the exchange broke" : pieces[chance.below(pieces.size())];
      events.push_back(std::move(event));
    }
    const Trace trace = run_odd(provider, cases[seed % cases.size()].ask, events);
    if (trace.end == End::kBroken) return bad("events in any order do no harm", trace);
  }
  return Outcome::passed(std::to_string(kRuns) + " orders");
}

Outcome cancel(Bench& bench) {
  const std::vector<Ready> ready = ready_cases(bench);
  if (ready.empty()) return nothing_ready();
  std::size_t runs = 0;
  for (const Ready& each : ready) {
    for (std::size_t at = 1; at < each.base.steps.size(); ++at, ++runs) {
      Policy policy;
      policy.cancel_after = at;
      trying(each.made.name + "; CANCEL after event " + std::to_string(at));
      const Trace trace = run(each.provider, each.made.ask, each.made.answers, policy);
      if (trace.steps.size() <= at) continue;
      const Step& step = trace.steps[at];
      if (trace.end == End::kBroken || step.rc < 0 ||
          (step.act != SWY_ACT_DONE && step.act != SWY_ACT_SEND)) {
        return bad("CANCEL is answered with DONE, or SEND of one last request", trace);
      }
    }
  }
  return Outcome::passed(cases_tried(ready, runs));
}

Outcome free_anywhere(Bench& bench) {
  const std::vector<Ready> ready = ready_cases(bench);
  if (ready.empty()) return nothing_ready();
  std::size_t runs = 0;
  for (const Ready& each : ready) {
    for (std::size_t at = 0; at <= each.base.steps.size(); ++at, ++runs) {
      Policy policy;
      policy.free_after = at;
      trying(each.made.name + "; op_free after event " + std::to_string(at));
      const Trace trace = run(each.provider, each.made.ask, each.made.answers, policy);
      if (trace.end == End::kBroken) return bad("op_free may come between any two events", trace);
    }
  }
  return Outcome::passed(cases_tried(ready, runs));
}

// ---- writers ----

Outcome slow_writer(Bench& bench) {
  const std::vector<Ready> ready = ready_cases(bench);
  if (ready.empty()) return nothing_ready();
  for (const Ready& each : ready) {
    Policy policy;
    policy.writer_at = kEvery;
    policy.writer_rc = SWY_SLOW;
    trying(each.made.name + "; every writer answers SWY_SLOW");
    const Trace trace = run(each.provider, each.made.ask, each.made.answers, policy);
    if (!same(each, trace)) {
      return bad("SWY_SLOW means taken: the same is emitted, " +
                     std::to_string(each.base.emits.size()) + " pieces, not " +
                     std::to_string(trace.emits.size()),
                 trace);
    }
  }
  return Outcome::passed(cases_tried(ready, ready.size()));
}

Outcome refusing_writer(Bench& bench) {
  const std::vector<Ready> ready = ready_cases(bench);
  if (ready.empty()) return nothing_ready();
  std::size_t runs = 0;
  for (const Ready& each : ready) {
    const std::size_t n = std::min(each.base.writers, kWritersTriedMax);
    for (std::size_t at = 0; at <= n; ++at) {
      for (const swy_rc rc : {SWY_E_GONE, SWY_E_LIMIT, SWY_E_ARG, SWY_E_UNSUP}) {
        Policy policy;
        policy.writer_at = at == n ? kEvery : at;
        policy.writer_rc = rc;
        trying(each.made.name + "; " +
               (at == n ? "every writer answers "
                        : "writer call " + std::to_string(at + 1) + " answers ") +
               rc_name(rc));
        const Trace trace = run(each.provider, each.made.ask, each.made.answers, policy);
        ++runs;
        if (trace.end == End::kBroken) return bad("a writer may refuse", trace);
      }
    }
  }
  return Outcome::passed(cases_tried(ready, runs));
}

// ---- memory, threads, growth ----

Outcome borrowed(Bench& bench) {
  std::size_t runs = 0;
  for (const Case& made : all_cases(bench)) {
    const Provider provider = provider_for(bench, made);
    Policy policy;
    policy.mode = Lender::Mode::kGuarded;
    trying(made.name);
    Trace trace = run(provider, made.ask, made.answers, policy);
    if (trace.end == End::kBroken) return bad("memory is borrowed for the call", trace);
    const std::size_t events = trace.steps.size();
    for (std::size_t at = 0; at < events; ++at, ++runs) {
      policy.free_after = at;
      trying(made.name + "; op_free after event " + std::to_string(at));
      trace = run(provider, made.ask, made.answers, policy);
      if (trace.end == End::kBroken) return bad("memory is borrowed for the call", trace);
    }
  }
  return Outcome::passed(std::to_string(runs) + " runs");
}

Outcome larger_structs(Bench& bench) {
  for (const Case& made : all_cases(bench)) {
    const Provider provider = provider_for(bench, made);
    trying(made.name + "; structs and strides of a newer host");
    Policy policy;
    const Trace before = run(provider, made.ask, made.answers, policy);
    policy.larger = true;
    const Trace trace = run(provider, made.ask, made.answers, policy);
    if (!same_shape(before, trace)) {
      return bad("structs grow and arrays have a stride: the same comes of it", trace);
    }
  }
  return Outcome::passed();
}

Outcome parallel(Bench& bench) {
  constexpr std::size_t kThreads = 4, kTimes = 50;
  std::vector<Ready> ready = ready_cases(bench);
  if (ready.empty()) return nothing_ready();
  // All on one instance each.
  trying("4 threads with operations of the same instances");
  std::atomic<std::size_t> unlike = ready.size();
  std::vector<std::thread> threads;
  Policy policy;
  policy.yields = true;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < kTimes * ready.size(); ++i) {
        const std::size_t at = (i + t) % ready.size();
        const Trace trace =
            run(ready[at].provider, ready[at].made.ask, ready[at].made.answers, policy);
        if (!same(ready[at], trace)) unlike = at;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (unlike < ready.size()) {
    return Outcome::failed(
        "operations of one instance run in parallel, and don't touch one "
        "another: another answer than alone; tried: " +
        ready[unlike].made.name);
  }
  return Outcome::passed(cases_tried(ready, kThreads * kTimes * ready.size()));
}

Outcome leaks(Bench& bench) {
  const std::vector<Ready> ready = ready_cases(bench);
  if (ready.empty()) return nothing_ready();
  trying("whole operations, and such that are freed in between");
  return growth("operations", [&](std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      const Ready& each = ready[i % ready.size()];
      Policy policy;
      if (i % 3 == 0) policy.free_after = i % each.base.steps.size();
      run(each.provider, each.made.ask, each.made.answers, policy);
    }
  });
}

Outcome time(Bench& bench) {
  constexpr std::size_t kRuns = 1000;
  constexpr std::uint64_t kBoundNs = 1'000'000;
  const std::vector<Ready> ready = ready_cases(bench);
  if (ready.empty()) return nothing_ready();
  Times times;
  Policy policy;
  policy.mode = Lender::Mode::kPlain;
  policy.wall_ns = &times.wall_ns;
  policy.cpu_ns = &times.cpu_ns;
  policy.counter = open_counter();
  if (policy.counter >= 0) policy.instructions = &times.instructions;
  for (std::size_t i = 0; i < kRuns; ++i) {
    const Ready& each = ready[i % ready.size()];
    run(each.provider, each.made.ask, each.made.answers, policy);
  }
  return judge_times("op_step", std::move(times), kBoundNs);
}

}  // namespace

Outcome check_transcript(Bench& bench, const std::string& name) {
  std::string fault;
  for (const Case& made : read_transcripts(bench.options().transcripts, fault)) {
    if (made.name != name) continue;
    trying("transcript " + made.file);
    const Trace trace = run(provider_for(bench, made), made.ask, made.answers);
    if (!bench.options().record.empty()) {
      std::ofstream file(std::filesystem::path(bench.options().record) / made.file);
      file << to_json(with_seen(made, trace)) << '\n';
      return file ? Outcome::passed("recorded") : Outcome::failed("could not be recorded");
    }
    const std::string found = transcript_difference(made, trace);
    return found.empty() ? Outcome::passed() : Outcome::failed(found);
  }
  return Outcome::failed(fault);
}

const std::vector<Check> kProviderChecks = {{"provider.minimal", minimal},
                                            {"provider.canonical", canonical},
                                            {"provider.io-error", io_error},
                                            {"provider.cut-stream", cut_stream},
                                            {"provider.truncated", truncated},
                                            {"provider.error-answers", error_answers},
                                            {"provider.garbage-answers", garbage_answers},
                                            {"provider.unknown-event", unknown_event},
                                            {"provider.random-events", random_events},
                                            {"provider.cancel", cancel},
                                            {"provider.free-anywhere", free_anywhere},
                                            {"provider.slow-writer", slow_writer},
                                            {"provider.refusing-writer", refusing_writer},
                                            {"provider.borrowed", borrowed},
                                            {"provider.larger-structs", larger_structs},
                                            {"provider.parallel", parallel},
                                            {"provider.leaks", leaks},
                                            {"provider.time", time}};

}  // namespace swy::check

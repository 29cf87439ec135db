#include "core/exchange/exchange.hpp"

#include <random>

#include "core/base/clock.hpp"
#include "core/exchange/choice.hpp"
#include "core/exchange/continuation.hpp"
#include "core/exchange/failure.hpp"
#include "core/exchange/payment.hpp"
#include "core/exchange/race.hpp"
#include "core/exchange/usage.hpp"
#include "core/net/await.hpp"
#include "core/observe/log.hpp"
#include "core/routing/attempts.hpp"

namespace switchyard::exchange {

std::chrono::milliseconds total_time(const Snapshot& snapshot, const Request& request,
                                     const ProviderSlot& slot, std::uint64_t now_ns) {
  // A stream may run for long; an answer that comes whole has its total time.
  const auto total = request.stream ? snapshot.config->limits.stream_max
                                    : timeouts_of(*slot.config, policy_of(request)).total;
  if (request.deadline_ns == 0 || request.until_content) return total;
  const std::uint64_t left_ns = request.deadline_ns > now_ns ? request.deadline_ns - now_ns : 0;
  return std::min(total, std::chrono::milliseconds(left_ns / 1'000'000 + 1));
}

void note_made(observe::Record& record, const Snapshot& snapshot, const Made& made,
               const char* outcome) {
  const ProviderSlot& slot = snapshot.providers[made.target->provider];
  if (!record.fallback_path.empty()) record.fallback_path += " > ";
  record.fallback_path += slot.config->id + "/" + made.target->model;
  const auto& all = slot.config->credentials;
  if (all.size() > 1 && made.credential < all.size()) {
    record.fallback_path += '#' + all[made.credential].name;
  }
  record.fallback_path += std::string(":") + outcome;
}

namespace {

using net::Task;

constexpr std::uint32_t kNoCredential = UINT32_MAX;

Task<> pause(LoopContext& context, ClientWriter& writer, std::uint64_t delay_ns) {
  net::Timer timer(context.loop.executor());
  timer.expires_after(std::chrono::nanoseconds(delay_ns));
  writer.on_gone([&timer] { timer.cancel(); });
  co_await timer.async_wait(net::kAwait);
  writer.on_gone(nullptr);
}

// Which of the provider's credentials the request is bound to.
std::optional<std::uint32_t> bound_credential(const Snapshot& snapshot, const Request& request) {
  if (request.rare == nullptr || request.rare->credential.empty()) return std::nullopt;
  if (request.route->targets.empty()) return std::nullopt;
  const auto& all = snapshot.providers[request.route->targets.front().provider].config->credentials;
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    if (all[i].name == request.rare->credential) return i;
  }
  return std::nullopt;
}

routing::Attempts::Policy attempts_policy(const Snapshot& snapshot, const Request& request) {
  routing::Attempts::Policy policy;
  if (const config::Feature* const feature = policy_of(request)) {
    policy.attempts_max = feature->attempts.attempts_max;
    policy.retry_percent = feature->attempts.retry_budget_percent;
  }
  policy.deadline_ns = request.deadline_ns;
  policy.tokens = estimate_tokens(request.body.size());
  policy.once = request.rare != nullptr && request.rare->once;
  policy.credential = bound_credential(snapshot, request);
  return policy;
}

std::uint64_t random_seed() {
  thread_local std::mt19937_64 seeds{(std::uint64_t{std::random_device{}()} << 32) |
                                     std::random_device{}()};
  return seeds();
}

bool is_past(std::uint64_t deadline_ns, std::uint64_t now_ns) {
  return deadline_ns != 0 && now_ns >= deadline_ns;
}

// Those that were not asked although they stood before one that is.
void note_passed(observe::Record& record, const Snapshot& snapshot, const routing::Route& route,
                 routing::Attempts& attempts) {
  for (const auto& [target, why] : attempts.take_passed()) {
    const routing::Target& each = route.targets[target];
    note_made(record, snapshot, {&each, kNoCredential}, routing::barred_name(why));
  }
}

// The code as the client sees it: the upstream's own where its error object passes.
std::string code_shown(const Failure& failure) {
  JsonIndex object;
  if (failure.error_json.empty() || !object.scan(failure.error_json)) return failure.code;
  const swy_member* const code = object.find("code");
  if (code == nullptr || (code->type != 's' && code->type != 'n')) return failure.code;
  const std::string_view value = object.value(*code);
  return code->type == 's' ? json_unescape(value) : std::string(value);
}

void note_target(observe::Record& record, const ProviderSlot& slot, const routing::Target& target) {
  record.provider = slot.config->id;
  record.provider_family = slot.config->family;
  record.model_used = target.model;
}

// Of the whole answer, where the attempt went on with one.
void note_usage(observe::Record& record, const Attempt& attempt, const Continuation* rest,
                Payment& payment) {
  record.usage = attempt.usage();
  if (rest != nullptr) record.usage = rest->sum(record.usage, payment);
  if (!record.usage.clamped) return;
  spdlog::warn(
      "usage_impossible request={} provider={} model={} reported={} billed_in={} billed_out={}",
      record.id, record.provider, observe::quote(record.model_used),
      observe::quote(record.usage.told), record.usage.tok_in, record.usage.tok_out);
}

void settle_ok(observe::Record& record) {
  record.status = 200;
  record.final_status = observe::FinalStatus::kOk;
}

void settle_gone(observe::Record& record, const ClientWriter& writer) {
  record.status = writer.started() ? 200 : 499;
  record.final_status = observe::FinalStatus::kClientLeft;
}

}  // namespace

void ClientWriter::raw_head(std::string_view, std::uint64_t) {}
void ClientWriter::raw(std::string_view) {}
void ClientWriter::raw_end() {}

Task<> run(LoopContext& context, const Snapshot& snapshot, const Request& request,
           ClientWriter& writer) {
  observe::Record& record = *request.record;
  const bool chosen = choose(request);
  const config::HedgePolicy* const hedge = hedge_policy(request);
  const std::vector<routing::Target>& targets = request.route->targets;
  record.planned_ns = mono_ns();
  record.route_reason = request.route->reason;

  AttemptFault last;
  routing::Fault told;
  Payment payment(context, snapshot, request);
  if (!payment.prepared()) co_await payment.prepare();
  routing::Attempts attempts(*request.route, attempts_policy(snapshot, request), random_seed());
  std::unique_ptr<Continuation> continuation;  // where a stream that is cut may be gone on with
  if (Continuation::is_wanted(request)) {
    continuation = std::make_unique<Continuation>(context, request, writer);
  }
  ClientWriter& out = continuation ? continuation->writer() : writer;
  const Continuation* rest = nullptr;  // the same, once it was
  std::uint64_t answer_ns = 0;         // when the attempt at the answer, or at its begin, began
  for (bool begun = false;; begun = true) {
    std::optional<routing::Attempts::Step> step;
    if (rest == nullptr) {
      step = attempts.next(begun ? &told : nullptr, mono_ns());
    } else {
      step = attempts.next_able(told, Continuation::able(snapshot, *request.route), mono_ns());
    }
    note_passed(record, snapshot, *request.route, attempts);
    if (!step) {
      if (!begun) last = nobody_asked(attempts.nobody());
      break;
    }
    const routing::Target& target = targets[step->target];
    if (step->delay_ns > 0) co_await pause(context, writer, step->delay_ns);
    if (writer.gone()) break;

    const ProviderSlot& slot = snapshot.providers[target.provider];
    if (rest == nullptr) note_target(record, slot, target);
    out.served_by(slot.config->id, target.model);
    if (auto unpaid = payment.reserve(target)) {
      note_made(record, snapshot, {&target, step->credential}, unpaid->code);
      if (rest != nullptr) continue;
      last = std::move(*unpaid);
      told = {last.cls, 0, true};
      continue;
    }
    const Request& asked = rest != nullptr ? rest->request() : request;
    if (request.explain && rest == nullptr)
      writer.explained(explanation(request, snapshot, target));
    const std::uint64_t begun_ns = mono_ns();
    if (rest == nullptr) answer_ns = begun_ns;
    std::unique_ptr<Race> race;  // where a second attempt may run beside it
    if (hedge != nullptr && rest == nullptr) {
      race = std::make_unique<Race>(context, snapshot, request, *hedge, attempts, out, payment);
    }
    Attempt first(context, snapshot, asked, target, step->credential, attempts.lane(),
                  race ? race->first_writer() : out, payment);
    const Observation first_seen(asked, target, chosen && target.on == routing::kOnAny, begun_ns);
    bool over = false;
    net::Deadline total(context.loop, [&first, &race, &over] {
      static constexpr char kLonger[] = "the request took longer than its total time";
      over = true;
      race ? race->time_out(kLonger) : first.time_out(kLonger);
    });
    total.expires_after(total_time(snapshot, request, slot, answer_ns) -
                        std::chrono::milliseconds((begun_ns - answer_ns) / 1'000'000));
    writer.on_gone([&first] { first.client_left(); });
    Made made{&target, step->credential, &first, &first_seen};
    Attempt::Outcome outcome{};
    if (race) {
      outcome = co_await race->run(made);
    } else {
      outcome = co_await first.run();
    }
    if (first.lacks_choices()) {
      outcome = co_await first.run_choices(snapshot, step->credential);
    }
    writer.on_gone(nullptr);
    total.disarm();
    const Attempt& attempt = *made.attempt;
    record.attempts += attempt.calls();
    if (rest != nullptr) continuation->take_over(slot, target);

    if (outcome == Attempt::Outcome::kClientGone) {
      // Of a rest that did not begin to come there is nothing to charge.
      if (rest == nullptr || attempt.delivered()) note_usage(record, attempt, rest, payment);
      if (attempt.delivered() || rest != nullptr) payment.settle(record.usage, "client_left");
      payment.release();
      const std::uint64_t left_ns = mono_ns();
      attempts.done(made.observation->end(attempt, false, true, left_ns), left_ns);
      settle_gone(record, writer);
      co_return;
    }
    const bool ok = outcome == Attempt::Outcome::kDone;
    const std::uint64_t ended_ns = mono_ns();
    const bool runs_on = request.until_content && writer.committed();
    const bool hurried = !ok && !runs_on && is_past(request.deadline_ns, ended_ns);
    attempts.done(made.observation->end(attempt, ok, hurried, ended_ns), ended_ns);
    if (ok) {
      if (!record.fallback_path.empty()) note_made(record, snapshot, made, "ok");
      note_usage(record, attempt, rest, payment);
      settle_ok(record);
      payment.settle(record.usage, attempt.exhausted() ? "balance_exhausted" : "completed");
      if (payment.must_wait()) co_await payment.durable();
      if (request.rare != nullptr && request.rare->job != nullptr) co_return;
      if (request.stream) writer.end_stream(record.usage);
      const bool listening = co_await writer.flush();
      if (!listening) settle_gone(record, writer);
      co_return;
    }

    note_made(record, snapshot, made, class_name(attempt.fault().cls));
    if (rest != nullptr && !rest->brought()) {
      payment.attempt_failed(*made.target, attempt.fault(), attempt.usage());
      continue;  // what the client may be told of is the cut
    }
    last = attempt.fault();
    told = {last.cls, last.retry_after_ms, surely_not_begun(last)};
    if (writer.committed()) {
      note_usage(record, attempt, rest, payment);
      const ProviderSlot& cut = snapshot.providers[made.target->provider];
      bool goes_on = continuation && !over && continuation->is_possible(last);
      if (goes_on) goes_on = co_await continuation->begin(cut, *made.target, record.usage);
      if (!goes_on) break;
      record.continued = observe::Continued::kTried;
      payment.keep_begin(record.usage, class_name(last.cls), continuation->text_bytes());
      rest = continuation.get();
      continue;
    }
    payment.attempt_failed(*made.target, last, attempt.usage());
    out.discard();
  }
  if (writer.committed()) {
    payment.settle(record.usage, writer.gone() ? "client_left" : class_name(last.cls));
  }
  payment.release();
  if (writer.gone()) {
    settle_gone(record, writer);
    co_return;
  }

  const Failure failure = to_failure(last, record.provider);
  record.status = writer.started() ? 200 : failure.status;
  record.final_status = failure.status >= 500 || failure.status == 429
                            ? observe::FinalStatus::kUpstreamError
                            : observe::FinalStatus::kClientError;
  record.error_code = code_shown(failure);
  record.error_text = last.message;
  writer.fail(failure);
  co_await writer.flush();
}

}  // namespace switchyard::exchange

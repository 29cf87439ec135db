#include "core/exchange/exchange.hpp"

#include <random>

#include "core/base/clock.hpp"
#include "core/exchange/choice.hpp"
#include "core/exchange/failure.hpp"
#include "core/exchange/payment.hpp"
#include "core/net/await.hpp"
#include "core/observe/log.hpp"

namespace switchyard::exchange {
namespace {

using net::Task;

constexpr unsigned kAttemptsMax = 3;

// Full jitter (each pause anywhere between nothing and the doubled base), or what the upstream
// asked for.
Task<> pause(LoopContext& context, ClientWriter& writer, unsigned retry,
             std::uint32_t retry_after_ms) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const unsigned ceiling_ms = 200u << retry;
  const unsigned jitter_ms = std::uniform_int_distribution<unsigned>(0, ceiling_ms)(random);
  net::Timer timer(context.loop.executor());
  timer.expires_after(std::chrono::milliseconds(std::max(retry_after_ms, jitter_ms)));
  writer.on_gone([&timer] { timer.cancel(); });
  co_await timer.async_wait(net::kAwait);
  writer.on_gone(nullptr);
}

// Which target an attempt goes to: each of the route once, in order; then those again that may
// recover.
const routing::Target* next_target(const routing::Route& route, unsigned attempt,
                                   const AttemptFault* fault, bool once, std::size_t& index) {
  if (attempt == 0) return &route.targets[index = 0];
  if (attempt >= kAttemptsMax) return nullptr;
  if (once && !surely_not_begun(*fault)) return nullptr;
  if (index + 1 < route.targets.size() && try_elsewhere(*fault)) return &route.targets[++index];
  return try_again(*fault) ? &route.targets[index] : nullptr;
}

void note_attempt(observe::Record& record, const ProviderSlot& slot, const routing::Target& target,
                  const char* outcome) {
  if (!record.fallback_path.empty()) record.fallback_path += " > ";
  record.fallback_path += slot.config->id + "/" + target.model + ":" + outcome;
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

void note_usage(observe::Record& record, const Attempt& attempt) {
  record.usage = attempt.usage();
  if (!record.usage.clamped) return;
  spdlog::warn(
      "usage_impossible request={} provider={} model={} reported={} billed_in={} billed_out={}",
      record.id, record.provider, observe::quote(record.model_used),
      observe::quote(record.usage.told), record.usage.tok_in, record.usage.tok_out);
}

void settle_ok(observe::Record& record, const Attempt& attempt) {
  note_usage(record, attempt);
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
  const config::Limits& limits = snapshot.config->limits;
  const bool chosen = choose(request);
  record.planned_ns = mono_ns();
  record.route_reason = request.route->reason;

  const bool once = request.rare != nullptr && request.rare->once;
  AttemptFault last;
  Payment payment(context, snapshot, request);
  if (!payment.prepared()) co_await payment.prepare();
  std::size_t index = 0;
  for (unsigned number = 0;; ++number) {
    const std::size_t before = index;
    const routing::Target* const target = next_target(*request.route, number, &last, once, index);
    if (target == nullptr) break;
    if (number > 0 && index == before) co_await pause(context, writer, number, last.retry_after_ms);
    if (writer.gone()) break;

    const ProviderSlot& slot = snapshot.providers[target->provider];
    record.provider = slot.config->id;
    record.provider_family = slot.config->family;
    record.model_used = target->model;
    if (auto unpaid = payment.reserve(*target)) {
      last = std::move(*unpaid);
      note_attempt(record, slot, *target, last.code);
      continue;
    }
    if (request.explain) writer.explained(explanation(request, snapshot, *target));
    Attempt attempt(context, snapshot, request, *target, writer, payment);
    Observation observation(request, *target, chosen);
    // A stream may run for long; an answer that comes whole has its total time.
    net::Deadline total(context.loop, [&attempt] {
      attempt.time_out("the request took longer than its total time");
    });
    total.expires_after(request.stream ? limits.stream_max : slot.config->timeouts.total);
    writer.on_gone([&attempt] { attempt.client_left(); });
    const Attempt::Outcome outcome = co_await attempt.run();
    writer.on_gone(nullptr);
    total.disarm();
    record.attempts += attempt.calls();

    if (outcome == Attempt::Outcome::kClientGone) {
      note_usage(record, attempt);
      if (attempt.delivered()) payment.settle(record.usage, "client_left");
      payment.release();
      settle_gone(record, writer);
      co_return;
    }
    observation.end(attempt, outcome == Attempt::Outcome::kDone);
    if (outcome == Attempt::Outcome::kDone) {
      if (!record.fallback_path.empty()) note_attempt(record, slot, *target, "ok");
      settle_ok(record, attempt);
      payment.settle(record.usage, attempt.exhausted() ? "balance_exhausted" : "completed");
      if (payment.must_wait()) co_await payment.durable();
      if (request.rare != nullptr && request.rare->job != nullptr) co_return;
      if (request.stream) writer.end_stream(record.usage);
      const bool listening = co_await writer.flush();
      if (!listening) settle_gone(record, writer);
      co_return;
    }

    last = attempt.fault();
    note_attempt(record, slot, *target, class_name(last.cls));
    if (writer.committed()) {
      note_usage(record, attempt);
      payment.settle(record.usage, class_name(last.cls));
      break;
    }
    payment.attempt_failed(last, attempt.usage());
    writer.discard();
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

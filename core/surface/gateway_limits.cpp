// Gateway's part that has to do with limits: of keys, accounts, plans and features, and of the
// gateway itself.
#include <spdlog/spdlog.h>

#include "core/account/plan_table.hpp"
#include "core/base/clock.hpp"
#include "core/exchange/quantities.hpp"
#include "core/net/await.hpp"
#include "core/net/offload.hpp"
#include "core/observe/log.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/overload.hpp"
#include "core/surface/rate_headers.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {
namespace {

using account::LimitedRequest;
using account::LimitSubject;
using net::Task;
using Outcome = LimitedRequest::Outcome;

// Who waits looks again this often: what ends in another process wakes nobody here.
constexpr std::chrono::milliseconds kLookAgain{100};
// A slot that was made is another's again only after a minute: more tries than this are a fault.
constexpr unsigned kPrepareMax = 4;
constexpr std::uint32_t kShedRetryMs = 1000;

std::int64_t started_s(const observe::Record& record) {
  return static_cast<std::int64_t>(record.start_unix_ns / 1'000'000'000u);
}

exchange::Failure unavailable() {
  exchange::Failure failure;
  failure.status = 503;
  failure.code = "limits_unavailable";
  failure.message = "The gateway can't count what limits are on right now; try again later.";
  failure.retry_after_ms = kShedRetryMs;
  return failure;
}

// Wakes one request that waits for its turn. Outlived by what wakes it.
struct Turn {
  explicit Turn(net::Loop& loop) : timer(loop.executor()) {}
  Task<> wait(std::chrono::steady_clock::time_point until) {
    timer.expires_at(until);
    if (!come) co_await timer.async_wait(net::kAwait);
    come = false;
  }
  void wake() {
    come = true;
    timer.cancel();
  }
  net::Timer timer;
  bool come = false;
};

}  // namespace

// Most are not, and pay for nothing but this.
bool Gateway::is_limited(const Call& call, const exchange::Request& request) const {
  if (limits_ == nullptr) return false;
  const config::Feature* const policy = request.route->policy;
  if (policy != nullptr && policy->limits.any()) return true;
  if (call.key != nullptr &&
      (call.key->limits || call.snapshot().config->limits.default_key.any())) {
    return true;
  }
  for (const account::Account* each = request.account; each != nullptr; each = each->parent.get()) {
    if (each->limits.any() || rights_of(call, *each) != nullptr) return true;
  }
  return false;
}

const account::PlanRights* Gateway::rights_of(const Call& call, const account::Account& account) {
  return call.published.plans ? call.published.plans->find(account.id) : nullptr;
}

// What bounds this request beside the rights of its key. The failure: no plan lets it ask that.
std::optional<exchange::Failure> Gateway::find_limits(const Call& call,
                                                      const exchange::Request& request,
                                                      std::vector<LimitSubject>& subjects) {
  const std::int64_t now_s = started_s(*call.record);
  const auto add = [&](std::string name, std::string words, const config::RateLimits& limits,
                       const std::string& zone) {
    if (!limits.any()) return;
    const auto& dates = calendar_.at(zone, now_s);
    subjects.push_back({std::move(name), std::move(words), limits, dates.day, dates.month, 0});
  };
  if (const config::Feature* const policy = request.route->policy) {
    // Everybody's together, so by no account's clock.
    add("route:" + policy->name,
        (request.route->feature.empty() ? "the model '" : "'") + policy->name + "'", policy->limits,
        "UTC");
  }
  const account::Account* const own = request.account;
  if (call.key != nullptr) {
    const config::RateLimits& usual = call.snapshot().config->limits.default_key;
    add("key:" + call.key->id, "this API key",
        call.key->limits ? call.key->limits->or_else(usual) : usual, own->zone);
  }
  for (const account::Account* each = own; each != nullptr; each = each->parent.get()) {
    const account::PlanRights* const rights = rights_of(call, *each);
    const std::string words = each == own ? "this account" : "the account '" + each->name + "'";
    add("account:" + each->id, words,
        rights == nullptr ? each->limits : each->limits.least(rights->limits()), each->zone);
    if (rights == nullptr) continue;
    const std::string& model = request.route->name;
    if (!rights->may_use(model)) {
      return bad_request(403, "model_not_in_plan",
                         "The plan of " + words + " does not have the model '" + model + "'.",
                         "model");
    }
    auto unpaid = add_quota(*rights, model, words, subjects);
    if (unpaid) return unpaid;
  }
  return std::nullopt;
}

// Of several plans that have the model, one with room.
std::optional<exchange::Failure> Gateway::add_quota(const account::PlanRights& rights,
                                                    const std::string& model,
                                                    const std::string& words,
                                                    std::vector<LimitSubject>& subjects) const {
  const auto quotas = rights.quotas_of(model);
  const account::PlanRights::Quota* chosen = nullptr;
  for (const auto* quota : quotas) {
    if (!quota->paid) continue;
    const bool room =
        limits_->tokens_counted(quota->name, quota->period.start_unix_s) < quota->tokens;
    if (chosen == nullptr || room) chosen = quota;
    if (room) break;
  }
  if (chosen != nullptr) {
    LimitSubject subject;
    subject.name = chosen->name;
    subject.words = "the plan '" + chosen->plan + "' of " + words;
    subject.day = chosen->period;
    subject.quota_tokens = chosen->tokens;
    subjects.push_back(std::move(subject));
  }
  if (quotas.empty() || chosen != nullptr) return std::nullopt;
  exchange::Failure failure;
  failure.status = 429;
  failure.type = failure.code = "insufficient_quota";
  failure.message = "The plan '" + quotas.front()->plan + "' of " + words +
                    " is not paid for this period; it is once there is money for it.";
  return failure;
}

// Where is_limited(): takes its part of each limit, and waits its turn where too many run. False:
// it was answered.
Task<bool> Gateway::take_limits(Call& call, exchange::Request& request) {
  std::vector<LimitSubject> subjects;
  auto refused = find_limits(call, request, subjects);
  if (refused) {
    co_await refuse(call, std::move(*refused));
    co_return false;
  }
  if (subjects.empty()) co_return true;
  const std::uint64_t tokens = tokens_for(request, subjects);
  call.limited = std::make_unique<LimitedRequest>(*limits_, std::move(subjects), tokens);
  request.limited = call.limited.get();
  const Outcome outcome = co_await wait_for_turn(call);
  if (call.http.client_gone()) {
    call.record->status = 499;
    call.record->final_status = observe::FinalStatus::kClientLeft;
    co_return false;
  }
  const std::string_view dialect = call.surface == nullptr ? "openai" : call.surface->dialect();
  call.headers += rate_headers(call.limited->standing(), dialect, unix_ns());
  if (outcome == Outcome::kAdmitted) co_return true;
  if (outcome == Outcome::kUnprepared) {
    co_await refuse(call, unavailable());
    co_return false;
  }
  const account::LimitRefusal& refusal = call.limited->refusal();
  // An SDK that tries again would be refused again.
  if (is_lasting(refusal)) call.headers += "x-should-retry: false\r\n";
  auto failure = rate_failure(refusal, started_s(*call.record));
  co_await refuse(call, std::move(failure));
  co_return false;
}

// Where the request does not say how long its answer may be, a limit lower than what is assumed
// does not keep it from running.
std::uint64_t Gateway::tokens_for(const exchange::Request& request,
                                  const std::vector<LimitSubject>& subjects) {
  const exchange::TokensAsked asked = exchange::tokens_asked(request);
  if (asked.limited) return asked.prompt + asked.answer;
  std::uint64_t tokens = asked.prompt + asked.answer;
  for (const LimitSubject& subject : subjects) {
    if (subject.limits.tpm > 0) tokens = std::min(tokens, subject.limits.tpm);
  }
  return std::max(tokens, asked.prompt);
}

// Until it is admitted or refused, or the queue's time is over: then it is still kBusy.
// kUnprepared: what is counted can't be read.
Task<Outcome> Gateway::wait_for_turn(Call& call) {
  LimitedRequest& limited = *call.limited;
  const auto deadline =
      std::chrono::steady_clock::now() + call.snapshot().config->limits.queue_timeout;
  std::shared_ptr<Turn> turn;
  std::unique_ptr<account::LimitQueues::Place> place;
  for (unsigned prepared = 0;;) {
    const Outcome outcome = limited.attempt(mono_ns(), place.get());
    if (outcome == Outcome::kUnprepared) {
      if (prepared++ == kPrepareMax) co_return outcome;
      const bool ready = co_await prepare_limits(limited);
      if (!ready) co_return outcome;
      continue;
    }
    const auto now = std::chrono::steady_clock::now();
    if (outcome != Outcome::kBusy || now >= deadline || call.http.client_gone()) co_return outcome;
    if (!place) {
      turn = std::make_shared<Turn>(context_.loop);
      place = enter_queue(limited.busy(), turn);
      if (!place) co_return outcome;
      continue;  // one may have ended before it was in the queue
    }
    call.http.on_client_gone([turn] { turn->wake(); });
    co_await turn->wait(std::min(deadline, now + kLookAgain));
    call.http.on_client_gone(nullptr);
  }
}

std::unique_ptr<account::LimitQueues::Place> Gateway::enter_queue(
    const account::LimitSlot& slot, const std::shared_ptr<void>& turn) {
  // What ends on another loop knows of this one only where to say so.
  auto wake = [&loop = context_.loop, waiting = std::weak_ptr(turn)] {
    net::asio::post(loop.context(), [waiting] {
      if (const auto alive = waiting.lock()) static_cast<Turn*>(alive.get())->wake();
    });
  };
  return limits_->queues().enter(slot, std::move(wake));
}

Task<bool> Gateway::prepare_limits(LimitedRequest& limited) {
  Result<void> ready;
  auto prepare = [&] { ready = limited.prepare(mono_ns()); };
  co_await net::offload(compute_, std::move(prepare));
  if (!ready) spdlog::error("limits_not_read reason={}", observe::quote(ready.error().message));
  co_return ready.has_value();
}

// The key's; that of the feature where it is lower and known before the body.
config::Priority Gateway::priority_of(const Call& call) {
  const config::Priority own = call.key == nullptr ? config::Priority::kNormal : call.key->priority;
  if (!call.names_feature()) return own;
  const routing::Route route = call.snapshot().routes->resolve(call.name_asked({}));
  return route.policy == nullptr ? own : std::min(own, route.policy->priority);
}

// Before the body is read: whether the gateway has more to do than it can.
std::optional<exchange::Failure> Gateway::shed(Call& call) {
  // Who comes first is looked at only where the last would be turned away.
  if (overload_ == nullptr || !overload_->refuses(config::Priority::kLow)) return std::nullopt;
  const auto reason = overload_->refuses(priority_of(call));
  if (!reason) return std::nullopt;
  auto& count = context_.metrics.shed[static_cast<std::size_t>(*reason)];
  count.fetch_add(1, std::memory_order_relaxed);
  exchange::Failure failure;
  failure.status = 503;
  failure.type = "server_error";
  failure.code = "overloaded";
  failure.message = "The gateway has more to do than it can (" + std::string(to_text(*reason)) +
                    "); try again later.";
  // Not all at the same time.
  failure.retry_after_ms = kShedRetryMs + static_cast<std::uint32_t>(id_state_[0] & 1023);
  return failure;
}

}  // namespace switchyard::surface

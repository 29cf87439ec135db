#include "core/exchange/race.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "core/base/clock.hpp"
#include "core/exchange/payment.hpp"
#include "core/exchange/quantities.hpp"
#include "core/net/await.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard::exchange {
namespace {

// What a second attempt may say before its content; as much as a client's writer holds back.
constexpr std::size_t kHeldMax = 64 * 1024;

}  // namespace

const config::HedgePolicy* hedge_policy(const Request& request) {
  const config::Feature* const feature = policy_of(request);
  if (feature == nullptr || feature->attempts.hedge.percent == 0) return nullptr;
  // Several answers may take a call each already.
  const bool plain = request.stream && request.session == nullptr && request.rare == nullptr &&
                     answers_asked(request) == 1;
  return plain && makes_text(request.task) ? &feature->attempts.hedge : nullptr;
}

// ---- what an attempt writes ----

void Race::Writer::native(bool on) {
  native_ = on;
  if (straight_ && !lost_) race_.writer_.native(on);
}

void Race::Writer::delta(std::string_view json, bool content) {
  if (lost_) return;
  if (!straight_ && !content) {
    held_.push_back({std::string(json), native_});
    held_bytes_ += json.size();
    if (held_bytes_ <= kHeldMax) return;
    return race_.won(race_.second_);
  }
  if (content && !won_) race_.won(straight_ ? race_.first_ : race_.second_);
  race_.writer_.delta(json, content);
  // One that says very much before its content is let through.
  if (!won_ && race_.writer_.committed()) race_.won(race_.first_);
}

void Race::Writer::dropped(std::string_view pointers) {
  if (straight_ && !lost_) return race_.writer_.dropped(pointers);
  dropped_ = pointers;
}

// A stream has no such answer, and an attempt refuses it.
void Race::Writer::whole(std::string_view) {}

net::Task<bool> Race::Writer::flush() {
  if (!won_) co_return !gone();
  const bool listening = co_await race_.writer_.flush();
  co_return listening;
}

void Race::Writer::win() {
  won_ = true;
  if (straight_) return;
  straight_ = true;
  ClientWriter& client = race_.writer_;
  client.discard();
  if (!dropped_.empty()) client.dropped(dropped_);
  for (const Piece& piece : held_) {
    client.native(piece.native);
    client.delta(piece.json, false);
  }
  held_.clear();
  client.native(native_);
}

// ---- the race ----

Race::Race(LoopContext& context, const Snapshot& snapshot, const Request& request,
           const config::HedgePolicy& policy, routing::Attempts& attempts, ClientWriter& writer,
           Payment& payment)
    : context_(context),
      snapshot_(snapshot),
      request_(request),
      policy_(policy),
      attempts_(attempts),
      writer_(writer),
      payment_(payment),
      timer_(context.loop.executor()),
      first_(*this, true),
      second_(*this, false) {}

net::Task<Attempt::Outcome> Race::run(Made& made) {
  first_.made = made;
  const std::uint64_t now_ns = mono_ns();
  const auto slow_ns = attempts_.slow_after_ns(now_ns);
  start(first_);
  if (slow_ns) {
    const std::chrono::nanoseconds wait(*slow_ns);
    timer_.expires_after(std::max<std::chrono::nanoseconds>(wait, policy_.after_min));
    if (first_.running) co_await timer_.async_wait(net::kAwait);
    if (may_hedge()) hedge();
  }
  timer_.expires_at(net::Timer::time_point::max());
  while (first_.running || second_.running) co_await timer_.async_wait(net::kAwait);
  if (thrown_) std::rethrow_exception(thrown_);

  Side& stands = dismissed_ == &first_ ? second_ : first_;
  if (&stands == &second_) take_over_record();
  made = stands.made;
  co_return stands.outcome;
}

void Race::time_out(const char* what) {
  for (Side* const side : {&first_, &second_}) {
    if (side->running) side->made.attempt->time_out(what);
  }
}

void Race::start(Side& side) {
  side.running = true;
  side.begun_ns = mono_ns();
  net::asio::co_spawn(context_.loop.context(), side.made.attempt->run(),
                      [this, &side](std::exception_ptr fault, Attempt::Outcome outcome) {
                        if (fault) thrown_ = fault;
                        side.outcome = outcome;
                        ended(side);
                      });
}

void Race::ended(Side& side) {
  side.running = false;
  Side& others = other(side);
  if (thrown_ && others.running) others.made.attempt->outrun();
  const bool others_decide = others.running && !others.writer.lost() && winner_ != &side;
  if (!thrown_ && (side.writer.lost() || others_decide)) dismiss(side);
  timer_.cancel();
}

bool Race::may_hedge() const {
  return first_.running && winner_ == nullptr && !writer_.gone() && !thrown_;
}

void Race::hedge() {
  const std::vector<routing::Target>& targets = request_.route->targets;
  const auto cost = [&](std::uint32_t target) {
    return payment_.cost_percent(targets[target], *first_.made.target).value_or(100);
  };
  const std::uint64_t now_ns = mono_ns();
  const auto step = attempts_.hedge(policy_.percent, cost, now_ns);
  if (!step) return;
  const routing::Target& target = targets[step->target];
  const bool unpaid = payment_.reserve(target).has_value();
  payment_.stand_for(*first_.made.target);
  if (unpaid) {
    routing::Outcome never;
    never.left = true;
    return attempts_.hedge_done(never, now_ns);
  }
  const observe::Record& record = *request_.record;
  beside_record_.id = record.id;
  beside_record_.model_asked = record.model_asked;
  beside_record_.start_unix_ns = record.start_unix_ns;
  beside_ = request_;
  beside_.record = &beside_record_;
  attempt_.emplace(context_, snapshot_, beside_, target, step->credential, attempts_.hedge_lane(),
                   second_.writer, payment_);
  observation_.emplace(beside_, target, routing::has_choice(*request_.route), now_ns);
  second_.made = {&target, step->credential, &*attempt_, &*observation_};
  writer_.on_gone([this] { client_left(); });
  start(second_);
}

// Before anything of it is written.
void Race::won(Side& side) {
  if (winner_ != nullptr) return;
  winner_ = &side;
  give_up(other(side));
  if (&side == &second_) {
    payment_.stand_for(*side.made.target);
    writer_.served_by(snapshot_.providers[side.made.target->provider].config->id,
                      side.made.target->model);
    if (request_.explain) {
      writer_.explained(explanation(request_, snapshot_, *side.made.target));
    }
  }
  side.writer.win();
}

void Race::give_up(Side& side) {
  if (!side.running) return;
  side.writer.lose();
  side.made.attempt->outrun();
  // Here, for the winner may settle before this one has come to its end.
  if (!side.made.attempt->sent()) return;
  payment_.attempt_outrun(*side.made.target, side.made.attempt->usage());
}

// One of them is left as it would be alone, to be read to its end where the provider wants that.
void Race::client_left() {
  Side& stays = winner_ != nullptr ? *winner_ : first_.running ? first_ : second_;
  if (stays.running) stays.made.attempt->client_left();
  give_up(other(stays));
}

void Race::dismiss(Side& side) {
  dismissed_ = &side;
  const std::uint64_t now_ns = mono_ns();
  const Made& made = side.made;
  const bool outrun = side.writer.lost();
  const bool failed = !outrun && side.outcome == Attempt::Outcome::kFailed;
  const bool hurried = request_.deadline_ns != 0 && now_ns >= request_.deadline_ns;
  routing::Outcome outcome =
      made.observation->end(*made.attempt, false, !failed || hurried, now_ns);
  // Of a second attempt that was quick to lose nothing is known.
  if (outrun && &side == &first_) {
    outcome.outrun = true;
    outcome.ttft_us = static_cast<std::uint32_t>(
        std::min<std::uint64_t>((now_ns - side.begun_ns) / 1000, UINT32_MAX));
  }
  if (&side == &first_) {
    attempts_.hedge_stands(outcome, now_ns);
  } else {
    attempts_.hedge_done(outcome, now_ns);
  }
  observe::Record& record = *request_.record;
  record.attempts += made.attempt->calls();
  const AttemptFault& fault = made.attempt->fault();
  if (failed) payment_.attempt_failed(*made.target, fault, made.attempt->usage());
  // One whose client left is not told of, as where it is the only one.
  const char* const told = outrun ? "outrun" : failed ? class_name(fault.cls) : nullptr;
  if (told == nullptr) return;
  note_made(record, snapshot_, made, told);
}

// What the second attempt noted is the request's now.
void Race::take_over_record() const {
  observe::Record& record = *request_.record;
  const ProviderSlot& slot = snapshot_.providers[second_.made.target->provider];
  record.provider = slot.config->id;
  record.provider_family = slot.config->family;
  record.model_used = second_.made.target->model;
  record.sent_ns = beside_record_.sent_ns;
  record.head_ns = beside_record_.head_ns;
  record.first_ns = beside_record_.first_ns;
  record.upstream_ns += beside_record_.upstream_ns;
  record.dropped = beside_record_.dropped;
  record.finish_reason = beside_record_.finish_reason;
  record.error_code = beside_record_.error_code;
}

}  // namespace switchyard::exchange

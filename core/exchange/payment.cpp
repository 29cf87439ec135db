#include "core/exchange/payment.hpp"

#include <spdlog/spdlog.h>

#include "core/account/limits.hpp"
#include "core/base/clock.hpp"
#include "core/net/offload.hpp"
#include "core/net/signal.hpp"
#include "core/observe/log.hpp"

namespace switchyard::exchange {
namespace {

using catalog::Meter;

// What a stream holds ahead of what it has brought, and an answer of unknown length as a whole,
// where the request sets no limit.
constexpr std::uint64_t kSliceTokens = 1024, kWholeTokens = 4096;
// A request that dies with its process is released at its deadline.
constexpr std::uint64_t kDeadlineNs = 3'600'000'000'000;

AttemptFault unpaid(const char* code, std::string message) {
  AttemptFault fault;
  fault.cls = SWY_CLS_QUOTA;
  fault.code = code;
  fault.unpaid = true;
  fault.message = std::move(message);
  return fault;
}

AttemptFault to_fault(const account::Refused& refused) {
  switch (refused.why) {
    case account::Refused::Why::kBalance:
      return unpaid("insufficient_quota",
                    "The balance of this account does not cover the request; top it up, or ask for "
                    "less (max_tokens).");
    case account::Refused::Why::kBudget:
      return unpaid("budget_exceeded",
                    "A budget that this request counts to is used up; it starts anew with its next "
                    "period.");
    default:
      AttemptFault fault = unpaid("ledger_unavailable",
                                  "The gateway can't write down what requests cost right now; try "
                                  "again later.");
      fault.cls = SWY_CLS_PLUGIN;
      return fault;
  }
}

Nano limit_of(const account::Account& payer) {
  switch (payer.mode) {
    case store::AccountMode::kPrepaid:
      return 0;
    case store::AccountMode::kPostpaid:
      return -payer.credit_limit_nano;
    default:
      return account::CellRef::kNoLimit;
  }
}

}  // namespace

Payment::Payment(const LoopContext& context, const Snapshot& snapshot, const Request& request)
    : context_(context), snapshot_(snapshot), request_(request) {
  if (context.ledger == nullptr || request.account == nullptr) return;
  payer_ = &request.account->payer();
  prompt_bound_ = prompt_bound(request);
  if (!find_cells()) cell_count_ = 0;
}

bool Payment::find_cells() {
  const account::Ledger& books = *context_.books;
  const auto own = books.find_account_cell(payer_->id, payer_->currency, limit_of(*payer_));
  if (!own) return false;
  cells_[0] = *own;
  cell_count_ = 1;
  if (request_.budgets == nullptr) return true;
  const observe::Record& record = *request_.record;
  const auto now_s = static_cast<std::int64_t>(record.start_unix_ns / 1'000'000'000u);
  bool complete = true;
  const account::Spender spender{payer_->id, record.key_id, record.feature, request_.route->name};
  request_.budgets->find(spender, [&](const account::Budget& budget) {
    if (!budget.hard || budget.currency != payer_->currency) return;
    const auto cell =
        cell_count_ < cells_.size()
            ? books.find_budget_cell(budget.cell_name(budget.period_at(now_s)), -budget.amount)
            : std::nullopt;
    complete = complete && cell.has_value();
    if (cell) cells_[cell_count_++] = *cell;
  });
  return complete;
}

net::Task<> Payment::prepare() {
  auto make = [this] {
    (void)context_.books->account_cell(payer_->id, payer_->currency, 0).has_value();
  };
  if (context_.compute == nullptr) {
    make();
  } else {
    co_await net::offload(*context_.compute, std::move(make));
  }
  if (!find_cells()) cell_count_ = 0;
}

bool Payment::metered() const {
  return payer_->mode != store::AccountMode::kUnmetered || cell_count_ > 1;
}

std::optional<catalog::Exchanged> Payment::in_own_currency(Nano amount,
                                                           std::string_view currency) const {
  return request_.prices->fx->exchange(amount, currency, payer_->currency);
}

catalog::Sold Payment::sold(const routing::Target& target) const {
  const config::Provider& provider = *snapshot_.providers[target.provider].config;
  return {provider.id, provider.family, target.model};
}

// As it was served, or where nobody says so as it was asked for.
catalog::PriceContext Payment::price_context(std::uint64_t prompt_tokens,
                                             const observe::Usage* usage) const {
  catalog::PriceContext context;
  context.unix_ns = request_.record->start_unix_ns;
  context.prompt_tokens = prompt_tokens;
  const bool served = usage != nullptr && !usage->service_tier.empty();
  context.service_tier = served ? usage->service_tier : text_member(request_, "service_tier");
  return context;
}

// The begin of an answer that is gone on with is a part of the prompt.
PromptBound Payment::prompt_most() const {
  return {prompt_bound_.tokens + (begin_ ? begin_->text_bytes / 2 : 0), prompt_bound_.sound};
}

catalog::Quantities Payment::most(std::uint64_t tokens_out) const {
  catalog::Quantities most = upper_bounds(request_, prompt_most(), tokens_out);
  for (const Meter each : {Meter::kInput, Meter::kAudioIn, Meter::kCall}) at(most, each) *= calls_;
  return most;
}

std::optional<Nano> Payment::worst_case(const routing::Target& target,
                                        std::uint64_t tokens_out) const {
  const std::uint64_t prompt = prompt_most().tokens;
  for (const Count& each : counts_of(request_, most(tokens_out))) {
    if (const auto bound = bound_of(target, each.quantities, prompt)) return bound;
  }
  return std::nullopt;
}

std::optional<Nano> Payment::bound_of(const routing::Target& target,
                                      const catalog::Quantities& most, std::uint64_t prompt) const {
  catalog::PriceContext context = price_context(prompt, nullptr);
  const auto worst = [&] {
    return request_.prices->book->worst_sale(request_.route->name, sold(target),
                                             request_.account->markup_ppm, most, context);
  };
  auto bound = worst();
  if (!bound) return std::nullopt;
  if (!context.service_tier.empty()) {  // which may not be the one that serves
    context.service_tier = {};
    const auto plain = worst();
    if (plain) bound->amount = std::max(bound->amount, plain->amount);
  }
  const auto exchanged = in_own_currency(bound->amount, bound->currency);
  return exchanged ? std::optional<Nano>(exchanged->amount) : std::nullopt;
}

std::optional<AttemptFault> Payment::reserve(const routing::Target& target, std::uint64_t calls) {
  calls_ = calls;
  parts_.clear();
  if (payer_ == nullptr) return std::nullopt;
  target_ = &target;
  // Then it doesn't matter what the request may come to.
  if (!metered() && snapshot_.config->unpriced_allowed) return take(0);
  const std::uint64_t limit = tokens_max(request_);
  const std::uint64_t each = limit > 0 ? limit : request_.stream ? kSliceTokens : kWholeTokens;
  const auto amount = worst_case(target, each);
  // The answer of an unmetered account is never too long.
  tokens_held_ = metered() ? of_all_answers(request_, each) / calls_ : UINT64_MAX;
  if (!amount && (metered() || !snapshot_.config->unpriced_allowed)) {
    return unpriced(target);
  }
  return take(metered() ? *amount : 0);
}

// Of the ways that it may be sold in, the one that the list lacks least for.
std::vector<Meter> Payment::lacking(const routing::Target& target) const {
  std::optional<std::vector<Meter>> fewest;
  const catalog::PriceContext context = price_context(prompt_most().tokens, nullptr);
  for (const Count& each : counts_of(request_, most(tokens_max(request_)))) {
    auto these = request_.prices->book->unpriced(request_.route->name, sold(target),
                                                 each.quantities, context);
    if (!fewest || these.size() <= fewest->size()) fewest = std::move(these);
  }
  return *fewest;
}

AttemptFault Payment::unpriced(const routing::Target& target) const {
  std::string missing;
  for (const Meter each : lacking(target)) {
    missing += missing.empty() ? " for " : ", ";
    missing += to_string(each);
  }
  return unpaid("model_unpriced", "The model '" + request_.route->name + "' has no price" +
                                      missing +
                                      ", so nobody can be charged for it; the gateway's operator "
                                      "imports one.");
}

// All that is held is `amount` afterwards, beside the begin's charge, or more where it was more.
std::optional<AttemptFault> Payment::take(Nano amount) {
  if (begin_) amount = add_nano(amount, begin_->charge).value_or(amount);
  if (!hold_) {
    if (cell_count_ == 0) return to_fault({account::Refused::Why::kJournal});
    account::HoldNote note;
    note.request_id = request_.record->id;
    note.account = payer_->id;
    note.key = request_.record->key_id;
    note.deadline_unix_ns = request_.record->start_unix_ns + kDeadlineNs;
    auto held = context_.ledger->hold({cells_.data(), cell_count_}, amount, note);
    if (!held) return to_fault(held.error());
    hold_ = std::move(*held);
    return std::nullopt;
  }
  if (amount <= hold_.amount()) return std::nullopt;
  const auto extended = context_.ledger->extend(hold_, amount - hold_.amount());
  if (!extended) return to_fault(extended.error());
  return std::nullopt;
}

bool Payment::covers(const observe::Usage& so_far) {
  if (payer_ == nullptr || !metered()) return true;
  const catalog::Quantities most = ahead_of(request_, so_far);
  const auto amount = bound_of(*target_, most, prompt_tokens(most));
  return amount && !take(*amount);
}

bool Payment::extend(std::uint64_t tokens_out) {
  if (payer_ == nullptr) return true;
  const std::uint64_t answers = of_all_answers(request_, 1);
  const std::uint64_t each = tokens_out * calls_ / answers + kSliceTokens;
  const auto amount = worst_case(*target_, each);
  if (!amount || take(*amount)) return false;
  tokens_held_ = of_all_answers(request_, each) / calls_;
  return true;
}

void Payment::add_cost(const routing::Target& target, const observe::Usage& usage, bool used,
                       const char* outcome) {
  const catalog::Sold model = sold(target);
  Cost cost;
  cost.provider = model.provider;
  cost.model = model.model;
  cost.outcome = outcome;
  cost.estimated = used && !usage.reported;
  const Counts counts = used ? counts_of(request_, usage) : Counts::none();
  for (const Count& each : counts) {
    const auto rated = request_.prices->book->rate(
        model, each.quantities, price_context(prompt_tokens(each.quantities), &usage));
    if (!rated) continue;
    cost.amount = rated->total;
    cost.currency = rated->currency;
    cost.price_version = rated->version;
    cost.estimated = cost.estimated || each.estimated;
    break;
  }
  costs_.push_back(std::move(cost));
}

Count Payment::sold_as(const routing::Target& target, const observe::Usage& usage) const {
  const Counts counts = counts_of(request_, usage);
  for (const Count& each : counts) {
    const catalog::PriceContext context = price_context(prompt_tokens(each.quantities), &usage);
    if (counts.size() == 1 || rate_sale(target, each.quantities, context)) return each;
  }
  return counts.front();
}

std::optional<catalog::Rated> Payment::rate_sale(const routing::Target& target,
                                                 const catalog::Quantities& quantities,
                                                 const catalog::PriceContext& context) const {
  return request_.prices->book->rate_sale(request_.route->name, sold(target),
                                          request_.account->markup_ppm, quantities, context);
}

void Payment::keep_begin(const observe::Usage& usage, const char* outcome,
                         std::uint64_t text_bytes) {
  if (!hold_) return;
  account::Settlement unused;
  const auto charge = charge_of(*target_, usage, billed(request_, usage), unused);
  begin_ = Begin{target_, usage, outcome, text_bytes, metered() ? charge.value_or(0) : 0};
}

void Payment::attempt_failed(const routing::Target& target, const AttemptFault& fault,
                             const observe::Usage& usage) {
  if (payer_ == nullptr || !fault.sent) return;
  // Upstreams bill for what they answered, not for what they refused.
  for (const observe::Usage& part : parts_of(usage)) {
    add_cost(target, part, part.reported || part.tok_out > 0, class_name(fault.cls));
  }
}

void Payment::attempt_outrun(const routing::Target& target, const observe::Usage& usage) {
  if (payer_ != nullptr) add_cost(target, usage, true, "outrun");
}

std::optional<catalog::Rated> Payment::guessed_cost(const routing::Target& target) const {
  const TokensAsked asked = tokens_asked(request_);
  catalog::Quantities guess{};
  at(guess, Meter::kInput) = asked.prompt;
  at(guess, Meter::kOutput) = asked.answer;
  at(guess, Meter::kCall) = 1;
  return request_.prices->book->rate(sold(target), guess, price_context(asked.prompt, nullptr));
}

std::optional<std::uint32_t> Payment::cost_percent(const routing::Target& target,
                                                   const routing::Target& other) const {
  if (payer_ == nullptr) return std::nullopt;
  const auto one = guessed_cost(target), two = guessed_cost(other);
  if (!one || !two || one->total < 0 || two->total <= 0) return std::nullopt;
  const auto here = request_.prices->fx->exchange(one->total, one->currency, two->currency);
  if (!here) return std::nullopt;
  const double percent =
      100.0 * static_cast<double>(here->amount) / static_cast<double>(two->total);
  return static_cast<std::uint32_t>(std::clamp(percent, 100.0, 1e9));
}

// Else a tool whose price the list lacks would make everything beside it free.
std::optional<catalog::Rated> Payment::rate_priced(const routing::Target& target,
                                                   const catalog::Quantities& quantities,
                                                   const catalog::PriceContext& context) const {
  auto rated = rate_sale(target, quantities, context);
  if (rated || !metered()) return rated;
  const std::string& asked = request_.route->name;
  if (!context.service_tier.empty()) {
    catalog::PriceContext plain = context;
    plain.service_tier = {};
    spdlog::error("tier_unpriced request={} model={} tier={}", request_.record->id, asked,
                  observe::quote(context.service_tier));
    return rate_priced(target, quantities, plain);
  }
  catalog::Quantities priced = quantities;
  for (const Meter each :
       request_.prices->book->unpriced(asked, sold(target), quantities, context)) {
    spdlog::error("usage_unpriced request={} model={} meter={} quantity={}", request_.record->id,
                  asked, to_string(each), at(quantities, each));
    // Sound that has no price of its own is read as text is.
    if (each == Meter::kAudioIn) at(priced, Meter::kInput) += at(priced, each);
    if (each == Meter::kCachedAudioIn) at(priced, Meter::kCachedInput) += at(priced, each);
    at(priced, each) = 0;
  }
  return rate_sale(target, priced, context);
}

std::optional<Nano> Payment::charge_of(const routing::Target& target, const observe::Usage& usage,
                                       const catalog::Quantities& quantities,
                                       account::Settlement& settlement) {
  catalog::PriceContext context = price_context(prompt_tokens(quantities), &usage);
  auto rated = rate_priced(target, quantities, context);
  // Who asked for a tier and is told of none may have got another one.
  if (rated && usage.service_tier.empty() && !context.service_tier.empty()) {
    context.service_tier = {};
    auto plain = rate_priced(target, quantities, context);
    if (plain && plain->total > rated->total) rated = std::move(plain);
  }
  if (!rated) return std::nullopt;
  price_version_ = std::move(rated->version);
  settlement.price_version = price_version_;
  settlement.currency = payer_->currency;
  if (rated->currency == payer_->currency) return rated->total;
  const Nano before = settlement.exchanged ? settlement.exchanged->amount : 0;
  auto exchanged = in_own_currency(rated->total, rated->currency);
  if (!exchanged) return std::nullopt;
  price_currency_ = rated->currency;
  rate_version_ = std::move(exchanged->version);
  settlement.exchanged = {price_currency_, before + rated->total, rate_version_};
  return exchanged->amount;
}

void Payment::fill_names(account::Settlement& settlement, const char* ended) const {
  const observe::Record& record = *request_.record;
  settlement.feature = record.feature;
  settlement.task = record.task;
  settlement.model_asked = record.model_asked;
  settlement.model_used = record.model_used;
  settlement.provider = record.provider;
  settlement.started_unix_ns = record.start_unix_ns;
  settlement.ended = ended;
}

std::vector<account::CostLine> Payment::cost_lines() const {
  std::vector<account::CostLine> lines;
  for (const Cost& cost : costs_) {
    lines.push_back({cost.provider, cost.model, cost.currency, cost.amount, cost.price_version,
                     cost.outcome, cost.estimated});
  }
  return lines;
}

// The sum, where every attempt's is known and they are of one currency.
void Payment::note_costs(observe::Record& record) const {
  Nano total = 0;
  for (const Cost& cost : costs_) {
    if (!cost.amount || cost.currency != costs_.front().currency) return;
    const auto sum = add_nano(total, *cost.amount);
    if (!sum) return;
    total = *sum;
  }
  if (costs_.empty()) return;
  record.cost_nano = total;
  record.cost_currency = costs_.front().currency;
}

void Payment::add_part(const routing::Target& target, const observe::Usage& part, const char* ended,
                       account::Settlement& settlement, catalog::Quantities& quantities) {
  add_cost(target, part, true, ended);
  const Count used = sold_as(target, part);
  settlement.estimated = settlement.estimated || used.estimated;
  for (std::size_t i = 0; i < quantities.size(); ++i) quantities[i] += used.quantities[i];
  const auto charge = charge_of(target, part, used.quantities, settlement);
  if (settlement.charge && charge) settlement.charge = add_nano(*settlement.charge, *charge);
  if (!charge) settlement.charge.reset();
}

void Payment::settle(const observe::Usage& usage, const char* ended) {
  if (request_.limited != nullptr)
    request_.limited->settle(usage.tok_in + usage.tok_out, mono_ns());
  if (!hold_) return;
  account::Settlement settlement;
  catalog::Quantities quantities{};
  settlement.charge = 0;
  settlement.estimated = !usage.reported;
  if (begin_) add_part(*begin_->target, begin_->usage, begin_->outcome, settlement, quantities);
  const auto parts = begin_ ? std::span<const observe::Usage>(parts_) : parts_of(usage);
  for (const observe::Usage& part : parts) {
    add_part(*target_, part, ended, settlement, quantities);
  }
  settlement.quantities = quantities;
  fill_names(settlement, ended);
  const std::vector<account::CostLine> costs = cost_lines();
  settlement.costs = costs;
  const Nano charged = context_.ledger->settle(std::move(hold_), settlement);
  settled_ = true;
  observe::Record& record = *request_.record;
  if (settlement.charge) {
    record.charge_nano = charged;
    record.charge_currency = payer_->currency;
    record.price_version = price_version_;
  }
  note_costs(record);
}

void Payment::release() {
  if (!hold_) return;
  if (costs_.empty()) return context_.ledger->release(std::move(hold_), account::Released::kFailed);
  account::Settlement settlement;
  settlement.charge = 0;
  settlement.currency = payer_->currency;
  fill_names(settlement, "failed");
  const std::vector<account::CostLine> costs = cost_lines();
  settlement.costs = costs;
  context_.ledger->settle(std::move(hold_), settlement);
  settled_ = true;
  note_costs(*request_.record);
}

net::Task<> Payment::durable() {
  // The ledger's answer may come when this request is gone, or its loop.
  struct Wait {
    explicit Wait(net::Loop& loop) : done(loop) {}
    net::Signal done;
    bool is_done = false;
  };
  auto wait = std::make_shared<Wait>(context_.loop);
  context_.ledger->when_durable([weak = std::weak_ptr(wait)](bool) {
    const auto waiting = weak.lock();
    if (!waiting) return;
    waiting->is_done = true;
    waiting->done.notify();
  });
  while (!wait->is_done) co_await wait->done.wait();
  settled_ = false;
}

}  // namespace switchyard::exchange

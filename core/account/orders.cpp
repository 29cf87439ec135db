#include "core/account/orders.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <stdexcept>

#include "core/observe/log.hpp"

namespace switchyard::account {
namespace {

using store::OrderRow;

constexpr char kPending[] = "pending";
constexpr char kPaid[] = "paid";
constexpr char kApplied[] = "applied";
constexpr char kFailed[] = "failed";
constexpr char kCancelled[] = "cancelled";
constexpr char kRefunded[] = "refunded";

constexpr std::size_t kReferenceMax = 200;
constexpr std::int64_t kApplyAgainS = 5;
constexpr std::int64_t kApplyAtOnceMax = 100;
constexpr std::int64_t kCodesMax = 10'000;

// 32 letters and digits that are not taken for one another.
constexpr char kCodeDigits[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
constexpr std::size_t kCodeDigitsCount = 24;  // 120 bits

Refusal invalid(const std::string& message) { return {400, "invalid_order", message}; }
Refusal refused(const std::string& code, const std::string& message) {
  return {409, code, message};
}

bool same(const OrderRow& a, const OrderRow& b) {
  return a.account == b.account && a.kind == b.kind && a.amount == b.amount &&
         a.currency == b.currency && a.plan == b.plan && a.of_order == b.of_order;
}

std::string new_code() {
  std::array<std::uint8_t, kCodeDigitsCount> random;
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    throw std::runtime_error("openssl: RAND_bytes failed");
  }
  std::string code;
  for (std::size_t i = 0; i < random.size(); ++i) {
    if (i > 0 && i % 6 == 0) code += '-';
    code += kCodeDigits[random[i] & 31];
  }
  OPENSSL_cleanse(random.data(), random.size());
  return code;
}

// As people type it.
std::string plain_code(std::string_view typed) {
  std::string code;
  for (char c : typed) {
    if (c == '-' || c == ' ') continue;
    code += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return code;
}

}  // namespace

// ---- asked for ----

Asked<OrderRow> Orders::find(const std::string& id) {
  auto order = rows_.find(id);
  if (!order) return Refusal(order.error());
  if (!*order) return Refusal{404, "not_found", "There is no order '" + id + "'."};
  return std::move(**order);
}

Asked<Holder> Orders::holder(const std::string& account) {
  auto found = find_(account);
  if (!found) return Refusal(found.error());
  if (!*found) return Refusal{404, "not_found", "There is no account '" + account + "'."};
  return std::move(**found);
}

Asked<void> Orders::check(const OrderRow& order) {
  const auto owner = holder(order.account);
  if (!owner) return owner.error();
  if (order.provider.empty() || order.provider.size() > 64 ||
      order.provider.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") !=
          std::string::npos) {
    return invalid("provider: expected 1 to 64 characters of a-z, 0-9, '_' and '-'.");
  }
  if (order.reference.empty() || order.reference.size() > kReferenceMax) {
    return invalid("reference: expected 1 to 200 bytes.");
  }
  if (order.amount <= 0) return invalid("amount: expected more than 0.");
  if (order.currency != owner->currency) {
    return invalid("currency: the account's is " + owner->currency + ".");
  }
  return {};
}

Asked<OrderRow> Orders::insert(OrderRow order) {
  const auto added = rows_.add(order);
  if (!added) return Refusal(added.error());
  if (*added) return order;
  auto there = rows_.find_by_reference(order.provider, order.reference);
  if (!there) return Refusal(there.error());
  if (!*there || !same(**there, order)) {
    return refused("reference_used", "The provider '" + order.provider +
                                         "' has another order of the reference '" +
                                         order.reference + "'.");
  }
  return std::move(**there);
}

Asked<OrderRow> Orders::create(OrderRow order, std::int64_t now_unix_s) {
  if (order.kind != "top_up" && order.kind != "plan") {
    return invalid("kind: expected top_up or plan.");
  }
  if (order.kind == "plan") {
    const auto plan = plans_.rows().plan(order.plan);
    if (!plan) return Refusal(plan.error());
    if (!*plan || !(*plan)->offered) {
      return Refusal{404, "not_found", "There is no plan '" + order.plan + "' on offer."};
    }
    order.amount = (*plan)->price;
    order.currency = (*plan)->currency;
  } else {
    order.plan.clear();
  }
  order.of_order.clear();
  order.id = new_id("ord_");
  if (order.reference.empty()) order.reference = order.id;
  const auto fits = check(order);
  if (!fits) return fits.error();
  order.state = kPending;
  order.payment.clear();
  order.refunded = 0;
  order.created_unix_s = order.changed_unix_s = now_unix_s;
  return insert(std::move(order));
}

Asked<OrderRow> Orders::mark_paid(const std::string& id, const std::string& payment,
                                  std::int64_t now_unix_s) {
  auto order = find(id);
  if (!order) return order;
  if (order->state == kPending) {
    OrderRow paid = *order;
    paid.state = kPaid;
    paid.payment = payment;
    paid.alarm.clear();
    paid.changed_unix_s = now_unix_s;
    const auto written = rows_.update(paid, kPending);
    if (!written) return Refusal(written.error());
  } else if (order->state != kPaid && order->state != kApplied) {
    return refused("not_open", "The order is " + order->state + "; make a new one.");
  }
  return apply(id, now_unix_s);
}

Asked<OrderRow> Orders::cancel(const std::string& id, std::int64_t now_unix_s) {
  auto order = find(id);
  if (!order || order->state == kCancelled) return order;
  OrderRow cancelled = *order;
  cancelled.state = kCancelled;
  cancelled.changed_unix_s = now_unix_s;
  const auto written = rows_.update(cancelled, kPending);
  if (!written) return Refusal(written.error());
  if (*written) return cancelled;
  return refused("not_open", "The order is " + order->state + "; only a pending one is cancelled.");
}

Asked<OrderRow> Orders::refund(const std::string& id, std::int64_t amount,
                               const std::string& reference, std::int64_t now_unix_s) {
  std::optional<Refusal> no;
  std::string refund_id;
  const auto done = rows_.database().transact([&]() -> Result<void> {
    auto order = rows_.find(id);
    if (!order) return order.error();
    if (!*order) {
      no = Refusal{404, "not_found", "There is no order '" + id + "'."};
      return Error{};
    }
    OrderRow of = std::move(**order);
    OrderRow back;
    back.id = new_id("ord_");
    back.account = of.account;
    back.kind = "refund";
    back.provider = of.provider;
    back.reference = reference.empty() ? back.id : reference;
    back.amount = amount;
    back.currency = of.currency;
    back.of_order = of.id;
    back.state = kPaid;
    back.created_unix_s = back.changed_unix_s = now_unix_s;
    const auto there = rows_.find_by_reference(back.provider, back.reference);
    if (!there) return there.error();
    if (*there && same(**there, back)) {
      refund_id = (*there)->id;
      return {};
    }
    if (*there) {
      no =
          refused("reference_used", "There is another order of the reference '" + reference + "'.");
    } else if (of.state != kApplied || of.kind == "refund") {
      no = refused("not_applied", "The order is " + of.state +
                                      "; only an applied one that paid in "
                                      "is refunded.");
    } else if (amount <= 0 || amount > of.amount - of.refunded) {
      no = invalid("amount: expected more than 0 and no more than what is left of the order.");
    }
    if (no) return Error{};
    const auto added = rows_.add(back);
    if (!added) return added.error();
    of.refunded += amount;
    refund_id = back.id;
    return set_state(of, of.refunded == of.amount ? kRefunded : kApplied, now_unix_s);
  });
  if (no) return *no;
  if (!done) return Refusal(done.error());
  return apply(refund_id, now_unix_s);
}

// ---- applied ----

Result<void> Orders::set_state(OrderRow& order, const char* state, std::int64_t now_unix_s) {
  const std::string from = order.state;
  order.state = state;
  order.changed_unix_s = now_unix_s;
  const auto written = rows_.update(order, from);
  if (!written) return written.error();
  if (!*written) return Error{"order " + order.id + " was changed meanwhile"};
  return {};
}

Asked<OrderRow> Orders::apply(const std::string& id, std::int64_t now_unix_s) {
  auto order = find(id);
  if (!order || order->state != kPaid) return order;
  const auto owner = holder(order->account);
  if (!owner) return owner.error();
  Result<void> done;
  if (order->kind == "refund") {
    done = debit(*order, *owner);
  } else {
    done = credit(*order, *owner);
    if (done && order->kind == "plan") done = begin_plan(*order, now_unix_s);
  }
  if (!done) return Refusal(done.error());
  OrderRow applied = *order;
  applied.state = kApplied;
  applied.changed_unix_s = now_unix_s;
  // Where another thread was faster the transfer was there already, and so is the state.
  const auto written = rows_.update(applied, kPaid);
  if (!written) return Refusal(written.error());
  return *written ? applied : find(id);
}

Result<void> Orders::credit(const OrderRow& order, const Holder& owner) {
  Transfer transfer;
  transfer.id = order.id;
  transfer.kind = order.provider == "code" ? "redemption" : "top_up";
  transfer.note = order.provider + ":" + order.reference;
  transfer.currency = order.currency;
  transfer.entries = {{"account:" + owner.payer, order.amount},
                      {order.provider == "code" ? "house:grants" : "house:cash", -order.amount}};
  const auto moved = purse_.move(transfer);
  if (!moved) return moved.error();
  return {};
}

// Paid and credited; a plan that can't begin leaves the account the money.
Result<void> Orders::begin_plan(OrderRow& order, std::int64_t now_unix_s) {
  const auto begun =
      plans_.subscribe(order.account, order.plan, now_unix_s, "sub_" + order.id.substr(4));
  if (begun) return {};
  if (begun.error().status >= 500) return Error{begun.error().message};
  order.alarm = "The amount is credited, but the plan did not begin: " + begun.error().message;
  spdlog::error("plan_not_begun order={} account={} reason={}", order.id, order.account,
                observe::quote(begun.error().message));
  return {};
}

// The money has left the house: what the account has not got any more is the house's shortfall.
Result<void> Orders::debit(OrderRow& order, const Holder& owner) {
  const std::string account = "account:" + owner.payer;
  Transfer transfer;
  transfer.id = order.id;
  transfer.kind = "refund";
  transfer.note = order.of_order;
  transfer.currency = order.currency;
  transfer.floor = owner.floor;
  for (int tries = 0; tries < 8; ++tries) {
    const auto available = purse_.available(account, order.currency, owner.floor);
    if (!available) return available.error();
    const std::int64_t taken = std::min(order.amount, *available);
    transfer.entries = {{"house:cash", order.amount}};
    if (taken > 0) transfer.entries.push_back({account, -taken});
    if (taken < order.amount) transfer.entries.push_back({"house:shortfall", taken - order.amount});
    const auto moved = purse_.move(transfer);
    if (!moved) return moved.error();
    if (*moved == Moved::kUncovered) continue;
    if (*moved == Moved::kNow && taken < order.amount) {
      order.alarm = "The account had less than was refunded; the house bears the rest.";
      spdlog::error("refund_not_covered order={} account={} missing_nano={}", order.id,
                    order.account, order.amount - taken);
    }
    return {};
  }
  return Error{"order " + order.id + ": the account is being spent from; tried again later"};
}

Result<void> Orders::apply_due(std::int64_t now_unix_s) {
  const auto due = rows_.unapplied(now_unix_s - kApplyAgainS, kApplyAtOnceMax);
  if (!due) return due.error();
  Result<void> first;
  for (const OrderRow& order : *due) {
    const auto done = apply(order.id, now_unix_s);
    if (!done && first) first = Error{"order " + order.id + ": " + done.error().message};
  }
  return first;
}

// ---- what the provider says ----

Result<std::optional<OrderRow>> Orders::order_of(const PaymentEvent& event) {
  if (!event.order.empty()) return rows_.find(event.order);
  if (event.payment.empty()) return std::optional<OrderRow>();
  return rows_.find_by_payment(event.provider, event.payment);
}

Result<Outcome> Orders::alarm(OrderRow& order, Outcome outcome, const std::string& words,
                              std::int64_t now_unix_s) {
  spdlog::error("payment_alarm order={} account={} outcome={}", order.id, order.account, outcome);
  order.alarm = words;
  const std::string state = order.state;
  const auto written = set_state(order, state.c_str(), now_unix_s);
  if (!written) return written.error();
  return outcome;
}

Result<Outcome> Orders::take_paid(const PaymentEvent& event, OrderRow& order,
                                  std::int64_t now_unix_s) {
  if (order.state == kPaid || order.state == kApplied || order.state == kRefunded) {
    // One payment is told of by several events.
    if (order.payment.empty() || event.payment.empty() || order.payment == event.payment) {
      return Outcome("already_paid");
    }
    return alarm(order, "already_paid",
                 "A second payment came, " + event.payment + "; it is not credited.", now_unix_s);
  }
  if (event.currency != order.currency) {
    return alarm(order, "wrong_currency", "Paid in " + event.currency + ".", now_unix_s);
  }
  if (event.amount != order.amount) {
    return alarm(order, "wrong_amount", "Paid another amount than was ordered.", now_unix_s);
  }
  if (order.state != kPending) {
    return alarm(order, "not_open", "Paid when it was " + order.state + " already.", now_unix_s);
  }
  order.payment = event.payment;
  order.alarm.clear();
  const auto written = set_state(order, kPaid, now_unix_s);
  if (!written) return written.error();
  return Outcome("paid");
}

Result<Outcome> Orders::take_refunded(const PaymentEvent& event, OrderRow& order,
                                      std::int64_t now_unix_s, std::string& apply) {
  if (event.currency != order.currency) {
    return alarm(order, "wrong_currency", "Refunded in " + event.currency + ".", now_unix_s);
  }
  const std::int64_t back = std::min(event.amount, order.amount) - order.refunded;
  if (back <= 0) return Outcome("already_refunded");
  OrderRow refund;
  refund.id = new_id("ord_");
  refund.account = order.account;
  refund.kind = "refund";
  refund.provider = order.provider;
  refund.reference = event.id;
  refund.amount = back;
  refund.currency = order.currency;
  refund.of_order = order.id;
  refund.state = kPaid;
  refund.created_unix_s = refund.changed_unix_s = now_unix_s;
  const auto added = rows_.add(refund);
  if (!added) return added.error();
  order.refunded += back;
  const auto written =
      set_state(order, order.refunded == order.amount ? kRefunded : kApplied, now_unix_s);
  if (!written) return written.error();
  apply = refund.id;
  return Outcome("refunded");
}

Result<Outcome> Orders::take(const PaymentEvent& event, std::int64_t now_unix_s) {
  std::string to_apply;
  auto outcome = rows_.database().transact([&]() -> Result<Outcome> {
    store::PaymentEventRow row{event.provider, event.id, event.type, event.order, "", now_unix_s};
    const auto fresh = rows_.add_event(row);
    if (!fresh) return fresh.error();
    if (!*fresh) return Outcome("duplicate");
    auto order = order_of(event);
    if (!order) return order.error();
    Result<Outcome> found = Outcome("ignored");
    if (event.kind != PaymentEvent::Kind::kOther && !*order) found = Outcome("unknown_order");
    if (*order) {
      row.order_id = (*order)->id;
      if ((*order)->provider != event.provider) {
        found = Outcome("other_provider");
      } else if (event.kind == PaymentEvent::Kind::kPaid) {
        found = take_paid(event, **order, now_unix_s);
        if (found && *found == "paid") to_apply = (*order)->id;
      } else if (event.kind == PaymentEvent::Kind::kRefunded) {
        // Events come in any order; undone, so that it is taken when it is said again.
        if ((*order)->state == kPending || (*order)->state == kPaid) {
          return Error{"order " + (*order)->id + " is not paid yet"};
        }
        found = take_refunded(event, **order, now_unix_s, to_apply);
      } else if (event.kind == PaymentEvent::Kind::kFailed && (*order)->state == kPending) {
        const auto written = set_state(**order, kFailed, now_unix_s);
        found = written ? Result<Outcome>(Outcome("failed")) : Result<Outcome>(written.error());
      }
    }
    if (!found) return found;
    row.outcome = *found;
    const auto kept = rows_.set_outcome(row);
    if (!kept) return kept.error();
    return found;
  });
  if (!outcome || to_apply.empty()) return outcome;
  // It is kept; where applying it fails now, apply_due() tries again.
  const auto applied = apply(to_apply, now_unix_s);
  if (!applied) {
    spdlog::error("order_not_applied order={} reason={}", to_apply,
                  observe::quote(applied.error().message));
  }
  return outcome;
}

// ---- codes ----

std::string Orders::mac_of(std::string_view code) const {
  return to_hex(pepper_.mac("code:" + plain_code(code)));
}

Asked<Orders::NewBatch> Orders::create_codes(store::CodeBatchRow batch, std::int64_t now_unix_s) {
  const auto bad = [](const char* message) { return Refusal{400, "invalid_codes", message}; };
  if (batch.name.empty() || batch.name.size() > kReferenceMax) {
    return bad("name: expected 1 to 200 bytes.");
  }
  if (batch.amount <= 0) return bad("amount: expected more than 0.");
  if (batch.currency.size() != 3) return bad("currency: expected three letters, as USD.");
  if (batch.count < 1 || batch.count > kCodesMax) return bad("count: expected 1 to 10000.");
  if (batch.uses < 1) return bad("uses: expected 1 or more.");
  if (batch.expires_unix_s != 0 && batch.expires_unix_s <= now_unix_s) {
    return bad("expires: expected a time to come.");
  }
  batch.id = new_id("cod_");
  batch.disabled = false;
  batch.created_unix_s = now_unix_s;
  NewBatch made{std::move(batch), {}};
  std::vector<std::string> macs;
  for (std::int64_t i = 0; i < made.row.count; ++i) {
    made.codes.push_back(new_code());
    macs.push_back(mac_of(made.codes.back()));
  }
  const auto added = rows_.add_batch(made.row, macs);
  if (!added) return Refusal(added.error());
  return made;
}

Asked<OrderRow> Orders::redeem(const std::string& account, std::string_view code,
                               std::int64_t now_unix_s) {
  const auto owner = holder(account);
  if (!owner) return owner.error();
  const std::string mac = mac_of(code);
  std::optional<Refusal> no;
  OrderRow order;
  const auto done = rows_.database().transact([&]() -> Result<void> {
    const auto found = rows_.code(mac);
    if (!found) return found.error();
    const auto refuse = [&no](int status, const char* stable, std::string words) {
      no = Refusal{status, stable, std::move(words)};
      return Error{};
    };
    if (!*found) return refuse(404, "unknown_code", "There is no such code.");
    const store::CodeBatchRow& batch = (*found)->batch;
    if (batch.disabled) return refuse(409, "code_disabled", "This code was withdrawn.");
    if (batch.expires_unix_s != 0 && batch.expires_unix_s <= now_unix_s) {
      return refuse(409, "code_expired", "This code has expired.");
    }
    if (batch.currency != owner->currency) {
      return refuse(409, "other_currency",
                    "This code is worth " + batch.currency + ", the account's currency is " +
                        owner->currency + ".");
    }
    order.id = new_id("ord_");
    const auto first = rows_.add_use(mac, account, order.id, now_unix_s);
    if (!first) return first.error();
    if (!*first) return refuse(409, "code_used", "The account has used this code before.");
    const auto taken = rows_.take_use(mac);
    if (!taken) return taken.error();
    if (!*taken) return refuse(409, "code_used", "This code was used already.");
    order.account = account;
    order.kind = "top_up";
    order.provider = "code";
    order.reference = batch.id + ":" + order.id;
    order.amount = batch.amount;
    order.currency = batch.currency;
    order.state = kPaid;
    order.created_unix_s = order.changed_unix_s = now_unix_s;
    const auto added = rows_.add(order);
    if (!added) return added.error();
    return {};
  });
  if (no) return *no;
  if (!done) return Refusal(done.error());
  return apply(order.id, now_unix_s);
}

}  // namespace switchyard::account

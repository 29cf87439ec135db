// Orders: what was asked for, whether it was paid, and that it is booked once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/account/keys.hpp"
#include "core/account/plans.hpp"
#include "core/account/purse.hpp"
#include "core/account/refusal.hpp"
#include "core/store/orders.hpp"

namespace switchyard::account {

// What a payment provider says happened.
struct PaymentEvent {
  enum class Kind { kPaid, kRefunded, kFailed, kOther };
  std::string provider, id, type;
  Kind kind = Kind::kOther;
  std::string order;        // our id, as we gave it to the provider; empty: see payment
  std::string payment;      // the provider's id of the payment
  std::int64_t amount = 0;  // nano-units; of a refund all that was given back so far
  std::string currency;
};

// What became of an event, for the record and for a test: "paid", "duplicate", "already_paid",
// "wrong_amount", "wrong_currency", "unknown_order", "other_provider", "not_open", "not_paid",
// "refunded", "failed", "ignored".
using Outcome = std::string;

// An order goes from pending to paid (the provider or an operator says so, for the whole amount in
// its currency) to applied (the books have it), or to failed or cancelled; applied ones may be
// refunded. Each step is one row changed on the condition of the state before it, and the transfer
// has the order's id, so that an order is booked once however often anything is said or tried.
// Blocking. [any thread]
class Orders {
 public:
  Orders(store::Orders& rows, Plans& plans, Purse& purse, FindHolder find, Pepper pepper)
      : rows_(rows),
        plans_(plans),
        purse_(purse),
        find_(std::move(find)),
        pepper_(std::move(pepper)) {}

  // account, kind (top_up, plan), provider, reference, amount and currency or plan. The same
  // reference again is the same order; with other facts it is refused.
  Asked<store::OrderRow> create(store::OrderRow order, std::int64_t now_unix_s);
  // An operator's word for it that the money came.
  Asked<store::OrderRow> mark_paid(const std::string& id, const std::string& payment,
                                   std::int64_t now_unix_s);
  Asked<store::OrderRow> cancel(const std::string& id, std::int64_t now_unix_s);
  // Gives back `amount` of an applied order, to its account's harm: an order of kind refund. What
  // the account has not got any more the house bears.
  Asked<store::OrderRow> refund(const std::string& id, std::int64_t amount,
                                const std::string& reference, std::int64_t now_unix_s);

  // The error: it could not be kept and has to be said again.
  Result<Outcome> take(const PaymentEvent& event, std::int64_t now_unix_s);

  struct NewBatch {
    store::CodeBatchRow row;
    std::vector<std::string> codes;  // shown once; the store has their MACs
  };
  Asked<NewBatch> create_codes(store::CodeBatchRow batch, std::int64_t now_unix_s);
  // The order that credits it.
  Asked<store::OrderRow> redeem(const std::string& account, std::string_view code,
                                std::int64_t now_unix_s);

  // Orders that were paid and not applied, because something stopped it.
  Result<void> apply_due(std::int64_t now_unix_s);

  store::Orders& rows() { return rows_; }

 private:
  Asked<store::OrderRow> find(const std::string& id);
  Asked<Holder> holder(const std::string& account);
  Asked<void> check(const store::OrderRow& order);
  Asked<store::OrderRow> insert(store::OrderRow order);
  Asked<store::OrderRow> apply(const std::string& id, std::int64_t now_unix_s);
  Result<void> credit(const store::OrderRow& order, const Holder& owner);
  Result<void> begin_plan(store::OrderRow& order, std::int64_t now_unix_s);
  Result<void> debit(store::OrderRow& order, const Holder& owner);
  Result<std::optional<store::OrderRow>> order_of(const PaymentEvent& event);
  Result<Outcome> take_paid(const PaymentEvent& event, store::OrderRow& order,
                            std::int64_t now_unix_s);
  Result<Outcome> take_refunded(const PaymentEvent& event, store::OrderRow& order,
                                std::int64_t now_unix_s, std::string& apply);
  Result<Outcome> alarm(store::OrderRow& order, Outcome outcome, const std::string& words,
                        std::int64_t now_unix_s);
  Result<void> set_state(store::OrderRow& order, const char* state, std::int64_t now_unix_s);
  std::string mac_of(std::string_view code) const;

  store::Orders& rows_;
  Plans& plans_;
  Purse& purse_;
  FindHolder find_;
  Pepper pepper_;
};

}  // namespace switchyard::account

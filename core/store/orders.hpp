// Orders, what payment providers said of them, and redemption codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/store/database.hpp"

namespace switchyard::store {

struct OrderRow {
  std::string id, account;
  std::string kind;         // top_up, plan, refund
  std::string provider;     // who takes the money: "stripe", "manual", "code"
  std::string reference;    // the caller's own name for it; one order each at a provider
  std::int64_t amount = 0;  // nano-units
  std::string currency;
  std::string plan;           // of kind plan
  std::string of_order;       // of kind refund: what it gives back
  std::string state;          // pending, paid, applied, failed, cancelled, refunded
  std::string payment;        // what the provider calls the payment
  std::int64_t refunded = 0;  // of the amount
  std::string alarm;          // what somebody has to look at; empty: nothing
  std::int64_t created_unix_s = 0, changed_unix_s = 0;
};

struct PaymentEventRow {
  std::string provider, id, type, order_id, outcome;
  std::int64_t at_unix_s = 0;
};

struct CodeBatchRow {
  std::string id, name;
  std::int64_t amount = 0;  // nano-units that each use is worth
  std::string currency;
  std::int64_t count = 0, uses = 1;  // of codes; of each by different accounts
  std::int64_t expires_unix_s = 0;   // 0: never
  bool disabled = false;
  std::int64_t created_unix_s = 0;
  std::int64_t used = 0;  // read only: how often its codes were used
};

struct CodeRow {
  std::int64_t uses_left = 0;
  CodeBatchRow batch;
};

class Orders {
 public:
  explicit Orders(Database& database) : database_(database) {}

  // False: the provider has an order of this reference.
  Result<bool> add(const OrderRow& order);
  Result<std::optional<OrderRow>> find(const std::string& id);
  Result<std::optional<OrderRow>> find_by_reference(const std::string& provider,
                                                    const std::string& reference);
  Result<std::optional<OrderRow>> find_by_payment(const std::string& provider,
                                                  const std::string& payment);
  // By id, behind `after`; of one account, or in one state, where these are not empty.
  Result<std::vector<OrderRow>> list(const std::string& account, const std::string& state,
                                     const std::string& after, std::int64_t max);
  // Paid, not applied yet, and unchanged since.
  Result<std::vector<OrderRow>> unapplied(std::int64_t until_unix_s, std::int64_t max);
  // Writes state, payment, refunded, alarm and the time of the change; false: it is not in the
  // state `from` any more.
  Result<bool> update(const OrderRow& order, const std::string& from);

  // False: the event was there already.
  Result<bool> add_event(const PaymentEventRow& event);
  Result<void> set_outcome(const PaymentEventRow& event);
  Result<std::vector<PaymentEventRow>> events(const std::string& order_id);

  Result<void> add_batch(const CodeBatchRow& batch, const std::vector<std::string>& macs_hex);
  Result<std::vector<CodeBatchRow>> batches(const std::string& after, std::int64_t max);
  Result<bool> disable_batch(const std::string& id);  // false: no such batch
  Result<std::optional<CodeRow>> code(const std::string& mac_hex);
  // False: none of its uses is left.
  Result<bool> take_use(const std::string& mac_hex);
  // False: the account has used it before.
  Result<bool> add_use(const std::string& mac_hex, const std::string& account,
                       const std::string& order_id, std::int64_t at_unix_s);

  Database& database() { return database_; }

 private:
  Database& database_;
};

}  // namespace switchyard::store

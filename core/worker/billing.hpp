// What of a worker is about money beside requests: plans, orders, budgets, alerts and invoices, and
// the thread that does what is due.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "core/account/alerts.hpp"
#include "core/account/invoices.hpp"
#include "core/account/ledger_purse.hpp"
#include "core/account/orders.hpp"
#include "core/account/webhook.hpp"
#include "core/admin/server.hpp"
#include "core/config/config.hpp"
#include "core/plugin/destinations.hpp"
#include "core/store/accounts.hpp"
#include "core/surface/redeem.hpp"
#include "core/surface/webhooks.hpp"

namespace switchyard {

// The zone's offsets, by its IANA name.
Result<account::UtcOffset> find_offset(const std::string& zone);

class Billing {
 public:
  // `database` is its own connection. The ledger outlives it.
  Billing(std::unique_ptr<store::Database> database, account::Ledger& ledger,
          const account::Pepper& pepper);
  // Returns when what the thread does is done.
  ~Billing();
  Billing(const Billing&) = delete;
  Billing& operator=(const Billing&) = delete;

  // In force from the next turn on. The error: its alerts can't be posted. [control thread]
  Result<void> configure(std::shared_ptr<const config::Config> config);
  // What of providers somebody has to hear of.
  struct Upstreams {
    std::function<std::vector<account::RefusedCredential>()> refused;
    std::function<std::vector<account::LowUpstream>()> low;
  };
  // Begins the thread, which has `also` done in each turn. [control thread]
  void start(Upstreams upstreams, std::function<void()> also);

  // Empty where the configuration has no secret. It lives no longer than this.
  surface::TakeWebhook stripe_webhook(std::shared_ptr<const config::Config> config);
  // What key holders redeem. It lives no longer than this.
  surface::RedeemCode redeemer();
  std::vector<admin::Route> routes();
  // Null until they were read. [any thread]
  std::shared_ptr<const account::BudgetTable> budgets() const;

  // Budgets as they are now: before the first request, and then as a part of each turn.
  void read_budgets(std::int64_t now_unix_s);
  // The same where an operator changed one since. [control thread]
  void take_budget_changes(std::int64_t now_unix_s);
  // What is due now, once. The thread does it each second.
  void turn(std::int64_t now_unix_s);

 private:
  struct Settings {
    std::shared_ptr<const config::Config> config;
    std::shared_ptr<plugin::Destinations> destinations;
  };

  void run(const std::function<void()>& also);
  bool ending() const;
  Result<void> make_cells(const account::Budget& budget);
  void renew_table(std::int64_t now_unix_s);
  void raise_alerts(const config::Config& config, std::int64_t now_unix_s);
  Result<std::vector<account::AccountBalance>> balances_below(std::int64_t floor);
  void deliver(const Settings& settings, std::int64_t now_unix_s);

  std::unique_ptr<store::Database> database_;
  account::Ledger& ledger_;
  store::Accounts accounts_;
  account::FindHolder find_;
  store::Books books_;
  store::Plans plan_rows_;
  store::Orders order_rows_;
  store::Budgets budget_rows_;
  store::Invoices invoice_rows_;
  account::LedgerPurse purse_;
  account::Plans plans_;
  account::Orders orders_;
  account::Budgets budgets_;
  account::Invoices invoices_;
  account::Alerts alerts_;
  account::StripeWebhook stripe_;

  Upstreams upstreams_;
  std::mutex budgets_mutex_;  // held while the table is made
  std::int64_t table_version_ = -1;
  std::int64_t balances_looked_at_s_ = 0;
  std::optional<std::int64_t> floor_looked_at_;
  mutable std::mutex mutex_;  // of what is below
  std::shared_ptr<const account::BudgetTable> table_;
  Settings settings_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace switchyard

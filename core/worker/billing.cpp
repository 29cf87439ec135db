#include "core/worker/billing.hpp"

#include "core/admin/budget_routes.hpp"
#include "core/admin/correction_routes.hpp"
#include "core/admin/order_routes.hpp"
#include "core/admin/plan_routes.hpp"
#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/nano.hpp"
#include "core/base/os_thread.hpp"
#include "core/base/zone.hpp"
#include "core/observe/log.hpp"

namespace switchyard {
namespace {

constexpr std::chrono::seconds kTurn{1};
constexpr std::int64_t kLookAtBalancesS = 60;
constexpr std::uint64_t kPostTimeoutNs = 5'000'000'000;

std::int64_t now_s() { return static_cast<std::int64_t>(unix_ns() / 1'000'000'000); }

void note(const char* what, const Result<void>& done) {
  if (!done) spdlog::error("{} reason={}", what, observe::quote(done.error().message));
}

Result<void> post_alert(plugin::Destinations& destinations, const std::string& name,
                        const std::string& body, const std::string& signature) {
  const swy_kv headers[] = {
      {to_swy("content-type"), to_swy("application/json")},
      {to_swy("switchyard-signature"), to_swy(signature)},
  };
  plugin::Destinations::Post post;
  post.destination = name;
  post.headers = headers;
  post.body = body;
  post.deadline_ns = mono_ns() + kPostTimeoutNs;
  const auto answer = destinations.post(post);
  if (!answer) return Error{answer.error().message};
  // A redirect is not followed: the destination is the configuration's.
  if (answer->status >= 200 && answer->status < 300) return {};
  return Error{"it answered " + std::to_string(answer->status)};
}

// Who pays for an account, and how far down.
Result<std::optional<account::Holder>> find_holder(store::Accounts& accounts,
                                                   const std::string& account) {
  const auto lineage = accounts.lineage(account);
  if (!lineage) return lineage.error();
  for (const store::AccountRow& row : *lineage) {
    if (row.parent_pays) continue;
    account::Holder holder;
    holder.payer = row.id;
    holder.currency = row.currency;
    holder.zone = lineage->front().zone;
    if (row.mode == store::AccountMode::kUnmetered) holder.floor = account::kNoFloor;
    if (row.mode == store::AccountMode::kPostpaid) holder.floor = -row.credit_limit_nano;
    auto offset = find_offset(holder.zone);
    if (!offset) return offset.error();
    holder.offset = std::move(*offset);
    return std::optional(std::move(holder));
  }
  return std::optional<account::Holder>();
}

}  // namespace

Result<account::UtcOffset> find_offset(const std::string& zone) {
  const auto found = Zone::find(zone);
  if (!found) return found.error();
  return account::UtcOffset(
      [zone = *found](std::int64_t unix_s) -> std::int64_t { return zone->offset_s(unix_s); });
}

Billing::Billing(std::unique_ptr<store::Database> database, account::Ledger& ledger,
                 const account::Pepper& pepper)
    : database_(std::move(database)),
      ledger_(ledger),
      accounts_(*database_),
      find_([this](const std::string& id) { return find_holder(accounts_, id); }),
      books_(*database_),
      plan_rows_(*database_),
      order_rows_(*database_),
      budget_rows_(*database_),
      invoice_rows_(*database_),
      purse_(ledger, books_),
      plans_(plan_rows_, purse_, find_),
      orders_(order_rows_, plans_, purse_, find_, pepper),
      budgets_(budget_rows_, find_offset),
      invoices_(invoice_rows_, find_, [&ledger] { return ledger.flush(); }),
      alerts_(budgets_),
      stripe_(orders_) {}

Billing::~Billing() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Result<void> Billing::configure(std::shared_ptr<const config::Config> config) {
  Settings next;
  if (!config->alerts.destination.empty()) {
    auto made = plugin::Destinations::make(*config, {config->alerts.destination});
    if (!made) return made.error();
    next.destinations = std::move(*made);
  }
  next.config = std::move(config);
  const std::lock_guard lock(mutex_);
  std::swap(settings_, next);
  return {};
}

void Billing::start(Upstreams upstreams, std::function<void()> also) {
  upstreams_ = std::move(upstreams);
  thread_ = std::thread([this, also = std::move(also)] {
    name_thread("billing");
    run(also);
  });
}

void Billing::run(const std::function<void()>& also) {
  while (true) {
    turn(now_s());
    also();
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, kTurn, [this] { return ending_; })) return;
  }
}

void Billing::turn(std::int64_t now_unix_s) {
  Settings settings;
  {
    const std::lock_guard lock(mutex_);
    settings = settings_;
  }
  note("orders_not_applied", orders_.apply_due(now_unix_s));
  note("subscriptions_not_advanced", plans_.advance_due(now_unix_s));
  read_budgets(now_unix_s);
  if (settings.config) raise_alerts(*settings.config, now_unix_s);
  deliver(settings, now_unix_s);
}

void Billing::take_budget_changes(std::int64_t now_unix_s) {
  const auto version = budget_rows_.version();
  {
    const std::lock_guard lock(budgets_mutex_);
    if (version && *version == table_version_) return;
  }
  read_budgets(now_unix_s);
}

void Billing::read_budgets(std::int64_t now_unix_s) {
  const std::lock_guard lock(budgets_mutex_);
  // What was spent first: the cells of new periods begin with it.
  auto more = budgets_.book(now_unix_s);
  while (more && *more) more = budgets_.book(now_unix_s);
  if (!more) note("budgets_not_booked", more.error());
  renew_table(now_unix_s);
}

// A cell says how far below zero spending has brought it, so that a budget that changes is another
// limit of the same cell.
Result<void> Billing::make_cells(const account::Budget& budget) {
  for (const account::Period& period : budget.periods) {
    const auto spent = budget_rows_.spent(budget.id, period.start_unix_s);
    if (!spent) return spent.error();
    const auto made = ledger_.budget_cell(budget.cell_name(period), -*spent, -budget.amount);
    if (!made) return made.error();
  }
  return {};
}

void Billing::renew_table(std::int64_t now_unix_s) {
  const auto version = budget_rows_.version();
  if (!version) return note("budgets_not_read", version.error());
  const auto before = budgets();
  if (before && *version == table_version_ && now_unix_s < before->good_until_unix_s()) return;
  auto table = budgets_.table(now_unix_s);
  if (!table) return note("budgets_not_read", table.error());
  for (const account::Budget& budget : (*table)->budgets()) {
    if (const auto made = make_cells(budget); !made) return note("budgets_not_read", made.error());
  }
  table_version_ = *version;
  const std::lock_guard lock(mutex_);
  table_ = std::move(*table);
}

// Of accounts that can run dry.
Result<std::vector<account::AccountBalance>> Billing::balances_below(std::int64_t floor) {
  const std::string prefix = store::account_name("");
  const auto rows = books_.balances(prefix);
  if (!rows) return rows.error();
  std::vector<account::AccountBalance> found;
  for (const store::Balance& row : *rows) {
    if (row.amount >= floor) continue;
    const std::string id = row.account.substr(prefix.size());
    const auto holder = find_(id);
    if (!holder) return holder.error();
    if (!*holder || (*holder)->floor == account::kNoFloor) continue;
    found.push_back({id, row.currency, row.amount});
  }
  return found;
}

void Billing::raise_alerts(const config::Config& config, std::int64_t now_unix_s) {
  note("alerts_not_raised", alerts_.look_at_budgets(now_unix_s));
  std::vector<account::ExpiringCredential> expiring;
  for (const config::Provider& provider : config.providers) {
    for (const config::Credential& credential : provider.credentials) {
      if (credential.expires_unix_s == 0) continue;
      expiring.push_back({provider.id, credential.name, credential.expires_unix_s});
    }
  }
  note("alerts_not_raised", alerts_.look_at_credentials(expiring, now_unix_s));
  if (upstreams_.refused) {
    note("alerts_not_raised", alerts_.look_at_refusals(upstreams_.refused(), now_unix_s));
  }
  if (upstreams_.low) {
    note("alerts_not_raised", alerts_.look_at_upstreams(upstreams_.low(), now_unix_s));
  }
  const auto& floor = config.alerts.balance_floor_nano;
  const bool same = floor == floor_looked_at_;
  if (!floor || (same && now_unix_s < balances_looked_at_s_ + kLookAtBalancesS)) return;
  balances_looked_at_s_ = now_unix_s;
  floor_looked_at_ = floor;
  const auto found = balances_below(*floor);
  if (!found) return note("alerts_not_raised", found.error());
  note("alerts_not_raised", alerts_.look_at_balances(*found, *floor, now_unix_s));
}

void Billing::deliver(const Settings& settings, std::int64_t now_unix_s) {
  if (!settings.destinations) return;
  const config::Alerts& alerts = settings.config->alerts;
  const auto post = [&](const std::string& body, const std::string& signature) -> Result<void> {
    // A worker that ends waits for one post at most.
    if (ending()) return Error{"the gateway is ending"};
    return post_alert(*settings.destinations, alerts.destination, body, signature);
  };
  note("alerts_not_delivered", alerts_.deliver(post, alerts.signing_secret, now_unix_s));
}

surface::TakeWebhook Billing::stripe_webhook(std::shared_ptr<const config::Config> config) {
  if (config->stripe_signing_secret.empty()) return {};
  return [this, config](std::string_view signature, std::string_view body) {
    auto answer = stripe_.take(signature, body, config->stripe_signing_secret, now_s());
    return surface::WebhookAnswer{answer.status, std::move(answer.body)};
  };
}

surface::RedeemCode Billing::redeemer() {
  return
      [this](const std::string& account, const std::string& code) -> account::Asked<std::string> {
        const auto order = orders_.redeem(account, code, now_s());
        if (!order) return order.error();
        return JsonObject()
            .text("object", "redemption")
            .text("order", order->id)
            .text("account", order->account)
            .text("amount", format_nano(order->amount))
            .text("currency", order->currency)
            .text("state", order->state)
            .take();
      };
}

std::vector<admin::Route> Billing::routes() {
  std::vector<admin::Route> routes = admin::plan_routes(plans_, now_s);
  for (auto& route : admin::order_routes(orders_, invoices_, now_s)) {
    routes.push_back(std::move(route));
  }
  for (auto& route : admin::correction_routes(purse_, find_)) routes.push_back(std::move(route));
  for (auto& route : admin::budget_routes(budgets_, now_s)) routes.push_back(std::move(route));
  return routes;
}

bool Billing::ending() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

std::shared_ptr<const account::BudgetTable> Billing::budgets() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

}  // namespace switchyard

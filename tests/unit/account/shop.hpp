// Plans and orders over a database of their own and a purse that only remembers.
#pragma once

#include <map>
#include <mutex>

#include "../scratch.hpp"
#include "core/account/orders.hpp"
#include "core/account/plans.hpp"
#include "core/store/store.hpp"

namespace switchyard::account {

inline constexpr std::int64_t kUnit = 1'000'000'000;

// As the ledger: an id moves once, no account goes below 0.
class FakePurse : public Purse {
 public:
  Result<Moved> move(const Transfer& transfer) override {
    const std::lock_guard lock(mutex_);
    if (broken) return Error{"the books do not open"};
    if (std::any_of(done.begin(), done.end(),
                    [&](const Transfer& each) { return each.id == transfer.id; })) {
      return Moved::kBefore;
    }
    std::int64_t sum = 0;
    for (const auto& entry : transfer.entries) {
      sum += entry.amount;
      const bool covered = entry.amount >= 0 || !entry.account.starts_with("account:") ||
                           balances[entry.account] + entry.amount >= 0;
      if (!covered) return Moved::kUncovered;
    }
    CHECK(sum == 0);
    for (const auto& entry : transfer.entries) balances[entry.account] += entry.amount;
    done.push_back(transfer);
    return Moved::kNow;
  }
  Result<std::int64_t> available(const std::string& account, const std::string&,
                                 std::int64_t) override {
    const std::lock_guard lock(mutex_);
    return std::max<std::int64_t>(balances[account] - held, 0);
  }
  Result<std::int64_t> spent_since(const std::string& account, const std::string&,
                                   const std::string& id) override {
    const std::lock_guard lock(mutex_);
    std::int64_t spent = 0;
    bool behind = false;
    for (const Transfer& each : done) {
      if (behind && each.kind == "charge" && each.entries[0].account == account) {
        spent -= each.entries[0].amount;
      }
      behind = behind || each.id == id;
    }
    return spent;
  }

  void charge(const std::string& account, std::int64_t amount) {
    const auto moved = move({"charge:" + std::to_string(done.size()),
                             "charge",
                             "",
                             "USD",
                             {{account, -amount}, {"house:revenue", amount}},
                             0});
    REQUIRE(moved);
    REQUIRE(*moved == Moved::kNow);
  }
  std::int64_t balance(const std::string& account) { return balances[account]; }

  std::vector<Transfer> done;
  std::map<std::string, std::int64_t> balances;
  std::int64_t held = 0;
  bool broken = false;

 private:
  std::mutex mutex_;
};

struct Shop {
  Shop() {
    auto opened = store::open_database(scratch.path());
    if (!opened) FAIL(opened.error().message);
    database = std::move(*opened);
    plan_rows.emplace(*database);
    order_rows.emplace(*database);
    const FindHolder find = [this](const std::string& id) -> Result<std::optional<Holder>> {
      if (id != "a" && id != "b") return std::optional<Holder>();
      return std::optional<Holder>(Holder{id, id == "a" ? "USD" : "EUR", "Etc/Test",
                                          [this](std::int64_t) { return offset_s; }, 0});
    };
    plans.emplace(*plan_rows, purse, find);
    orders.emplace(*order_rows, *plans, purse, find, Pepper(Secret("pepper")));
  }

  store::PlanRow plan(const std::string& id, std::int64_t price, std::int64_t quota = 0) {
    store::PlanRow row;
    row.id = id;
    row.name = "Plan " + id;
    row.price = price;
    row.currency = "USD";
    row.period = "month";
    row.quota = quota;
    return row;
  }
  void offer(const store::PlanRow& row) { REQUIRE(plans->create(row, 0)); }

  Scratch scratch;
  std::int64_t offset_s = 0;
  std::unique_ptr<store::Database> database;
  std::optional<store::Plans> plan_rows;
  std::optional<store::Orders> order_rows;
  FakePurse purse;
  std::optional<Plans> plans;
  std::optional<Orders> orders;
};

// Midnight of a date in UTC.
inline std::int64_t utc_day(int year, unsigned month, unsigned day) {
  return Day(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day))
             .time_since_epoch()
             .count() *
         86'400;
}

}  // namespace switchyard::account

// The money of one exchange: held before an upstream is asked, settled before the last byte of its
// answer leaves (core/decisions/0014-money.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/account/budgets.hpp"
#include "core/account/directory.hpp"
#include "core/account/ledger.hpp"
#include "core/catalog/price_list.hpp"
#include "core/exchange/counts.hpp"
#include "core/exchange/exchange.hpp"
#include "core/exchange/failure.hpp"
#include "core/exchange/quantities.hpp"

namespace switchyard::exchange {

class Payment {
 public:
  // Without a ledger in the context nothing is held and nothing is booked.
  Payment(const LoopContext& context, const Snapshot& snapshot, const Request& request);
  Payment(const Payment&) = delete;
  Payment& operator=(const Payment&) = delete;

  // Before all else: the cells of what is to be spent from, which a first request of an account has
  // made, off the loop.
  net::Task<> prepare();
  bool prepared() const { return payer_ == nullptr || cell_count_ > 0; }
  // Before an attempt: holds what it may come to at this target, beyond what is held already. The
  // fault where that can't be had; another target may be cheaper. `calls`: by which the answers
  // that were asked for are got there, each of which reads the whole prompt.
  std::optional<AttemptFault> reserve(const routing::Target& target, std::uint64_t calls = 1);
  // What each of several calls used: they are rated one by one, and booked as one.
  void set_parts(std::vector<observe::Usage> parts) { parts_ = std::move(parts); }
  // The answer is cut here, and another target shall say the rest: its begin is charged as what it
  // came to, with that as its own cost line, and the rest is held for beside it. `text_bytes`: what
  // the other one has to read more. Then each reserve() is for the rest, and set_parts() says what
  // that used, if anything.
  void keep_begin(const observe::Usage& usage, const char* outcome, std::uint64_t text_bytes);
  // Of several attempts that run at once, all reserved for: the one whose answer is paid for.
  void stand_for(const routing::Target& target) { target_ = &target; }
  // What the request costs at a target, in percent of what it does at another, 100 at least;
  // nothing where that is not known.
  std::optional<std::uint32_t> cost_percent(const routing::Target& target,
                                            const routing::Target& other) const;
  // While a stream runs: false where nobody pays for so many tokens of one call, whatever limit the
  // request set: some upstreams count what was reasoned beside it.
  bool covers(std::uint64_t tokens_out) { return tokens_out <= tokens_held_ || extend(tokens_out); }
  // While a session runs: false where nobody pays for what it came to and a slice ahead of that.
  bool covers(const observe::Usage& so_far);
  // What became of an attempt, and what it used.
  void attempt_failed(const routing::Target& target, const AttemptFault& fault,
                      const observe::Usage& usage);
  // An attempt at which the request was sent was given up for another one.
  void attempt_outrun(const routing::Target& target, const observe::Usage& usage);
  // Books charge and cost of an answer; before its last byte leaves. The first call counts.
  void settle(const observe::Usage& usage, const char* ended);
  // No answer came: what was held goes back, what attempts cost is booked.
  void release();

  // durability `disk`: whether the last byte has to wait, and the wait itself.
  bool must_wait() const { return settled_ && snapshot_.config->ledger.durable; }
  net::Task<> durable();

 private:
  // A target's price for upper bounds of what a request may use.
  std::optional<Nano> worst_case(const routing::Target& target, std::uint64_t tokens_out) const;
  // What it may use at most, with an answer of so many tokens.
  catalog::Quantities most(std::uint64_t tokens_out) const;
  // In the payer's currency; nothing where there is no price.
  std::optional<Nano> bound_of(const routing::Target& target, const catalog::Quantities& most,
                               std::uint64_t prompt) const;
  // Why a request can't be charged for at a target.
  std::vector<catalog::Meter> lacking(const routing::Target& target) const;
  AttemptFault unpriced(const routing::Target& target) const;
  bool extend(std::uint64_t tokens_out);
  std::optional<AttemptFault> take(Nano amount);
  std::span<const observe::Usage> parts_of(const observe::Usage& usage) const {
    return parts_.empty() ? std::span(&usage, 1) : std::span<const observe::Usage>(parts_);
  }
  PromptBound prompt_most() const;
  void add_part(const routing::Target& target, const observe::Usage& part, const char* ended,
                account::Settlement& settlement, catalog::Quantities& quantities);
  void add_cost(const routing::Target& target, const observe::Usage& usage, bool used,
                const char* outcome);
  // How what was used is counted for the client: in a way that has a price.
  Count sold_as(const routing::Target& target, const observe::Usage& usage) const;
  std::optional<catalog::Rated> guessed_cost(const routing::Target& target) const;
  // Nothing: a meter has no price.
  std::optional<catalog::Rated> rate_sale(const routing::Target& target,
                                          const catalog::Quantities& quantities,
                                          const catalog::PriceContext& context) const;
  // The same without the meters that have none, where money is spent.
  std::optional<catalog::Rated> rate_priced(const routing::Target& target,
                                            const catalog::Quantities& quantities,
                                            const catalog::PriceContext& context) const;
  std::optional<Nano> charge_of(const routing::Target& target, const observe::Usage& usage,
                                const catalog::Quantities& quantities,
                                account::Settlement& settlement);
  void fill_names(account::Settlement& settlement, const char* ended) const;
  std::vector<account::CostLine> cost_lines() const;
  void note_costs(observe::Record& record) const;
  catalog::Sold sold(const routing::Target& target) const;
  catalog::PriceContext price_context(std::uint64_t prompt_tokens,
                                      const observe::Usage* usage) const;
  bool find_cells();
  // What is spent is bounded.
  bool metered() const;
  // In the payer's currency.
  std::optional<catalog::Exchanged> in_own_currency(Nano amount, std::string_view currency) const;

  const LoopContext& context_;
  const Snapshot& snapshot_;
  const Request& request_;
  const account::Account* payer_ = nullptr;  // null: there is no ledger
  const routing::Target* target_ = nullptr;
  PromptBound prompt_bound_;                // of the request alone
  std::uint64_t tokens_held_ = UINT64_MAX;  // of each call
  // The account's, then those of hard budgets.
  std::array<account::CellRef, account::LoopLedger::kCellsMax> cells_;
  std::size_t cell_count_ = 0;
  account::Hold hold_;
  bool settled_ = false;
  std::uint64_t calls_ = 1;
  std::vector<observe::Usage> parts_;  // empty: there is one call
  // Of an answer that was cut, and that another target goes on with.
  struct Begin {
    const routing::Target* target;
    observe::Usage usage;
    const char* outcome;
    std::uint64_t text_bytes;
    Nano charge;  // is part of what is held
  };
  std::optional<Begin> begin_;
  // Texts that cost lines point to.
  struct Cost {
    std::string provider, model, currency, price_version, outcome;
    std::optional<Nano> amount;
    bool estimated = false;
  };
  std::vector<Cost> costs_;
  std::string price_version_, price_currency_, rate_version_;
};

}  // namespace switchyard::exchange

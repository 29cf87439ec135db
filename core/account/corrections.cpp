#include "core/account/corrections.hpp"

namespace switchyard::account {
namespace {

constexpr std::size_t kReasonMax = 200;

Refusal invalid(const std::string& message) { return {400, "invalid_correction", message}; }

}  // namespace

Asked<Correction> correct(Purse& purse, const FindHolder& find, Correction wanted) {
  const auto owner = find(wanted.account);
  if (!owner) return Refusal(owner.error());
  if (!*owner) {
    return Refusal{404, "not_found", "There is no account '" + wanted.account + "'."};
  }
  if (wanted.amount == 0) return invalid("amount: expected more or less than 0.");
  if (wanted.reason.empty() || wanted.reason.size() > kReasonMax) {
    return invalid("reason: expected 1 to 200 bytes; it stands on the account's invoice.");
  }
  if (wanted.currency.empty()) wanted.currency = (*owner)->currency;
  if (wanted.currency != (*owner)->currency) {
    return invalid("currency: the account's is " + (*owner)->currency + ".");
  }
  wanted.account = (*owner)->payer;
  wanted.id = new_id("cor_");
  Transfer transfer;
  transfer.id = wanted.id;
  transfer.kind = "correction";
  transfer.note = wanted.reason;
  transfer.currency = wanted.currency;
  transfer.entries = {{"account:" + wanted.account, wanted.amount},
                      {"house:corrections", -wanted.amount}};
  transfer.floor = (*owner)->floor;
  const auto moved = purse.move(transfer);
  if (!moved) return Refusal(moved.error());
  if (*moved == Moved::kUncovered) {
    return Refusal{402, "insufficient_funds",
                   "The account has less than the correction takes; nothing was changed."};
  }
  return wanted;
}

}  // namespace switchyard::account

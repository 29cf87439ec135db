#include "core/account/self_service.hpp"

namespace switchyard::account {

Result<Means> SelfService::means(const Account& payer) {
  Means means{payer.id, payer.currency};
  means.limited = payer.mode != store::AccountMode::kUnmetered;
  const auto balance = books_.balance(store::account_name(payer.id), payer.currency);
  if (!balance) return balance.error();
  const auto used = days_.charged(payer.id, payer.currency);
  if (!used) return used.error();
  means.balance = *balance;
  // The cell is what requests are held against; who never spent has none.
  const auto cell = ledger_.find_account_cell(payer.id, payer.currency, CellRef::kNoLimit);
  const Nano left = cell ? cell->available() : *balance;
  if (left < *balance && __builtin_sub_overflow(*balance, left, &means.held)) {
    means.held = INT64_MAX;
  }
  means.available = add_nano(left, payer.credit_limit_nano).value_or(INT64_MAX);
  means.used = *used;
  return means;
}

}  // namespace switchyard::account

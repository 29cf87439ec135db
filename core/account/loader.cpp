#include "core/account/loader.hpp"

namespace switchyard::account {

Loader::Loader(store::Accounts& accounts, Pepper pepper)
    : accounts_(accounts), current_(std::make_shared<const Directory>(std::move(pepper))) {}

void Loader::configure(const std::vector<config::Key>& keys) {
  configured_ = keys;
  DirectoryEdit edit(*current_);
  edit.configure(configured_);
  current_ = edit.finish();
}

Result<bool> Loader::refresh() {
  // Before the rows: what changes meanwhile is read again next time.
  const auto version = accounts_.version();
  if (!version) return version.error();
  if (*version == version_) return false;
  DirectoryEdit edit(*current_);
  const auto accounts_read =
      accounts_.accounts_since(version_, [&](const store::AccountRow& row) { edit.put(row); });
  if (!accounts_read) return accounts_read.error();
  Result<void> late;
  std::vector<std::string> unreadable;
  const auto keys_read = accounts_.keys_since(version_, [&](const store::KeyRow& row) {
    if (late && !edit.has_account(row.account)) late = load_account(edit, row.account);
    if (!edit.put(row)) unreadable.push_back(row.id);
  });
  if (!keys_read) return keys_read.error();
  if (!late) return late.error();
  // Their account may be there only now.
  if (version_ == 0) edit.configure(configured_);
  current_ = edit.finish();
  version_ = *version;
  unreadable_.insert(unreadable_.end(), unreadable.begin(), unreadable.end());
  return true;
}

// One that was made after the accounts were read.
Result<void> Loader::load_account(DirectoryEdit& edit, const std::string& id) {
  const auto rows = accounts_.lineage(id);
  if (!rows) return rows.error();
  for (auto row = rows->rbegin(); row != rows->rend(); ++row) {
    if (!edit.has_account(row->id)) edit.put(*row);
  }
  return {};
}

}  // namespace switchyard::account

// Keeps a directory in step with the store and the configuration.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/account/directory.hpp"
#include "core/base/result.hpp"
#include "core/config/config.hpp"
#include "core/store/accounts.hpp"

namespace switchyard::account {

// Used by one thread; what current() gave may be read by any.
class Loader {
 public:
  // `accounts` outlives it.
  Loader(store::Accounts& accounts, Pepper pepper);

  const std::shared_ptr<const Directory>& current() const { return current_; }

  // In place of the keys of the configuration before.
  void configure(const std::vector<config::Key>& keys);
  // Reads what changed in the store since. True: there is a new directory. After an error the next
  // call tries again.
  Result<bool> refresh();
  // Keys that were read and may do nothing, for what of them can't be understood; by id, since the
  // last call.
  std::vector<std::string> take_unreadable() { return std::exchange(unreadable_, {}); }

 private:
  Result<void> load_account(DirectoryEdit& edit, const std::string& id);

  store::Accounts& accounts_;
  std::shared_ptr<const Directory> current_;
  std::vector<config::Key> configured_;
  std::uint64_t version_ = 0;
  std::vector<std::string> unreadable_;
};

}  // namespace switchyard::account

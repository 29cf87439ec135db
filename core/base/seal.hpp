// Authenticated encryption of what is kept on a disk: AES-256-GCM under a key that is derived from
// a secret of this host.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"

namespace switchyard {

// [any thread]
class Sealer {
 public:
  // `purpose` makes the keys of one secret unlike each other: what was sealed for one can't be
  // opened for another.
  static Result<Sealer> make(const Secret& secret, std::string_view purpose);

  // `about` is not kept, but must be the same again to open it.
  Result<std::string> seal(std::string_view text, std::string_view about) const;
  // Nothing: it was sealed by another key or about something else, or is not what it was.
  std::optional<std::string> open(std::string_view sealed, std::string_view about) const;

 private:
  explicit Sealer(Secret key) : key_(std::move(key)) {}
  Secret key_;
};

}  // namespace switchyard

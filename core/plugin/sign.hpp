// Host extension "swy.sign/1": signatures with the credential of the running operation.
#pragma once

#include <switchyard/sign.h>

#include <optional>
#include <string_view>

#include "core/base/secret.hpp"

namespace switchyard::plugin {

class OperationSink;

const swy_sign* sign_table();

// What a slot of a credential's key holds: "" is the key itself, else a JSON pointer to a string in
// a key that is a JSON document. Nothing where there is no such string.
std::optional<Secret> secret_in(std::string_view key, std::string_view slot);

// While it lives, `out` may sign on this thread with the credential of the sink behind it.
class SigningScope {
 public:
  explicit SigningScope(const swy_out& out) : before_(current_) { current_ = &out; }
  ~SigningScope() { current_ = before_; }
  SigningScope(const SigningScope&) = delete;
  SigningScope& operator=(const SigningScope&) = delete;

  // The key behind `out`; nullptr where it is not that of the running step, or has no credential.
  static const Secret* key_of(const swy_out* out);

 private:
  static constinit thread_local const swy_out* current_;
  const swy_out* before_;
};

}  // namespace switchyard::plugin

#include "core/base/secret.hpp"

namespace switchyard {

void redact(std::string& text, std::string_view secret) {
  if (secret.empty()) return;
  for (auto at = text.find(secret); at != text.npos; at = text.find(secret, at)) {
    text.replace(at, secret.size(), "[redacted]");
    at += std::string_view("[redacted]").size();
  }
  // A text that was cut to fit may end within it.
  for (std::size_t n = secret.size() - 1; n >= 8; --n) {
    if (!text.ends_with(secret.substr(0, n))) continue;
    text.replace(text.size() - n, n, "[redacted]");
    return;
  }
}

}  // namespace switchyard

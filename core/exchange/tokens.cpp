#include "core/exchange/tokens.hpp"

namespace switchyard::exchange {
namespace {

constexpr std::uint64_t kMarginNs = 60'000'000'000u;
// A plugin names few; more would be names made of data.
constexpr std::size_t kTokensMax = 10'000;

std::string key_of(std::string_view credential, std::string_view name) {
  std::string key(credential);
  key += '\n';
  key += name;
  return key;
}

}  // namespace

std::optional<Secret> TokenCache::find(std::string_view credential, std::string_view name,
                                       std::uint64_t now_ns) const {
  const std::string key = key_of(credential, name);
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(key);
  if (found == tokens_.end() || found->second.expires_ns < now_ns + kMarginNs) return std::nullopt;
  return found->second.text;
}

void TokenCache::put(std::string_view credential, std::string_view name, Secret token,
                     std::uint64_t expires_ns) {
  std::string key = key_of(credential, name);
  const std::lock_guard lock(mutex_);
  if (tokens_.size() >= kTokensMax) tokens_.clear();
  tokens_.insert_or_assign(std::move(key), Token{std::move(token), expires_ns});
}

}  // namespace switchyard::exchange

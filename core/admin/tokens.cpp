#include "core/admin/tokens.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"

namespace switchyard::admin {
namespace {

constexpr std::string_view kPrefix = "sya-";
constexpr std::size_t kDigits = 64;

template <std::size_t kBytes>
std::string random_hex() {
  std::array<unsigned char, kBytes> random;
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    throw std::runtime_error("openssl: no random bytes");
  }
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : random) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  OPENSSL_cleanse(random.data(), random.size());
  return text;
}

std::string time_or_empty(std::uint64_t unix_s) { return unix_s == 0 ? "" : utc_text(unix_s); }

}  // namespace

std::uint64_t now_unix_s() { return unix_ns() / 1'000'000'000u; }

bool is_token_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<MintedToken> mint_token(store::Tokens& tokens, const account::Pepper& pepper,
                               const NewToken& asked, std::uint64_t now_s) {
  MintedToken minted;
  minted.token = Secret(std::string(kPrefix) + random_hex<kDigits / 2>());
  store::TokenRow& row = minted.row;
  row.id = "tok_" + random_hex<8>();
  row.name = asked.name;
  row.role = to_string(asked.role);
  row.account = asked.account;
  row.created_by = asked.created_by;
  row.mac_hex = account::to_hex(pepper.mac(minted.token.reveal()));
  row.created_unix_s = now_s;
  row.expires_unix_s = asked.expires_unix_s;
  const auto added = tokens.add(row);
  if (!added) return added.error();
  return minted;
}

std::string token_json(const store::TokenRow& row) {
  return JsonObject()
      .text("id", row.id)
      .text("name", row.name)
      .text("role", row.role)
      .text_or_null("account", row.account)
      .text("created", utc_text(row.created_unix_s))
      .text("created_by", row.created_by)
      .text_or_null("expires", time_or_empty(row.expires_unix_s))
      .text_or_null("disabled", time_or_empty(row.disabled_unix_s))
      .take();
}

Result<std::optional<Caller>> find_token(store::Tokens& tokens, const account::Pepper& pepper,
                                         std::string_view token, std::uint64_t now_s) {
  using Found = std::optional<Caller>;
  if (token.size() != kPrefix.size() + kDigits || !token.starts_with(kPrefix)) return Found();
  // Only the MAC is looked for: how close a guess was can't be told from the time that it takes.
  const auto found = tokens.find_by_mac(account::to_hex(pepper.mac(token)));
  if (!found) return found.error();
  if (!*found) return Found();
  const store::TokenRow& row = **found;
  const auto role = parse_role(row.role);
  const bool over = row.expires_unix_s != 0 && row.expires_unix_s <= now_s;
  if (!role || over || row.disabled_unix_s != 0) return Found();
  return Found(Caller{row.name, *role, row.account, row.id});
}

}  // namespace switchyard::admin

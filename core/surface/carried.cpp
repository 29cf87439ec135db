#include "core/surface/carried.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <switchyard/json.hpp>

#include "core/base/base64.hpp"

namespace switchyard::surface {
namespace {

constexpr std::string_view kHead = R"({"swy":1,"is":)";
// The base64 of kHead's first twelve bytes.
constexpr std::string_view kMark = "eyJzd3kiOjEsImlz";

}  // namespace

std::string carry(std::string_view json) {
  return base64(std::string(kHead).append(json).append("}"));
}

std::optional<std::string> carried(std::string_view text) {
  if (!text.starts_with(kMark) || text.size() % 4 != 0) return std::nullopt;
  std::string decoded(text.size() / 4 * 3, '\0');
  // Some clients write it back in the alphabet of URLs.
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '-', '+');
  std::replace(plain.begin(), plain.end(), '_', '/');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                reinterpret_cast<const unsigned char*>(plain.data()),
                                static_cast<int>(plain.size()));
  if (n < 0) return std::nullopt;
  // EVP_DecodeBlock counts the bytes of the padding, as zeros.
  std::size_t size = static_cast<std::size_t>(n);
  for (std::size_t i = text.size(); i > 0 && text[i - 1] == '=' && size > 0; --i) --size;
  decoded.resize(size);
  if (!decoded.starts_with(kHead) || !decoded.ends_with('}')) return std::nullopt;
  if (!swy::json::valid(decoded)) return std::nullopt;
  return decoded.substr(kHead.size(), decoded.size() - kHead.size() - 1);
}

}  // namespace switchyard::surface

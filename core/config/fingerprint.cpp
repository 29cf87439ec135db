#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "core/config/config.hpp"

namespace switchyard::config {
namespace {

// With its length, so that what moves from one part to the next makes a difference.
void add(std::string& text, std::string_view part) {
  text.append(std::to_string(part.size())).append(":").append(part);
}

std::string changed_at(const std::filesystem::path& file) {
  std::error_code none;
  const auto time = std::filesystem::last_write_time(file, none);
  return none ? std::string() : std::to_string(time.time_since_epoch().count());
}

void add(std::string& text, const Destination& destination) {
  for (const std::string_view part :
       {std::string_view(destination.name), std::string_view(destination.url),
        std::string_view(destination.credential_header),
        std::string_view(destination.credential_prefix), destination.credential.reveal(),
        std::string_view(destination.proxy)}) {
    add(text, part);
  }
  add(text, destination.ca_file.string());
  add(text, changed_at(destination.ca_file));
  add(text, std::to_string(destination.timeout.count()));
  for (const auto& [name, value] : destination.headers) {
    add(text, name);
    add(text, value);
  }
}

}  // namespace

std::string fingerprint(const Config& config, const std::vector<std::string>& destinations) {
  std::string text;
  for (const Destination& each : config.destinations) {
    const bool named = std::count(destinations.begin(), destinations.end(), each.name) > 0;
    if (named) add(text, each);
  }
  if (text.empty()) return text;
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  OPENSSL_cleanse(text.data(), text.size());  // it held their credentials
  return {digest.begin(), digest.end()};
}

}  // namespace switchyard::config

#include "core/exchange/affinity.hpp"

#include <switchyard/json.hpp>

#include "core/exchange/quantities.hpp"

namespace switchyard::exchange {
namespace {

// Of a message: long prompts that begin alike share a cache, and hashing them whole takes time.
constexpr std::size_t kMessageBytesMax = 1024;

// FNV-1a.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<unsigned char>(c));
    add(0xffu);  // in no UTF-8: "ab","c" is not "a","bc"
  }
  std::uint64_t value() const { return value_ != 0 ? value_ : 1; }

 private:
  void add(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3u; }
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

std::string_view session_of(const Request& request) {
  if (!request.session_id.empty()) return request.session_id;
  const std::string_view key = text_member(request, "prompt_cache_key");
  return key.empty() ? text_member(request, "user") : key;
}

std::string_view messages_of(const Request& request) {
  for (const swy_member& member : request.members) {
    if (std::string_view(member.name.p, member.name.n) != "messages") continue;
    return request.body.substr(member.value_at, member.value_n);
  }
  return {};
}

}  // namespace

Affinity affinity_of(const Request& request) {
  Hash hash;
  if (const std::string_view session = session_of(request); !session.empty()) {
    hash.add(request.record->account);
    hash.add(session);
    return {hash.value(), false};
  }
  swy::json::Cursor messages(messages_of(request));
  if (!messages.array()) return {};
  bool any = false;
  while (messages.element()) {
    const std::string_view message = messages.value();
    const auto role = swy::json::to_text(swy::json::find(message, "role"));
    hash.add(message.substr(0, kMessageBytesMax));
    any = true;
    if (role != "system" && role != "developer") break;
  }
  return any ? Affinity{hash.value(), true} : Affinity{};
}

}  // namespace switchyard::exchange

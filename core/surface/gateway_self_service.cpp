// Gateway's part that answers what the holder of a key asks of its own account.
#include <spdlog/spdlog.h>

#include "core/base/clock.hpp"
#include "core/net/offload.hpp"
#include "core/observe/log.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/self_service.hpp"

namespace switchyard::surface {
namespace {

using net::Task;

constexpr std::uint64_t kSecondNs = 1'000'000'000, kDayNs = 86'400 * kSecondNs;

// On the compute pool.
Result<void> ask_books(account::SelfService& service, const account::GatewayKey& key,
                       const account::Account& owner, SelfServiceKind kind,
                       SelfServiceFacts& facts) {
  const account::Account& payer = owner.payer();
  auto means = service.means(payer);
  if (!means) return std::move(means).error();
  facts.means = std::move(*means);
  if (!wants_usage(kind)) return {};
  const bool whole = wants_whole_account(kind);
  auto usage = service.usage(whole ? payer.id : owner.id, whole ? std::string() : key.id,
                             facts.days.first, facts.days.last);
  if (!usage) return std::move(usage).error();
  facts.usage = std::move(*usage);
  return {};
}

}  // namespace

Task<> Gateway::serve_self(Call& call, SelfServiceKind kind) {
  if (call.key == nullptr) {
    co_await refuse(call, bad_request(404, "no_account",
                                      "This gateway is open to everybody on this machine: without "
                                      "a key there is no account."));
    co_return;
  }
  auto days = read_days(call.head().query, call.record->start_unix_ns / kDayNs);
  if (!days) {
    co_await refuse(call, std::move(days).error());
    co_return;
  }
  SelfServiceFacts facts;
  facts.key_id = call.key->id;
  facts.access_until_unix_s = call.key->expires_unix_s;
  facts.days = *days;
  Result<void> asked;
  auto ask = [&] { asked = ask_books(*self_service_, *call.key, *call.account, kind, facts); };
  co_await net::offload(compute_, std::move(ask));
  if (!asked) {
    spdlog::error("self_service_failed reason={}", observe::quote(asked.error().message));
    exchange::Failure failure;
    failure.message = "The gateway's books can't be read now.";
    failure.code = "store_failed";
    co_await refuse(call, std::move(failure));
    co_return;
  }
  std::string body = self_service_json(kind, facts);
  co_await answer(call, 200, std::move(body));
}

}  // namespace switchyard::surface

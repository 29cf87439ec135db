#include <spdlog/spdlog.h>

#include "core/base/json_scan.hpp"
#include "core/net/offload.hpp"
#include "core/observe/log.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/redeem.hpp"

namespace switchyard::surface {
namespace {

constexpr std::uint64_t kBodyBytesMax = 4096;
constexpr std::size_t kCodeBytesMax = 200;

// Empty where the body is anything but {"code":"..."}.
std::string code_in(std::string_view body) {
  JsonIndex index;
  if (!index.scan(body)) return {};
  const swy_member* const code = index.find("code");
  if (code == nullptr || code->type != 's') return {};
  std::string text = json_unescape(index.value(*code));
  return text.size() <= kCodeBytesMax ? text : std::string();
}

}  // namespace

// The caller is known: a code is worth something to its account.
net::Task<> Gateway::serve_redeem(Call& call) {
  if (call.key == nullptr) {
    co_await refuse(call, bad_request(404, "no_account",
                                      "This gateway is open to everybody on this machine: without "
                                      "a key there is no account."));
    co_return;
  }
  const auto body = co_await call.http.read_body(kBodyBytesMax);
  if (!body) {
    const net::BodyFault& fault = body.error();
    if (fault.status != 0) {
      co_await refuse(call, bad_request(fault.status, "bad_body", fault.reason));
    }
    co_return;
  }
  const std::string code = code_in(*body);
  if (code.empty()) {
    co_await refuse(
        call, bad_request(400, "invalid_value", R"(The body is not {"code":"..."}.)", "code"));
    co_return;
  }
  account::Asked<std::string> given = std::string();
  auto work = [&] { given = call.published.redeem(call.account->id, code); };
  co_await net::offload(compute_, std::move(work));
  if (given) {
    co_await answer(call, 201, std::move(*given));
    co_return;
  }
  const account::Refusal& refusal = given.error();
  exchange::Failure failure = bad_request(static_cast<unsigned>(refusal.status), refusal.code,
                                          refusal.message, refusal.param);
  if (refusal.status >= 500) {
    spdlog::error("code_not_redeemed reason={}", observe::quote(refusal.message));
    failure = {};
    failure.message = "The gateway's books can't be written now.";
    failure.code = "store_failed";
  }
  co_await refuse(call, std::move(failure));
}

}  // namespace switchyard::surface

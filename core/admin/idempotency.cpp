#include "core/admin/idempotency.hpp"

#include <spdlog/spdlog.h>

#include "core/observe/log.hpp"

namespace switchyard::admin {
namespace {

constexpr std::size_t kKeyCharsMax = 255;
constexpr std::uint64_t kKeptS = 48 * 3600;
// Longer than any call runs: what has not ended by then was cut off with its process.
constexpr std::uint64_t kCallMaxS = 600;

Answer refusal(int status, const char* message, const char* code) {
  return error_answer(status, message, "idempotency_error", code);
}

// Over lengths too, so that no part can pass for another.
std::string fingerprint(const Request& request, const account::Pepper& pepper) {
  std::string text;
  const auto add = [&text](const std::string& part) {
    text += std::to_string(part.size()) + ':' + part;
  };
  add(request.method);
  add(request.path);
  for (const auto& [name, value] : request.query) {
    add(name);
    add(value);
  }
  add({});
  add(request.body);
  return account::to_hex(pepper.mac(text));
}

Answer replay(const store::ReplayRow& row, const std::string& wanted, std::uint64_t now_s) {
  if (row.fingerprint != wanted) {
    return refusal(422, "This Idempotency-Key was used with other parameters; take a new one.",
                   "idempotency_key_reused");
  }
  if (row.answer) {
    return {
        row.answer->status, row.answer->body, row.answer->type, {{"Idempotent-Replayed", "true"}}};
  }
  if (now_s < row.begun_unix_s + kCallMaxS) {
    return refusal(409, "The first call with this Idempotency-Key still runs; ask again later.",
                   "idempotency_in_progress");
  }
  return refusal(500,
                 "The gateway ended while the first call with this Idempotency-Key ran. See in the "
                 "audit log and the books whether it took effect before you take another key.",
                 "idempotency_interrupted");
}

class OneCall {
 public:
  OneCall(const Route& route, const Request& request, store::Replays& replays)
      : route_(route), request_(request), replays_(replays) {}

  Answer run() {
    try {
      Answer answer = route_.answer(request_);
      keep(answer);
      return answer;
    } catch (...) {
      keep(error_answer(500, "The gateway failed; its log says more.", "server_error",
                        "internal_error"));
      throw;
    }
  }

 private:
  void keep(const Answer& answer) {
    const std::string& caller = request_.caller.id;
    const std::string& key = request_.idempotency_key;
    const auto kept = answer.status == 400
                          ? replays_.forget(caller, key)
                          : replays_.end(caller, key, {answer.status, answer.type, answer.body});
    if (!kept) {
      // Its key stays "in progress": it is not made twice.
      spdlog::error("idempotent_answer_not_kept route={} reason={}", route_.path,
                    observe::quote(kept.error().message));
    }
  }

  const Route& route_;
  const Request& request_;
  store::Replays& replays_;
};

Answer answer_once(const Route& route, const Request& request, store::Replays& replays,
                   const account::Pepper& pepper, const UnixSeconds& now) {
  const std::string& key = request.idempotency_key;
  if (!request.has_idempotency_key) return route.answer(request);
  if (key.empty() || key.size() > kKeyCharsMax) {
    return refusal(400, "Idempotency-Key: expected 1 to 255 characters.", "bad_idempotency_key");
  }
  const std::string wanted = fingerprint(request, pepper);
  const std::uint64_t now_s = now();
  const auto first =
      replays.begin(request.caller.id, key, wanted, now_s, now_s < kKeptS ? 0 : now_s - kKeptS);
  if (!first) {
    spdlog::error("idempotency_key_not_kept reason={}", observe::quote(first.error().message));
    return error_answer(
        503,
        "The gateway's store failed; this call did nothing. One that was made under "
        "this Idempotency-Key before may have.",
        "server_error", "store_failed");
  }
  if (*first) return replay(**first, wanted, now_s);
  return OneCall(route, request, replays).run();
}

}  // namespace

std::vector<Route> once_by_key(std::vector<Route> routes, store::Replays& replays,
                               const account::Pepper& pepper, UnixSeconds now) {
  for (Route& route : routes) {
    if (!route.idempotent_by_key) continue;
    route.answer = [inner = route, &replays, pepper, now](const Request& request) {
      return answer_once(inner, request, replays, pepper, now);
    };
  }
  return routes;
}

}  // namespace switchyard::admin

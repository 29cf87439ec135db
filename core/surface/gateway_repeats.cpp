// Gateway's part that has to do with requests which their clients name.
#include "core/net/offload.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

using Found = Repeats::Found;

constexpr std::size_t kNameBytesMax = 255;
constexpr std::uint32_t kAskAgainMs = 1000;

exchange::Failure refusal_of(Found found) {
  switch (found) {
    case Found::kRunning: {
      auto failure = bad_request(409, "request_in_progress",
                                 "A request with this Idempotency-Key runs right now; wait for it, "
                                 "or ask again later.");
      failure.retry_after_ms = kAskAgainMs;
      return failure;
    }
    case Found::kAnswered: {
      auto failure = bad_request(409, "request_already_answered",
                                 "A request with this Idempotency-Key was answered, and the answer "
                                 "is not kept; send another key to run it again.");
      failure.upstream = true;  // an SDK shall not ask again
      return failure;
    }
    case Found::kOther:
      return bad_request(422, "idempotency_key_reused",
                         "This Idempotency-Key was given to another request; send a new one.");
    default: {
      auto failure = bad_request(503, "idempotency_unavailable",
                                 "Too many requests with an Idempotency-Key run; try again later.");
      failure.type = "server_error";
      failure.retry_after_ms = kAskAgainMs;
      return failure;
    }
  }
}

}  // namespace

net::Task<bool> Gateway::take_name(Call& call, std::string_view name, std::string_view body) {
  if (name.size() > kNameBytesMax) {
    co_await refuse(call, bad_request(400, "invalid_header",
                                      "Idempotency-Key: expected at most 255 characters."));
    co_return false;
  }
  // Whoever has no key shares one holder with all others on this machine.
  const std::string holder = call.record->key_id;
  const std::string_view path = call.head().path;
  std::uint64_t digest = 0;
  if (body.size() <= kScanOnLoopMax) {
    digest = Repeats::digest(path, body);
  } else {
    auto work = [&] { digest = Repeats::digest(path, body); };
    co_await net::offload(compute_, std::move(work));
  }
  const std::uint64_t now_s = call.record->start_unix_ns / 1'000'000'000u;
  const StoredAnswers::Name full{Repeats::digest(holder, name), digest};
  const Found found = repeats_->begin(full.name, full.body, now_s, call.repeat);
  if (found == Found::kFresh) co_return true;
  std::shared_ptr<const StoredAnswers::Answer> stored;
  if (found == Found::kAnswered) stored = repeats_->answers.find(full, now_s - Repeats::kKeptS);
  if (stored) {
    co_await answer_again(call, *stored);
    co_return false;
  }
  co_await refuse(call, refusal_of(found));
  co_return false;
}

net::Task<> Gateway::answer_again(Call& call, const StoredAnswers::Answer& answer) {
  call.record->status = 200;
  call.record->route_reason = "answered before under this Idempotency-Key";
  const std::string lines =
      "content-type: " + answer.content_type + "\r\nidempotent-replayed: true\r\n" + call.headers;
  call.http.start(200, lines, answer.body.size());
  call.http.write(answer.body);
  co_await call.http.flush();
}

void Gateway::store_answer(const Call& call) const {
  const std::size_t most = call.snapshot().config->records.body_size_max;
  if (!call.answer || call.answer->size() > most || call.record->status != 200) return;
  repeats_->answers.put(call.repeat.name(), {call.http.copied_type(), *call.answer},
                        call.record->start_unix_ns / 1'000'000'000u);
}

}  // namespace switchyard::surface

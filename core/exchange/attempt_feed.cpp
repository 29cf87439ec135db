// How an attempt gives the upstream's answer to the plugin: whole, or cut into frames.
#include <openssl/crypto.h>

#include <charconv>

#include "core/base/clock.hpp"
#include "core/base/json_pointer.hpp"
#include "core/exchange/attempt.hpp"
#include "core/exchange/payment.hpp"
#include "core/net/await.hpp"
#include "core/plugin/sign.hpp"

namespace switchyard::exchange {
namespace {

constexpr std::uint64_t kAnswerMax = 256u << 20;       // of an answer that is gathered whole
constexpr std::uint64_t kErrorAnswerMax = 256u << 10;  // of an error answer
constexpr std::uint64_t kTokenTtlS = 300, kTokenTtlMaxS = 86'400;

}  // namespace

using net::Task;

Task<Attempt::Next> Attempt::feed_whole(bool error_answer) {
  const std::uint64_t bytes_max = error_answer ? kErrorAnswerMax : kAnswerMax;
  std::string gathered;
  std::string_view body;
  for (;;) {
    Result<std::string_view, net::NetError> slice = std::string_view();
    const bool buffered = connection_->try_read_body(slice);
    if (!buffered) slice = co_await connection_->read_body();
    if (!slice) co_return broken(slice.error());
    if (slice->empty()) break;
    if (gathered.size() + slice->size() > bytes_max) {
      const net::NetError error{net::NetFault::kTooLarge, "the answer is too large", false, false};
      co_return broken(error);
    }
    if (gathered.empty() && connection_->body_complete()) {
      body = *slice;
      break;
    }
    gathered += *slice;
    body = gathered;
    if (connection_->body_complete()) break;
  }
  body_ended_ = true;
  held_ = body;
  Next next;
  next.act = SWY_ACT_FEED;
  if (!error_answer && outgoing_.framing() == SWY_FRAME_TOKEN) {
    next = take_token(body);
    OPENSSL_cleanse(gathered.data(), gathered.size());
  } else {
    next = step(SWY_EV_DATA, body);
  }
  if (next.act == SWY_ACT_FEED) next = step(SWY_EV_END);
  done_ = next.act == SWY_ACT_DONE && answered();
  if (done_ && whole_ && !request_.is_part) {
    payment_.settle(usage(), draining_ ? "client_left" : "completed");
    if (payment_.must_wait()) co_await payment_.durable();
  }
  if (emitted_) co_await net::after_ready(context_.loop.executor());
  // What was emitted may lie in `gathered` or in the connection's buffer.
  if (!flushed()) co_await flush();
  held_ = {};
  co_return next;
}

Attempt::Next Attempt::give_events(std::string_view bytes) {
  Next next;
  next.act = SWY_ACT_FEED;
  net::SseEvent event;
  while (next.act == SWY_ACT_FEED) {
    const auto state = sse_.next(bytes, event);
    if (state == net::SseDecoder::State::kNeedMore) break;
    if (state == net::SseDecoder::State::kTooLarge) {
      return broken(
          {net::NetFault::kTooLarge, "an event of the stream is too large", false, false});
    }
    next = step(SWY_EV_DATA, event.data, event.name);
  }
  return next;
}

Attempt::Next Attempt::give_lines(std::string_view bytes) {
  Next next;
  next.act = SWY_ACT_FEED;
  while (next.act == SWY_ACT_FEED && !bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) {
      line_ += bytes;
      break;
    }
    line_ += bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    if (!line_.empty()) next = step(SWY_EV_DATA, line_);
    line_.clear();
  }
  if (line_.size() > (16u << 20)) {
    return broken({net::NetFault::kTooLarge, "a line of the stream is too large", false, false});
  }
  return next;
}

Attempt::Next Attempt::give_messages(std::string_view bytes) {
  Next next;
  next.act = SWY_ACT_FEED;
  net::AwsMessage message;
  while (next.act == SWY_ACT_FEED) {
    const auto state = rare_->aws.next(bytes, message);
    if (state == net::AwsEventStream::State::kNeedMore) break;
    if (state == net::AwsEventStream::State::kBroken) {
      return broken({net::NetFault::kProtocol,
                     std::string("the event stream: ") + rare_->aws.fault(), false, false});
    }
    next = step(SWY_EV_DATA, message.data, message.name);
  }
  return next;
}

// What the end of the bytes completes, then END.
Attempt::Next Attempt::end_of_stream() {
  Next next;
  next.act = SWY_ACT_FEED;
  const std::uint32_t framing = outgoing_.framing();
  net::SseEvent event;
  if (framing == SWY_FRAME_SSE && sse_.finish(event) == net::SseDecoder::State::kEvent) {
    next = step(SWY_EV_DATA, event.data, event.name);
  } else if (framing == SWY_FRAME_NDJSON && !line_.empty()) {
    next = step(SWY_EV_DATA, line_);
  } else if (framing == SWY_FRAME_AWS && !rare_->aws.at_boundary()) {
    return broken(
        {net::NetFault::kClosed, "the event stream stops within a message", false, false});
  }
  if (next.act == SWY_ACT_FEED) next = step(SWY_EV_END);
  return next;
}

// Keeps the token of an answer. What the answer said is shown to nobody.
Attempt::Next Attempt::take_token(std::string_view body) {
  Next next;
  next.act = SWY_ACT_FEED;
  const Outgoing::Token* const wanted = outgoing_.token();
  std::optional<Secret> token;
  if (wanted != nullptr) token = plugin::secret_in(body, wanted->value_at);
  if (!token) {
    return broken({net::NetFault::kProtocol, "the answer to a token exchange holds no token there",
                   false, false});
  }
  const std::string_view ttl = json_at(body, wanted->ttl_at);
  std::uint64_t ttl_s = kTokenTtlS;
  const std::string digits =
      !ttl.empty() && ttl.front() == '"' ? json_unescape(ttl) : std::string(ttl);
  std::uint64_t said = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), said);
  if (fault == std::errc() && !wanted->ttl_at.empty()) ttl_s = std::min(said, kTokenTtlMaxS);
  const std::string_view credential =
      credential_ != nullptr ? std::string_view(credential_->name) : std::string_view();
  slot_.tokens->put(credential, wanted->name, std::move(*token),
                    mono_ns() + ttl_s * 1'000'000'000u);
  return next;
}

Task<Attempt::Next> Attempt::feed_events() {
  const std::uint32_t framing = outgoing_.framing();
  Next next;
  next.act = SWY_ACT_FEED;
  sse_ = net::SseDecoder();
  line_.clear();
  if (framing == SWY_FRAME_AWS) rare().aws = net::AwsEventStream();
  while (next.act == SWY_ACT_FEED) {
    Result<std::string_view, net::NetError> slice = std::string_view();
    const bool buffered = connection_->try_read_body(slice);
    if (!buffered) slice = co_await connection_->read_body();
    if (!slice) co_return broken(slice.error());
    if (slice->empty()) {
      body_ended_ = true;
      break;
    }
    if (framing == SWY_FRAME_SSE) {
      next = give_events(*slice);
    } else if (framing == SWY_FRAME_NDJSON) {
      next = give_lines(*slice);
    } else if (framing == SWY_FRAME_AWS) {
      next = give_messages(*slice);
    } else {
      next = step(SWY_EV_DATA, *slice);
    }
    // What came in one packet goes out in one, and the last of it when the answer is paid.
    const bool last = connection_->body_complete();
    if (next.act == SWY_ACT_FEED && !last && !connection_->body_buffered()) {
      if (emitted_) co_await net::after_ready(context_.loop.executor());
      if (!flushed()) co_await flush();
    }
    if (exhausted_) co_return next;
    if (given_up()) {
      aborted_ = true;
      next.act = SWY_ACT_FAIL;
      co_return next;
    }
  }
  if (next.act != SWY_ACT_FEED) co_return next;

  next = end_of_stream();
  co_return next;
}

}  // namespace switchyard::exchange

#include "core/exchange/attempt.hpp"

#include <boost/asio/detached.hpp>

#include "core/base/clock.hpp"
#include "core/exchange/usage.hpp"
#include "core/net/await.hpp"

namespace switchyard::exchange {
namespace {

using net::Task;

constexpr std::uint64_t kAnswerMax = 256u << 20;       // of an answer that is gathered whole
constexpr std::uint64_t kErrorAnswerMax = 256u << 10;  // of an error answer
// How long, and for how many pieces of content, an upstream is read after the client has left.
constexpr std::chrono::seconds kDrainMax{30};
constexpr std::uint64_t kDrainPiecesMax = 4096;

// What is left of an answer whose end the plugin has seen: read it so that the connection can serve
// again.
Task<> drain(std::unique_ptr<net::UpstreamConnection> connection, LoopContext context) {
  net::UpstreamPool& pool = context.pool;
  net::Deadline deadline(context.loop, [&connection] { connection->abort(); });
  deadline.expires_after(std::chrono::milliseconds(250));
  for (std::size_t total = 0; total < 64 * 1024;) {
    const auto slice = co_await connection->read_body();
    if (!slice) co_return;
    if (slice->empty()) {
      deadline.disarm();
      pool.release(std::move(connection));
      co_return;
    }
    total += slice->size();
  }
}

void redact(std::string& text, std::string_view secret) {
  if (secret.empty()) return;
  for (auto at = text.find(secret); at != text.npos; at = text.find(secret, at)) {
    text.replace(at, secret.size(), "[redacted]");
    at += std::string_view("[redacted]").size();
  }
  // A text that was cut to fit may end within it.
  for (std::size_t n = secret.size() - 1; n >= 8; --n) {
    if (!text.ends_with(secret.substr(0, n))) continue;
    text.replace(text.size() - n, n, "[redacted]");
    return;
  }
}

}  // namespace

Attempt::Attempt(LoopContext& context, const Snapshot& snapshot, const Request& request,
                 const routing::Target& target, ClientWriter& writer)
    : context_(context),
      slot_(snapshot.providers[target.provider]),
      request_(request),
      target_(target),
      writer_(writer),
      limits_(snapshot.config->limits),
      outgoing_(request.body),
      drain_deadline_(context.loop, [this] { abort(); }) {
  if (!slot_.config->credentials.empty()) {
    credential_ = &slot_.config->credentials.front();
    for (const auto& [name, value] : credential_->parts) {
      credential_parts_.push_back({to_swy(name), to_swy(value)});
    }
  }
}

Attempt::~Attempt() {
  // The operation goes before the request that it points to, and before a connection whose bytes it
  // may look at.
  operation_.reset();
}

observe::Usage Attempt::usage() const {
  // What was reported on the way is not the whole of an answer that broke off later; each piece
  // holds a token at least.
  if (usage_.reported && (done_ || usage_.tok_out >= content_pieces_)) return usage_;
  if (usage_.reported) {
    observe::Usage counted = usage_;
    counted.tok_out = content_pieces_;
    counted.reported = false;
    return counted;
  }
  // What a session's messages cost has little to do with their size.
  if (request_.session != nullptr) return usage_;
  observe::Usage estimated = usage_;
  estimated.tok_in = estimate_tokens(request_.body.size());
  estimated.tok_out = request_.stream ? content_pieces_ : estimate_tokens(bytes_out_);
  return estimated;
}

void Attempt::time_out(const char* what) {
  timed_out_ = what;
  abort();
}

void Attempt::client_left() {
  // Before the request went out there is nothing to be charged for.
  if (!slot_.config->drain_on_disconnect || calls_ == 0) return abort();
  draining_ = true;
  drain_deadline_.expires_after(kDrainMax);
}

bool Attempt::given_up() const {
  return draining_ ? aborted_ : writer_.gone() || (aborted_ && timed_out_ == nullptr);
}

void Attempt::abort() {
  aborted_ = true;
  if (connection_) connection_->abort();
  if (session_) session_->stop("session_expired", timed_out_ != nullptr ? timed_out_ : "given up");
  cancel_.cancel();
  if (timer_ != nullptr) timer_->cancel();
}

// ---- what the plugin writes ----

swy_rc Attempt::req_begin(std::string_view method, std::string_view url, std::uint32_t xid,
                          std::uint32_t framing) {
  if (!slot_.upstream) return SWY_E_UNSUP;
  if (framing == SWY_FRAME_WEBSOCKET && request_.session == nullptr) return SWY_E_UNSUP;
  return outgoing_.begin(method, url, xid, framing);
}

swy_rc Attempt::req_header(std::string_view name, std::string_view value) {
  return outgoing_.header(name, value);
}

swy_rc Attempt::req_auth(std::string_view scheme, std::string_view name, std::string_view slot) {
  return slot.empty() ? outgoing_.auth(scheme, name) : SWY_E_UNSUP;
}

swy_rc Attempt::req_body(std::span<const swy_seg> pieces) { return outgoing_.body(pieces); }

swy_rc Attempt::emit(std::uint32_t what, std::uint32_t flags, std::string_view data) {
  switch (what) {
    case SWY_EMIT_DELTA:
      return emit_delta((flags & SWY_EMIT_CONTENT) != 0, data);
    case SWY_EMIT_WHOLE:
      return emit_whole(data);
    case SWY_EMIT_USAGE:
      return read_usage(data, usage_) ? SWY_OK : SWY_E_DATA;
    case SWY_EMIT_ERROR:
      fault_.error_json = data;
      return SWY_OK;
    case SWY_EMIT_FINISH:
      request_.record->finish_reason = data;
      return SWY_OK;
    case SWY_EMIT_LIMITS:
      return SWY_OK;  // known, and used once credentials have live limits
    default:
      return SWY_E_UNSUP;
  }
}

swy_rc Attempt::ws_send(bool to_client, std::uint32_t opcode, std::span<const swy_seg> pieces) {
  return session_ ? session_->send(to_client, opcode, pieces) : SWY_E_ARG;
}

swy_rc Attempt::emit_delta(bool content, std::string_view data) {
  if (!request_.stream || request_.session != nullptr) return SWY_E_ARG;
  if (content) ++content_pieces_;
  bytes_out_ += data.size();
  if (draining_) {
    if (content && ++drained_pieces_ > kDrainPiecesMax) abort();
    return aborted_ ? SWY_E_GONE : SWY_OK;
  }
  if (writer_.gone()) return SWY_E_GONE;
  if (content && request_.record->first_ns == 0) request_.record->first_ns = mono_ns();
  emitted_ = true;
  writer_.delta(data, content);
  return SWY_OK;
}

// A second one, or one within a stream, would be read as part of another answer.
swy_rc Attempt::emit_whole(std::string_view data) {
  if (request_.stream || whole_) return SWY_E_ARG;
  whole_ = true;
  bytes_out_ += data.size();
  if (draining_) return SWY_OK;
  if (writer_.gone()) return SWY_E_GONE;
  if (request_.record->first_ns == 0) request_.record->first_ns = mono_ns();
  emitted_ = true;
  const bool stays =
      data.data() >= held_.data() && data.data() + data.size() <= held_.data() + held_.size();
  if (!stays) {
    owned_ = data;
    data = owned_;
  }
  writer_.whole(data);
  return SWY_OK;
}

// ---- driving ----

Attempt::Next Attempt::step(std::uint32_t kind, std::string_view data, std::string_view name,
                            unsigned status) {
  swy_ev event{};
  event.size = sizeof event;
  event.kind = kind;
  event.xid = outgoing_.xid();
  event.status = status;
  event.name = to_swy(name);
  event.data = to_swy(data);
  event.now_ns = mono_ns();
  return operation_->step(event, *this);
}

Task<Attempt::Outcome> Attempt::run() {
  abi_request_.size = sizeof abi_request_;
  const bool native = slot_.instance->caps().takes_dialect(request_.dialect);
  abi_request_.flags = (native ? SWY_REQ_NATIVE : 0u) | (request_.stream ? SWY_REQ_STREAM : 0u) |
                       (request_.want_usage ? SWY_REQ_WANT_USAGE : 0u);
  abi_request_.id = to_swy(request_.record->id);
  abi_request_.task = to_swy(request_.task);
  abi_request_.dialect = to_swy(request_.dialect);
  abi_request_.model = to_swy(target_.model);
  abi_request_.body = to_swy(request_.body);
  abi_request_.member = request_.members.data();
  abi_request_.nmember = static_cast<std::uint32_t>(request_.members.size());
  abi_request_.member_stride = sizeof(swy_member);
  abi_request_.hdr = request_.headers.data();
  abi_request_.nhdr = static_cast<std::uint32_t>(request_.headers.size());
  abi_request_.cred = credential_parts_.data();
  abi_request_.ncred = static_cast<std::uint32_t>(credential_parts_.size());

  auto started = plugin::Operation::start(*slot_.instance, abi_request_);
  if (!started) {
    fault_.cls = started.error().cls;
    fault_.http = started.error().http;
    fault_.message = started.error().message;
    co_return Outcome::kFailed;
  }
  operation_.emplace(std::move(*started));

  Next next = step(SWY_EV_START);
  for (;;) {
    if (!flushed()) co_await writer_.flush();
    if (given_up()) co_return Outcome::kClientGone;
    if (next.act == SWY_ACT_DONE) {
      done_ = request_.stream || whole_;
      if (done_) break;
      next.act = SWY_ACT_FAIL;
      next.fault.message = "the plugin ended without an answer";
    }
    if (next.act == SWY_ACT_SEND) {
      next = co_await exchange();
    } else if (next.act == SWY_ACT_WAIT) {
      next = co_await wait(next.delay_ns);
    } else {
      // FAIL, or FEED where nothing more can come.
      if (next.act != SWY_ACT_FAIL)
        next.fault.message = "the plugin waits for an event that can't come";
      take_fault(next);
      release_connection();
      co_return writer_.gone() ? Outcome::kClientGone : Outcome::kFailed;
    }
  }
  release_connection();
  co_return writer_.gone() ? Outcome::kClientGone : Outcome::kDone;
}

// The host's own finding, where there is one, stays.
void Attempt::take_fault(const Next& next) {
  if (*fault_.code == '\0') {
    fault_.cls = next.fault.cls;
    fault_.http = next.fault.http;
    fault_.retry_after_ms = next.fault.retry_after_ms;
    fault_.message = next.fault.message;
  }
  redact_fault();
}

void Attempt::redact_fault() {
  if (credential_ == nullptr) return;
  redact(fault_.message, credential_->key.reveal());
  redact(fault_.error_json, credential_->key.reveal());
}

bool Attempt::flushed() {
  if (!emitted_) return true;
  emitted_ = false;
  if (draining_) return true;
  return writer_.try_flush();
}

Task<Attempt::Next> Attempt::wait(std::uint64_t delay_ns) {
  net::Timer timer(context_.loop.executor());
  timer.expires_after(std::chrono::nanoseconds(delay_ns));
  timer_ = &timer;
  co_await timer.async_wait(net::kAwait);
  timer_ = nullptr;
  if (aborted_) {
    Next next;
    next.fault.cls = SWY_CLS_TIMEOUT;
    if (timed_out_ != nullptr) next.fault.message = timed_out_;
    co_return next;
  }
  co_return step(SWY_EV_TIMER);
}

Attempt::Next Attempt::broken(const net::NetError& error) {
  if (timed_out_ != nullptr) {
    fault_.cls = SWY_CLS_TIMEOUT;
    fault_.code = "upstream_timeout";
    fault_.message = timed_out_;
  } else {
    std::string error_json = std::move(fault_.error_json);
    fault_ = from_net(error);
    fault_.error_json = std::move(error_json);
  }
  // The plugin may know better what a broken answer means, or have state to end; the host's own
  // finding stays the fault.
  step(SWY_EV_IOERR, fault_.message, {}, static_cast<unsigned>(fault_.cls));
  Next next;
  next.act = SWY_ACT_FAIL;
  return next;
}

Task<Result<void, net::NetError>> Attempt::connect_and_send(bool fresh) {
  if (!fresh) connection_ = context_.pool.try_acquire(slot_.upstream);
  if (!connection_) {
    auto acquired = co_await context_.pool.acquire(slot_.upstream, fresh, cancel_);
    if (!acquired) co_return std::move(acquired).error();
    connection_ = std::move(*acquired);
  }
  if (aborted_) {
    co_return net::NetError{net::NetFault::kAborted, "the client left", true, false};
  }
  ++calls_;
  connection_->set_timeout(slot_.config->timeouts.first_byte);
  if (outgoing_.framing() == SWY_FRAME_WEBSOCKET) connection_->expect_upgrade();
  const auto pieces = outgoing_.assemble(slot_, credential_);
  auto sent = co_await connection_->send(pieces, outgoing_.method());
  co_return sent;
}

Task<Result<const net::ResponseHead*, net::NetError>> Attempt::read_head() {
  // What a session takes is never given back.
  const bool fresh = outgoing_.framing() == SWY_FRAME_WEBSOCKET;
  auto sent = co_await connect_and_send(fresh);
  Result<const net::ResponseHead*, net::NetError> head = net::NetError{};
  if (sent) {
    request_.record->sent_ns = mono_ns();
    head = co_await connection_->read_head();
    if (head) co_return head;
  } else {
    head = std::move(sent).error();
  }
  // A kept connection that its peer closed as we wrote has not carried the request: send it once
  // more on a new one.
  const net::NetError& error = head.error();
  if (aborted_ || !error.reused || !error.nothing_received ||
      error.fault != net::NetFault::kClosed) {
    co_return head;
  }
  connection_.reset();
  sent = co_await connect_and_send(true);
  if (!sent) co_return std::move(sent).error();
  request_.record->sent_ns = mono_ns();
  head = co_await connection_->read_head();
  co_return head;
}

Task<Attempt::Next> Attempt::exchange() {
  release_connection();
  body_ended_ = false;
  const std::uint64_t began_ns = mono_ns();
  // Over the head as a whole: bytes that drip must not renew it.
  net::Deadline deadline(context_.loop,
                         [this] { time_out("the upstream's answer did not begin in time"); });
  deadline.expires_after(slot_.config->timeouts.connect + slot_.config->timeouts.first_byte);
  const auto head = co_await read_head();
  deadline.disarm();
  const std::uint64_t head_ns = mono_ns();
  request_.record->upstream_ns += head_ns - began_ns;
  if (!head) co_return broken(head.error());
  outgoing_.forget();
  request_.record->head_ns = head_ns;
  connection_->set_timeout(slot_.config->timeouts.between_bytes);

  const net::ResponseHead& answer = **head;
  std::vector<swy_kv> headers;
  headers.reserve(answer.headers.size());
  for (const net::Header& header : answer.headers) {
    headers.push_back({to_swy(header.name), to_swy(header.value)});
  }
  swy_ev event{};
  event.size = sizeof event;
  event.kind = SWY_EV_HEAD;
  event.xid = outgoing_.xid();
  event.status = answer.status;
  event.hdr = headers.data();
  event.nhdr = static_cast<std::uint32_t>(headers.size());
  event.now_ns = head_ns;
  const bool upgrade = outgoing_.framing() == SWY_FRAME_WEBSOCKET;
  const bool failed = answer.status >= 400 || upgrade;
  if (upgrade && answer.status == 101) {
    const auto fault = open_session(answer);
    if (fault) co_return broken(*fault);
  }
  Next next = operation_->step(event, *this);
  if (session_) {
    next = co_await run_session(std::move(next));
    co_return next;
  }
  if (next.act != SWY_ACT_FEED) co_return next;

  if (failed || outgoing_.framing() == SWY_FRAME_WHOLE) {
    next = co_await feed_whole(failed);
  } else {
    next = co_await feed_events();
  }
  co_return next;
}

std::optional<net::NetError> Attempt::open_session(const net::ResponseHead& answer) {
  const char* const wrong =
      net::ws_check_answer(answer, outgoing_.websocket_key(), outgoing_.websocket_protocols());
  if (wrong != nullptr) return net::NetError{net::NetFault::kProtocol, wrong, false, false};
  auto message_step = [this](std::uint32_t kind, std::string_view data, std::string_view name,
                             unsigned status) { return step(kind, data, name, status); };
  std::string ahead;
  auto stream = connection_->take_stream(ahead);
  session_ = std::make_unique<Session>(context_, limits_, std::move(stream), std::move(ahead),
                                       std::move(message_step));
  return std::nullopt;
}

Task<Attempt::Next> Attempt::run_session(Next next) {
  next = co_await session_->run(std::move(next), *request_.session);
  fault_.code = session_->code();
  if (*fault_.code != '\0') {
    fault_.cls = next.fault.cls;
    fault_.message = next.fault.message;
  }
  session_.reset();
  connection_.reset();
  co_return next;
}

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
  Next next = step(SWY_EV_DATA, body);
  if (next.act == SWY_ACT_FEED) next = step(SWY_EV_END);
  // What was emitted may lie in `gathered` or in the connection's buffer.
  if (!flushed()) co_await writer_.flush();
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

Task<Attempt::Next> Attempt::feed_events() {
  const std::uint32_t framing = outgoing_.framing();
  Next next;
  next.act = SWY_ACT_FEED;
  sse_ = net::SseDecoder();
  line_.clear();
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
    } else {
      next = step(SWY_EV_DATA, *slice);
    }
    // What came in one packet goes out in one.
    if (next.act == SWY_ACT_FEED && !connection_->body_buffered()) {
      if (!flushed()) co_await writer_.flush();
    }
    if (given_up()) {
      aborted_ = true;
      next.act = SWY_ACT_FAIL;
      co_return next;
    }
  }
  if (next.act != SWY_ACT_FEED) co_return next;

  net::SseEvent event;
  if (framing == SWY_FRAME_SSE && sse_.finish(event) == net::SseDecoder::State::kEvent) {
    next = step(SWY_EV_DATA, event.data, event.name);
  } else if (framing == SWY_FRAME_NDJSON && !line_.empty()) {
    next = step(SWY_EV_DATA, line_);
  }
  if (next.act == SWY_ACT_FEED) next = step(SWY_EV_END);
  co_return next;
}

void Attempt::release_connection() {
  if (!connection_) return;
  if (body_ended_ || connection_->body_complete()) {
    context_.pool.release(std::move(connection_));
  } else if (fault_.code[0] == '\0' && !aborted_) {
    net::asio::co_spawn(context_.loop.context(), drain(std::move(connection_), context_),
                        net::asio::detached);
  }
  connection_.reset();
}

}  // namespace switchyard::exchange

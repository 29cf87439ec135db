// How an attempt sends what the plugin wrote.
#include <algorithm>

#include "core/base/clock.hpp"
#include "core/exchange/attempt.hpp"
#include "core/net/offload.hpp"
#include "core/plugin/sign.hpp"

namespace switchyard::exchange {

using net::Task;

// ---- what the plugin writes ----

// The origin of an absolute URL; `path`: what follows it.
Result<Origin> Attempt::find_origin(std::string_view url, std::string& path) const {
  const std::size_t authority = url.find("://");
  const std::size_t end = std::min(url.find_first_of("/?#", authority + 3), url.size());
  const auto parsed = net::parse_url(url.substr(0, end));
  if (!parsed) return parsed.error();
  path = url.substr(end);
  if (path.empty() || path.front() != '/') path.insert(0, "/");
  const net::Upstream& own = *slot_.upstream;
  if (parsed->tls == own.tls && parsed->host == own.host && parsed->port == own.port) {
    return Origin{slot_.upstream, true, slot_.fixed_headers};
  }
  if (!slot_.other_origin) return Error{"no other origin can be reached"};
  return slot_.other_origin(*parsed);
}

swy_rc Attempt::req_begin(std::string_view method, std::string_view url, std::uint32_t xid,
                          std::uint32_t framing) {
  if (!slot_.upstream) return SWY_E_UNSUP;
  if (url.find("://") == std::string_view::npos || url.starts_with('/')) {
    return outgoing_.begin(method, url, xid, framing);
  }
  std::string path;
  auto origin = find_origin(url, path);
  if (!origin) return SWY_E_ARG;
  const swy_rc rc = outgoing_.begin(method, path, xid, framing);
  if (rc == SWY_OK) outgoing_.send_to(std::move(*origin));
  return rc;
}

swy_rc Attempt::req_header(std::string_view name, std::string_view value) {
  return outgoing_.header(name, value);
}

swy_rc Attempt::req_auth(std::string_view scheme, std::string_view name, std::string_view slot) {
  if (slot.empty() || scheme == "none" || scheme == "sign") return outgoing_.auth(scheme, name);
  std::optional<Secret> secret;
  if (slot.front() != '/') {
    const std::string_view credential =
        credential_ != nullptr ? std::string_view(credential_->name) : std::string_view();
    secret = slot_.tokens->find(credential, slot, mono_ns());
  } else if (credential_ != nullptr) {
    secret = plugin::secret_in(credential_->key.reveal(), slot);
  }
  if (!secret) return SWY_E_ARG;
  rare().secrets.push_back(*secret);
  return outgoing_.auth(scheme, name, std::move(secret));
}

swy_rc Attempt::req_part(std::span<const swy_kv> headers) { return outgoing_.part(headers); }

swy_rc Attempt::req_body(std::span<const swy_seg> pieces) { return outgoing_.body(pieces); }

swy_rc Attempt::req_query(std::string_view name, std::string_view value) {
  return outgoing_.query(name, value);
}

swy_rc Attempt::req_token(std::string_view name, std::string_view value_at,
                          std::string_view ttl_at) {
  return outgoing_.token(name, value_at, ttl_at);
}

swy_rc Attempt::has_token(std::string_view name) {
  const std::string_view credential =
      credential_ != nullptr ? std::string_view(credential_->name) : std::string_view();
  return slot_.tokens->find(credential, name, mono_ns()) ? SWY_OK : SWY_E_UNSUP;
}

const Secret* Attempt::credential_key() const {
  return credential_ != nullptr ? &credential_->key : nullptr;
}

// ---- sending ----

// Encodes, hashes and has the request signed; false where it was not: rare_->refused says why.
Task<bool> Attempt::prepare() {
  if (outgoing_.heavy() && context_.compute != nullptr) {
    auto work = [this] { outgoing_.prepare(); };
    co_await net::offload(*context_.compute, std::move(work));
  } else {
    outgoing_.prepare();
  }
  co_return !outgoing_.signs() || sign();
}

bool Attempt::sign() {
  if (given_up()) return false;
  swy_ev event{};
  event.size = sizeof event;
  event.kind = SWY_EV_SIGN;
  event.xid = outgoing_.xid();
  event.now_ns = mono_ns();
  event.sign = &outgoing_.begin_signing(slot_);
  Next next = give(event);
  outgoing_.end_signing();
  if (next.act == SWY_ACT_FEED) return true;
  if (next.act != SWY_ACT_FAIL) next.fault.message = "the plugin did not sign";
  next.act = SWY_ACT_FAIL;
  rare().refused = std::move(next);
  return false;
}

Task<Result<void, net::NetError>> Attempt::connect_and_send(bool fresh) {
  const auto* const elsewhere = outgoing_.upstream();
  const auto& upstream = elsewhere != nullptr ? *elsewhere : slot_.upstream;
  if (!fresh) connection_ = context_.pool.try_acquire(upstream);
  if (!connection_) {
    auto acquired = co_await context_.pool.acquire(upstream, fresh, *cancel_);
    if (!acquired) co_return std::move(acquired).error();
    connection_ = std::move(*acquired);
  }
  if (aborted_) {
    co_return net::NetError{net::NetFault::kAborted, "the client left", true, false};
  }
  ++calls_;
  if (outgoing_.framing() != SWY_FRAME_TOKEN) sent_ = true;
  connection_->set_timeout(timeouts_.first_byte);
  if (outgoing_.framing() == SWY_FRAME_WEBSOCKET) connection_->expect_upgrade();
  const auto pieces = outgoing_.assemble(slot_, credential_);
  auto sent = co_await connection_->send(pieces, outgoing_.method());
  co_return sent;
}

Task<Result<const net::ResponseHead*, net::NetError>> Attempt::read_head() {
  if (outgoing_.special()) {
    const bool ready = co_await prepare();
    if (!ready) co_return net::NetError{net::NetFault::kAborted, "not signed", true, false};
  }
  // On a kept connection it could not be told whether the upstream had it before it closed. And
  // what a session takes is never given back.
  const bool fresh = once() || outgoing_.framing() == SWY_FRAME_WEBSOCKET;
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

}  // namespace switchyard::exchange

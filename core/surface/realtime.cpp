#include "core/surface/realtime.hpp"

#include <algorithm>

#include "core/net/text.hpp"
#include "core/surface/endpoints.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

using net::Task;

constexpr std::string_view kKeyProtocol = "openai-insecure-api-key.";
constexpr std::size_t kQueryMembersMax = 32;

template <class Visit>
void each_protocol(const net::RequestHead& head, Visit visit) {
  for (const net::Header& header : head.headers) {
    if (header.name != "sec-websocket-protocol") continue;
    std::string_view list = header.value;
    while (!list.empty()) {
      const std::size_t comma = list.find(',');
      std::string_view one = list.substr(0, comma);
      list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
      while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
      while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
      visit(one);
    }
  }
}

bool valid_utf8(std::string_view text) {
  net::Utf8Check check;
  return check.feed(text) && check.complete();
}

// The query's parameters, in order.
std::optional<exchange::Failure> read_query(std::string_view query, RealtimeAsk& ask) {
  std::vector<std::string> names;
  ask.body = "{";
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (pair.empty()) continue;
    const std::size_t equal = std::min(pair.find('='), pair.size());
    std::string name = net::percent_decode(pair.substr(0, equal), true);
    std::string value = net::percent_decode(pair.substr(std::min(equal + 1, pair.size())), true);
    if (!valid_utf8(name) || !valid_utf8(value)) {
      return bad_request(400, "invalid_value", "The query is not UTF-8.");
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return bad_request(400, "duplicate_member",
                         "The query parameter '" + name + "' occurs more than once.", name);
    }
    if (names.size() == kQueryMembersMax) {
      return bad_request(400, "invalid_value", "The query has too many parameters.");
    }
    if (!names.empty()) ask.body += ',';
    append_json_string(ask.body, name);
    ask.body += ':';
    append_json_string(ask.body, value);
    if (name == "model") ask.model = value;
    names.push_back(std::move(name));
  }
  ask.body += '}';
  return std::nullopt;
}

}  // namespace

std::string_view realtime_key(const net::RequestHead& head) {
  std::string_view key;
  each_protocol(head, [&](std::string_view protocol) {
    if (protocol.starts_with(kKeyProtocol)) key = protocol.substr(kKeyProtocol.size());
  });
  return key;
}

bool realtime_origin_allowed(const net::RequestHead& head,
                             const std::vector<std::string>& allowed) {
  const std::string_view origin = head.find("origin");
  if (origin.empty()) return true;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme) && net::equals_nocase(origin.substr(scheme.size()), head.host)) {
      return true;
    }
  }
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& one) { return one == "*" || one == origin; });
}

Result<RealtimeAsk, exchange::Failure> read_realtime(const net::RequestHead& head) {
  const auto upgrade = net::ws_read_request(head);
  if (!upgrade) {
    const net::WsRefusal& refusal = upgrade.error();
    const char* const code = refusal.status == 426 ? "upgrade_required" : "invalid_upgrade";
    return bad_request(refusal.status, code,
                       "This is not a WebSocket handshake: " + std::string(refusal.reason) + ".");
  }
  RealtimeAsk ask;
  ask.accept = "sec-websocket-accept: " + net::ws_accept(upgrade->key) + "\r\n";
  for (const std::string_view protocol : upgrade->protocols) {
    if (protocol == "realtime") ask.accept += "sec-websocket-protocol: realtime\r\n";
    // "openai-beta.realtime-v1" stands for the header "OpenAI-Beta: realtime=v1".
    if (protocol == "openai-beta.realtime-v1") ask.beta = "realtime=v1";
  }
  auto wrong = read_query(head.query, ask);
  if (wrong) return std::move(*wrong);
  auto model = check_model(ask.model);
  if (model) return std::move(*model);
  return ask;
}

std::string_view realtime_upgrade_headers() {
  return "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n";
}

RealtimeWriter::RealtimeWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers,
                               std::string_view accept, std::string_view request_id,
                               std::chrono::milliseconds write_timeout)
    : loop_(loop),
      http_(http),
      headers_(headers),
      accept_(accept),
      request_id_(request_id),
      write_timeout_(write_timeout) {}

Task<net::WebSocket*> RealtimeWriter::accept() {
  std::string lines(accept_);
  lines += headers_;
  std::string ahead;
  auto going_away = [this] {
    if (socket_) socket_->going_away();
  };
  const bool listening = co_await http_.upgrade("websocket", lines, std::move(going_away), ahead);
  if (!listening) co_return nullptr;
  net::WebSocketLimits limits;
  limits.write_timeout = write_timeout_;
  socket_ = std::make_unique<net::WebSocket>(loop_, http_.stream(), net::WebSocket::Role::kServer,
                                             limits, std::move(ahead));
  co_return socket_.get();
}

void RealtimeWriter::fail(const exchange::Failure& failure) {
  const std::string error = openai_error(failure);
  if (!socket_) {
    if (http_.started()) return;
    std::string lines = openai_error_headers(failure);
    lines += headers_;
    http_.start(failure.status, lines, error.size());
    http_.write(error);
    return;
  }
  std::string event = R"({"type":"error","event_id":"event_)";
  event.append(request_id_).append("\",").append(std::string_view(error).substr(1));
  const net::asio::const_buffer piece = net::asio::buffer(event);
  socket_->send(true, {&piece, 1});
  socket_->close(net::kWsFailed, failure.code);
}

Task<bool> RealtimeWriter::flush() {
  if (!socket_) {
    const bool listening = co_await http_.flush();
    co_return listening;
  }
  co_await end();
  co_return !socket_->lost();
}

Task<> RealtimeWriter::end() {
  if (!socket_ || finished_) co_return;
  finished_ = true;
  co_await socket_->finish();
}

observe::Facts RealtimeWriter::facts() const {
  observe::Facts facts;
  facts.add("bytes_from_client", std::to_string(socket_->bytes_in()));
  facts.add("bytes_to_client", std::to_string(socket_->bytes_out()));
  return facts;
}

void RealtimeWriter::on_gone(std::function<void()> callback) {
  // Once upgraded the session itself sees it.
  if (!socket_) http_.on_client_gone(std::move(callback));
}

}  // namespace switchyard::surface

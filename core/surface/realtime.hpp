// GET /v1/realtime: OpenAI's realtime sessions over a WebSocket.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/exchange/exchange.hpp"
#include "core/net/server.hpp"
#include "core/net/websocket_stream.hpp"

namespace switchyard::surface {

inline constexpr std::string_view kRealtimePath = "/v1/realtime";
inline constexpr std::string_view kRealtimeTask = "realtime";

// The gateway key of a browser, which can send no header: it travels as a subprotocol. Empty where
// there is none.
std::string_view realtime_key(const net::RequestHead& head);

// Whether a browser's page may open a session: WebSockets know no CORS. Pages of the gateway's own
// origin, and those that the configuration allows; no Origin is no browser.
bool realtime_origin_allowed(const net::RequestHead& head, const std::vector<std::string>& allowed);

// What is asked for, read from the request.
struct RealtimeAsk {
  std::string model;
  std::string body;    // the query as a JSON object of strings
  std::string accept;  // header lines of the 101
  std::string beta;    // the value of OpenAI-Beta where it came as a subprotocol
};
// The failure's status 426 goes with realtime_upgrade_headers().
Result<RealtimeAsk, exchange::Failure> read_realtime(const net::RequestHead& head);
std::string_view realtime_upgrade_headers();

class RealtimeWriter : public exchange::ClientWriter, public exchange::SessionClient {
 public:
  // `headers` are the lines that every answer of this request carries; `accept` those of a 101.
  // Both outlive the writer. end() must have returned before it goes.
  RealtimeWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers,
                 std::string_view accept, std::string_view request_id,
                 std::chrono::milliseconds write_timeout);

  net::Task<net::WebSocket*> accept() override;
  // Closes the session where it is open.
  net::Task<> end();
  // What a record tells of a session: the bytes of its WebSocket.
  observe::Facts facts() const;

  void delta(std::string_view, bool) override {}
  void whole(std::string_view) override {}
  void end_stream(const observe::Usage&) override {}
  void fail(const exchange::Failure& failure) override;
  void discard() override {}
  bool started() const override { return http_.started(); }
  bool committed() const override { return socket_ != nullptr; }
  bool try_flush() override { return socket_ || http_.try_flush(); }
  net::Task<bool> flush() override;
  bool gone() const override { return socket_ ? socket_->lost() : http_.client_gone(); }
  void on_gone(std::function<void()> callback) override;

 private:
  net::Loop& loop_;
  net::HttpExchange& http_;
  std::string_view headers_, accept_, request_id_;
  std::chrono::milliseconds write_timeout_;
  std::unique_ptr<net::WebSocket> socket_;
  bool finished_ = false;
};

}  // namespace switchyard::surface

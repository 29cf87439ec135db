// A session: messages between a client and an upstream, each of them a step of the provider's
// operation.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/exchange/exchange.hpp"
#include "core/exchange/upstream_socket.hpp"

namespace switchyard::exchange {

// Used on its loop only; run() must have returned before it goes.
class Session {
 public:
  using Next = plugin::Operation::Next;
  using Step = std::function<Next(std::uint32_t kind, std::string_view data, std::string_view name,
                                  unsigned status)>;

  // `upstream` has been upgraded; `ahead` came behind its head. The plugin may send to it at once.
  Session(LoopContext& context, const config::Limits& limits, std::unique_ptr<net::Stream> upstream,
          std::string ahead, Step step);

  // Goes on from the plugin's answer to HEAD: accepts the client, relays until the plugin ends the
  // session or a limit does, closes the upstream. After DONE the client has its Close; after FAIL
  // the error is still to be told.
  net::Task<Next> run(Next next, SessionClient& client);

  // The plugin's ws_send.
  swy_rc send(bool to_client, std::uint32_t opcode, std::span<const swy_seg> pieces);

  // Makes run() return FAIL. `code` and `what` are static.
  void stop(const char* code, const char* what, std::int32_t cls = SWY_CLS_TIMEOUT);
  // The code that stop() was given; empty where nobody called it.
  const char* code() const { return code_; }

 private:
  struct Side {
    const char* name;
    std::uint32_t message_event;
    net::WebSocket* socket = nullptr;  // null: the client before it was accepted
    bool left = false;
    bool slow = false;  // the step that runs has sent more than it takes
  };

  bool running() const { return next_.act == SWY_ACT_FEED; }
  net::Task<> relay();
  net::Task<> read(Side& side);
  net::Task<> read_upstream();
  net::Task<> wait_for_room();
  void take(Next next);
  void end(Next next);

  LoopContext& context_;
  std::chrono::milliseconds idle_max_;
  UpstreamSocket upgraded_;
  Step step_;
  Side upstream_{"upstream", SWY_EV_UP_MSG}, client_{"client", SWY_EV_DOWN_MSG};
  Next next_;
  const char* code_ = "";
  bool upstream_read_ = true;  // nobody reads it (any more)
  net::Signal ended_;
  net::Deadline idle_, timer_;
};

}  // namespace switchyard::exchange

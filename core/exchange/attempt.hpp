// One attempt at one target: drives the provider plugin's operation and does its I/O.
#pragma once

#include "core/exchange/exchange.hpp"
#include "core/exchange/failure.hpp"
#include "core/exchange/outgoing.hpp"
#include "core/exchange/session.hpp"
#include "core/exchange/upstream_socket.hpp"
#include "core/net/aws_event_stream.hpp"
#include "core/net/cancel.hpp"
#include "core/net/sse_decoder.hpp"

namespace switchyard::routing {
class Lane;
}

namespace switchyard::exchange {

class Choices;
class Payment;

// What the alias or feature that was asked for says of attempts; null: nothing.
inline const config::Feature* policy_of(const Request& request) {
  return request.route == nullptr ? nullptr : request.route->policy;
}
// A provider's, and what the feature that was asked for says instead.
config::Timeouts timeouts_of(const config::Provider& provider, const config::Feature* feature);

class Attempt : public plugin::OperationSink {
 public:
  enum class Outcome { kDone, kFailed, kClientGone };

  Attempt(LoopContext& context, const Snapshot& snapshot, const Request& request,
          const routing::Target& target, std::uint32_t credential, routing::Lane* lane,
          ClientWriter& writer, Payment& payment);
  ~Attempt() override;

  net::Task<Outcome> run();
  // It failed because the provider gives one answer where several were asked for; and gets them by
  // as many calls.
  bool lacks_choices() const;
  net::Task<Outcome> run_choices(const Snapshot& snapshot, std::uint32_t credential);

  const AttemptFault& fault() const;
  unsigned calls() const;
  // The upstream has worked for this request, as far as can be seen.
  bool delivered() const;
  bool sent() const { return sent_; }
  // The answer ended early: nobody pays for more of it.
  bool exhausted() const;
  // Usage that the upstream reported, or estimated from what was relayed.
  observe::Usage usage() const;

  // The client left: makes what is pending fail; or goes on reading for the usage report, within
  // bounds, where the provider is configured so. On the loop.
  void client_left();
  // The same because another attempt at the request was first. There is no last request then.
  void outrun();
  // The same because a time is over; `what` is static: "the request took longer than ...".
  void time_out(const char* what);

  // OperationSink
  swy_rc req_begin(std::string_view method, std::string_view url, std::uint32_t xid,
                   std::uint32_t framing) override;
  swy_rc req_header(std::string_view name, std::string_view value) override;
  swy_rc req_auth(std::string_view scheme, std::string_view name, std::string_view slot) override;
  swy_rc req_body(std::span<const swy_seg> pieces) override;
  swy_rc emit(std::uint32_t what, std::uint32_t flags, std::string_view data) override;
  swy_rc req_part(std::span<const swy_kv> headers) override;
  swy_rc req_query(std::string_view name, std::string_view value) override;
  swy_rc req_token(std::string_view name, std::string_view value_at,
                   std::string_view ttl_at) override;
  swy_rc has_token(std::string_view name) override;
  swy_rc keep(std::string_view resume) override;
  const Secret* credential_key() const override;
  swy_rc ws_send(bool to_client, std::uint32_t opcode, std::span<const swy_seg> pieces) override;

 private:
  using Next = plugin::Operation::Next;

  // What few operations need.
  struct Rare {
    std::vector<swy_blob> blobs;
    std::vector<Secret> secrets;  // that this upstream was shown beside the credential's key
    net::AwsEventStream aws;
    std::unique_ptr<UpstreamSocket> socket;  // of an answer that comes in messages
    std::optional<Next> refused;             // what the plugin answered in place of a signature
    std::string content_type;                // of a binary answer
    std::uint64_t content_length = 0;
  };
  Rare& rare();

  bool plugin_rests();
  // True where something is lost and the client will not have that.
  bool refuses_loss();
  Next step(std::uint32_t kind, std::string_view data = {}, std::string_view name = {},
            unsigned status = 0);
  Next give(const swy_ev& event);
  void fill_request();
  // The client left: lets the operation send a last request.
  net::Task<> cancel();
  net::Task<Next> wait(std::uint64_t delay_ns);
  // Sends the written request and feeds the answer back until the plugin asks for something else.
  net::Task<Next> exchange();
  net::Task<Result<void, net::NetError>> connect_and_send(bool fresh);
  net::Task<Result<const net::ResponseHead*, net::NetError>> read_head();
  net::Task<bool> prepare();
  bool sign();
  Result<Origin> find_origin(std::string_view url, std::string& path) const;
  net::Task<Next> feed_whole(bool error_answer);
  net::Task<Next> feed_events();
  // Takes an upgraded connection over, for a session or for the messages of an answer; the fault of
  // one that was not upgraded as it must be.
  std::optional<net::NetError> open_socket(const net::ResponseHead& answer);
  net::Task<Next> run_session(Next next);
  // Goes on from the plugin's answer to HEAD.
  net::Task<Next> feed_socket(Next next);
  net::Task<net::WebSocket::Received> receive(std::chrono::milliseconds within);
  Next give_received(const net::WebSocket::Received& got);
  Next give_events(std::string_view bytes);
  Next give_lines(std::string_view bytes);
  Next give_messages(std::string_view bytes);
  Next end_of_stream();
  Next take_token(std::string_view body);
  Next broken(const net::NetError& error);
  // Sends what was emitted; false: wait for the client with writer_.flush().
  bool flushed();
  void release_connection();
  // Makes what is pending fail.
  void abort();
  // Nobody wants the rest any more, not even its usage.
  bool given_up() const;
  swy_rc emit_usage(std::string_view data);
  swy_rc emit_delta(bool content, std::string_view data);
  swy_rc emit_whole(std::string_view data);
  swy_rc emit_head(std::string_view data);
  swy_rc emit_raw(std::string_view data);
  swy_rc emit_job(std::string_view data);
  swy_rc emit_limits(std::string_view data);
  // Sends what was emitted, and waits for the client.
  net::Task<> flush();
  void arm_content_deadline();
  // No content came for as long as a stream may be without.
  void check_content();
  bool answered() const;
  bool once() const { return request_.rare != nullptr && request_.rare->once; }
  void take_fault(const Next& next);
  // Ends the stream as one that reached its limit.
  void exhaust();
  // Takes out of the texts of a fault what an upstream may have echoed of the credential.
  void redact_fault();

  LoopContext& context_;
  const ProviderSlot& slot_;
  const Request& request_;
  const Native* native_;  // what the provider gets; null: canonical
  const routing::Target& target_;
  routing::Lane* const lane_;  // null: nobody keeps how it fares
  ClientWriter& writer_;
  Payment& payment_;
  const config::Limits& limits_;
  const config::Timeouts timeouts_;

  swy_req abi_request_{};
  const config::Credential* credential_ = nullptr;
  std::vector<swy_kv> credential_parts_;
  Outgoing outgoing_;
  std::unique_ptr<net::UpstreamConnection> connection_;
  std::optional<plugin::Operation> operation_;
  std::unique_ptr<Session> session_;
  net::SseDecoder sse_;
  std::string line_;       // an NDJSON line that has not ended yet
  std::string_view held_;  // an answer's body that stays where it is until it was flushed
  std::string owned_;      // a whole answer that lies elsewhere
  bool body_ended_ = false;

  AttemptFault fault_;
  observe::Usage usage_;
  std::uint64_t bytes_out_ = 0, content_pieces_ = 0;
  unsigned calls_ = 0;
  bool aborted_ = false, emitted_ = false, whole_ = false, raw_ = false, done_ = false;
  bool sent_ = false;        // a request other than a token's went out
  bool ended_ = false;       // the operation: only op_free may follow
  bool cancelling_ = false;  // its last request is under way
  bool outrun_ = false;
  const char* timed_out_ = nullptr;  // which time is over
  net::Timer* timer_ = nullptr;
  std::optional<net::Cancel> cancel_{std::in_place};  // of a connect
  bool draining_ = false, exhausted_ = false;
  std::uint64_t drained_pieces_ = 0;
  net::Deadline drain_deadline_, content_deadline_;
  // Since the content deadline was armed: a piece came, or the client was waited for.
  bool content_came_ = false, flushing_ = false;
  std::unique_ptr<Rare> rare_;
  std::unique_ptr<Choices> choices_;  // in its place, once run_choices() began
};

}  // namespace switchyard::exchange

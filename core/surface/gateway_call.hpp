// One request within the gateway, for the files that Gateway is written in.
#pragma once

#include <memory>
#include <string>

#include "core/routing/needs.hpp"
#include "core/surface/admission.hpp"
#include "core/surface/deadline.hpp"
#include "core/surface/gateway.hpp"
#include "core/surface/repeats.hpp"

namespace switchyard::surface {

// Bodies beyond this are scanned, and translated, on the compute pool.
constexpr std::size_t kScanOnLoopMax = 256 * 1024;

// Counts what is open for as long as it lives.
class Gauge {
 public:
  explicit Gauge(std::atomic<std::int64_t>& gauge) : gauge_(gauge) {
    gauge_.fetch_add(1, std::memory_order_relaxed);
  }
  ~Gauge() { gauge_.fetch_sub(1, std::memory_order_relaxed); }
  Gauge(const Gauge&) = delete;
  Gauge& operator=(const Gauge&) = delete;

 private:
  std::atomic<std::int64_t>& gauge_;
};

// What a client may tell the upstream besides the body: what every one may, and `more`.
std::vector<swy_kv> forwarded_headers(const net::RequestHead& head,
                                      std::span<const std::string_view> more = {});
// The client wants no answer to less than it asked.
bool refuses_loss(const net::RequestHead& head);

// Of stored responses.
exchange::Failure no_such_response(const std::string& id);
// Of one that ran when its process ended.
exchange::Failure cut_off();

// All that belongs to one request; lives in the frame of handle().
struct Gateway::Call {
  net::HttpExchange& http;
  Pin pin;
  const Published& published;
  const account::GatewayKey* key = nullptr;  // nullptr: everybody may call
  const account::Account* account = nullptr;
  const Surface* surface = nullptr;  // whose errors it gets; null: OpenAI's
  std::shared_ptr<observe::Record> record = std::make_shared<observe::Record>();
  std::string headers;                               // lines on every answer
  std::unique_ptr<account::LimitedRequest> limited;  // its part of limits, where it has any
  std::unique_ptr<std::string> answer;               // a copy of it, where the key has bodies kept
  std::optional<routing::Needs> needs;               // of a body too long to be read on the loop
  Repeats::Run repeat;                               // where its client named it
  bool recorded = false;  // whether this request is one to keep a record of

  Call(net::HttpExchange& exchange, Pin held)
      : http(exchange), pin(std::move(held)), published(**pin) {}
  const net::RequestHead& head() const { return http.head(); }
  // Who pays, and by what; without any key the default account. And who is to choose beside.
  void charge(exchange::Request& request) const {
    request.account = key != nullptr ? account : published.open_account.get();
    request.prices = &published.prices;
    request.budgets = published.budgets.get();
    request.shadow = published.shadow.get();
  }
  // How long the client waits, from the beginning of its request.
  void hurry(exchange::Request& request, const ClientDeadline& deadline) const {
    if (deadline.after_ms == 0) return;
    request.deadline_ns = record->start_ns + deadline.after_ms * 1'000'000u;
    request.until_content = deadline.until_content && request.stream;
  }
  // What the client's headers say of how its request is to be routed.
  void take_wishes(exchange::Request& request) const {
    request.session_id = head().find("x-switchyard-session");
    request.explain = asks_to_explain(head());
  }
  const exchange::Snapshot& snapshot() const { return *published.snapshot; }
  // A model, or "feature/NAME".
  bool may_use(std::string_view name) const;
  // The body need not name a model.
  bool names_feature() const;
  // What is asked for, where the body says `model`.
  std::string name_asked(const std::string& model) const;
};

}  // namespace switchyard::surface

// One request's life behind its surface: attempts at the route's targets, relay of what comes back,
// settlement of the record. The only room that knows the whole story.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/catalog/catalog.hpp"
#include "core/config/config.hpp"
#include "core/exchange/sound.hpp"
#include "core/exchange/tokens.hpp"
#include "core/net/http_client.hpp"
#include "core/observe/metrics.hpp"
#include "core/observe/record.hpp"
#include "core/plugin/provider.hpp"
#include "core/routing/table.hpp"

namespace switchyard::net {
class WebSocket;
}

namespace switchyard::account {
class BudgetTable;
class Ledger;
class LimitedRequest;
class LoopLedger;
struct Account;
}  // namespace switchyard::account

namespace switchyard::catalog {
struct PricesInForce;
}

namespace switchyard::routing {
class Shadow;
}

namespace switchyard::exchange {

// Where a request with an absolute URL goes.
struct Origin {
  std::shared_ptr<const net::Upstream> upstream;
  bool trusted = false;       // credentials may go there
  std::string fixed_headers;  // lines that go with every request
};

// A configured provider, ready to be called.
struct ProviderSlot {
  const config::Provider* config = nullptr;
  // Null where its plugin is in quarantine: attempts fail, others may serve.
  std::shared_ptr<plugin::ProviderInstance> instance;  // shared with other snapshots
  std::shared_ptr<const net::Upstream> upstream;       // null where the plugin sends nothing
  std::string base_path;                               // of the base URL, without a trailing slash
  std::string fixed_headers;                           // lines that go with every request
  std::unique_ptr<TokenCache> tokens = std::make_unique<TokenCache>();
  // Any origin but the base URL's; empty: none can be reached. [any thread]
  std::function<Result<Origin>(const net::Url&)> other_origin;
};

// Everything that requests read, immutable. Destroyed on the control thread, after the last request
// that used it.
struct Snapshot {
  std::uint64_t generation = 0;
  std::shared_ptr<const config::Config> config;
  std::shared_ptr<const catalog::Catalog> catalog;
  std::unique_ptr<routing::Table> routes;
  std::vector<ProviderSlot> providers;  // as Config::providers
};

// What one loop lends to its requests.
struct LoopContext {
  net::Loop& loop;
  net::UpstreamPool& pool;
  observe::LoopMetrics& metrics;
  net::asio::thread_pool* compute = nullptr;  // for what would hold the loop up; null: done on it
  // Both or none; without them nothing is charged.
  account::Ledger* books = nullptr;
  account::LoopLedger* ledger = nullptr;
};

// Why a request failed, in terms that every dialect can say.
struct Failure {
  unsigned status = 500;
  std::string type = "server_error";
  std::string code = "internal_error";
  std::string message;
  std::string param;                 // empty: null
  std::uint32_t retry_after_ms = 0;  // 0: none
  bool upstream =
      false;  // true: our own attempts are spent, the client's SDK shall not multiply them
  std::string
      error_json;  // the upstream's own error object where the client should see it, or empty
};

// Where answers go; implemented by the surfaces. Those before discard() only append; flush() sends.
class ClientWriter {
 public:
  virtual ~ClientWriter() = default;
  // What is emitted next is in the client's own dialect, which is not canonical. Said only of
  // requests that have a native form.
  virtual void native(bool /*on*/) {}
  // One piece of a stream, canonical or native. Until `content` came once, nothing of the stream is
  // sent and discard() takes it back.
  virtual void delta(std::string_view json, bool content) = 0;
  // What of the request is lost on the way, for the answer's head where that has not gone out yet;
  // takes the place of what was said before.
  virtual void dropped(std::string_view /*pointers*/) {}
  // Who answers, for the answer's head where that has not gone out yet. Both live until the end.
  virtual void served_by(std::string_view /*provider*/, std::string_view /*model*/) {}
  // How targets were chosen, for the answer's head; takes the place of what was said before.
  virtual void explained(std::string_view /*text*/) {}
  // The whole answer; `json` lives until flush() has returned.
  virtual void whole(std::string_view json) = 0;
  virtual void end_stream(const observe::Usage& usage) = 0;
  // A binary answer: what it is (length 0: not known), its bytes, its end. Nothing is sent before
  // the first byte.
  virtual void raw_head(std::string_view content_type, std::uint64_t length);
  virtual void raw(std::string_view bytes);
  virtual void raw_end();
  // An error answer, or the error within a stream that has begun.
  virtual void fail(const Failure& failure) = 0;

  virtual void discard() = 0;
  // True once a head went out: the client has its status.
  virtual bool started() const = 0;
  // True once content went out: a further attempt would repeat it.
  virtual bool committed() const = 0;
  // Sends what goes without waiting; true: nothing is left to wait for.
  virtual bool try_flush() = 0;
  virtual net::Task<bool> flush() = 0;  // false: the client is gone
  virtual bool gone() const = 0;
  // Called once, on the loop, when the client goes while the exchange waits; empty: nobody.
  virtual void on_gone(std::function<void()> callback) = 0;
};

// The client's side of a session, before and after its upgrade; implemented by the surfaces.
class SessionClient {
 public:
  virtual ~SessionClient() = default;
  // Accepts the client's upgrade. The socket is this object's own. Null: the client is gone.
  virtual net::Task<net::WebSocket*> accept() = 0;
};

// An upload of the client.
struct Blob {
  std::string_view bytes, field, mime, name;
};

// What an operation tells of a job.
struct JobReport {
  std::string provider, credential;  // whose job it is
  bool kept = false;
  std::string resume;  // where kept
  std::string state;   // the last object of SWY_EMIT_JOB; empty: none
};

// What few requests have.
struct Rare {
  std::span<const Blob> blobs;
  Sound sound;           // that is to be heard
  bool resumes = false;  // goes on with a job: `resume` is what was kept
  std::string_view resume;
  std::string_view credential;  // the name of the one that is to be used; empty: any
  bool once = false;            // begins what must not be begun twice: a doubtful end is final
  JobReport* job = nullptr;     // set: the answer is a job's state, which the caller shows
};

// A request as the client sent it, where that is not canonical: for providers that take its
// dialect.
struct Native {
  std::string_view dialect, body;
  std::span<const swy_member> members;
};

// What is asked. Everything lives until run() has returned.
struct Request {
  std::string_view task, dialect;
  bool stream = false, want_usage = false;
  std::string_view body;
  std::span<const swy_member> members;
  std::span<const swy_kv> headers;  // let through by the allow-list
  routing::Route* route = nullptr;  // its targets are put in order where strategies choose
  observe::Record* record = nullptr;
  // Whose request it is, and by what it is charged; all or none, and none: nobody is charged.
  const account::Account* account = nullptr;
  const catalog::PricesInForce* prices = nullptr;
  const account::BudgetTable* budgets = nullptr;  // null: there are none
  routing::Shadow* shadow = nullptr;              // makes the same choice beside; null: none does
  account::LimitedRequest* limited = nullptr;     // its part of limits, where it has any
  const Rare* rare = nullptr;
  SessionClient* session = nullptr;  // where the task is a session of messages
  const Native* native = nullptr;
  std::string_view losses;   // of the way to canonical, as records have them
  bool refuse_loss = false;  // rather no answer than one to less than was asked
  // When the client has no use for an answer any more; 0: it did not say. `until_content`: for a
  // stream that has brought content it does not hold.
  std::uint64_t deadline_ns = 0;
  bool until_content = false;
  std::string_view session_id;  // as the client names it, so that its requests stay together
  bool is_part = false;         // one of several calls that make up the answer (choices.hpp)
  bool explain = false;  // the answer's head tells of the choice, and the record has it whole
};

// Runs a request to its end: the answer or an error has been written and flushed, the record's
// facts are filled in. A job's state alone is left to the caller to write, where the record says
// that all went well.
net::Task<> run(LoopContext& context, const Snapshot& snapshot, const Request& request,
                ClientWriter& writer);

}  // namespace switchyard::exchange

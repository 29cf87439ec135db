// The inbound dialects beside OpenAI's chat: what each makes of a request, and what of the answer.
// The gateway does for all of them what is the same: key, body, route, exchange.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/exchange/exchange.hpp"
#include "core/net/http1.hpp"

namespace switchyard::surface {

// How a response is to be stored, and what it goes on with.
struct StoredAs {
  std::string id;        // empty: it is not stored
  std::string previous;  // the one that it goes on with; empty: none
  bool background = false;
};

// What the line and the head of a request ask for.
struct Ask {
  enum class What {
    kUnknown,  // no such path
    kTask,     // an answer of a provider
    kCount,    // how many tokens the body has
    kModels,   // the list
    kModel,    // one of it
    kStored,   // about an answer that is stored
  };
  What what = What::kUnknown;
  std::string_view task;              // kTask, kCount: as providers know it
  std::string_view allowed = "POST";  // methods
  std::string model;                  // where the path names it
  bool stream = false;                // where the path or the query says so
  unsigned form = 0;                  // for the surface itself
  const StoredAs* stored = nullptr;   // null: the answer is not, and goes on with nothing
};

// Canonical answers of one request in its dialect. No sockets and no clock.
class Answer {
 public:
  virtual ~Answer() = default;
  // Appends what a chunk of a stream becomes, framed for the wire.
  virtual void delta(std::string_view chunk, std::string& out) = 0;
  // The same of a piece that is in the dialect already.
  virtual void native(std::string_view piece, std::string& out) = 0;
  // The stream's end; `usage` where no chunk told it.
  virtual void end(const observe::Usage& usage, std::string& out) = 0;
  // The end of a stream that was begun and failed.
  virtual void fail(const exchange::Failure& failure, std::string& out) = 0;
  // False: this is no answer.
  virtual bool whole(std::string_view answer, std::string& out) = 0;
  // A stream's answer as one object, once it came to its end and where it is stored.
  virtual std::string_view stored() const { return {}; }
  // The answer before anything of it is there, where it is stored and its client does not wait.
  virtual std::string pending(std::uint64_t /*created_unix_s*/, std::string_view /*model*/) {
    return {};
  }
  // What came so far is taken back.
  virtual void reset() = 0;
  virtual std::string_view stream_type() const { return "text/event-stream"; }
  // What a client reads over while it waits.
  virtual std::string_view keep_alive() const { return ": keep-alive\n\n"; }
};

// What a surface makes of a body.
struct Canonical {
  std::string model;
  std::string body;
  bool stream = false;
  swy::Losses losses;  // as pointers into the client's body
  // Holds what another vendor said and the surface wrapped up: no provider of the dialect may see
  // it.
  bool foreign = false;
  std::optional<exchange::Failure> refusal;
  // Why only a provider of the dialect can serve it; the body is without what no other can be told.
  std::optional<exchange::Failure> only_native;
  std::unique_ptr<Answer> answer;
};

// One entry of the list of models.
struct ListedModel {
  std::string_view name, owned_by;
};

class Surface {
 public:
  virtual ~Surface() = default;
  // As providers name it in their caps, and records.
  virtual std::string_view dialect() const = 0;
  virtual bool serves(const net::RequestHead& head) const = 0;
  virtual Ask ask(const net::RequestHead& head) const = 0;
  // The gateway key as the client sent it; empty: none.
  virtual std::string key(const net::RequestHead& head) const = 0;
  // How to send one, for who did not.
  virtual std::string_view key_hint() const = 0;
  // Header lines of every answer.
  virtual std::string headers(std::string_view /*request_id*/) const { return {}; }
  // Names of headers that go on to an upstream of this dialect.
  virtual std::span<const std::string_view> forwarded() const { return {}; }
  // [any thread]
  virtual Canonical to_canonical(const Ask& ask, const JsonIndex& body) const = 0;
  virtual std::string error(const exchange::Failure& failure,
                            std::string_view request_id) const = 0;
  // A page of the list, or the one model that is asked for. Empty: the page can't be read.
  virtual std::string models(const Ask& /*ask*/, std::string_view /*query*/,
                             std::span<const ListedModel> /*models*/) const {
    return {};
  }
  // Its answers may be stored, and gone on with by their ids.
  virtual bool stores() const { return false; }
  virtual std::string token_count(std::uint64_t tokens) const = 0;
};

// nullptr: OpenAI's chat and its kin, which the gateway serves by itself.
const Surface* find_surface(const net::RequestHead& head);

// A parameter of a query, decoded; empty where there is none.
std::string query_parameter(std::string_view query, std::string_view name);

}  // namespace switchyard::surface

// One operation of a provider, driven as the host drives it: a request, the upstream's answers, and
// what came of them.
#pragma once

#include <switchyard/provider.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "child.hpp"
#include "framing.hpp"

namespace swy::check {

using Pairs = std::vector<std::pair<std::string, std::string>>;
constexpr std::size_t kNever = SIZE_MAX;

struct Ask {
  std::string task, model, body, dialect;  // dialect: the body is native in it
  Pairs headers, credential;
  bool stream = false, want_usage = false;
};

struct Message {  // of a WebSocket
  bool from_client = false;
  std::uint32_t opcode = 1;
  std::string data;
};

struct Answer {
  std::uint32_t status = 200;
  Pairs headers;
  std::string body;
  bool ends_well = true;
  std::vector<Message> messages;
};

struct Sent {
  std::string method, url;
  std::uint32_t framing = 0, xid = 0;
  Pairs headers, query;
  std::string auth_scheme, auth_name, auth_slot;
  std::string body;
  std::vector<Pairs> parts;
};

struct Emit {
  std::uint32_t what = 0, flags = 0;
  std::string data;
  // A WebSocket message, not an emit().
  bool message = false, to_client = false;

  bool operator==(const Emit&) const = default;
};

// How the host behaves in a run.
struct Policy {
  Lender::Mode mode = Lender::Mode::kHeap;
  std::size_t cut_at = kNever;      // the answer's bytes come in two pieces
  std::size_t ends_at = kNever;     // the answer's bytes end there
  bool ends_well = false;           // and so that the host can't tell
  std::size_t free_after = kNever;  // events
  std::size_t cancel_after = kNever;
  std::size_t writer_at =
      kNever;  // which call of a writer gets writer_rc; all where it is `kEvery`
  swy_rc writer_rc = SWY_OK;
  bool larger = false;  // structs as of a newer header
  bool yields = false;  // other threads come in between events
  std::vector<std::uint32_t>* wall_ns = nullptr;
  std::vector<std::uint32_t>* cpu_ns = nullptr;
  std::vector<std::uint64_t>* instructions = nullptr;  // in user space, read from the counter
  int counter = -1;
};
constexpr std::size_t kEvery = SIZE_MAX - 1;

enum class End {
  kDone,
  kFail,
  kFault,    // a negative return
  kRefused,  // by op_new
  kWaits,    // FEED where nothing more comes
  kFreed,    // by the policy
  kBroken,   // the contract: see Trace::fault
};

struct Step {
  std::uint32_t kind = 0, act = 0;
  swy_rc rc = SWY_OK;
};

struct Trace {
  std::vector<Step> steps;
  std::vector<Sent> sent;
  std::vector<Emit> emits;
  std::string kept;
  End end = End::kWaits;
  swy_rc rc = SWY_OK;
  swy_err err{};
  std::size_t writers = 0;  // calls of writers
  std::size_t answer_bytes_given = 0;
  std::string fault;  // the first breach of the contract

  bool emitted(std::uint32_t what) const;
  std::string end_text() const;
};

// A provider's table with an open instance.
struct Provider {
  const swy_provider* table = nullptr;
  void* instance = nullptr;
};

Trace run(const Provider& provider, const Ask& ask, const std::vector<Answer>& answers,
          const Policy& policy = {});

// Gives events of any kind in any order, as a host never would.
struct OddEvent {
  std::uint32_t kind = 0, status = 0, xid = 0;
  std::string name, data;
};
Trace run_odd(const Provider& provider, const Ask& ask, const std::vector<OddEvent>& events);

std::uint64_t mono_ns();

}  // namespace swy::check

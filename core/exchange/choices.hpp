// Several answers to one request where the provider gives one to a call: as many calls at once,
// whose answers become the choices of one (core/decisions/0024-several-answers.md).
#pragma once

#include <exception>
#include <memory>
#include <vector>

#include "core/exchange/attempt.hpp"
#include "core/net/signal.hpp"
#include "core/routing/live.hpp"

namespace switchyard::exchange {

class Choices {
 public:
  static constexpr std::uint64_t kMost = 8;

  // All belong to the attempt that the provider refused, and outlive it.
  Choices(LoopContext& context, const Snapshot& snapshot, const Request& request,
          const routing::Target& target, std::uint32_t credential, routing::Lane* lane,
          ClientWriter& writer, Payment& payment);
  ~Choices();
  Choices(const Choices&) = delete;
  Choices& operator=(const Choices&) = delete;

  net::Task<Attempt::Outcome> run();

  // Of the first call that failed.
  const AttemptFault& fault() const { return fault_; }
  observe::Usage usage() const;  // the sum
  unsigned calls() const;
  bool delivered() const;
  bool exhausted() const;
  void client_left();
  void time_out(const char* what);

 private:
  class Writer;
  struct Choice;

  net::Task<bool> prepare();
  bool take_places();
  void leave_places(std::uint64_t begun_ns);
  net::Task<> run_one(Choice& choice);
  void fail(AttemptFault fault);
  void note_records();
  void put_whole();
  void put_usage();
  net::Task<bool> flush();
  std::string renumbered(std::string_view json, std::size_t index);

  LoopContext& context_;
  const Snapshot& snapshot_;
  const Request& request_;
  const routing::Target& target_;
  const std::uint32_t credential_;
  routing::Lane* const lane_;
  ClientWriter& writer_;
  Payment& payment_;

  std::string body_;  // asks for one answer
  JsonIndex index_;
  std::vector<std::unique_ptr<Choice>> choices_;
  std::string id_, created_, model_;  // of the first chunk, as JSON: those of all
  std::string whole_;                 // the answer that they make up
  AttemptFault fault_;
  bool failed_ = false, flushing_ = false;
  std::size_t running_ = 0;
  net::Signal ended_, flushed_;
  std::exception_ptr broken_;
};

}  // namespace switchyard::exchange

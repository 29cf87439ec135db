// Kling's video jobs (/v1/videos): submit, poll, fetch. No sockets, no clock, no globals: an
// operation sees events and writes through swy::Out. Source: Kling API reference, read 2026-11.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/fault.hpp>
#include <switchyard/provider.hpp>
#include <switchyard/sign.hpp>

namespace kling {

// What is kept of a job. Kling answers a task only under the path that it was made under.
struct Job {
  std::string path;  // "text2video" or "image2video"
  std::string id;    // Kling's

  std::string to_token() const;
};
swy::Result<Job> parse_token(std::string_view token);

// What a refusal means. Kling's own code says more than the status: 429 covers unpaid accounts too.
swy::Refusal read_refusal(unsigned status, std::string_view body);

class Operation {
 public:
  Operation(swy::Signer signer, const swy::Request& request);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  enum Exchange : std::uint32_t { kSubmit = 1, kPoll, kFetch };

  swy::Next start(swy::Out& out);
  swy::Next sign(const swy::Event& event, swy::Out& out);
  swy::Next submit(swy::Out& out);
  swy::Next poll(swy::Out& out);
  swy::Next fetch(std::string_view url, swy::Out& out);

  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_data(const swy::Event& event, swy::Out& out);
  swy::Next on_submitted(std::string_view data, swy::Out& out);
  swy::Next on_polled(std::string_view data, swy::Out& out);

  // Opens a request to Kling itself.
  void begin(std::string_view method, const std::string& path, Exchange exchange, swy::Out& out);
  swy::Next fail(std::int32_t cls, std::string message, swy::Out& out) const;

  swy::Signer signer_;
  swy::Request request_;
  bool signs_;
  Job job_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
};

}  // namespace kling

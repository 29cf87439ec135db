// Names to addresses, off the loops.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/net/cancel.hpp"
#include "core/net/loop.hpp"

namespace switchyard::net {

// One for the process. Answers are kept for `ttl`, refreshed in the background when asked for near
// their end, and served stale for `stale` where the name service fails. Concurrent questions for
// one name are asked once. A failure is kept for one second. [any thread]
class Resolver {
 public:
  using Addresses = std::shared_ptr<const std::vector<asio::ip::address>>;
  // What asks the system, replaceable in tests: blocking, throws nothing. An empty list is a
  // failure with `why`.
  using Lookup =
      std::function<std::vector<asio::ip::address>(const std::string& host, std::string& why)>;

  struct Options {
    unsigned threads = 2;
    std::chrono::seconds ttl{30};
    std::chrono::seconds stale{3600};
    Lookup lookup;                          // empty: getaddrinfo
    std::function<std::uint64_t()> now_ns;  // empty: the monotonic clock
  };

  explicit Resolver(Options options);
  ~Resolver();

  // IP literals and localhost answer at once. Resumes on the caller's loop.
  Task<Result<Addresses>> resolve(std::string host);
  // The same until `cancel`, which must live until it returns.
  Task<Result<Addresses>> resolve(std::string host, Cancel& cancel);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace switchyard::net

// The named destinations that one logger may post to: connects, authenticates, holds the deadline.
#pragma once

#include <switchyard/plugin.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/config.hpp"

namespace switchyard::plugin {

// Runs on whoever calls: a loop of its own turns only inside post(), so that the strict parser, the
// pool and TLS of the net room serve here too and the deadline holds over all of it.
class Destinations {
 public:
  static constexpr std::size_t kAnswerMax = 64 * 1024;  // of an answer's body; the rest is left

  struct Post {
    std::string_view destination, path;
    std::span<const swy_kv> headers;
    std::string_view body;
    std::uint64_t deadline_ns = 0;  // monotonic
    std::string_view method = "POST";
  };
  struct Answer {
    unsigned status = 0;
    std::uint32_t retry_after_ms = 0;
    std::string body;  // the credential taken out
  };
  struct Fault {
    swy_rc rc = SWY_E_GONE;
    std::int32_t cls = SWY_CLS_PLUGIN;
    std::string message;
  };

  // Those of the configuration that `names` lists; null where it lists none. [control thread]
  static Result<std::unique_ptr<Destinations>> make(const config::Config& config,
                                                    const std::vector<std::string>& names);
  ~Destinations();
  Destinations(const Destinations&) = delete;
  Destinations& operator=(const Destinations&) = delete;

  bool has(std::string_view name) const;  // [any]
  const std::string& names() const;       // quoted, for messages [any]

  // One thread at a time.
  Result<Answer, Fault> post(const Post& post);

 private:
  class Impl;
  explicit Destinations(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What a Retry-After header says (RFC 9110, 10.2.3), 0 where it says nothing; an hour at most.
std::uint32_t retry_after_ms(std::string_view value, std::uint64_t now_unix_ns);

}  // namespace switchyard::plugin

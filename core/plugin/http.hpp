// Host extension "swy.http/1": the ABI's side of a logger's posts.
#pragma once

#include <switchyard/http.h>

#include <cstdint>

#include "core/plugin/host.hpp"

namespace switchyard::plugin {

const swy_http* http_table();

// While it lives, the instance of that tag may post from this thread.
class PostingCall {
 public:
  PostingCall(const InstanceTag& tag, std::uint64_t deadline_ns);
  ~PostingCall();
  PostingCall(const PostingCall&) = delete;
  PostingCall& operator=(const PostingCall&) = delete;
};

}  // namespace switchyard::plugin

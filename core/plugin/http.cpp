#include "core/plugin/http.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "core/base/json_scan.hpp"
#include "core/plugin/destinations.hpp"

namespace switchyard::plugin {
namespace {

// The call of a logger that this thread is in.
struct Current {
  const InstanceTag* tag = nullptr;
  std::uint64_t deadline_ns = 0;
};
thread_local Current current;

swy_rc fault(swy_err* err, swy_rc rc, std::int32_t cls, std::string_view message) noexcept {
  if (err == nullptr || !SWY_HAS(err, swy_err, msg)) return rc;
  err->cls = cls;
  const std::size_t n = std::min(message.size(), sizeof err->msg - 1);
  std::memcpy(err->msg, message.data(), n);
  err->msg[n] = '\0';
  return rc;
}

// Told in the log as well: a plugin may keep it to itself.
swy_rc refuse(const swy_host* host, void* tag, swy_err* err, const std::string& message) {
  host->log(host, tag, SWY_LOG_ERROR, to_swy(message));
  return fault(err, SWY_E_ARG, SWY_CLS_PLUGIN, message);
}

std::string not_listed(const InstanceTag& tag, std::string_view destination) {
  std::string text = "destination \"" + std::string(destination) + "\" is not among ";
  text += tag.destinations ? "those that this logger may post to: " + tag.destinations->names()
                           : "loggers[i].destinations, which lists none";
  return text;
}

bool listed(const InstanceTag& tag, std::string_view destination) {
  return tag.destinations != nullptr && tag.destinations->has(destination);
}

swy_rc SWY_CALL check(const swy_host*, void* tag, swy_str destination, swy_err* err) noexcept try {
  const auto* who = static_cast<const InstanceTag*>(tag);
  if (who != nullptr && listed(*who, view(destination))) return SWY_OK;
  const std::string why = not_listed(who ? *who : InstanceTag(), view(destination));
  return fault(err, SWY_E_ARG, SWY_CLS_PLUGIN, why);
} catch (...) {
  return fault(err, SWY_E_ARG, SWY_CLS_PLUGIN, "the host has no memory");
}

bool understood(const swy_http_post* post, const swy_http_answer* answer) {
  return post != nullptr && answer != nullptr && SWY_HAS(post, swy_http_post, deadline_ns) &&
         SWY_HAS(answer, swy_http_answer, body_n) && (post->hdr != nullptr || post->nhdr == 0) &&
         (post->body.p != nullptr || post->body.n == 0) &&
         (answer->body != nullptr || answer->body_max == 0);
}

swy_rc SWY_CALL post(const swy_host* host, void* tag, const swy_http_post* post,
                     swy_http_answer* answer, swy_err* err) noexcept try {
  const auto* who = static_cast<const InstanceTag*>(tag);
  if (!understood(post, answer)) return refuse(host, tag, err, "swy.http/1: a malformed post");
  if (who == nullptr || current.tag != who) {
    return refuse(host, tag, err, "swy.http/1: a post outside write() and flush()");
  }
  if (!listed(*who, view(post->destination))) {
    return refuse(host, tag, err, not_listed(*who, view(post->destination)));
  }
  const std::uint64_t asked = post->deadline_ns;
  auto answered = who->destinations->post(
      {.destination = view(post->destination),
       .path = view(post->path),
       .headers = {post->hdr, post->nhdr},
       .body = view(post->body),
       .deadline_ns = asked == 0 ? current.deadline_ns : std::min(asked, current.deadline_ns)});
  if (!answered && answered.error().rc == SWY_E_ARG) {
    return refuse(host, tag, err, answered.error().message);
  }
  if (!answered)
    return fault(err, answered.error().rc, answered.error().cls, answered.error().message);
  answer->status = answered->status;
  answer->retry_after_ms = answered->retry_after_ms;
  answer->body_n = std::min<std::uint64_t>(answered->body.size(), answer->body_max);
  if (answer->body_n > 0) std::memcpy(answer->body, answered->body.data(), answer->body_n);
  return SWY_OK;
} catch (...) {
  return fault(err, SWY_E_GONE, SWY_CLS_OVERLOADED, "the host could not post");
}

constexpr swy_http kHttp{.size = sizeof(swy_http), .flags = 0, .check = check, .post = post};

}  // namespace

const swy_http* http_table() { return &kHttp; }

PostingCall::PostingCall(const InstanceTag& tag, std::uint64_t deadline_ns) {
  current = {&tag, deadline_ns};
}
PostingCall::~PostingCall() { current = {}; }

}  // namespace switchyard::plugin

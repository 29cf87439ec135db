// testing.hpp - fakes for an author's tests: a request made from JSON, events, a host side that
// notes what an operation writes, and a host with a log, a clock and destinations.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/logger.hpp>
#include <switchyard/provider.hpp>
#include <utility>
#include <vector>

namespace swy::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;

// A request and all that it points at.
class FakeRequest {
 public:
  FakeRequest(std::string task, std::string model, std::string body,
              std::uint32_t flags = SWY_REQ_NATIVE)
      : task_(std::move(task)), model_(std::move(model)), body_(std::move(body)) {
    raw_.size = sizeof raw_;
    raw_.flags = flags;
    raw_.id = str("req-1");
    raw_.task = str(task_);
    raw_.dialect = str("openai");
    raw_.model = str(model_);
    raw_.body = str(body_);
    scan();
  }
  FakeRequest(const FakeRequest&) = delete;
  FakeRequest& operator=(const FakeRequest&) = delete;

  Request get() const { return Request(&raw_); }
  swy_req& raw() { return raw_; }

 private:
  void scan() {
    json::Cursor cursor(body_);
    std::string_view name;
    if (!cursor.object()) return;
    while (cursor.member(name)) {
      swy_member member{};
      names_.push_back(json::unescape("\"" + std::string(name) + "\""));
      member.name = str(names_.back());
      member.at = cursor.name_offset();
      const std::string_view value = cursor.value();
      member.value_at = static_cast<std::uint64_t>(value.data() - body_.data());
      member.value_n = value.size();
      member.type = static_cast<std::uint32_t>(json::type_of(value));
      members_.push_back(member);
    }
    raw_.member = members_.data();
    raw_.nmember = static_cast<std::uint32_t>(members_.size());
    raw_.member_stride = sizeof(swy_member);
  }

  std::string task_, model_, body_;
  std::deque<std::string> names_;
  std::vector<swy_member> members_;
  swy_req raw_{};
};

// One event and all that it points at.
class FakeEvent {
 public:
  explicit FakeEvent(std::uint32_t kind, std::string data = {}, std::string name = {})
      : data_(std::move(data)), name_(std::move(name)) {
    raw_.size = sizeof raw_;
    raw_.kind = kind;
    raw_.data = str(data_);
    raw_.name = str(name_);
  }
  FakeEvent(const FakeEvent&) = delete;
  FakeEvent& operator=(const FakeEvent&) = delete;

  FakeEvent& status(std::uint32_t status) {
    raw_.status = status;
    return *this;
  }
  FakeEvent& headers(Headers headers) {
    headers_ = std::move(headers);
    kv_.clear();
    for (const auto& [k, v] : headers_) kv_.push_back({str(k), str(v)});
    raw_.hdr = kv_.data();
    raw_.nhdr = static_cast<std::uint32_t>(kv_.size());
    return *this;
  }
  Event get() const { return Event(&raw_); }

 private:
  std::string data_, name_;
  Headers headers_;
  std::vector<swy_kv> kv_;
  swy_ev raw_{};
};

// The host's side of an operation: notes everything.
class Recorder {
 public:
  struct Emit {
    std::uint32_t what, flags;
    std::string data;
  };
  struct Message {
    bool to_client;
    std::uint32_t opcode;
    std::string data;
  };

  Recorder() {
    raw_.size = sizeof raw_;
    raw_.ctx = this;
    raw_.req_begin = [](void* ctx, swy_str m, swy_str u, std::uint32_t, std::uint32_t f) {
      Recorder& self = *static_cast<Recorder*>(ctx);
      self.method.assign(view(m));
      self.url.assign(view(u));
      self.framing = f;
      return swy_rc(SWY_OK);
    };
    raw_.req_header = [](void* ctx, swy_str k, swy_str v) {
      static_cast<Recorder*>(ctx)->headers.emplace_back(view(k), view(v));
      return swy_rc(SWY_OK);
    };
    raw_.req_auth = [](void* ctx, swy_str scheme, swy_str arg, swy_str) {
      static_cast<Recorder*>(ctx)->auth = std::string(view(scheme)) + " " + std::string(view(arg));
      return swy_rc(SWY_OK);
    };
    raw_.req_part = [](void*, const swy_kv*, std::uint32_t) { return swy_rc(SWY_E_UNSUP); };
    raw_.req_body = [](void* ctx, const swy_seg* seg, std::uint32_t n) {
      Recorder& self = *static_cast<Recorder*>(ctx);
      for (std::uint32_t i = 0; i < n; ++i) self.body += view(seg[i].b);
      self.pieces += n;
      return swy_rc(SWY_OK);
    };
    raw_.emit = [](void* ctx, std::uint32_t what, std::uint32_t flags, swy_str data) {
      static_cast<Recorder*>(ctx)->emits.push_back({what, flags, std::string(view(data))});
      return swy_rc(SWY_OK);
    };
    raw_.keep = [](void*, swy_str) { return swy_rc(SWY_E_UNSUP); };
    raw_.ws_send = [](void* ctx, std::uint32_t to_client, std::uint32_t opcode, const swy_seg* seg,
                      std::uint32_t n) {
      Message message{to_client != 0, opcode, {}};
      for (std::uint32_t i = 0; i < n; ++i) message.data += view(seg[i].b);
      static_cast<Recorder*>(ctx)->messages.push_back(std::move(message));
      return swy_rc(SWY_OK);
    };
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  Out out() { return Out(&raw_); }
  const swy_out* raw() const { return &raw_; }

  // The data of everything emitted of one kind, in order.
  std::vector<std::string> all(std::uint32_t what) const {
    std::vector<std::string> found;
    for (const Emit& emit : emits) {
      if (emit.what == what) found.push_back(emit.data);
    }
    return found;
  }
  // Of the last one, empty where there is none.
  std::string last(std::uint32_t what) const {
    std::string found;
    for (const Emit& emit : emits) {
      if (emit.what == what) found = emit.data;
    }
    return found;
  }

  std::string method, url, auth, body;
  std::uint32_t framing = 0, pieces = 0;
  Headers headers;
  std::vector<Emit> emits;
  std::vector<Message> messages;

 private:
  swy_out raw_{};
};

// The host as an instance sees it: a log, a clock that the test sets, and destinations that answer
// what the test lays out.
class FakeHost {
 public:
  struct Post {
    std::string destination, path;
    Headers headers;
    std::string body;
    std::uint64_t deadline_ns;
  };
  // rc < 0: no answer came, cls and message say why.
  struct Reply {
    std::uint32_t status = 200;
    std::string body = "{}";
    std::uint32_t retry_after_ms = 0;
    swy_rc rc = SWY_OK;
    std::int32_t cls = SWY_CLS_OVERLOADED;
    std::string message;
  };

  FakeHost() {
    raw_.size = sizeof raw_;
    raw_.minor = SWY_MINOR;
    raw_.ctx = this;
    raw_.log = [](const swy_host* host, void*, std::int32_t level, swy_str text) {
      self(host).log.emplace_back(level, view(text));
    };
    raw_.now_ns = [](const swy_host* host, std::int32_t wall) {
      return wall != 0 ? self(host).unix_ns : self(host).monotonic_ns;
    };
    raw_.ext = [](const swy_host*, const char* id) -> const void* {
      return std::string_view(id) == SWY_HTTP_EXT ? &kHttp : nullptr;
    };
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  Host host() const { return Host(&raw_, nullptr); }
  const swy_host* raw() const { return &raw_; }

  std::uint64_t monotonic_ns = 1'000'000'000, unix_ns = 1'800'000'000'000'000'000;
  std::vector<std::pair<std::int32_t, std::string>> log;
  std::vector<std::string> destinations;  // which the instance may post to
  std::deque<Reply> replies;              // of the next posts; 200 and {} once there are none
  std::vector<Post> posts;

 private:
  static FakeHost& self(const swy_host* host) { return *static_cast<FakeHost*>(host->ctx); }

  static swy_rc SWY_CALL check(const swy_host* host, void*, swy_str destination, swy_err* err) {
    for (const std::string& name : self(host).destinations) {
      if (name == view(destination)) return SWY_OK;
    }
    return detail::put_error(err, {SWY_CLS_PLUGIN, "no such destination"}, SWY_E_ARG);
  }

  static swy_rc SWY_CALL post(const swy_host* host, void* tag, const swy_http_post* post,
                              swy_http_answer* answer, swy_err* err) {
    FakeHost& fake = self(host);
    if (check(host, tag, post->destination, err) < 0) return SWY_E_ARG;
    Post noted{std::string(view(post->destination)),
               std::string(view(post->path)),
               {},
               std::string(view(post->body)),
               post->deadline_ns};
    for (std::uint32_t i = 0; i < post->nhdr; ++i) {
      noted.headers.emplace_back(view(post->hdr[i].k), view(post->hdr[i].v));
    }
    fake.posts.push_back(std::move(noted));
    Reply reply;
    if (!fake.replies.empty()) {
      reply = std::move(fake.replies.front());
      fake.replies.pop_front();
    }
    if (reply.rc < 0) return detail::put_error(err, {reply.cls, reply.message}, reply.rc);
    answer->status = reply.status;
    answer->retry_after_ms = reply.retry_after_ms;
    answer->body_n = reply.body.copy(answer->body, answer->body_max);
    return SWY_OK;
  }

  static constexpr swy_http kHttp{sizeof(swy_http), 0, &check, &post};

  swy_host raw_{};
};

}  // namespace swy::testing

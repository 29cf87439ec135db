// Drives the openai provider over recorded events, for boundary.py to count instructions:
//
//   boundary_driver plugin|linked FILE.so REQUESTS EVENTS
//
// plugin: FILE.so, loaded and called as the host does. linked: the same sources in this program,
// called as the classes that they are. Each request is answered by EVENTS chunks of a stream, by
// one document where EVENTS is 0. Both write to the same sink and make the same events.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/provider.hpp"
// The provider itself is of that file alone.
#include "providers/openai/plugin.cpp"

namespace {

namespace plugin = switchyard::plugin;

constexpr std::string_view kBody =
    R"({"model":"gpt-5.5","messages":[{"role":"system","content":"You are a helpful assistant."},)"
    R"({"role":"user","content":"Why is the sky blue? Answer in one paragraph, please."}],)"
    R"("temperature":0.7,"max_completion_tokens":512,"user":"u-1842"})";
constexpr std::string_view kStreamBody =
    R"({"model":"gpt-5.5","messages":[{"role":"system","content":"You are a helpful assistant."},)"
    R"({"role":"user","content":"Why is the sky blue? Answer in one paragraph, please."}],)"
    R"("temperature":0.7,"max_completion_tokens":512,"user":"u-1842","stream":true})";
constexpr std::string_view kChunk =
    R"({"id":"chatcmpl-BxTn3kq0yQ1","object":"chat.completion.chunk","created":1763740800,)"
    R"("model":"gpt-5.5-2026-02-11","service_tier":"default","system_fingerprint":null,)"
    R"("choices":[{"index":0,"delta":{"content":" scattering"},"logprobs":null,)"
    R"("finish_reason":null}],"obfuscation":"hT3kQ"})";
constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-BxTn3kq0yQ1","object":"chat.completion","created":1763740800,)"
    R"("model":"gpt-5.5-2026-02-11","choices":[{"index":0,"message":{"role":"assistant",)"
    R"("content":"Sunlight meets molecules of the air, which scatter short waves more than long )"
    R"(ones; so blue comes from all of the sky.","refusal":null,"annotations":[]},)"
    R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":31,)"
    R"("completion_tokens":27,"total_tokens":58},"service_tier":"default"})";

// Where both arrive; takes what the compiler must not leave out.
class Sink final : public plugin::OperationSink {
 public:
  swy_rc req_begin(std::string_view method, std::string_view url, std::uint32_t,
                   std::uint32_t) override {
    return took(method.size() + url.size());
  }
  swy_rc req_header(std::string_view name, std::string_view value) override {
    return took(name.size() + value.size());
  }
  swy_rc req_auth(std::string_view scheme, std::string_view, std::string_view) override {
    return took(scheme.size());
  }
  swy_rc req_body(std::span<const swy_seg> pieces) override {
    for (const swy_seg& piece : pieces) took(piece.b.n);
    return SWY_OK;
  }
  swy_rc emit(std::uint32_t, std::uint32_t, std::string_view data) override {
    return took(data.size());
  }

  std::uint64_t bytes = 0;

 private:
  swy_rc took(std::uint64_t more) {
    bytes += more;
    return SWY_OK;
  }
};

// The classes write through swy::Out, which is a view of a table: here it leads straight to the
// sink, without the host's checks.
Sink& sink_of(void* ctx) { return *static_cast<Sink*>(ctx); }
std::string_view text(swy_str s) { return {s.p, s.n}; }

swy_out straight_to(Sink& sink) {
  swy_out out{};
  out.size = sizeof out;
  out.ctx = &sink;
  out.req_begin = [](void* ctx, swy_str method, swy_str url, std::uint32_t xid,
                     std::uint32_t framing) {
    return sink_of(ctx).req_begin(text(method), text(url), xid, framing);
  };
  out.req_header = [](void* ctx, swy_str name, swy_str value) {
    return sink_of(ctx).req_header(text(name), text(value));
  };
  out.req_auth = [](void* ctx, swy_str scheme, swy_str name, swy_str slot) {
    return sink_of(ctx).req_auth(text(scheme), text(name), text(slot));
  };
  out.req_body = [](void* ctx, const swy_seg* pieces, std::uint32_t n) {
    return sink_of(ctx).req_body({pieces, n});
  };
  out.emit = [](void* ctx, std::uint32_t what, std::uint32_t flags, swy_str data) {
    return sink_of(ctx).emit(what, flags, text(data));
  };
  return out;
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "boundary_driver: %s\n", why.c_str());
  std::exit(1);
}

class Plugin {
 public:
  Plugin(const std::filesystem::path& file, Sink& sink)
      : sink_(sink),
        scratch_(std::filesystem::temp_directory_path() /
                 ("switchyard-boundary-" + std::to_string(::getpid()))),
        libraries_(options(file, scratch_)) {
    auto loaded = libraries_.load(file);
    if (!loaded) fail(loaded.error().message);
    auto opened = plugin::ProviderInstance::open(libraries_, "openai", "{}", "p");
    if (!opened) fail(opened.error().message);
    instance_ = *std::move(opened);
  }
  ~Plugin() { std::filesystem::remove_all(scratch_); }

  auto start(const swy_req& request) {
    auto operation = plugin::Operation::start(*instance_, request);
    if (!operation) fail(operation.error().message);
    return *std::move(operation);
  }
  std::uint32_t step(plugin::Operation& operation, const swy_ev& event) {
    return operation.step(event, sink_).act;
  }

 private:
  static plugin::LibraryOptions options(const std::filesystem::path& file,
                                        const std::filesystem::path& scratch) {
    std::filesystem::create_directory(scratch);
    std::filesystem::permissions(scratch, std::filesystem::perms::owner_all);
    plugin::LibraryOptions options;
    options.directory = file.parent_path();
    options.private_directory = scratch;
    options.trial = false;
    return options;
  }

  Sink& sink_;
  std::filesystem::path scratch_;
  plugin::Libraries libraries_;
  std::unique_ptr<plugin::ProviderInstance> instance_;
};

class Linked {
 public:
  explicit Linked(Sink& sink) : table_(straight_to(sink)), out_(&table_) {}
  Linked(const Linked&) = delete;
  Linked& operator=(const Linked&) = delete;

  openai::AnyOperation start(const swy_req& request) {
    return provider_.start(swy::Request(&request));
  }
  std::uint32_t step(openai::AnyOperation& operation, const swy_ev& event) {
    return operation.step(swy::Event(&event), out_).act;
  }

 private:
  swy_out table_;
  swy::Out out_;
  openai::Provider provider_ =
      *openai::Provider::open("{}", swy::Host(plugin::Libraries::host(), nullptr));
};

swy_str to_swy(std::string_view view) { return {view.data(), view.size()}; }

// What a client asked for, as the host lays it out for either.
class Asked {
 public:
  explicit Asked(bool stream) {
    const std::string_view body = stream ? kStreamBody : kBody;
    if (!index_.scan(body)) fail("the body is not JSON");
    request_.size = sizeof request_;
    request_.flags = SWY_REQ_NATIVE | (stream ? SWY_REQ_STREAM : 0u);
    request_.id = to_swy("r-1");
    request_.task = to_swy("chat");
    request_.dialect = to_swy("openai");
    request_.model = to_swy("gpt-5.5");
    request_.body = to_swy(body);
    request_.member = index_.members().data();
    request_.nmember = static_cast<std::uint32_t>(index_.members().size());
    request_.member_stride = sizeof(swy_member);
  }
  const swy_req& request() const { return request_; }

 private:
  switchyard::JsonIndex index_;
  swy_req request_{};
};

swy_ev event_of(std::uint32_t kind, std::string_view data = {}) {
  swy_ev event{};
  event.size = sizeof event;
  event.kind = kind;
  event.data = to_swy(data);
  event.now_ns = switchyard::mono_ns();
  return event;
}

template <class Way>
void serve_one(Way& way, const Asked& asked, unsigned events) {
  auto operation = way.start(asked.request());
  const auto expect = [&](const swy_ev& event, std::uint32_t act) {
    if (way.step(operation, event) != act) fail("an event got another answer than it should");
  };
  expect(event_of(SWY_EV_START), SWY_ACT_SEND);
  const swy_str type = to_swy(events > 0 ? "text/event-stream" : "application/json");
  const swy_kv headers[] = {{to_swy("content-type"), type},
                            {to_swy("x-request-id"), to_swy("req_4f1b9f0c")}};
  swy_ev head = event_of(SWY_EV_HEAD);
  head.status = 200;
  head.hdr = headers;
  head.nhdr = 2;
  expect(head, SWY_ACT_FEED);
  if (events == 0) {
    const std::uint32_t act = way.step(operation, event_of(SWY_EV_DATA, kAnswer));
    if (act == SWY_ACT_FEED) expect(event_of(SWY_EV_END), SWY_ACT_DONE);
    return;
  }
  for (unsigned i = 0; i < events; ++i) expect(event_of(SWY_EV_DATA, kChunk), SWY_ACT_FEED);
  expect(event_of(SWY_EV_DATA, "[DONE]"), SWY_ACT_DONE);
}

template <class Way>
void serve(Way& way, unsigned requests, unsigned events) {
  const Asked asked(events > 0);
  for (unsigned i = 0; i < requests; ++i) serve_one(way, asked, events);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) fail("usage: boundary_driver plugin|linked FILE.so REQUESTS EVENTS");
  const auto requests = static_cast<unsigned>(std::atoi(argv[3]));
  const auto events = static_cast<unsigned>(std::atoi(argv[4]));  // 0: a whole answer
  Sink sink;
  if (std::string_view(argv[1]) == "plugin") {
    Plugin way(argv[2], sink);
    serve(way, requests, events);
  } else {
    Linked way(sink);
    serve(way, requests, events);
  }
  std::printf("%llu bytes\n", static_cast<unsigned long long>(sink.bytes));
}

// provider.hpp - C++20 comfort over provider.h: a provider is a class with start(), an operation a
// class with step().
//
//   class Operation {
//    public:
//     swy::Next step(const swy::Event& event, swy::Out& out);
//   };
//   class Mine {
//    public:
//     static swy::Result<Mine> open(std::string_view config_json, swy::Host host);  // or a default
//     constructor Operation start(const swy::Request& request) const;                           //
//     or swy::Result<Operation>
//   };
//   SWY_PLUGIN("vendor.mine", "1.0.0", swy::provider<Mine>("mine",
//   R"({"tasks":["chat"],"dialects":["openai"]})"));
//
// start() and step() are called on worker threads: operations of one instance run in parallel,
// calls on one operation do not. What they throw is caught, logged and told to the host as the
// plugin's own fault.
#pragma once

#include <switchyard/provider.h>

#include <memory>
#include <span>
#include <switchyard/plugin.hpp>
#include <vector>

namespace swy {

namespace detail {

inline std::string_view look_up(std::span<const swy_kv> list, std::string_view name) {
  for (const swy_kv& kv : list) {
    if (view(kv.k) == name) return view(kv.v);
  }
  return {};
}

}  // namespace detail

// What is asked; it and all its views live until the operation is gone.
class Request {
 public:
  explicit Request(const swy_req* raw) : raw_(raw) {}

  const swy_req& raw() const { return *raw_; }
  std::string_view id() const { return view(raw_->id); }
  std::string_view task() const { return view(raw_->task); }
  std::string_view dialect() const { return view(raw_->dialect); }
  std::string_view model() const { return view(raw_->model); }
  std::string_view body() const { return view(raw_->body); }
  bool stream() const { return (raw_->flags & SWY_REQ_STREAM) != 0; }
  bool want_usage() const { return (raw_->flags & SWY_REQ_WANT_USAGE) != 0; }
  bool native() const { return (raw_->flags & SWY_REQ_NATIVE) != 0; }

  // The members of the body's top-level object, in their order.
  std::size_t member_count() const { return raw_->nmember; }
  const swy_member& member(std::size_t i) const {
    return *SWY_AT(swy_member, raw_->member, i, raw_->member_stride);
  }
  const swy_member* find(std::string_view name) const {
    for (std::size_t i = 0; i < member_count(); ++i) {
      if (view(member(i).name) == name) return &member(i);
    }
    return nullptr;
  }
  // The raw JSON of a member's value; of a member by name, empty where there is none.
  std::string_view value(const swy_member& m) const { return body().substr(m.value_at, m.value_n); }
  std::string_view value(std::string_view name) const {
    const swy_member* m = find(name);
    return m == nullptr ? std::string_view() : value(*m);
  }

  // A header of the client that the allow-list let through; name in lower case. Empty where there
  // is none.
  std::string_view header(std::string_view name) const {
    return detail::look_up({raw_->hdr, raw_->nhdr}, name);
  }
  // A public part of the credential. Empty where there is none.
  std::string_view credential(std::string_view name) const {
    return detail::look_up({raw_->cred, raw_->ncred}, name);
  }

  // What an earlier operation kept of the job that this one goes on with.
  bool resumes() const { return (raw_->flags & SWY_REQ_RESUME) != 0; }
  std::string_view resume() const { return view(raw_->resume); }

  // The uploads that the host holds, by number, by their form's field, or by the id that the body
  // has in {"$blob": id}; nullptr where there is none.
  std::size_t blob_count() const { return raw_->nblob; }
  const swy_blob& blob(std::size_t i) const {
    return *SWY_AT(swy_blob, raw_->blob, i, raw_->blob_stride);
  }
  const swy_blob* find_blob(std::string_view field) const {
    for (std::size_t i = 0; i < blob_count(); ++i) {
      if (view(blob(i).field) == field) return &blob(i);
    }
    return nullptr;
  }
  const swy_blob* find_blob(std::uint64_t id) const {
    for (std::size_t i = 0; i < blob_count(); ++i) {
      if (blob(i).id == id) return &blob(i);
    }
    return nullptr;
  }

 private:
  const swy_req* raw_;
};

// What a signature is made over; good for the step of SWY_EV_SIGN only.
class SignFacts {
 public:
  explicit SignFacts(const swy_sign_facts* raw) : raw_(raw) {}

  std::string_view method() const { return view(raw_->method); }
  std::string_view url() const { return view(raw_->url); }  // absolute, as it will be sent
  // As they will be sent, names in lower case, host among them.
  std::span<const swy_kv> headers() const { return {raw_->hdr, raw_->nhdr}; }
  std::string_view header(std::string_view name) const { return detail::look_up(headers(), name); }
  std::uint64_t unix_ms() const { return raw_->unix_ms; }
  std::string_view body_sha256() const {  // 32 bytes
    return {reinterpret_cast<const char*>(raw_->body_sha256), sizeof raw_->body_sha256};
  }

 private:
  const swy_sign_facts* raw_;
};

// What has happened; its views are good for the step, except that data may be handed to emit().
class Event {
 public:
  explicit Event(const swy_ev* raw) : raw_(raw) {}

  const swy_ev& raw() const { return *raw_; }
  std::uint32_t kind() const { return raw_->kind; }  // SWY_EV_*
  std::uint32_t status() const { return raw_->status; }
  std::uint32_t exchange() const { return raw_->xid; }
  std::string_view name() const { return view(raw_->name); }
  std::string_view data() const { return view(raw_->data); }
  std::uint64_t now_ns() const { return raw_->now_ns; }

  std::span<const swy_kv> headers() const { return {raw_->hdr, raw_->nhdr}; }
  // Name in lower case; empty where there is none.
  std::string_view header(std::string_view name) const { return detail::look_up(headers(), name); }
  SignFacts sign() const { return SignFacts(raw_->sign); }  // of SWY_EV_SIGN

 private:
  const swy_ev* raw_;
};

// A body or a document in pieces, most of them views into a request or an event: bytes pass without
// being copied here.
class Gather {
 public:
  void add(std::string_view bytes) {
    if (bytes.empty()) return;
    size_ += bytes.size();
    if (!pieces_.empty() && pieces_.back().kind == SWY_SEG_BYTES &&
        pieces_.back().b.p + pieces_.back().b.n == bytes.data()) {
      pieces_.back().b.n += bytes.size();
      return;
    }
    pieces_.push_back({SWY_SEG_BYTES, SWY_ENC_RAW, 0, 0, str(bytes)});
  }
  // All of an upload; encoding (SWY_ENC_*) is how the host writes it while sending.
  void add_blob(const swy_blob& blob, std::uint32_t encoding = SWY_ENC_RAW) {
    size_ += blob.len;
    pieces_.push_back({SWY_SEG_BLOB, encoding, blob.id, 0, {nullptr, blob.len}});
  }
  std::span<const swy_seg> pieces() const { return pieces_; }
  std::size_t size() const { return size_; }  // before any encoding
  // Of pieces that are no uploads.
  std::string joined() const {
    std::string text;
    text.reserve(size_);
    for (const swy_seg& piece : pieces_) text += view(piece.b);
    return text;
  }

 private:
  std::vector<swy_seg> pieces_;
  std::size_t size_ = 0;
};

// Where an operation writes; good for the step only. Each call answers SWY_OK, SWY_SLOW or a
// negative fault.
class Out {
 public:
  explicit Out(const swy_out* raw) : raw_(raw) {}

  const swy_out& raw() const { return *raw_; }

  // One upstream request: begin(), headers, auth(), body pieces; then return Next::send().
  swy_rc begin(std::string_view method, std::string_view url, std::uint32_t framing,
               std::uint32_t exchange = 0) {
    return raw_->req_begin(raw_->ctx, str(method), str(url), exchange, framing);
  }
  swy_rc header(std::string_view name, std::string_view value) {
    return raw_->req_header(raw_->ctx, str(name), str(value));
  }
  swy_rc auth(std::string_view scheme, std::string_view name = {}, std::string_view slot = {}) {
    return raw_->req_auth(raw_->ctx, str(scheme), str(name), str(slot));
  }
  // Opens a multipart part; what body() is given from here on is its content.
  swy_rc part(std::span<const swy_kv> headers) {
    return raw_->req_part(raw_->ctx, headers.data(), static_cast<std::uint32_t>(headers.size()));
  }
  // In the step of SWY_EV_SIGN: a query parameter, percent-encoded by the host.
  swy_rc query(std::string_view name, std::string_view value) {
    if (!SWY_FN(raw_, swy_out, req_query)) return SWY_E_UNSUP;
    return raw_->req_query(raw_->ctx, str(name), str(value));
  }
  // The answer of this request, begun with SWY_FRAME_TOKEN, is a credential that the host keeps as
  // `name`; JSON pointers say where in it the token and its life in seconds are.
  swy_rc token(std::string_view name, std::string_view value_at, std::string_view ttl_at) {
    if (!SWY_FN(raw_, swy_out, req_token)) return SWY_E_UNSUP;
    return raw_->req_token(raw_->ctx, str(name), str(value_at), str(ttl_at));
  }
  bool has_token(std::string_view name) const {
    return SWY_FN(raw_, swy_out, has_token) && raw_->has_token(raw_->ctx, str(name)) == SWY_OK;
  }
  swy_rc body(std::string_view bytes) {
    const swy_seg piece{SWY_SEG_BYTES, SWY_ENC_RAW, 0, 0, str(bytes)};
    return raw_->req_body(raw_->ctx, &piece, 1);
  }
  swy_rc body(const Gather& gather) {
    return raw_->req_body(raw_->ctx, gather.pieces().data(),
                          static_cast<std::uint32_t>(gather.pieces().size()));
  }

  // Messages of a session, from HEAD with status 101 on.
  swy_rc to_client(std::string_view message, bool text) { return message_to(1, message, text); }
  swy_rc to_upstream(std::string_view message, bool text) { return message_to(0, message, text); }
  swy_rc to_client(const Gather& message, bool text) { return message_to(1, message, text); }
  swy_rc to_upstream(const Gather& message, bool text) { return message_to(0, message, text); }
  // code 0: a Close without one.
  swy_rc close_client(std::uint32_t code, std::string_view reason = {}) {
    return close(1, code, reason);
  }
  swy_rc close_upstream(std::uint32_t code, std::string_view reason = {}) {
    return close(0, code, reason);
  }

  swy_rc emit(std::uint32_t what, std::string_view data, std::uint32_t flags = 0) {
    return raw_->emit(raw_->ctx, what, flags, str(data));
  }
  swy_rc delta(std::string_view chunk, std::uint32_t flags) {
    return emit(SWY_EMIT_DELTA, chunk, flags);
  }
  swy_rc whole(std::string_view document, std::uint32_t flags) {
    return emit(SWY_EMIT_WHOLE, document, flags);
  }
  swy_rc usage(std::string_view object) { return emit(SWY_EMIT_USAGE, object); }
  swy_rc finish_reason(std::string_view reason) { return emit(SWY_EMIT_FINISH, reason); }
  swy_rc limits(std::string_view object) { return emit(SWY_EMIT_LIMITS, object); }
  swy_rc error(std::string_view object) { return emit(SWY_EMIT_ERROR, object); }
  swy_rc dropped(std::string_view pointers) { return emit(SWY_EMIT_DROPPED, pointers); }

  // A job: keep() what a later operation needs to go on with it, then tell its state.
  swy_rc keep(std::string_view resume) { return raw_->keep(raw_->ctx, str(resume)); }
  swy_rc job(std::string_view object) { return emit(SWY_EMIT_JOB, object); }

  // A binary answer: head() with its content type, then its bytes as they come.
  swy_rc head(std::string_view object) { return emit(SWY_EMIT_HEAD, object); }
  swy_rc raw(std::string_view bytes) { return emit(SWY_EMIT_RAW, bytes); }

 private:
  swy_rc message_to(std::uint32_t client, std::string_view message, bool text) {
    const swy_seg piece{SWY_SEG_BYTES, SWY_ENC_RAW, 0, 0, str(message)};
    return raw_->ws_send(raw_->ctx, client, text ? 1 : 2, &piece, 1);
  }
  swy_rc message_to(std::uint32_t client, const Gather& message, bool text) {
    return raw_->ws_send(raw_->ctx, client, text ? 1 : 2, message.pieces().data(),
                         static_cast<std::uint32_t>(message.pieces().size()));
  }
  swy_rc close(std::uint32_t client, std::uint32_t code, std::string_view reason) {
    const char bytes[2] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
    const swy_seg pieces[2] = {{SWY_SEG_BYTES, SWY_ENC_RAW, 0, 0, str({bytes, 2})},
                               {SWY_SEG_BYTES, SWY_ENC_RAW, 0, 0, str(reason)}};
    return raw_->ws_send(raw_->ctx, client, 8, pieces, code == 0 ? 0 : 2);
  }

  const swy_out* raw_;
};

// The answer to an event.
struct Next {
  std::uint32_t act = SWY_ACT_FEED;
  std::uint64_t delay_ns = 0;
  Error error = {};    // where act is SWY_ACT_FAIL
  swy_rc rc = SWY_OK;  // SWY_E_UNSUP for an event that this plugin does not know

  static Next feed() { return {}; }
  static Next send() { return {SWY_ACT_SEND}; }
  static Next wait(std::uint64_t delay_ns) { return {SWY_ACT_WAIT, delay_ns}; }
  static Next done() { return {SWY_ACT_DONE}; }
  static Next fail(Error why) { return {SWY_ACT_FAIL, 0, std::move(why)}; }
  static Next unknown_event() { return {SWY_ACT_FEED, 0, {}, SWY_E_UNSUP}; }
};

namespace detail {

template <class P>
struct ProviderTable : Instances<P> {
  using Instance = typename Instances<P>::Instance;
  using Operation =
      std::decay_t<decltype(*as_result(std::declval<P&>().start(std::declval<const Request&>())))>;

  struct Running {
    Operation operation;
    const Instance* instance;
  };

  static swy_rc SWY_CALL op_new(void* instance, const swy_req* req, void** op,
                                swy_err* err) noexcept {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, err, [&] {
      auto started = as_result(deref(self.held).start(Request(req)));
      if (!started) return put_error(err, started.error(), SWY_E_ARG);
      *op = new Running{*std::move(started), &self};
      return SWY_OK;
    });
  }

  static swy_rc SWY_CALL op_step(void* op, const swy_ev* ev, const swy_out* out, swy_next* next,
                                 swy_err* err) noexcept {
    auto& running = *static_cast<Running*>(op);
    return guarded(running.instance->host, err, [&] {
      Out writer(out);
      const Next answer = deref(running.operation).step(Event(ev), writer);
      next->act = answer.act;
      next->delay_ns = answer.delay_ns;
      if (answer.act == SWY_ACT_FAIL) put_error(err, answer.error, SWY_OK);
      return answer.rc;
    });
  }

  static void SWY_CALL op_free(void* op) noexcept {
    const Host host = static_cast<Running*>(op)->instance->host;
    guarded(host, nullptr, [&] {
      delete static_cast<Running*>(op);
      return SWY_OK;
    });
  }

  static constexpr swy_provider table = {
      sizeof(swy_provider),
      0,
      &Instances<P>::open,
      &Instances<P>::close,
      &op_new,
      &op_step,
      &op_free,
  };
};

}  // namespace detail

// The kind to give to SWY_PLUGIN. caps: as provider.h says. schema: of the configuration, or
// nullptr.
template <class P>
constexpr swy_kind provider(const char* name, const char* caps, const char* schema = nullptr) {
  return {sizeof(swy_kind),
          0,
          SWY_PROVIDER_IFACE,
          name,
          schema,
          caps,
          &detail::ProviderTable<P>::table};
}

}  // namespace swy

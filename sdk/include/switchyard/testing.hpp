// testing.hpp - fakes for an author's tests: a request made from JSON, events, a host side that
// notes what an operation writes and signs with a test key, a host with a log, a clock and
// destinations, and a choice for a strategy to make. Needs no library but the standard one.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/logger.hpp>
#include <switchyard/provider.hpp>
#include <switchyard/sign.hpp>
#include <switchyard/strategy.hpp>
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

  FakeRequest& header(std::string name, std::string value) {
    add(headers_, header_kv_, std::move(name), std::move(value));
    raw_.hdr = header_kv_.data();
    raw_.nhdr = static_cast<std::uint32_t>(header_kv_.size());
    return *this;
  }
  // A public part of the credential.
  FakeRequest& credential(std::string name, std::string value) {
    add(credential_, credential_kv_, std::move(name), std::move(value));
    raw_.cred = credential_kv_.data();
    raw_.ncred = static_cast<std::uint32_t>(credential_kv_.size());
    return *this;
  }
  // Goes on with a job, from what an earlier operation kept.
  FakeRequest& resume(std::string token) {
    resume_ = std::move(token);
    raw_.resume = str(resume_);
    raw_.flags |= SWY_REQ_RESUME;
    return *this;
  }
  // An upload, the first with id 1. Its content is what a Recorder is given as blobs[id].
  FakeRequest& blob(std::string field, std::string mime, std::string name, std::uint64_t size) {
    for (std::string* text : {&field, &mime, &name}) names_.push_back(std::move(*text));
    swy_blob blob{};
    blob.size = sizeof blob;
    blob.id = blobs_.size() + 1;
    blob.len = size;
    blob.field = str(names_[names_.size() - 3]);
    blob.mime = str(names_[names_.size() - 2]);
    blob.name = str(names_.back());
    blobs_.push_back(blob);
    raw_.blob = blobs_.data();
    raw_.nblob = static_cast<std::uint32_t>(blobs_.size());
    raw_.blob_stride = sizeof(swy_blob);
    return *this;
  }

 private:
  using Texts =
      std::deque<std::pair<std::string, std::string>>;  // its elements stay where they are

  static void add(Texts& texts, std::vector<swy_kv>& kv, std::string name, std::string value) {
    texts.emplace_back(std::move(name), std::move(value));
    kv.push_back({str(texts.back().first), str(texts.back().second)});
  }

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

  std::string task_, model_, body_, resume_;
  std::deque<std::string> names_;
  std::vector<swy_member> members_;
  Texts headers_, credential_;
  std::vector<swy_kv> header_kv_, credential_kv_;
  std::vector<swy_blob> blobs_;
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
  FakeEvent& exchange(std::uint32_t id) {
    raw_.xid = id;
    return *this;
  }
  // For SWY_EV_SIGN, beside headers(): what the request is that a signature is made over.
  FakeEvent& sign(std::string method, std::string url, std::string_view body_sha256,
                  std::uint64_t unix_ms) {
    method_ = std::move(method);
    url_ = std::move(url);
    facts_.size = sizeof facts_;
    facts_.method = str(method_);
    facts_.url = str(url_);
    facts_.hdr = raw_.hdr;
    facts_.nhdr = raw_.nhdr;
    facts_.unix_ms = unix_ms;
    std::memcpy(facts_.body_sha256, body_sha256.data(), sizeof facts_.body_sha256);
    raw_.hdr = nullptr;
    raw_.nhdr = 0;
    raw_.sign = &facts_;
    return *this;
  }
  Event get() const { return Event(&raw_); }

 private:
  std::string data_, name_, method_, url_;
  Headers headers_;
  std::vector<swy_kv> kv_;
  swy_sign_facts facts_{};
  swy_ev raw_{};
};

// FIPS 180-4; the digest as 32 bytes.
inline std::string sha256(std::string_view data) {
  // The fractional parts of the cube roots of the first 64 primes.
  static constexpr std::uint32_t kRound[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
      0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
      0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
      0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
      0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
      0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
      0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
      0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
      0xc67178f2};
  std::array<std::uint32_t, 8> state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::string text(data);
  text += '\x80';
  text.append((119 - data.size() % 64) % 64, '\0');
  for (int shift = 56; shift >= 0; shift -= 8) {
    text += static_cast<char>(static_cast<std::uint64_t>(data.size()) * 8 >> shift & 255U);
  }
  for (std::size_t at = 0; at < text.size(); at += 64) {
    std::uint32_t w[64];
    for (std::size_t i = 0; i < 16; ++i) {
      w[i] = 0;
      for (std::size_t k = 0; k < 4; ++k) {
        w[i] = w[i] << 8 | static_cast<unsigned char>(text[at + 4 * i + k]);
      }
    }
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                               ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      const std::uint32_t t2 =
          (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const std::uint32_t sum[8] = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] += sum[i];
  }
  std::string digest;
  for (const std::uint32_t word : state) {
    for (int shift = 24; shift >= 0; shift -= 8) digest += static_cast<char>(word >> shift & 255U);
  }
  return digest;
}

// RFC 2104 with SHA-256.
inline std::string hmac_sha256(std::string_view key, std::string_view data) {
  std::string block = key.size() > 64 ? sha256(key) : std::string(key);
  block.resize(64, '\0');
  std::string inner = block, outer = block;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
  return sha256(outer + sha256(inner.append(data)));
}

// The host's side of an operation: notes everything. What belongs to a request is of the last one
// begun.
class Recorder {
 public:
  struct Emit {
    std::uint32_t what, flags;
    std::string data;
  };
  struct Part {
    Headers headers;
    std::string body;
  };
  struct Token {
    std::string name, value_at, ttl_at;
  };
  struct Message {
    bool to_client;
    std::uint32_t opcode;
    std::string data;
  };

  Recorder() {
    raw_.size = sizeof raw_;
    raw_.ctx = this;
    raw_.req_begin = [](void* ctx, swy_str m, swy_str u, std::uint32_t x, std::uint32_t f) {
      Recorder& self = of(ctx);
      self.method.assign(view(m));
      self.url.assign(view(u));
      self.exchange = x;
      self.framing = f;
      self.auth.clear();
      self.auth_slot.clear();
      self.body.clear();
      self.pieces = 0;
      self.headers.clear();
      self.query.clear();
      self.parts.clear();
      return swy_rc(SWY_OK);
    };
    raw_.req_header = [](void* ctx, swy_str k, swy_str v) {
      of(ctx).headers.emplace_back(view(k), view(v));
      return swy_rc(SWY_OK);
    };
    raw_.req_auth = [](void* ctx, swy_str scheme, swy_str arg, swy_str slot) {
      of(ctx).auth = std::string(view(scheme)) + " " + std::string(view(arg));
      of(ctx).auth_slot.assign(view(slot));
      return swy_rc(SWY_OK);
    };
    raw_.req_part = [](void* ctx, const swy_kv* kv, std::uint32_t n) {
      of(ctx).parts.emplace_back();
      for (const swy_kv& one : std::span(kv, n)) {
        of(ctx).parts.back().headers.emplace_back(view(one.k), view(one.v));
      }
      return swy_rc(SWY_OK);
    };
    raw_.req_body = [](void* ctx, const swy_seg* seg, std::uint32_t n) {
      Recorder& self = of(ctx);
      std::string& target = self.parts.empty() ? self.body : self.parts.back().body;
      for (const swy_seg& one : std::span(seg, n)) target += self.written(one);
      self.pieces += n;
      return swy_rc(SWY_OK);
    };
    raw_.emit = [](void* ctx, std::uint32_t what, std::uint32_t flags, swy_str data) {
      of(ctx).emits.push_back({what, flags, std::string(view(data))});
      return swy_rc(SWY_OK);
    };
    raw_.keep = [](void* ctx, swy_str resume) {
      of(ctx).kept.assign(view(resume));
      return swy_rc(SWY_OK);
    };
    raw_.ws_send = [](void* ctx, std::uint32_t to_client, std::uint32_t opcode, const swy_seg* seg,
                      std::uint32_t n) {
      std::string data;
      for (const swy_seg& one : std::span(seg, n)) data += of(ctx).written(one);
      of(ctx).messages.push_back({to_client != 0, opcode, std::move(data)});
      return swy_rc(SWY_OK);
    };
    raw_.req_query = [](void* ctx, swy_str k, swy_str v) {
      of(ctx).query.emplace_back(view(k), view(v));
      return swy_rc(SWY_OK);
    };
    raw_.req_token = [](void* ctx, swy_str name, swy_str value_at, swy_str ttl_at) {
      of(ctx).tokens.push_back(
          {std::string(view(name)), std::string(view(value_at)), std::string(view(ttl_at))});
      return swy_rc(SWY_OK);
    };
    raw_.has_token = [](void* ctx, swy_str name) {
      for (const std::string& held : of(ctx).held_tokens) {
        if (held == view(name)) return swy_rc(SWY_OK);
      }
      return swy_rc(SWY_E_UNSUP);
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
  // A header of the request, by its name as it was written; empty where there is none.
  std::string header(std::string_view name) const {
    for (const auto& [k, v] : headers) {
      if (k == name) return v;
    }
    return {};
  }

  // Of the last request.
  std::string method, url, auth, auth_slot, body;
  std::uint32_t framing = 0, exchange = 0, pieces = 0;
  Headers headers, query;
  std::vector<Part> parts;  // where there are any they hold the body

  // Of the operation.
  std::vector<Emit> emits;
  std::vector<Token> tokens;
  std::vector<Message> messages;
  std::string kept;

  // What the host has. The key is what FakeHost signs with: a text, or a JSON document with slots.
  std::map<std::uint64_t, std::string> blobs;
  std::vector<std::string> held_tokens;
  std::string key = "test-secret-key";
  // Stands for the host's RSA and ECDSA, which need a library: (alg, key, data) to a signature.
  std::function<std::string(std::uint32_t, std::string_view, std::string_view)> private_key;

 private:
  static Recorder& of(void* ctx) { return *static_cast<Recorder*>(ctx); }

  std::string written(const swy_seg& piece) const {
    std::string_view bytes = view(piece.b);
    if (piece.kind == SWY_SEG_BLOB) {
      const auto found = blobs.find(piece.blob);
      bytes = found == blobs.end() ? std::string_view()
                                   : std::string_view(found->second).substr(piece.off, piece.b.n);
    }
    if (piece.enc == SWY_ENC_BASE64) return base64(bytes);
    std::string text;
    if (piece.enc == SWY_ENC_JSON) {
      json::append_escaped(text, bytes);
    } else {
      text = bytes;
    }
    return text;
  }

  swy_out raw_{};
};

// The host as an instance sees it: a log, a clock that the test sets, destinations that answer what
// the test lays out, and swy.sign/1 over the key of the Recorder that an operation writes to.
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

  // Its clock stands at unix_ms.
  explicit FakeHost(std::uint64_t unix_ms = 1'800'000'000'000) : unix_ns(unix_ms * 1'000'000) {
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
      const std::string_view name(id);
      if (name == SWY_HTTP_EXT) return &kHttp;
      return name == SWY_SIGN_EXT ? static_cast<const void*>(&kSign) : nullptr;
    };
  }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  Host host() const { return Host(&raw_, nullptr); }
  const swy_host* raw() const { return &raw_; }

  std::uint64_t monotonic_ns = 1'000'000'000, unix_ns;
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

  // The key itself, or the text at a JSON pointer of names in it.
  static std::optional<std::string> secret(const Recorder& recorder, std::string_view slot) {
    if (slot.empty()) {
      return recorder.key.empty() ? std::optional<std::string>() : recorder.key;
    }
    std::string_view value = recorder.key;
    while (slot.starts_with('/')) {
      slot.remove_prefix(1);
      value = json::find(value, slot.substr(0, slot.find('/')));
      slot.remove_prefix(std::min(slot.find('/'), slot.size()));
    }
    return slot.empty() ? json::to_text(value) : std::nullopt;
  }

  static swy_rc give(std::string_view bytes, std::uint8_t* out, std::uint32_t* n) {
    std::memcpy(out, bytes.data(), bytes.size());
    *n = static_cast<std::uint32_t>(bytes.size());
    return SWY_OK;
  }

  static swy_rc SWY_CALL digest(std::uint32_t hash, swy_str data, std::uint8_t* out,
                                std::uint32_t* n) noexcept {
    return hash == SWY_HASH_SHA256 ? give(sha256(view(data)), out, n) : SWY_E_UNSUP;
  }

  static swy_rc SWY_CALL hmac(const swy_out* out, const swy_hmac* chain, std::uint8_t* mac,
                              std::uint32_t* n) noexcept {
    if (chain->hash != SWY_HASH_SHA256) return SWY_E_UNSUP;
    const auto found = secret(*static_cast<Recorder*>(out->ctx), view(chain->slot));
    if (!found || chain->nstep < 1 || chain->nstep > 16) return SWY_E_ARG;
    std::string key = std::string(view(chain->prefix)) + *found;
    for (std::uint32_t i = 0; i < chain->nstep; ++i) {
      if (i > 0 && (chain->flags & SWY_HMAC_HEX_STEPS) != 0) key = hex(key);
      key = hmac_sha256(key, view(chain->step[i]));
    }
    return give(key, mac, n);
  }

  static swy_rc SWY_CALL sign(const swy_out* out, std::uint32_t alg, swy_str slot, swy_str data,
                              std::uint8_t* signature, std::uint32_t* n) noexcept {
    const Recorder& recorder = *static_cast<Recorder*>(out->ctx);
    const auto found = secret(recorder, view(slot));
    if (!recorder.private_key) return SWY_E_UNSUP;
    if (!found) return SWY_E_ARG;
    const std::string made = recorder.private_key(alg, *found, view(data));
    return made.size() > *n ? SWY_E_LIMIT : give(made, signature, n);
  }

  static constexpr swy_sign kSign = {sizeof(swy_sign), SWY_MINOR, &digest, &hmac, &sign};

  static constexpr swy_http kHttp{sizeof(swy_http), 0, &check, &post};

  swy_host raw_{};
};

// Plays the host for one operation: gives it events and signs what it sends, noting its last
// answer. The request must outlive it.
template <class Operation>
class Drive {
 public:
  Drive(Operation operation, Recorder& recorder, std::string base_url = "https://up.example",
        std::uint64_t unix_ms = 1'795'176'000'000)
      : operation_(std::move(operation)),
        recorder_(&recorder),
        base_url_(std::move(base_url)),
        unix_ms_(unix_ms) {}

  // An event as it is; where the answer is to send a request that wants a signature, the event for
  // that too.
  const Next& step(const FakeEvent& event) {
    Out out = recorder_->out();
    next = operation_.step(event.get(), out);
    if (next.act == SWY_ACT_SEND && recorder_->auth == "sign ") sign();
    return next;
  }
  const Next& start() { return step(FakeEvent(SWY_EV_START)); }
  const Next& timer() { return step(FakeEvent(SWY_EV_TIMER)); }
  const Next& cancel() { return step(FakeEvent(SWY_EV_CANCEL)); }
  // Of the request that was begun last.
  const Next& head(std::uint32_t status, Headers headers = {}) {
    return step(FakeEvent(SWY_EV_HEAD)
                    .status(status)
                    .headers(std::move(headers))
                    .exchange(recorder_->exchange));
  }
  const Next& data(std::string bytes, std::string name = {}) {
    return step(
        FakeEvent(SWY_EV_DATA, std::move(bytes), std::move(name)).exchange(recorder_->exchange));
  }
  const Next& end() { return step(FakeEvent(SWY_EV_END).exchange(recorder_->exchange)); }
  // A whole answer, as far as the operation wants it.
  const Next& answer(std::uint32_t status, std::string body, Headers headers = {}) {
    head(status, std::move(headers));
    if (next.act == SWY_ACT_FEED) data(std::move(body));
    if (next.act == SWY_ACT_FEED) end();
    return next;
  }

  Next next;
  bool signed_request = false;  // the last SEND had its SWY_EV_SIGN

 private:
  void sign() {
    const std::string url =
        recorder_->url.starts_with("/") ? base_url_ + recorder_->url : recorder_->url;
    const std::size_t host = url.find("://") + 3;
    Headers sent = {{"host", url.substr(host, url.find('/', host) - host)}};
    for (const auto& header : recorder_->headers) sent.push_back(header);
    Out out = recorder_->out();
    FakeEvent event(SWY_EV_SIGN);
    event.headers(std::move(sent)).sign(recorder_->method, url, sha256(recorder_->body), unix_ms_);
    const Next answer = operation_.step(event.get(), out);
    signed_request = answer.act == SWY_ACT_FEED && answer.rc == SWY_OK;
    if (!signed_request) next = answer;
  }

  Operation operation_;
  Recorder* recorder_;
  std::string base_url_;
  std::uint64_t unix_ms_;
};

// A choice to make: a request and its candidates, which the host's defaults fill.
//   FakeRoute route;
//   route.add("eu/small").est_cost_nano = 1000;
//   CHECK(route.order(Mine()) == "eu/small us/small");
class FakeRoute {
 public:
  struct Scored {
    std::string name;  // "provider/model"
    std::int64_t score = SWY_SCORE_UNSET;
    bool excluded = false;
    std::string reason;
  };

  FakeRoute() {
    request_.size = sizeof request_;
    request_.task = str("chat");
    request_.model = str("alias");
    request_.currency = str("USD");
    request_.tok_in_est = 100;
    request_.tok_out_est = 500;
  }
  FakeRoute(const FakeRoute&) = delete;
  FakeRoute& operator=(const FakeRoute&) = delete;

  swy_rreq& request() { return request_; }

  // The candidate is good until the next one is added.
  swy_cand& add(const std::string& provider_and_model, const Headers& tags = {}) {
    const std::string& name = texts_.emplace_back(provider_and_model);
    const std::size_t slash = name.find('/');
    swy_cand candidate{};
    candidate.size = sizeof candidate;
    candidate.id = candidates_.size() + 1;
    candidate.provider = str(std::string_view(name).substr(0, slash));
    candidate.model = str(std::string_view(name).substr(slash + 1));
    candidate.est_cost_nano = INT64_MIN;
    candidate.weight = 1;
    candidate.inflight_max = candidate.rpm_left = UINT32_MAX;
    candidate.tpm_left = UINT64_MAX;
    auto& kept = tags_.emplace_back();
    for (const auto& [k, v] : tags) {
      kept.push_back({str(texts_.emplace_back(k)), str(texts_.emplace_back(v))});
    }
    candidate.tag = kept.data();
    candidate.ntag = kept.size();
    names_.push_back(name);
    candidates_.push_back(candidate);
    return candidates_.back();
  }
  swy_cand& operator[](std::size_t i) { return candidates_[i]; }

  // What a strategy makes of it, in the order of the candidates.
  template <class S>
  std::vector<Scored> score(const S& strategy) {
    std::vector<swy_score> out(candidates_.size());
    for (swy_score& each : out) {
      each.size = sizeof each;
      each.score = SWY_SCORE_UNSET;
    }
    Scores scores(out.data(), sizeof(swy_score));
    const RouteRequest request(&request_);
    const Candidates shown(candidates_.data(), static_cast<std::uint32_t>(candidates_.size()),
                           sizeof(swy_cand));
    error_.clear();
    if constexpr (std::is_void_v<decltype(strategy.score(request, shown, scores))>) {
      strategy.score(request, shown, scores);
    } else {
      const Result<> scored = strategy.score(request, shown, scores);
      if (!scored) error_ = scored.error().message;
    }
    std::vector<Scored> found;
    for (std::size_t i = 0; i < out.size(); ++i) {
      found.push_back({names_[i], out[i].score, out[i].score == SWY_SCORE_EXCLUDE, out[i].reason});
    }
    return found;
  }

  // Why the last score() failed; empty where it did not.
  const std::string& error() const { return error_; }

  // The names in the order in which they would be tried, without those that are excluded.
  template <class S>
  std::string order(const S& strategy) {
    const std::vector<Scored> scored = score(strategy);
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < scored.size(); ++i) {
      if (!scored[i].excluded) places.push_back(i);
    }
    std::sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
      return scored[a].score != scored[b].score ? scored[a].score > scored[b].score : a < b;
    });
    std::string text;
    for (const std::size_t i : places) text += (text.empty() ? "" : " ") + scored[i].name;
    return text;
  }

 private:
  swy_rreq request_{};
  std::deque<std::string> texts_;
  std::deque<std::vector<swy_kv>> tags_;
  std::vector<std::string> names_;
  std::vector<swy_cand> candidates_;
  std::string error_;
};

}  // namespace swy::testing

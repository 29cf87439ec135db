#include "session.hpp"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <set>
#include <switchyard/json.hpp>
#include <switchyard/plugin.hpp>

#include "bench.hpp"
#include "json.hpp"
#include "plugin.hpp"
#include "signing.hpp"

namespace swy::check {
namespace {

constexpr std::size_t kStepsMax = 200'000, kWaitsMax = 100'000, kTailBytes = 40;
constexpr std::size_t kCallsAfterGoneMax = 10'000;
constexpr std::uint64_t kWaitMaxNs = 86'400'000'000'000;

std::uint64_t clock_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

bool readable(swy_str s) { return s.p != nullptr || s.n == 0; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

// Names that the host refuses from a plugin.
bool is_reserved(std::string_view name, bool signing) {
  static constexpr std::string_view kNames[] = {"host",
                                                "content-length",
                                                "transfer-encoding",
                                                "connection",
                                                "keep-alive",
                                                "te",
                                                "trailer",
                                                "upgrade",
                                                "expect",
                                                "proxy-authorization",
                                                "proxy-connection",
                                                "accept-encoding"};
  const std::string folded = lower(name);
  if (folded == "authorization") return !signing;
  return std::find(std::begin(kNames), std::end(kNames), folded) != std::end(kNames);
}

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

char type_of(std::string_view value) {
  switch (value.front()) {
    case '{':
      return 'o';
    case '[':
      return 'a';
    case '"':
      return 's';
    case 't':
    case 'f':
      return value.front();
    case 'n':
      return '0';
    default:
      return 'n';
  }
}

class Session {
 public:
  Session(const Provider& provider, const Ask& ask, const std::vector<Answer>& answers,
          const Policy& policy)
      : provider_(provider),
        ask_(ask),
        answers_(answers),
        policy_(policy),
        whole_life_(policy.mode == Lender::Mode::kPlain ? Lender::Mode::kPlain : policy.mode),
        call_(policy.mode) {
    out_ = {sizeof(swy_out), 0,    this, req_begin, req_header, req_auth,  req_part,
            req_body,        emit, keep, ws_send,   req_query,  req_token, has_token};
  }

  Trace run() {
    if (!start()) return std::move(trace_);
    step({SWY_EV_START, 0, 0, {}, {}}, nullptr);
    drive();
    finish();
    return std::move(trace_);
  }

  Trace run_odd(const std::vector<OddEvent>& events) {
    if (!start()) return std::move(trace_);
    for (const OddEvent& event : events) {
      step(event, nullptr);
      if (over_) break;
    }
    if (!over_) trace_.end = End::kFreed;
    finish();
    return std::move(trace_);
  }

 private:
  // ---- the operation's life ----

  bool start() {
    make_request();
    swy_err err = empty_err();
    void* untouched = this;
    op_ = untouched;
    entering("provider.op_new");
    const swy_rc rc = provider_.table->op_new(provider_.instance, request_, &op_, &err);
    left();
    if (rc >= 0) return true;
    trace_.end = End::kRefused;
    trace_.rc = rc;
    trace_.err = err;
    if (op_ != untouched) breach("op_new failed but wrote to *op: on failure it stays untouched");
    const std::string wrong = err_fault(err);
    if (!wrong.empty()) breach("op_new returned " + rc_name(rc) + ", and " + wrong);
    return false;
  }

  void finish() {
    in_call_ = false;
    entering("provider.op_free");
    provider_.table->op_free(op_);
    left();
    whole_life_.take_back();
    if (!trace_.fault.empty()) trace_.end = End::kBroken;
  }

  void drive() {
    std::size_t waits = 0;
    while (!over_) {
      if (next_.act == SWY_ACT_SEND) {
        exchange();
      } else if (next_.act == SWY_ACT_WAIT && ++waits < kWaitsMax) {
        step({SWY_EV_TIMER, 0, 0, {}, {}}, nullptr);
      } else {
        over_ = true;
        trace_.end = End::kWaits;
        if (next_.act == SWY_ACT_WAIT) breach("it answered WAIT over and over without an end");
      }
    }
  }

  // Waits as often as the operation wants; true where it wants the next event of the exchange.
  bool wants_more() {
    std::size_t waits = 0;
    while (!over_ && next_.act == SWY_ACT_WAIT && ++waits < kWaitsMax) {
      step({SWY_EV_TIMER, 0, 0, {}, {}}, nullptr);
    }
    return !over_ && next_.act == SWY_ACT_FEED;
  }

  void exchange() {
    const Sent sent = trace_.sent.back();
    if (sent.auth_scheme == "sign" && !sign(sent)) return;
    const std::size_t number = trace_.sent.size() - 1;
    if (number >= answers_.size()) {
      step({SWY_EV_IOERR, SWY_CLS_TIMEOUT, sent.xid, {}, "no further answer"}, nullptr);
      return;
    }
    const Answer& answer = answers_[number];
    const bool socket = sent.framing == SWY_FRAME_WEBSOCKET;
    const bool refused = answer.status >= 400 || (socket && answer.status != 101);
    if (sent.framing == SWY_FRAME_TOKEN && !refused) {
      tokens_.insert(token_name_);
      step({SWY_EV_END, answer.status, sent.xid, {}, {}}, nullptr);
      return;
    }
    step({SWY_EV_HEAD, answer.status, sent.xid, {}, {}}, &answer.headers);
    if (!wants_more()) return;
    if (socket && !refused) return talk(answer, sent.xid);
    feed(answer, refused ? SWY_FRAME_WHOLE : sent.framing, sent.xid);
  }

  bool sign(const Sent& sent) {
    step({SWY_EV_SIGN, 0, sent.xid, {}, {}}, nullptr);
    if (over_ || trace_.steps.back().kind != SWY_EV_SIGN) return false;
    if (next_.act == SWY_ACT_FEED) return true;
    over_ = true;
    trace_.end = End::kWaits;
    breach("SIGN is answered with FEED; it answered act " + std::to_string(next_.act));
    return false;
  }

  void talk(const Answer& answer, std::uint32_t xid) {
    for (const Message& message : answer.messages) {
      step({message.from_client ? SWY_EV_DOWN_MSG : SWY_EV_UP_MSG, 0, xid,
            message.opcode == 2 ? "binary" : "text", message.data},
           nullptr);
      if (!wants_more()) return;
    }
    if (answer.ends_well || ask_.task == "realtime") {
      step({SWY_EV_CLOSED, answer.ends_well ? 1000U : 1006U, xid, "upstream", {}}, nullptr);
    } else {
      step({SWY_EV_IOERR, SWY_CLS_SERVER, xid, {}, "the connection was closed"}, nullptr);
    }
  }

  void feed(const Answer& answer, std::uint32_t framing, std::uint32_t xid) {
    const bool last = trace_.sent.size() == answers_.size();
    std::string_view body = answer.body;
    bool ends_well = answer.ends_well;
    if (last && policy_.ends_at < body.size()) {
      body = body.substr(0, policy_.ends_at);
      ends_well = policy_.ends_well;
    }
    Framer framer(framing);
    const std::size_t cut = last ? std::min(policy_.cut_at, body.size()) : body.size();
    for (const std::string_view piece : {body.substr(0, cut), body.substr(cut)}) {
      std::vector<Frame> frames;
      const bool framed = framer.feed(piece, frames);
      if (!give(frames, xid)) return;
      if (!framed) {
        step({SWY_EV_IOERR, SWY_CLS_BAD_ANSWER, xid, {}, "the answer is not framed as it says"},
             nullptr);
        return;
      }
    }
    std::vector<Frame> frames;
    if (ends_well) {
      framer.finish(frames);
      if (!give(frames, xid)) return;
      step({SWY_EV_END, 0, xid, {}, {}}, nullptr);
    } else {
      step({SWY_EV_IOERR, SWY_CLS_SERVER, xid, {}, "the connection was closed"}, nullptr);
    }
  }

  bool give(const std::vector<Frame>& frames, std::uint32_t xid) {
    for (const Frame& frame : frames) {
      step({SWY_EV_DATA, 0, xid, frame.name, frame.data}, nullptr);
      if (!wants_more()) return false;
    }
    return true;
  }

  // ---- one event ----

  void step(const OddEvent& event, const Pairs* headers) {
    if (over_) return;
    if (trace_.steps.size() >= policy_.free_after) {
      over_ = true;
      trace_.end = End::kFreed;
      return;
    }
    const bool cancel = trace_.steps.size() == policy_.cancel_after;
    if (trace_.steps.size() >= kStepsMax) {
      over_ = true;
      return breach("no end after " + std::to_string(kStepsMax) + " events");
    }
    deliver(cancel ? OddEvent{SWY_EV_CANCEL, 0, event.xid, {}, {}} : event,
            cancel ? nullptr : headers);
  }

  void deliver(const OddEvent& event, const Pairs* headers) {
    entering("provider.op_step", static_cast<std::uint32_t>(trace_.steps.size() + 1), event.kind);
    const std::size_t tail = policy_.larger ? kTailBytes : 0;
    std::vector<swy_kv> kv;
    if (headers) kv = lend_pairs(*headers, "ev.hdr", call_);
    swy_ev raw{};
    raw.size = static_cast<std::uint32_t>(sizeof raw + tail);
    raw.kind = event.kind;
    raw.xid = event.xid;
    raw.status = event.status;
    raw.hdr =
        static_cast<const swy_kv*>(call_.lend(kv.data(), kv.size() * sizeof(swy_kv), "ev.hdr"));
    raw.nhdr = static_cast<std::uint32_t>(kv.size());
    raw.name = call_.lend(event.name, "ev.name");
    raw.data = call_.lend(event.data, "ev.data");
    raw.now_ns = mono_ns();
    swy_sign_facts facts{};
    signing_ = event.kind == SWY_EV_SIGN;
    if (signing_) {
      fill(facts, trace_.sent.empty() ? Sent() : trace_.sent.back());
      raw.sign = call_.lend_struct(facts, "ev.sign");
    }
    swy_out table = out_;
    table.size += static_cast<std::uint32_t>(tail);
    swy_next empty_next{};
    empty_next.size = static_cast<std::uint32_t>(sizeof empty_next + tail);
    swy_err empty = empty_err();
    empty.size += static_cast<std::uint32_t>(tail);
    const swy_ev* const ev = call_.lend_struct(raw, "swy_ev", tail);
    const swy_out* const out = call_.lend_struct(table, "swy_out", tail);
    swy_next* const next = call_.lend_struct(empty_next, "swy_next", tail);
    swy_err* const err = call_.lend_struct(empty, "swy_err", tail);

    begun_ = false;
    calls_after_gone_ = 0;
    gone_ = false;
    in_call_ = true;
    const std::uint64_t wall = policy_.wall_ns ? mono_ns() : 0;
    const std::uint64_t cpu = policy_.cpu_ns ? clock_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
    const std::uint64_t count = policy_.instructions ? read_counter(policy_.counter) : 0;
    const swy_rc rc = provider_.table->op_step(op_, ev, out, next, err);
    if (policy_.instructions) {
      policy_.instructions->push_back(read_counter(policy_.counter) - count);
    }
    if (policy_.cpu_ns) {
      policy_.cpu_ns->push_back(
          static_cast<std::uint32_t>(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu));
    }
    if (policy_.wall_ns) policy_.wall_ns->push_back(static_cast<std::uint32_t>(mono_ns() - wall));
    in_call_ = false;
    left();
    if (policy_.yields) ::sched_yield();
    next_ = *next;
    trace_.err = *err;
    trace_.steps.push_back({event.kind, next_.act, rc});
    if (policy_.larger && has_tail_changed(next, sizeof *next, tail)) {
      breach("it wrote behind swy_next as its own header has it");
    }
    call_.take_back();
    judge(rc);
  }

  static bool has_tail_changed(const void* begin, std::size_t n, std::size_t tail) {
    const auto* at = static_cast<const unsigned char*>(begin) + n;
    return std::any_of(at, at + tail, [](unsigned char c) { return c != 0xEE; });
  }

  void judge(swy_rc rc) {
    trace_.rc = rc;
    if (rc < 0) {
      over_ = true;
      trace_.end = End::kFault;
      if (std::memchr(trace_.err.msg, 0, sizeof trace_.err.msg) == nullptr) {
        breach("err.msg has no NUL at its end");
      }
      return;
    }
    switch (next_.act) {
      case SWY_ACT_DONE:
        over_ = true;
        trace_.end = End::kDone;
        break;
      case SWY_ACT_FAIL: {
        over_ = true;
        trace_.end = End::kFail;
        const std::string wrong = err_fault(trace_.err);
        if (!wrong.empty()) breach("it answered FAIL, and " + wrong);
        break;
      }
      case SWY_ACT_SEND:
        if (!begun_ && policy_.writer_rc >= 0)
          breach("it answered SEND without req_begin in that step");
        if (trace_.sent.empty()) over_ = true;
        break;
      case SWY_ACT_WAIT:
        if (next_.delay_ns > kWaitMaxNs) breach("it answered WAIT for more than a day");
        break;
      case SWY_ACT_FEED:
        break;
      default:
        over_ = true;
        breach("it answered act " + std::to_string(next_.act) + ", expected a SWY_ACT_*");
    }
  }

  // ---- what is lent ----

  std::vector<swy_kv> lend_pairs(const Pairs& pairs, const char* what, Lender& lender) {
    std::vector<swy_kv> kv;
    for (const auto& [k, v] : pairs) kv.push_back({lender.lend(k, what), lender.lend(v, what)});
    return kv;
  }

  void make_request() {
    entering("provider.op_new");
    const std::size_t tail = policy_.larger ? kTailBytes : 0;
    const swy_str body = whole_life_.lend(ask_.body, "req.body");
    std::string why;
    if (const auto document = parse(ask_.body, why)) list_members(body);
    const std::size_t stride = sizeof(swy_member) + (policy_.larger ? 24 : 0);
    std::string table(members_.size() * stride, '\xEE');
    for (std::size_t i = 0; i < members_.size(); ++i) {
      std::memcpy(table.data() + i * stride, &members_[i], sizeof(swy_member));
    }
    const std::vector<swy_kv> hdr = lend_pairs(ask_.headers, "req.hdr", whole_life_);
    const std::vector<swy_kv> cred = lend_pairs(ask_.credential, "req.cred", whole_life_);
    table_ = std::move(table);
    hdr_ = hdr;
    cred_ = cred;
    const auto array = [&](const void* p, std::size_t n, const char* what) {
      return whole_life_.lend(p, n, what);
    };
    raw_.size = static_cast<std::uint32_t>(sizeof raw_ + tail);
    raw_.flags = (ask_.stream ? SWY_REQ_STREAM : 0U) | (ask_.want_usage ? SWY_REQ_WANT_USAGE : 0U) |
                 (ask_.dialect.empty() ? 0U : SWY_REQ_NATIVE);
    raw_.id = whole_life_.lend("kit-1", "req.id");
    raw_.task = whole_life_.lend(ask_.task, "req.task");
    raw_.dialect = whole_life_.lend(ask_.dialect, "req.dialect");
    raw_.model = whole_life_.lend(ask_.model, "req.model");
    raw_.body = body;
    raw_.member = static_cast<const swy_member*>(array(table_.data(), table_.size(), "req.member"));
    raw_.nmember = static_cast<std::uint32_t>(members_.size());
    raw_.member_stride = static_cast<std::uint32_t>(stride);
    raw_.hdr =
        static_cast<const swy_kv*>(array(hdr_.data(), hdr_.size() * sizeof(swy_kv), "req.hdr"));
    raw_.nhdr = static_cast<std::uint32_t>(hdr_.size());
    raw_.cred =
        static_cast<const swy_kv*>(array(cred_.data(), cred_.size() * sizeof(swy_kv), "req.cred"));
    raw_.ncred = static_cast<std::uint32_t>(cred_.size());
    raw_.deadline_ns = mono_ns() + 600'000'000'000U;
    request_ = whole_life_.lend_struct(raw_, "swy_req", tail);
  }

  void list_members(swy_str lent) {
    const std::string_view body = view(lent);
    json::Cursor cursor(body);
    std::string_view name;
    if (!cursor.object()) return;
    while (cursor.member(name)) {
      names_.push_back(json::unescape("\"" + std::string(name) + "\""));
      swy_member member{};
      member.name = whole_life_.lend(names_.back(), "req.member.name");
      member.at = cursor.name_offset();
      const std::string_view value = cursor.value();
      member.value_at = static_cast<std::uint64_t>(value.data() - body.data());
      member.value_n = value.size();
      member.type = static_cast<std::uint32_t>(type_of(value));
      members_.push_back(member);
    }
  }

  void fill(swy_sign_facts& facts, const Sent& sent) {
    const bool below = sent.url.empty() || sent.url.front() == '/';
    sign_url_ = (below ? "https://upstream.example" : "") + sent.url;
    sign_headers_ = {{"host", "upstream.example"}};
    for (const auto& [k, v] : sent.headers) sign_headers_.emplace_back(lower(k), v);
    sign_kv_ = lend_pairs(sign_headers_, "sign.hdr", call_);
    facts.size = sizeof facts;
    facts.method = call_.lend(sent.method, "sign.method");
    facts.url = call_.lend(sign_url_, "sign.url");
    facts.hdr = static_cast<const swy_kv*>(
        call_.lend(sign_kv_.data(), sign_kv_.size() * sizeof(swy_kv), "sign.hdr"));
    facts.nhdr = static_cast<std::uint32_t>(sign_kv_.size());
    facts.unix_ms = 1'767'225'600'000;  // 2026-01-01T00:00:00Z, so that signatures can be golden
    sha256(sent.body, facts.body_sha256);
  }

  // ---- writers ----

  void breach(std::string what) {
    if (!trace_.fault.empty()) return;
    if (!trace_.steps.empty() || in_call_) {
      what = "event " + std::to_string(trace_.steps.size() + (in_call_ ? 1 : 0)) + ": " + what;
    }
    trace_.fault = std::move(what);
  }

  // What a writer answers; negative where it does nothing.
  swy_rc enter(const char* writer) {
    if (!in_call_) {
      breach(std::string(writer) +
             " was called outside op_step: writers work only inside the call they came with");
      return SWY_E_ARG;
    }
    if (gone_ && ++calls_after_gone_ > kCallsAfterGoneMax) {
      breach("it went on writing after " + rc_name(policy_.writer_rc) + ": it has to return soon");
    }
    const std::size_t number = trace_.writers++;
    const bool struck = policy_.writer_at == kEvery || policy_.writer_at == number;
    if (struck && policy_.writer_rc < 0) gone_ = true;
    return struck ? policy_.writer_rc : SWY_OK;
  }

  Sent* open_request(const char* writer) {
    if (begun_) return &trace_.sent.back();
    if (signing_) return trace_.sent.empty() ? nullptr : &trace_.sent.back();
    if (policy_.writer_rc >= 0) breach(std::string(writer) + " was called before req_begin");
    return nullptr;
  }

  static swy_rc SWY_CALL req_begin(void* ctx, swy_str method, swy_str url, std::uint32_t xid,
                                   std::uint32_t framing) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("req_begin");
    if (rc < 0) return rc;
    const std::string_view path = readable(url) ? view(url) : std::string_view();
    const bool addressed = path.starts_with("/") || path.starts_with("https://") ||
                           path.starts_with("http://") || path.starts_with("wss://");
    if (!readable(method) || !is_token(view(method)) || !addressed || !is_line(path) ||
        path.find(' ') != std::string_view::npos || framing > SWY_FRAME_TOKEN) {
      self.breach("req_begin(\"" + (readable(method) ? shown(view(method)) : "NULL") + "\", \"" +
                  shown(path) + "\", framing " + std::to_string(framing) +
                  "): expected a method, a path or an absolute URL, and a SWY_FRAME_*");
      return SWY_E_ARG;
    }
    self.begun_ = true;
    Sent sent;
    sent.method = view(method);
    sent.url = path;
    sent.xid = xid;
    sent.framing = framing;
    self.trace_.sent.push_back(std::move(sent));
    return rc;
  }

  static swy_rc SWY_CALL req_header(void* ctx, swy_str k, swy_str v) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("req_header");
    if (rc < 0) return rc;
    Sent* sent = self.open_request("req_header");
    if (!sent || !readable(k) || !readable(v) || !is_token(view(k)) || !is_line(view(v)) ||
        is_reserved(view(k), self.signing_)) {
      return SWY_E_ARG;
    }
    sent->headers.emplace_back(view(k), view(v));
    return rc;
  }

  static swy_rc SWY_CALL req_auth(void* ctx, swy_str scheme, swy_str name, swy_str slot) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("req_auth");
    if (rc < 0) return rc;
    static constexpr std::string_view kSchemes[] = {"bearer", "header", "query", "sign", "none"};
    Sent* sent = self.open_request("req_auth");
    if (!sent || !readable(scheme) || !readable(name) || !readable(slot)) return SWY_E_ARG;
    if (std::find(std::begin(kSchemes), std::end(kSchemes), view(scheme)) == std::end(kSchemes)) {
      self.breach("req_auth: scheme \"" + shown(view(scheme)) + "\" is not known");
      return SWY_E_UNSUP;
    }
    sent->auth_scheme = view(scheme);
    sent->auth_name = view(name);
    sent->auth_slot = view(slot);
    return rc;
  }

  static swy_rc SWY_CALL req_part(void* ctx, const swy_kv* hdr, std::uint32_t n) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("req_part");
    if (rc < 0) return rc;
    Sent* sent = self.open_request("req_part");
    if (!sent) return SWY_E_ARG;
    Pairs part;
    for (std::uint32_t i = 0; i < n; ++i) part.emplace_back(view(hdr[i].k), view(hdr[i].v));
    if (part.empty() || lower(part[0].first) != "content-disposition") {
      self.breach("req_part: content-disposition has to be the first of its headers");
      return SWY_E_ARG;
    }
    sent->body += "--part " + part[0].second + "\n";
    sent->parts.push_back(std::move(part));
    return rc;
  }

  bool gather(const swy_seg* seg, std::uint32_t n, std::string& out, const char* writer) {
    for (std::uint32_t i = 0; i < n; ++i) {
      const std::string place = std::string(writer) + ": seg[" + std::to_string(i) + "]: ";
      std::string_view bytes;
      if (seg[i].kind == SWY_SEG_BYTES) {
        if (!readable(seg[i].b)) return breach(place + "NULL with a length"), false;
        bytes = view(seg[i].b);
      } else if (seg[i].kind == SWY_SEG_BLOB) {
        const std::string_view blob = ask_.body;
        if (seg[i].blob != 0 || seg[i].off > blob.size() || seg[i].b.n > blob.size() - seg[i].off) {
          return breach(place + "beyond the blob, or no blob that was given"), false;
        }
        bytes = blob.substr(seg[i].off, seg[i].b.n);
      } else {
        return breach(place + "kind " + std::to_string(seg[i].kind) + " is not known"), false;
      }
      if (seg[i].enc == SWY_ENC_RAW) {
        out += bytes;
      } else if (seg[i].enc == SWY_ENC_BASE64) {
        out += base64(bytes);
      } else if (seg[i].enc == SWY_ENC_JSON) {
        json::append_escaped(out, bytes);
      } else {
        return breach(place + "enc " + std::to_string(seg[i].enc) + " is not known"), false;
      }
    }
    return true;
  }

  static swy_rc SWY_CALL req_body(void* ctx, const swy_seg* seg, std::uint32_t n) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("req_body");
    if (rc < 0) return rc;
    Sent* sent = self.open_request("req_body");
    return sent && self.gather(seg, n, sent->body, "req_body") ? rc : SWY_E_ARG;
  }

  static swy_rc SWY_CALL emit(void* ctx, std::uint32_t what, std::uint32_t flags,
                              swy_str data) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("emit");
    if (rc < 0) return rc;
    if (!readable(data)) {
      self.breach("emit: data is NULL with a length");
      return SWY_E_ARG;
    }
    self.trace_.emits.push_back({what, flags, std::string(view(data))});
    return rc;
  }

  static swy_rc SWY_CALL keep(void* ctx, swy_str resume) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("keep");
    if (rc < 0) return rc;
    if (resume.n > 65536) return SWY_E_LIMIT;
    self.trace_.kept = view(resume);
    return rc;
  }

  static swy_rc SWY_CALL ws_send(void* ctx, std::uint32_t to_client, std::uint32_t opcode,
                                 const swy_seg* seg, std::uint32_t n) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("ws_send");
    if (rc < 0) return rc;
    Emit message;
    message.message = true;
    message.to_client = to_client != 0;
    message.what = opcode;
    if (!self.gather(seg, n, message.data, "ws_send")) return SWY_E_ARG;
    self.trace_.emits.push_back(std::move(message));
    return rc;
  }

  static swy_rc SWY_CALL req_query(void* ctx, swy_str k, swy_str v) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("req_query");
    if (rc < 0) return rc;
    if (!self.signing_) self.breach("req_query was called outside SIGN");
    if (!self.signing_ || self.trace_.sent.empty()) return SWY_E_ARG;
    self.trace_.sent.back().query.emplace_back(view(k), view(v));
    return rc;
  }

  static swy_rc SWY_CALL req_token(void* ctx, swy_str name, swy_str, swy_str) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("req_token");
    if (rc < 0) return rc;
    if (!self.open_request("req_token")) return SWY_E_ARG;
    self.token_name_ = view(name);
    return rc;
  }

  static swy_rc SWY_CALL has_token(void* ctx, swy_str name) noexcept {
    Session& self = *static_cast<Session*>(ctx);
    const swy_rc rc = self.enter("has_token");
    if (rc < 0) return rc;
    return self.tokens_.contains(std::string(view(name))) ? SWY_OK : SWY_E_UNSUP;
  }

  const Provider& provider_;
  const Ask& ask_;
  const std::vector<Answer>& answers_;
  const Policy& policy_;
  Lender whole_life_, call_;
  Trace trace_;
  swy_out out_{};
  swy_req raw_{};
  const swy_req* request_ = nullptr;
  std::deque<std::string> names_;
  std::vector<swy_member> members_;
  std::string table_, token_name_, sign_url_;
  std::vector<swy_kv> hdr_, cred_, sign_kv_;
  Pairs sign_headers_;
  std::set<std::string> tokens_;
  void* op_ = nullptr;
  swy_next next_{};
  std::size_t calls_after_gone_ = 0;
  bool over_ = false, in_call_ = false, begun_ = false, signing_ = false, gone_ = false;
};

}  // namespace

bool Trace::emitted(std::uint32_t what) const {
  return std::any_of(emits.begin(), emits.end(),
                     [what](const Emit& emit) { return !emit.message && emit.what == what; });
}

std::string Trace::end_text() const {
  switch (end) {
    case End::kDone:
      return "DONE";
    case End::kFail:
      return "FAIL, class " + std::to_string(err.cls) + ": " + err_text(err);
    case End::kFault:
      return rc_name(rc) + ": " + err_text(err);
    case End::kRefused:
      return "op_new refused it with " + rc_name(rc) + ": " + err_text(err);
    case End::kWaits:
      return "FEED, where nothing more can come";
    case End::kFreed:
      return "freed by the host";
    case End::kBroken:
      break;
  }
  return fault;
}

Trace run(const Provider& provider, const Ask& ask, const std::vector<Answer>& answers,
          const Policy& policy) {
  return Session(provider, ask, answers, policy).run();
}

Trace run_odd(const Provider& provider, const Ask& ask, const std::vector<OddEvent>& events) {
  const std::vector<Answer> none;
  const Policy policy;
  return Session(provider, ask, none, policy).run_odd(events);
}

std::uint64_t mono_ns() { return clock_ns(CLOCK_MONOTONIC); }

}  // namespace swy::check

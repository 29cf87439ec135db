#include "core/exchange/attempt.hpp"

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <charconv>

#include "core/base/clock.hpp"
#include "core/base/secret.hpp"
#include "core/exchange/choices.hpp"
#include "core/exchange/loss.hpp"
#include "core/exchange/payment.hpp"
#include "core/exchange/quantities.hpp"
#include "core/exchange/usage.hpp"
#include "core/net/await.hpp"
#include "core/routing/live.hpp"

namespace switchyard::exchange {
namespace {

using net::Task;

// How long, and for how many pieces of content, an upstream is read after the client has left.
constexpr std::chrono::seconds kDrainMax{30};
constexpr std::uint64_t kDrainPiecesMax = 4096;
// Of what a plugin keeps or says of a job.
constexpr std::size_t kJobBytesMax = 64 * 1024;
// What an operation has for its last request once the client left.
constexpr std::chrono::seconds kCancelMax{10};
constexpr char kBalanceExhausted[] = "balance_exhausted";
constexpr char kBalanceUsedUp[] =
    "The balance of this account, or a budget that it counts to, is used up; the session ends "
    "here.";

// What is left of an answer whose end the plugin has seen: read it so that the connection can serve
// again.
Task<> drain(std::unique_ptr<net::UpstreamConnection> connection, LoopContext context) {
  net::UpstreamPool& pool = context.pool;
  net::Deadline deadline(context.loop, [&connection] { connection->abort(); });
  deadline.expires_after(std::chrono::milliseconds(250));
  for (std::size_t total = 0; total < 64 * 1024;) {
    const auto slice = co_await connection->read_body();
    if (!slice) co_return;
    if (slice->empty()) {
      deadline.disarm();
      pool.release(std::move(connection));
      co_return;
    }
    total += slice->size();
  }
}

// The client's own form, where the provider takes it.
const Native* native_form(const Request& request, const ProviderSlot& slot) {
  if (request.native == nullptr || !slot.instance) return nullptr;
  return slot.instance->caps().takes_dialect(request.native->dialect) ? request.native : nullptr;
}

}  // namespace

config::Timeouts timeouts_of(const config::Provider& provider, const config::Feature* feature) {
  config::Timeouts timeouts = provider.timeouts;
  if (feature == nullptr) return timeouts;
  const config::AttemptPolicy& own = feature->attempts;
  if (own.first_byte.count() > 0) timeouts.first_byte = own.first_byte;
  if (own.first_token.count() > 0) timeouts.first_token = own.first_token;
  if (own.total.count() > 0) timeouts.total = own.total;
  return timeouts;
}

Attempt::Attempt(LoopContext& context, const Snapshot& snapshot, const Request& request,
                 const routing::Target& target, std::uint32_t credential, routing::Lane* lane,
                 ClientWriter& writer, Payment& payment)
    : context_(context),
      slot_(snapshot.providers[target.provider]),
      request_(request),
      native_(native_form(request, slot_)),
      target_(target),
      lane_(lane),
      writer_(writer),
      payment_(payment),
      limits_(snapshot.config->limits),
      timeouts_(timeouts_of(*slot_.config, policy_of(request))),
      outgoing_(native_ != nullptr ? native_->body : request.body,
                request.rare != nullptr ? request.rare->blobs : std::span<const Blob>()),
      drain_deadline_(context.loop, [this] { abort(); }),
      content_deadline_(context.loop, [this] { check_content(); }) {
  const auto& credentials = slot_.config->credentials;
  if (credential < credentials.size()) credential_ = &credentials[credential];
  if (credential_ != nullptr) {
    for (const auto& [name, value] : credential_->parts) {
      credential_parts_.push_back({to_swy(name), to_swy(value)});
    }
  }
}

Attempt::Rare& Attempt::rare() {
  if (!rare_) rare_ = std::make_unique<Rare>();
  return *rare_;
}

Attempt::~Attempt() {
  // The operation goes before the request that it points to, and before a connection whose bytes it
  // may look at.
  operation_.reset();
}

bool Attempt::lacks_choices() const {
  return fault_.cls == SWY_CLS_NOT_OFFERED && *fault_.code == '\0' && !sent_ &&
         native_ == nullptr && request_.task == "chat" && answers_asked(request_) > 1;
}

Task<Attempt::Outcome> Attempt::run_choices(const Snapshot& snapshot, std::uint32_t credential) {
  choices_ = std::make_unique<Choices>(context_, snapshot, request_, target_, credential, lane_,
                                       writer_, payment_);
  const Outcome outcome = co_await choices_->run();
  co_return outcome;
}

const AttemptFault& Attempt::fault() const { return choices_ ? choices_->fault() : fault_; }

unsigned Attempt::calls() const { return choices_ ? choices_->calls() : calls_; }

bool Attempt::delivered() const {
  return choices_ ? choices_->delivered() : usage_.reported || bytes_out_ > 0;
}

bool Attempt::exhausted() const { return choices_ ? choices_->exhausted() : exhausted_; }

observe::Usage Attempt::usage() const {
  if (choices_) return choices_->usage();
  if (usage_.reported) {
    observe::Usage billed = usage_;
    // What was reported on the way is not the whole of an answer that broke off later; each piece
    // holds a token at least.
    if (!done_ && billed.tok_out < content_pieces_) {
      billed.tok_out = content_pieces_;
      billed.reported = false;
    }
    // A session's messages pass without being counted.
    if (request_.session == nullptr) {
      clamp_usage(billed, request_.body.size(), bytes_out_);
      clamp_seconds(request_, billed);
    }
    return billed;
  }
  // What a session's messages cost has little to do with their size.
  if (request_.session != nullptr) return usage_;
  if (!is_text(request_.task)) return asked_usage(request_, usage_);
  observe::Usage estimated = usage_;
  estimated.tok_in = estimated_prompt(request_);
  estimated.tok_out = request_.stream ? content_pieces_ : estimate_tokens(bytes_out_);
  return estimated;
}

void Attempt::time_out(const char* what) {
  if (choices_) return choices_->time_out(what);
  timed_out_ = what;
  abort();
}

void Attempt::outrun() {
  outrun_ = true;
  abort();
}

void Attempt::client_left() {
  if (choices_) return choices_->client_left();
  // Before the request went out there is nothing to be charged for. What was begun once for all is
  // seen through, so that it is known.
  if (!sent_ || !(slot_.config->drain_on_disconnect || once())) return abort();
  draining_ = true;
  drain_deadline_.expires_after(kDrainMax);
}

bool Attempt::given_up() const {
  return draining_ || cancelling_ ? aborted_
                                  : writer_.gone() || (aborted_ && timed_out_ == nullptr);
}

void Attempt::abort() {
  aborted_ = true;
  if (connection_) connection_->abort();
  if (session_) session_->stop("session_expired", timed_out_ != nullptr ? timed_out_ : "given up");
  if (rare_ && rare_->socket) rare_->socket->socket.interrupt();
  cancel_->cancel();
  if (timer_ != nullptr) timer_->cancel();
}

swy_rc Attempt::emit(std::uint32_t what, std::uint32_t flags, std::string_view data) {
  if (native_ != nullptr) writer_.native((flags & SWY_EMIT_NATIVE) != 0);
  switch (what) {
    case SWY_EMIT_DELTA:
      return emit_delta((flags & SWY_EMIT_CONTENT) != 0, data);
    case SWY_EMIT_WHOLE:
      return emit_whole(data);
    case SWY_EMIT_HEAD:
      return emit_head(data);
    case SWY_EMIT_RAW:
      return emit_raw(data);
    case SWY_EMIT_JOB:
      return emit_job(data);
    case SWY_EMIT_USAGE:
      return emit_usage(data);
    case SWY_EMIT_ERROR:
      fault_.error_json = data;
      return SWY_OK;
    case SWY_EMIT_FINISH:
      request_.record->finish_reason = data;
      return SWY_OK;
    case SWY_EMIT_DROPPED:
      if (!append_dropped(request_.record->dropped, data)) return SWY_E_DATA;
      writer_.dropped(request_.record->dropped);
      return SWY_OK;
    case SWY_EMIT_LIMITS:
      return emit_limits(data);
    default:
      return SWY_E_UNSUP;
  }
}

swy_rc Attempt::emit_usage(std::string_view data) {
  if (!read_usage(data, usage_)) return SWY_E_DATA;
  if (session_ && !payment_.covers(usage_)) {
    session_->stop(kBalanceExhausted, kBalanceUsedUp, SWY_CLS_QUOTA);
  }
  return SWY_OK;
}

swy_rc Attempt::emit_delta(bool content, std::string_view data) {
  if (!request_.stream || request_.session != nullptr) return SWY_E_ARG;
  if (content) ++content_pieces_;
  bytes_out_ += data.size();
  if (draining_) {
    if (content && ++drained_pieces_ > kDrainPiecesMax) abort();
    return aborted_ ? SWY_E_GONE : SWY_OK;
  }
  if (writer_.gone() || exhausted_) return SWY_E_GONE;
  if (content && !payment_.covers(content_pieces_)) {
    exhaust();
    return SWY_E_GONE;
  }
  if (content && request_.record->first_ns == 0) request_.record->first_ns = mono_ns();
  if (content) content_came_ = true;
  emitted_ = true;
  writer_.delta(data, content);
  return SWY_OK;
}

void Attempt::arm_content_deadline() {
  auto wait = timeouts_.first_token;
  if (request_.until_content && request_.deadline_ns != 0) {
    const std::uint64_t now_ns = mono_ns();
    const std::uint64_t left_ns = request_.deadline_ns > now_ns ? request_.deadline_ns - now_ns : 0;
    wait = std::min(wait, std::chrono::milliseconds(left_ns / 1'000'000 + 1));
  }
  content_deadline_.expires_after(wait);
}

void Attempt::check_content() {
  if (draining_ || cancelling_) return;
  if (content_came_ || flushing_) {
    content_came_ = false;
    content_deadline_.expires_after(timeouts_.between_tokens);
    return;
  }
  time_out(content_pieces_ == 0 ? "the stream brought no content in time"
                                : "the stream brought no more content in time");
}

Task<> Attempt::flush() {
  flushing_ = true;
  co_await writer_.flush();
  flushing_ = false;
  content_came_ = true;  // nothing was read meanwhile
}

void Attempt::exhaust() {
  exhausted_ = aborted_ = true;
  --content_pieces_;  // the one that nobody pays for
  if (native_ != nullptr) {
    // What would end it as at a limit is its dialect's own; an error every surface can say.
    fault_.cls = SWY_CLS_QUOTA;
    fault_.code = kBalanceExhausted;
    fault_.unpaid = true;
    fault_.message = "The balance of this account is used up; the answer ends here.";
    return;
  }
  observe::Record& record = *request_.record;
  record.error_code = kBalanceExhausted;
  record.finish_reason = "length";
  emitted_ = true;
  const bool legacy = request_.task == "completions";
  std::string last = R"({"id":)";
  append_json_string(last, record.id);
  last += legacy ? R"(,"object":"text_completion")" : R"(,"object":"chat.completion.chunk")";
  last += R"(,"created":)" + std::to_string(record.start_unix_ns / 1'000'000'000u) + R"(,"model":)";
  append_json_string(last, record.model_asked);
  last += legacy ? R"(,"choices":[{"index":0,"text":"",)" : R"(,"choices":[{"index":0,"delta":{},)";
  last += R"("finish_reason":"length"}],"switchyard":{"code":")";
  last += kBalanceExhausted;
  last += R"("}})";
  writer_.delta(last, true);
}

// A second one, or one within a stream, would be read as part of another answer.
swy_rc Attempt::emit_whole(std::string_view data) {
  if (request_.stream || whole_ || raw_) return SWY_E_ARG;
  whole_ = true;
  bytes_out_ += data.size();
  if (draining_) return SWY_OK;
  if (writer_.gone()) return SWY_E_GONE;
  if (request_.record->first_ns == 0) request_.record->first_ns = mono_ns();
  emitted_ = true;
  const bool stays =
      data.data() >= held_.data() && data.data() + data.size() <= held_.data() + held_.size();
  if (!stays) {
    owned_ = data;
    data = owned_;
  }
  writer_.whole(data);
  return SWY_OK;
}

swy_rc Attempt::emit_head(std::string_view data) {
  if (request_.stream || whole_ || raw_) return SWY_E_ARG;
  JsonIndex head;
  if (!head.scan(data)) return SWY_E_DATA;
  const swy_member* const type = head.find("content_type");
  const swy_member* const length = head.find("content_length");
  std::string content_type;
  if (type != nullptr && type->type == 's') content_type = json_unescape(head.value(*type));
  if (content_type.empty() || !net::valid_header_value(content_type)) return SWY_E_DATA;
  rare().content_type = std::move(content_type);
  rare_->content_length = 0;
  if (length != nullptr && length->type == 'n') {
    const std::string_view digits = head.value(*length);
    std::from_chars(digits.data(), digits.data() + digits.size(), rare_->content_length);
  }
  return SWY_OK;
}

swy_rc Attempt::emit_raw(std::string_view data) {
  if (request_.stream || whole_) return SWY_E_ARG;
  bytes_out_ += data.size();
  if (draining_) {
    raw_ = true;
    return aborted_ ? SWY_E_GONE : SWY_OK;
  }
  if (writer_.gone()) return SWY_E_GONE;
  if (!raw_) {
    if (rare().content_type.empty()) rare_->content_type = "application/octet-stream";
    writer_.raw_head(rare_->content_type, rare_->content_length);
    raw_ = true;
  }
  if (request_.record->first_ns == 0 && !data.empty()) request_.record->first_ns = mono_ns();
  emitted_ = true;
  writer_.raw(data);
  return SWY_OK;
}

swy_rc Attempt::emit_job(std::string_view data) {
  JobReport* const job = request_.rare != nullptr ? request_.rare->job : nullptr;
  if (job == nullptr) return SWY_E_ARG;
  JsonIndex state;
  if (data.size() > kJobBytesMax || !state.scan(data)) return SWY_E_DATA;
  job->state = data;
  return SWY_OK;
}

swy_rc Attempt::keep(std::string_view resume) {
  JobReport* const job = request_.rare != nullptr ? request_.rare->job : nullptr;
  if (job == nullptr) return SWY_E_ARG;
  if (resume.size() > kJobBytesMax) return SWY_E_LIMIT;
  job->kept = true;
  job->resume = resume;
  job->provider = slot_.config->id;
  job->credential = credential_ != nullptr ? credential_->name : std::string();
  return SWY_OK;
}

namespace {

std::optional<std::uint64_t> count_in(const JsonIndex& object, std::string_view name) {
  const swy_member* const member = object.find(name);
  if (member == nullptr || member->type != 'n') return std::nullopt;
  const std::string_view text = object.value(*member);
  std::uint64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  return fault == std::errc() ? std::optional<std::uint64_t>(number) : std::nullopt;
}

}  // namespace

swy_rc Attempt::emit_limits(std::string_view data) {
  JsonIndex object;
  if (!object.scan(data)) return SWY_E_DATA;
  if (lane_ == nullptr) return SWY_OK;
  routing::LearnedLimits said;
  said.rpm = count_in(object, "rpm");
  said.tpm = count_in(object, "tpm");
  said.remaining_requests = count_in(object, "remaining_requests");
  said.remaining_tokens = count_in(object, "remaining_tokens");
  said.reset_ms = count_in(object, "reset_ms").value_or(0);
  lane_->learn(said, mono_ns());
  return SWY_OK;
}

// What the task promises came: DONE may stand.
bool Attempt::answered() const {
  if (request_.stream || whole_ || raw_) return true;
  const JobReport* const job = request_.rare != nullptr ? request_.rare->job : nullptr;
  // What begins a job must say which; one that ends it need not say anything.
  return job != nullptr && (request_.rare->resumes || (job->kept && !job->state.empty()));
}

// ---- driving ----

Attempt::Next Attempt::step(std::uint32_t kind, std::string_view data, std::string_view name,
                            unsigned status) {
  swy_ev event{};
  event.size = sizeof event;
  event.kind = kind;
  event.xid = outgoing_.xid();
  event.status = status;
  event.name = to_swy(name);
  event.data = to_swy(data);
  event.now_ns = mono_ns();
  return give(event);
}

// True where the plugin is not to be asked: it is in quarantine, or its breaker is open.
bool Attempt::plugin_rests() {
  const bool rests = !slot_.instance || slot_.instance->library().health().resting(mono_ns());
  if (!rests) return false;
  fault_.cls = SWY_CLS_PLUGIN;
  fault_.code = "plugin_unavailable";
  fault_.message = slot_.instance ? "the provider's plugin failed again and again and rests"
                                  : "the provider's plugin is in quarantine";
  return true;
}

bool Attempt::refuses_loss() {
  if (!request_.refuse_loss || request_.record->dropped.empty()) return false;
  fault_.cls = SWY_CLS_NOT_OFFERED;
  fault_.code = "loss_refused";
  fault_.message = "what would be lost on the way to the upstream: " + request_.record->dropped +
                   "; leave it out, or send no x-switchyard-on-loss";
  return true;
}

Attempt::Next Attempt::give(const swy_ev& event) {
  Next next = operation_->step(event, *this);
  ended_ = next.act == SWY_ACT_DONE || next.act == SWY_ACT_FAIL;
  return next;
}

void Attempt::fill_request() {
  abi_request_.size = sizeof abi_request_;
  const Native own =
      native_ != nullptr ? *native_ : Native{request_.dialect, request_.body, request_.members};
  const bool native = slot_.instance->caps().takes_dialect(own.dialect);
  abi_request_.flags = (native ? SWY_REQ_NATIVE : 0u) | (request_.stream ? SWY_REQ_STREAM : 0u) |
                       (request_.want_usage ? SWY_REQ_WANT_USAGE : 0u);
  abi_request_.id = to_swy(request_.record->id);
  abi_request_.task = to_swy(request_.task);
  abi_request_.dialect = to_swy(own.dialect);
  abi_request_.model = to_swy(target_.model);
  abi_request_.body = to_swy(own.body);
  abi_request_.member = own.members.data();
  abi_request_.nmember = static_cast<std::uint32_t>(own.members.size());
  abi_request_.member_stride = sizeof(swy_member);
  abi_request_.hdr = request_.headers.data();
  abi_request_.nhdr = static_cast<std::uint32_t>(request_.headers.size());
  abi_request_.cred = credential_parts_.data();
  abi_request_.ncred = static_cast<std::uint32_t>(credential_parts_.size());
  if (request_.rare == nullptr) return;
  if (request_.rare->resumes) {
    abi_request_.flags |= SWY_REQ_RESUME;
    abi_request_.resume = to_swy(request_.rare->resume);
  }
  std::uint64_t id = 0;
  for (const Blob& blob : request_.rare->blobs) {
    rare().blobs.push_back({sizeof(swy_blob), 0, ++id, blob.bytes.size(), to_swy(blob.field),
                            to_swy(blob.mime), to_swy(blob.name)});
  }
  if (id == 0) return;
  abi_request_.blob = rare_->blobs.data();
  abi_request_.nblob = static_cast<std::uint32_t>(rare_->blobs.size());
  abi_request_.blob_stride = sizeof(swy_blob);
}

Task<Attempt::Outcome> Attempt::run() {
  // Not that of an attempt before this one.
  request_.record->dropped = native_ != nullptr ? std::string_view() : request_.losses;
  if (!request_.record->dropped.empty()) writer_.dropped(request_.record->dropped);
  if (refuses_loss()) {
    ended_ = true;
    co_return Outcome::kFailed;
  }
  if (plugin_rests()) {
    ended_ = true;
    co_return Outcome::kFailed;
  }
  fill_request();
  auto started = plugin::Operation::start(*slot_.instance, abi_request_);
  if (!started) {
    fault_.cls = started.error().cls;
    fault_.http = started.error().http;
    fault_.message = started.error().message;
    ended_ = true;
    co_return Outcome::kFailed;
  }
  operation_.emplace(std::move(*started));
  if (request_.stream && request_.session == nullptr) arm_content_deadline();

  Next next = step(SWY_EV_START);
  for (;;) {
    // What ends an answer leaves when it is paid.
    const bool ends = next.act == SWY_ACT_DONE;
    if (!ends && !flushed()) co_await flush();
    if (exhausted_ && native_ != nullptr) co_return Outcome::kFailed;
    if (exhausted_) break;
    if (given_up()) {
      co_await cancel();
      co_return Outcome::kClientGone;
    }
    if (next.act == SWY_ACT_DONE) {
      done_ = answered();
      if (done_) break;
      next.act = SWY_ACT_FAIL;
      next.fault.message = "the plugin ended without an answer";
    }
    if (next.act == SWY_ACT_SEND && refuses_loss()) co_return Outcome::kFailed;
    if (next.act == SWY_ACT_SEND) {
      next = co_await exchange();
    } else if (next.act == SWY_ACT_WAIT) {
      next = co_await wait(next.delay_ns);
    } else {
      // FAIL, or FEED where nothing more can come.
      if (next.act != SWY_ACT_FAIL)
        next.fault.message = "the plugin waits for an event that can't come";
      take_fault(next);
      release_connection();
      co_return writer_.gone() ? Outcome::kClientGone : Outcome::kFailed;
    }
  }
  if (raw_ && !draining_) writer_.raw_end();
  release_connection();
  co_return writer_.gone() ? Outcome::kClientGone : Outcome::kDone;
}

Task<> Attempt::cancel() {
  if (ended_ || outrun_ || timed_out_ != nullptr) co_return;
  connection_.reset();
  cancelling_ = true;
  Next next = step(SWY_EV_CANCEL);
  if (next.act != SWY_ACT_SEND) co_return;
  aborted_ = false;
  cancel_.emplace();
  net::Deadline deadline(context_.loop, [this] { abort(); });
  deadline.expires_after(kCancelMax);
  while (next.act == SWY_ACT_SEND && !aborted_) next = co_await exchange();
  release_connection();
}

// The host's own finding, where there is one, stays.
void Attempt::take_fault(const Next& next) {
  fault_.sent = sent_;
  if (*fault_.code == '\0') {
    fault_.cls = next.fault.cls;
    fault_.http = next.fault.http;
    fault_.retry_after_ms = next.fault.retry_after_ms;
    fault_.message = next.fault.message;
  }
  redact_fault();
}

void Attempt::redact_fault() {
  if (credential_ == nullptr) return;
  redact(fault_.message, credential_->key.reveal());
  redact(fault_.error_json, credential_->key.reveal());
  if (!rare_) return;
  for (const Secret& secret : rare_->secrets) {
    redact(fault_.message, secret.reveal());
    redact(fault_.error_json, secret.reveal());
  }
}

bool Attempt::flushed() {
  if (!emitted_) return true;
  emitted_ = false;
  if (draining_) return true;
  return writer_.try_flush();
}

Task<Attempt::Next> Attempt::wait(std::uint64_t delay_ns) {
  net::Timer timer(context_.loop.executor());
  timer.expires_after(std::chrono::nanoseconds(delay_ns));
  timer_ = &timer;
  co_await timer.async_wait(net::kAwait);
  timer_ = nullptr;
  if (aborted_) {
    Next next;
    next.fault.cls = SWY_CLS_TIMEOUT;
    if (timed_out_ != nullptr) next.fault.message = timed_out_;
    co_return next;
  }
  co_return step(SWY_EV_TIMER);
}

Attempt::Next Attempt::broken(const net::NetError& error) {
  if (rare_ && rare_->refused) return std::move(*rare_->refused);
  Next next;
  next.act = SWY_ACT_FAIL;
  // The operation hears of the client's leaving instead.
  if (aborted_ && timed_out_ == nullptr && !draining_ && !cancelling_) return next;
  if (timed_out_ != nullptr) {
    fault_.cls = SWY_CLS_TIMEOUT;
    fault_.code = "upstream_timeout";
    fault_.message = timed_out_;
  } else {
    std::string error_json = std::move(fault_.error_json);
    fault_ = from_net(error);
    fault_.error_json = std::move(error_json);
  }
  // The plugin may know better what a broken answer means, or have state to end; the host's own
  // finding stays the fault.
  Next own = step(SWY_EV_IOERR, fault_.message, {}, static_cast<unsigned>(fault_.cls));
  // What is fetched from a stranger is no fault of this upstream's: the plugin says what it means.
  if (outgoing_.trusted() || own.act != SWY_ACT_FAIL || own.fault.cls == fault_.cls) return next;
  fault_ = {};
  return own;
}

Task<Attempt::Next> Attempt::exchange() {
  if (!outgoing_.begun()) {
    Next next;
    next.fault.message = "the plugin sends without a request";
    co_return next;
  }
  release_connection();
  body_ended_ = false;
  const std::uint64_t began_ns = mono_ns();
  // Over the head as a whole: bytes that drip must not renew it.
  net::Deadline deadline(context_.loop,
                         [this] { time_out("the upstream's answer did not begin in time"); });
  deadline.expires_after(timeouts_.connect + timeouts_.first_byte);
  const auto head = co_await read_head();
  deadline.disarm();
  const std::uint64_t head_ns = mono_ns();
  request_.record->upstream_ns += head_ns - began_ns;
  if (!head) co_return broken(head.error());
  outgoing_.forget();
  request_.record->head_ns = head_ns;
  connection_->set_timeout(timeouts_.between_bytes);

  const net::ResponseHead& answer = **head;
  std::vector<swy_kv> headers;
  headers.reserve(answer.headers.size());
  for (const net::Header& header : answer.headers) {
    headers.push_back({to_swy(header.name), to_swy(header.value)});
  }
  swy_ev event{};
  event.size = sizeof event;
  event.kind = SWY_EV_HEAD;
  event.xid = outgoing_.xid();
  event.status = answer.status;
  event.hdr = headers.data();
  event.nhdr = static_cast<std::uint32_t>(headers.size());
  event.now_ns = head_ns;
  const bool token = outgoing_.framing() == SWY_FRAME_TOKEN;
  const bool upgrade = outgoing_.framing() == SWY_FRAME_WEBSOCKET;
  const bool failed = answer.status >= (token ? 300u : 400u) || upgrade;
  if (upgrade && answer.status == 101) {
    const auto fault = open_socket(answer);
    if (fault) co_return broken(*fault);
  }
  Next next;
  next.act = SWY_ACT_FEED;
  // A token is nothing for the plugin to see.
  if (!token || failed) next = give(event);
  if (session_) {
    next = co_await run_session(std::move(next));
    co_return next;
  }
  if (rare_ && rare_->socket) {
    next = co_await feed_socket(std::move(next));
    co_return next;
  }
  if (next.act != SWY_ACT_FEED) co_return next;

  // Some vendors answer a request for a stream with a document that tells of a fault.
  const bool document = outgoing_.framing() == SWY_FRAME_SSE &&
                        answer.find("content-type").starts_with("application/json");
  if (failed || token || document || outgoing_.framing() == SWY_FRAME_WHOLE) {
    next = co_await feed_whole(failed);
  } else {
    next = co_await feed_events();
  }
  co_return next;
}

void Attempt::release_connection() {
  if (!connection_) return;
  if (body_ended_ || connection_->body_complete()) {
    context_.pool.release(std::move(connection_));
  } else if (fault_.code[0] == '\0' && !aborted_) {
    net::asio::co_spawn(context_.loop.context(), drain(std::move(connection_), context_),
                        net::asio::detached);
  }
  connection_.reset();
}

}  // namespace switchyard::exchange

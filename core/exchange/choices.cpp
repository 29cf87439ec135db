#include "core/exchange/choices.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

#include "core/base/clock.hpp"
#include "core/exchange/choice.hpp"
#include "core/exchange/payment.hpp"
#include "core/exchange/quantities.hpp"
#include "core/exchange/usage.hpp"
#include "core/net/offload.hpp"

namespace switchyard::exchange {

namespace json = swy::json;
using net::Task;

namespace {

// Bodies beyond this are copied off the loop.
constexpr std::size_t kCopyOnLoopMax = 256 * 1024;

std::string without_n(const Request& request) {
  std::string body;
  body.reserve(request.body.size());
  json::Writer writer(body);
  writer.open_object();
  for (const swy_member& member : request.members) {
    const std::string_view name = view(member.name);
    if (name == "n") continue;
    writer.key(name).raw(request.body.substr(member.value_at, member.value_n));
  }
  writer.close_object();
  return body;
}

}  // namespace

// What one call answers, on its way to be one choice of all.
class Choices::Writer : public ClientWriter {
 public:
  Writer(Choices& all, std::size_t index) : all_(all), index_(index) {}

  void delta(std::string_view json, bool content) override {
    if (!all_.failed_) all_.writer_.delta(all_.renumbered(json, index_), content);
  }
  void whole(std::string_view json) override { whole_ = json; }
  void end_stream(const observe::Usage&) override {}
  // They say the same of each: the request is one.
  void dropped(std::string_view pointers) override {
    if (index_ == 0) all_.writer_.dropped(pointers);
  }
  void fail(const Failure&) override {}
  void discard() override {}
  bool started() const override { return all_.writer_.started(); }
  bool committed() const override { return all_.writer_.committed(); }
  bool try_flush() override { return !all_.flushing_ && all_.writer_.try_flush(); }
  Task<bool> flush() override { return all_.flush(); }
  bool gone() const override { return all_.writer_.gone(); }
  void on_gone(std::function<void()>) override {}

  const std::string& answer() const { return whole_; }

 private:
  Choices& all_;
  const std::size_t index_;
  std::string whole_;
};

struct Choices::Choice {
  Choice(Choices& all, std::size_t index)
      : record(*all.request_.record), request(all.request_), writer(all, index) {
    record.fallback_path.clear();
    request.record = &record;
    request.body = all.body_;
    request.members = all.index_.members();
    request.native = nullptr;
    request.want_usage = false;  // that of all is said once
    request.is_part = true;
    attempt.emplace(all.context_, all.snapshot_, request, all.target_, all.credential_, all.lane_,
                    writer, all.payment_);
  }

  observe::Record record;
  Request request;
  Writer writer;
  routing::Lane::Call place;  // the first call has that of the whole attempt
  std::optional<Attempt> attempt;
  Attempt::Outcome outcome = Attempt::Outcome::kFailed;
};

Choices::Choices(LoopContext& context, const Snapshot& snapshot, const Request& request,
                 const routing::Target& target, std::uint32_t credential, routing::Lane* lane,
                 ClientWriter& writer, Payment& payment)
    : context_(context),
      snapshot_(snapshot),
      request_(request),
      target_(target),
      credential_(credential),
      lane_(lane),
      writer_(writer),
      payment_(payment),
      ended_(context.loop),
      flushed_(context.loop) {}

Choices::~Choices() = default;

Task<Attempt::Outcome> Choices::run() {
  const bool ready = co_await prepare();
  if (!ready) co_return Attempt::Outcome::kFailed;
  const std::uint64_t begun_ns = mono_ns();
  for (const auto& choice : choices_) {
    ++running_;
    net::asio::co_spawn(context_.loop.context(), run_one(*choice), [this](std::exception_ptr e) {
      if (e && !broken_) broken_ = e;
      --running_;
      ended_.notify();
    });
  }
  while (running_ > 0) co_await ended_.wait();

  note_records();
  leave_places(begun_ns);
  if (broken_) std::rethrow_exception(broken_);
  if (writer_.gone()) co_return Attempt::Outcome::kClientGone;
  if (failed_) co_return Attempt::Outcome::kFailed;
  if (request_.stream) {
    put_usage();
    co_return Attempt::Outcome::kDone;
  }
  payment_.settle(usage(), "completed");
  if (payment_.must_wait()) co_await payment_.durable();
  put_whole();
  co_return Attempt::Outcome::kDone;
}

// False: nobody was asked, and fault_ says why.
Task<bool> Choices::prepare() {
  const std::uint64_t n = answers_asked(request_);
  if (n > kMost) {
    AttemptFault fault;
    fault.cls = SWY_CLS_NOT_OFFERED;
    fault.message = "n: the model gives one answer to a call, and is asked for at most " +
                    std::to_string(kMost) + " at once";
    fail(std::move(fault));
    co_return false;
  }
  if (auto unpaid = payment_.reserve(target_, n)) {
    fail(std::move(*unpaid));
    co_return false;
  }
  auto copy = [this] {
    body_ = without_n(request_);
    (void)index_.scan(body_, JsonIndex::kDepthCap).has_value();
  };
  if (context_.compute == nullptr || request_.body.size() <= kCopyOnLoopMax) {
    copy();
  } else {
    co_await net::offload(*context_.compute, std::move(copy));
  }
  for (std::uint64_t i = 0; i < n; ++i) choices_.push_back(std::make_unique<Choice>(*this, i));
  co_return take_places();
}

// Each call counts against the upstream's limits.
bool Choices::take_places() {
  if (lane_ == nullptr) return true;
  const std::uint64_t now_ns = mono_ns();
  for (std::size_t i = 1; i < choices_.size(); ++i) {
    routing::Lane::Ask ask;
    ask.tokens = estimate_tokens(body_.size());
    ask.now_ns = now_ns;
    const auto barred = lane_->begin(ask, choices_[i]->place);
    if (barred == routing::Lane::Barred::kNot) continue;
    choices_[i]->place.lane = nullptr;
    for (const auto& choice : choices_) {
      if (choice->place.lane != nullptr) lane_->undo(choice->place, now_ns);
    }
    choices_.clear();
    AttemptFault fault;
    fault.cls = SWY_CLS_OVERLOADED;
    fault.message = "the upstream takes no further calls now, and each answer needs one";
    fail(std::move(fault));
    return false;
  }
  return true;
}

void Choices::leave_places(std::uint64_t begun_ns) {
  for (const auto& choice : choices_) {
    if (choice->place.lane == nullptr) continue;
    const bool ok = choice->outcome == Attempt::Outcome::kDone;
    const Observation observation(choice->request, target_, false, begun_ns);
    const std::uint64_t now_ns = mono_ns();
    // One that was broken off for another's fault says nothing of the target.
    const bool left = !ok && (failed_ || broken_ || writer_.gone());
    choice->place.lane->end(choice->place, observation.end(*choice->attempt, ok, left, now_ns),
                            now_ns);
  }
}

Task<> Choices::run_one(Choice& choice) {
  if (failed_) co_return;
  choice.outcome = co_await choice.attempt->run();
  if (choice.outcome == Attempt::Outcome::kFailed) fail(choice.attempt->fault());
}

// Some of the answers are none: the first fault is that of all, and the others are broken off.
void Choices::fail(AttemptFault fault) {
  if (failed_) return;
  failed_ = true;
  fault_ = std::move(fault);
  time_out("another one of the answers failed");
}

void Choices::client_left() {
  for (const auto& choice : choices_) choice->attempt->client_left();
}

void Choices::time_out(const char* what) {
  for (const auto& choice : choices_) choice->attempt->time_out(what);
}

observe::Usage Choices::usage() const {
  observe::Usage sum;
  sum.reported = !choices_.empty();
  for (const auto& choice : choices_) {
    if (choice->attempt->calls() > 0) add_usage(sum, choice->attempt->usage());
  }
  return sum;
}

unsigned Choices::calls() const {
  unsigned sum = 0;
  for (const auto& choice : choices_) sum += choice->attempt->calls();
  return sum;
}

bool Choices::delivered() const {
  return std::any_of(choices_.begin(), choices_.end(),
                     [](const auto& choice) { return choice->attempt->delivered(); });
}

bool Choices::exhausted() const {
  return std::any_of(choices_.begin(), choices_.end(),
                     [](const auto& choice) { return choice->attempt->exhausted(); });
}

void Choices::note_records() {
  observe::Record& record = *request_.record;
  const auto earliest = [](std::uint64_t& to, std::uint64_t at) {
    if (at != 0 && (to == 0 || at < to)) to = at;
  };
  std::vector<observe::Usage> parts;
  for (const auto& choice : choices_) {
    const observe::Record& part = choice->record;
    earliest(record.sent_ns, part.sent_ns);
    earliest(record.head_ns, part.head_ns);
    earliest(record.first_ns, part.first_ns);
    record.upstream_ns = std::max(record.upstream_ns, part.upstream_ns);
    if (record.error_code.empty()) record.error_code = part.error_code;
    if (choice->attempt->calls() > 0) parts.push_back(choice->attempt->usage());
  }
  record.finish_reason = choices_.front()->record.finish_reason;
  record.dropped = choices_.front()->record.dropped;
  payment_.set_parts(std::move(parts));
}

// A chunk, or a whole answer, with its choices numbered as those of this call.
std::string Choices::renumbered(std::string_view text, std::size_t index) {
  std::string out;
  out.reserve(text.size() + 8);
  json::Writer writer(out);
  writer.open_object();
  json::Cursor cursor(text);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    std::string* const same = name == "id"        ? &id_
                              : name == "created" ? &created_
                              : name == "model"   ? &model_
                                                  : nullptr;
    writer.key(json::unescape("\"" + std::string(name) + "\""));
    if (name != "choices" || cursor.type() != 'a') {
      const std::string_view value = cursor.value();
      if (same != nullptr && same->empty()) *same = value;
      writer.raw(same != nullptr ? std::string_view(*same) : value);
      continue;
    }
    writer.open_array();
    cursor.array();
    while (cursor.element()) {
      const std::string_view choice = cursor.value();
      writer.open_object().key("index").natural(index);
      json::Cursor members(choice);
      std::string_view member;
      members.object();
      while (members.member(member)) {
        const std::string_view value = members.value();
        if (member != "index") {
          writer.key(json::unescape("\"" + std::string(member) + "\"")).raw(value);
        }
      }
      writer.close_object();
    }
    writer.close_array();
  }
  writer.close_object();
  return out;
}

// The first answer, with the choices of all and what they used together.
void Choices::put_whole() {
  std::string list;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const std::string answer = renumbered(choices_[i]->writer.answer(), i);
    json::Cursor cursor(json::find(answer, "choices"));
    if (!cursor.array()) continue;
    while (cursor.element()) {
      if (!list.empty()) list += ',';
      list += cursor.value();
    }
  }
  json::Writer writer(whole_);
  writer.open_object();
  json::Cursor cursor(choices_.front()->writer.answer());
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (name == "choices" || name == "usage") continue;
    writer.key(json::unescape("\"" + std::string(name) + "\"")).raw(value);
  }
  writer.key("choices").raw("[" + list + "]").key("usage").raw(usage_json(usage()));
  writer.close_object();
  writer_.whole(whole_);
}

void Choices::put_usage() {
  if (!request_.want_usage) return;
  std::string chunk = R"({"id":)" + (id_.empty() ? "null" : id_);
  chunk += R"(,"object":"chat.completion.chunk","created":)" + (created_.empty() ? "0" : created_);
  chunk += R"(,"model":)" + (model_.empty() ? "null" : model_);
  chunk += R"(,"choices":[],"usage":)" + usage_json(usage()) + "}";
  writer_.delta(chunk, false);
}

// One waits for the client at a time.
Task<bool> Choices::flush() {
  while (flushing_) co_await flushed_.wait();
  flushing_ = true;
  const bool listening = co_await writer_.flush();
  flushing_ = false;
  flushed_.notify();
  co_return listening;
}

}  // namespace switchyard::exchange

#include "core/net/http_client.hpp"

#include <sys/socket.h>

#include <atomic>
#include <unordered_map>

#include "core/base/clock.hpp"
#include "core/net/await.hpp"
#include "core/net/cancel.hpp"
#include "core/net/connector.hpp"
#include "core/net/inflate.hpp"
#include "core/net/text.hpp"

namespace switchyard::net {
namespace {

constexpr std::size_t kHeadBytes =
    2 * 1024;  // most answers fit whole, and a quiet stream holds no more
constexpr std::size_t kBulkBytes = 16 * 1024;  // while a body flows
constexpr std::size_t kTailBytes = 1024;       // less than this behind the head is not worth a read
constexpr unsigned kInformationalMax = 8;
constexpr std::chrono::seconds kSweep{1};

// Written by one loop, read by any thread.
class Counter {
 public:
  void add(std::uint64_t n) { value_.store(get() + n, std::memory_order_relaxed); }
  void take(std::uint64_t n) { value_.store(get() - n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct Counters {
  Counter opened, reused, failed, idle, active;
};

using UpstreamPtr = std::shared_ptr<const Upstream>;

class Connection final : public UpstreamConnection {
 public:
  Connection(Loop& loop, UpstreamPtr upstream, Connected connected, ResponseLimits limits,
             std::shared_ptr<Counters> counters)
      : upstream_(std::move(upstream)),
        stream_(std::move(connected.stream)),
        peer_(std::move(connected.peer)),
        limits_(limits),
        counters_(std::move(counters)),
        deadline_(loop, [this] {
          timed_out_ = true;
          stream_->close();
        }) {}

  ~Connection() override { set_active(false); }

  void set_timeout(std::chrono::milliseconds timeout) override { timeout_ = timeout; }

  Task<Result<void, NetError>> send(std::span<const asio::const_buffer> pieces,
                                    std::string_view method) override {
    if (phase_ != Phase::kIdle && !reusable()) co_return misuse();
    begin(method);
    co_await after_ready(stream_->socket().get_executor());
    std::size_t size = 0;
    for (const asio::const_buffer& piece : pieces) size += piece.size();
    std::size_t sent = 0;
    for (;;) {
      const IoResult step = stream_->try_write(pieces, sent);
      sent += step.n;
      if (step.ec && answered_early()) break;
      if (step.ec) co_return broken(step.ec, "while sending the request");
      if (sent == size) break;
      deadline_.expires_after(timeout_);
      const error_code ec = co_await stream_->wait_writable();
      deadline_.disarm();
      if (ec) co_return broken(ec, "while sending the request");
    }
    co_return Result<void, NetError>();
  }

  Task<Result<const ResponseHead*, NetError>> read_head() override {
    if (phase_ != Phase::kHead) co_return misuse();
    for (;;) {
      const Parsed parsed = parse_head();
      if (parsed == Parsed::kDone) co_return &head_;
      if (parsed == Parsed::kFault) co_return std::move(error_);
      make_head_room();
      char* const into = head_bytes_.get() + head_filled_;
      deadline_.expires_after(timeout_);
      const IoResult got = co_await stream_->read_some(into, head_capacity_ - head_filled_);
      deadline_.disarm();
      if (got.ec) co_return broken(got.ec, where_in_head());
      if (got.n == 0) co_return broken(asio::error::eof, where_in_head());
      head_filled_ += got.n;
      received_ = true;
    }
  }

  Task<Result<std::string_view, NetError>> read_body() override {
    Result<std::string_view, NetError> slice = std::string_view();
    for (;;) {
      if (try_read_body(slice)) co_return slice;
      choose_space();
      deadline_.expires_after(timeout_);
      const IoResult got = co_await stream_->read_some(space_, space_size_);
      deadline_.disarm();
      if (got.ec) co_return broken(got.ec, kInBody);
      if (!took(got.n)) co_return broken(asio::error::eof, kInBody);
    }
  }

  bool body_complete() const override {
    return phase_ == Phase::kDone && (ahead_.state == Decoded::kMore || ahead_.data.empty());
  }

  bool body_buffered() const override { return ahead_.state != Decoded::kMore; }

  bool try_read_body(Result<std::string_view, NetError>& slice) override {
    if (aborted_) {
      slice = broken(asio::error::operation_aborted, kInBody);
      return true;
    }
    const Decoded decoded = next();
    switch (decoded.state) {
      case Decoded::kMore:
        return false;
      case Decoded::kFault:
        slice = phase_ == Phase::kBroken ? error_ : misuse();
        return true;
      case Decoded::kData:
        slice = decoded.data;
        look_ahead();
    }
    return true;
  }

  void expect_upgrade() override { upgrade_next_ = true; }

  std::unique_ptr<Stream> take_stream(std::string& ahead) override {
    ahead = input_;
    input_ = {};
    phase_ = Phase::kBroken;
    return std::move(stream_);
  }

  void abort() override {
    aborted_ = true;
    if (stream_) stream_->close();
  }

  const std::string& peer() const override { return peer_; }

  const Upstream* upstream() const { return upstream_.get(); }
  // May serve again: read to its end, nothing behind it, both sides willing.
  bool reusable() const {
    return phase_ == Phase::kDone && keep_ && !aborted_ && !timed_out_ && input_.empty() &&
           stream_->is_open();
  }
  bool quiet() { return stream_->idle_and_quiet(); }

  // Keeps as little as possible while idle.
  void rest() {
    inflater_.reset();
    drop_bulk();
    if (head_capacity_ > kHeadBytes) {
      head_bytes_.reset();
      head_capacity_ = 0;
    }
    idle_since_ns_ = mono_ns();
    set_active(false);
  }
  std::uint64_t idle_since_ns() const { return idle_since_ns_; }

  void set_active(bool active) {
    if (active == active_) return;
    active_ = active;
    active ? counters_->active.add(1) : counters_->active.take(1);
  }

 private:
  enum class Phase { kIdle, kHead, kBody, kDone, kBroken };
  enum class Parsed { kMore, kDone, kFault };
  struct Decoded {
    enum State { kMore, kData, kFault };
    State state = kMore;
    std::string_view data;
  };
  static constexpr const char* kInBody = "in the middle of the body";

  void begin(std::string_view method) {
    reused_ = served_ > 0;
    ++served_;
    phase_ = Phase::kHead;
    keep_ = true;
    received_ = false;
    informational_ = 0;
    scanned_ = 0;
    head_filled_ = 0;
    head_end_ = 0;
    input_ = {};
    ahead_ = {};
    inflater_.reset();
    chunks_.reset();
    bulk_wanted_ = false;
    until_close_ended_ = false;
    method_is_head_ = method == "HEAD";
    upgrade_asked_ = std::exchange(upgrade_next_, false);
  }

  // A server may answer and close before it has read the request whole (413, 401): then its answer
  // counts.
  bool answered_early() {
    if (aborted_ || timed_out_ || !stream_->is_open()) return false;
    char byte;
    const ssize_t n = ::recv(stream_->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    keep_ = false;
    return n > 0;
  }

  Parsed parse_head() {
    while (head_filled_ > 0) {
      const std::string_view method = method_is_head_ ? "HEAD" : "GET";
      const HeadResult result = parse_response_head(head_bytes_.get(), head_filled_, limits_.head,
                                                    method, scanned_, head_, upgrade_asked_);
      if (result.state == HeadResult::State::kNeedMore) return Parsed::kMore;
      if (result.state == HeadResult::State::kError) {
        const bool large = result.status == 431;
        return fault(Parsed::kFault, large ? NetFault::kTooLarge : NetFault::kProtocol,
                     std::string("the answer's head: ") + result.reason);
      }
      if (head_.status >= 200 || head_.status == 101) return take_head(result.consumed);
      if (++informational_ > kInformationalMax) {
        return fault(Parsed::kFault, NetFault::kProtocol, "too many 1xx answers");
      }
      head_filled_ -= result.consumed;
      std::memmove(head_bytes_.get(), head_bytes_.get() + result.consumed, head_filled_);
      scanned_ = 0;
    }
    return Parsed::kMore;
  }

  Parsed take_head(std::size_t consumed) {
    head_end_ = consumed;
    input_ = std::string_view(head_bytes_.get() + consumed, head_filled_ - consumed);
    body_ = head_.body;
    left_ = head_.body == ResponseHead::Body::kLength ? head_.content_length : 0;
    const bool goes_on = head_.keep_alive && head_.status != 101;
    if (!goes_on || body_ == ResponseHead::Body::kUntilClose) keep_ = false;
    phase_ = Phase::kBody;
    if (body_ == ResponseHead::Body::kNone) {
      phase_ = Phase::kDone;
      return Parsed::kDone;
    }
    if (!begin_coding()) return Parsed::kFault;
    bulk_wanted_ = left_ > kHeadBytes;
    look_ahead();
    return Parsed::kDone;
  }

  // A body that was coded though nobody asked for it.
  bool begin_coding() {
    const std::string_view coding = head_.find("content-encoding");
    if (coding.empty() || equals_nocase(coding, "identity")) return true;
    const auto known = Inflater::coding(coding);
    if (!known) {
      return fault(
          false, NetFault::kProtocol,
          "the answer's content-encoding is " + std::string(coding) + ", which was not asked for");
    }
    inflater_ = std::make_unique<Inflater>(*known, limits_.inflated_ratio_max);
    std::erase_if(head_.headers, [](const Header& header) {
      return header.name == "content-encoding" || header.name == "content-length";
    });
    head_.body = ResponseHead::Body::kChunked;
    head_.content_length = 0;
    return true;
  }

  // Ends where the parser finds the head too large.
  void make_head_room() {
    if (head_filled_ < head_capacity_) return;
    const std::size_t capacity = head_capacity_ == 0 ? kHeadBytes : head_capacity_ * 2;
    std::unique_ptr<char[]> bigger(new char[capacity]);
    if (head_filled_ > 0) std::memcpy(bigger.get(), head_bytes_.get(), head_filled_);
    head_bytes_ = std::move(bigger);
    head_capacity_ = capacity;
  }

  // The next decoded piece of what has come: data (empty at the body's end), more, or a fault.
  Decoded next() {
    if (ahead_.state != Decoded::kMore) return std::exchange(ahead_, {});
    if (phase_ == Phase::kDone) return {Decoded::kData, {}};
    if (phase_ != Phase::kBody) return {Decoded::kFault, {}};
    return inflater_ ? next_inflated() : next_raw();
  }

  // So that body_buffered() tells the truth, and a body whose end has come counts as read to its
  // end even where its reader stopped at the last event. An inflater's output would overwrite the
  // slice that was just given.
  void look_ahead() {
    if (phase_ == Phase::kBody && !inflater_ && ahead_.state == Decoded::kMore) {
      ahead_ = next_raw();
    }
  }

  Decoded next_raw() {
    switch (body_) {
      case ResponseHead::Body::kLength:
        return next_of_length();
      case ResponseHead::Body::kChunked:
        return next_of_chunks();
      default:
        break;
    }
    if (until_close_ended_) {
      return end_body();
    }
    return input_.empty() ? Decoded{} : Decoded{Decoded::kData, std::exchange(input_, {})};
  }

  Decoded end_body() {
    phase_ = Phase::kDone;
    return {Decoded::kData, {}};
  }

  Decoded next_of_length() {
    if (left_ == 0) {
      return end_body();
    }
    if (input_.empty()) return {};
    const std::size_t n = std::min<std::uint64_t>(left_, input_.size());
    const std::string_view data = input_.substr(0, n);
    input_.remove_prefix(n);
    left_ -= n;
    return {Decoded::kData, data};
  }

  Decoded next_of_chunks() {
    for (;;) {
      const ChunkedDecoder::Step step = chunks_.feed(input_);
      input_.remove_prefix(step.consumed);
      switch (step.state) {
        case ChunkedDecoder::Step::State::kNeedMore:
          return {};
        case ChunkedDecoder::Step::State::kDone:
          return end_body();
        case ChunkedDecoder::Step::State::kError:
          fault(false, NetFault::kProtocol, std::string("the answer's body: ") + step.reason);
          return {Decoded::kFault, {}};
        case ChunkedDecoder::Step::State::kData:
          if (!step.data.empty()) return {Decoded::kData, step.data};
      }
    }
  }

  Decoded next_inflated() {
    for (;;) {
      const Inflater::Step step = inflater_->next();
      if (step.fault) {
        const NetFault kind = step.too_large ? NetFault::kTooLarge : NetFault::kProtocol;
        fault(false, kind, std::string("the answer's body: ") + step.fault);
        return {Decoded::kFault, {}};
      }
      if (!step.data.empty()) return {Decoded::kData, step.data};
      const Decoded raw = next_raw();
      if (raw.state != Decoded::kData) return raw;
      if (raw.data.empty()) return end_inflated();
      inflater_->give(raw.data);
    }
  }

  Decoded end_inflated() {
    if (inflater_->complete()) return {Decoded::kData, {}};
    fault(false, NetFault::kProtocol, "the answer's compressed body stops in its middle");
    return {Decoded::kFault, {}};
  }

  // Where the next bytes of the body go: behind the head while little comes at a time, else into a
  // buffer of their own.
  void choose_space() {
    const std::size_t tail = head_capacity_ - head_end_;
    if (!bulk_wanted_ && tail >= kTailBytes) {
      drop_bulk();
      space_ = head_bytes_.get() + head_end_;
      space_size_ = tail;
      return;
    }
    if (!bulk_) bulk_.reset(new char[kBulkBytes]);
    space_ = bulk_.get();
    space_size_ = kBulkBytes;
  }

  // False at an end that comes too early.
  bool took(std::size_t n) {
    received_ = true;
    input_ = std::string_view(space_, n);
    bulk_wanted_ = n == space_size_ || (bulk_wanted_ && n > kHeadBytes);
    if (n > 0) return true;
    until_close_ended_ = body_ == ResponseHead::Body::kUntilClose;
    return until_close_ended_;
  }

  void drop_bulk() { bulk_.reset(); }

  const char* where_in_head() const {
    return head_filled_ > 0 ? "in the middle of the answer's head" : "before an answer came";
  }

  // What a failed read or write means, in the order of who wanted it.
  NetError broken(error_code ec, const char* where) {
    deadline_.disarm();
    phase_ = Phase::kBroken;
    NetError error{.nothing_received = !received_, .reused = reused_};
    if (aborted_) {
      error.fault = NetFault::kAborted;
      error.message = "given up";
    } else if (timed_out_) {
      error.fault = NetFault::kTimeout;
      error.message =
          std::string("no progress within ") + std::to_string(timeout_.count()) + " ms " + where;
    } else if (ec == asio::error::eof) {
      error.message = std::string("closed ") + where;
    } else {
      error.message = ec.message() + ' ' + where;
    }
    stream_->close();
    return error;
  }

  template <class T>
  T fault(T value, NetFault kind, std::string message) {
    phase_ = Phase::kBroken;
    error_ = NetError{kind, std::move(message), !received_, reused_};
    stream_->close();
    return value;
  }

  NetError misuse() const {
    NetError error{.nothing_received = !received_, .reused = reused_};
    error.fault = aborted_ ? NetFault::kAborted : NetFault::kClosed;
    error.message = aborted_ ? "given up" : "the connection is not in a state for that";
    return error;
  }

  UpstreamPtr upstream_;
  std::unique_ptr<Stream> stream_;
  std::string peer_;
  ResponseLimits limits_;
  std::shared_ptr<Counters> counters_;
  Deadline deadline_;
  std::chrono::milliseconds timeout_{60'000};
  std::uint64_t idle_since_ns_ = 0;
  std::uint64_t served_ = 0;

  Phase phase_ = Phase::kIdle;
  bool active_ = false;
  bool reused_ = false;
  bool keep_ = true;
  bool received_ = false;
  bool aborted_ = false;
  bool timed_out_ = false;
  bool method_is_head_ = false;
  bool upgrade_next_ = false, upgrade_asked_ = false;
  unsigned informational_ = 0;
  NetError error_;

  std::unique_ptr<char[]> head_bytes_;
  std::size_t head_capacity_ = 0;
  std::size_t head_filled_ = 0;
  std::size_t head_end_ = 0;
  std::size_t scanned_ = 0;
  ResponseHead head_;

  ResponseHead::Body body_ = ResponseHead::Body::kNone;
  std::uint64_t left_ = 0;
  ChunkedDecoder chunks_;
  std::unique_ptr<Inflater> inflater_;
  bool until_close_ended_ = false;
  std::string_view input_;  // bytes that have come and are not decoded yet
  Decoded ahead_;           // decoded and not asked for yet
  std::unique_ptr<char[]> bulk_;
  bool bulk_wanted_ = false;
  char* space_ = nullptr;
  std::size_t space_size_ = 0;
};

}  // namespace

class UpstreamPool::Impl {
 public:
  Impl(Loop& loop, Resolver& resolver, const ResponseLimits& limits)
      : loop_(loop), resolver_(resolver), limits_(limits), sweep_(loop, [this] { sweep(); }) {}

  std::unique_ptr<UpstreamConnection> take_idle(const Upstream* upstream) {
    const auto found = idle_.find(upstream);
    if (found == idle_.end()) return nullptr;
    auto& list = found->second;
    while (!list.empty()) {
      std::unique_ptr<Connection> connection = std::move(list.back());
      list.pop_back();
      counters_->idle.take(1);
      if (!connection->quiet()) continue;
      counters_->reused.add(1);
      connection->set_active(true);
      return connection;
    }
    return nullptr;
  }

  Result<std::unique_ptr<UpstreamConnection>, NetError> adopt(UpstreamPtr upstream,
                                                              Result<Connected, NetError> made) {
    if (!made) {
      counters_->failed.add(1);
      return std::move(made).error();
    }
    counters_->opened.add(1);
    auto connection = std::make_unique<Connection>(loop_, std::move(upstream),
                                                   std::move(made).value(), limits_, counters_);
    connection->set_active(true);
    return std::unique_ptr<UpstreamConnection>(std::move(connection));
  }

  void release(std::unique_ptr<Connection> connection) {
    const Upstream& upstream = *connection->upstream();
    if (!connection->reusable() || upstream.idle_max == 0) return;
    connection->rest();
    auto& list = idle_[&upstream];
    if (list.size() >= upstream.idle_max) {
      list.erase(list.begin());
      counters_->idle.take(1);
    }
    list.push_back(std::move(connection));
    counters_->idle.add(1);
    if (!sweep_.armed()) sweep_.expires_after(kSweep);
  }

  void clear() {
    idle_.clear();
    counters_->idle.take(counters_->idle.get());
  }

  Loop& loop() { return loop_; }
  Resolver& resolver() { return resolver_; }
  const Counters& counters() const { return *counters_; }

 private:
  // Closes what has been idle too long, and what its peer has closed meanwhile.
  void sweep() {
    const std::uint64_t now = mono_ns();
    for (auto it = idle_.begin(); it != idle_.end();) {
      const auto gone = std::erase_if(it->second, [now](const auto& connection) {
        const std::chrono::nanoseconds limit = connection->upstream()->idle_timeout;
        const std::uint64_t idle_ns = now - connection->idle_since_ns();
        return idle_ns >= static_cast<std::uint64_t>(limit.count()) || !connection->quiet();
      });
      counters_->idle.take(gone);
      it = it->second.empty() ? idle_.erase(it) : std::next(it);
    }
    if (!idle_.empty()) sweep_.expires_after(kSweep);
  }

  Loop& loop_;
  Resolver& resolver_;
  ResponseLimits limits_;
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  // Each connection holds its Upstream, so that a key's address can't come to mean another one.
  std::unordered_map<const Upstream*, std::vector<std::unique_ptr<Connection>>> idle_;
  Deadline sweep_;
};

UpstreamPool::UpstreamPool(Loop& loop, Resolver& resolver)
    : UpstreamPool(loop, resolver, ResponseLimits()) {}

UpstreamPool::UpstreamPool(Loop& loop, Resolver& resolver, const ResponseLimits& limits)
    : impl_(std::make_shared<Impl>(loop, resolver, limits)) {}

UpstreamPool::~UpstreamPool() = default;

std::unique_ptr<UpstreamConnection> UpstreamPool::try_acquire(const UpstreamPtr& upstream) {
  return impl_->take_idle(upstream.get());
}

Task<Result<std::unique_ptr<UpstreamConnection>, NetError>> UpstreamPool::acquire(
    UpstreamPtr upstream, bool fresh) {
  Cancel never;
  co_return co_await acquire(std::move(upstream), fresh, never);
}

Task<Result<std::unique_ptr<UpstreamConnection>, NetError>> UpstreamPool::acquire(
    UpstreamPtr upstream, bool fresh, Cancel& cancel) {
  const std::shared_ptr<Impl> impl = impl_;
  if (!fresh) {
    auto idle = impl->take_idle(upstream.get());
    if (idle) co_return std::move(idle);
  }
  auto made = co_await connect_upstream(impl->loop(), impl->resolver(), *upstream, cancel);
  co_return impl->adopt(std::move(upstream), std::move(made));
}

void UpstreamPool::release(std::unique_ptr<UpstreamConnection> connection) {
  if (!connection) return;
  impl_->release(std::unique_ptr<Connection>(static_cast<Connection*>(connection.release())));
}

void UpstreamPool::clear() { impl_->clear(); }

UpstreamPool::Stats UpstreamPool::stats() const {
  const Counters& counters = impl_->counters();
  return {.opened = counters.opened.get(),
          .reused = counters.reused.get(),
          .failed = counters.failed.get(),
          .idle = counters.idle.get(),
          .active = counters.active.get()};
}

}  // namespace switchyard::net

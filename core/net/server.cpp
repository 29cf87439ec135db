#include "core/net/server.hpp"

#include <spdlog/spdlog.h>

#include <charconv>

#include "core/base/clock.hpp"

namespace switchyard::net {
namespace {

// Most requests fit, and a long stream keeps no more for its head.
constexpr std::size_t kReadSize = 2 * 1024;
constexpr std::chrono::milliseconds kWatchAfter{100};
constexpr std::chrono::milliseconds kHurry{1000};
// What is left of a body that nobody wanted is read and dropped up to this much; beyond, closing is
// cheaper.
constexpr std::uint64_t kDiscardMax = 64 * 1024;

// "date: ...\r\n", made once per second and thread (RFC 9110 6.6.1).
std::string_view date_line() {
  thread_local std::time_t second = 0;
  thread_local char line[48];
  thread_local std::size_t size = 0;
  const std::time_t now = static_cast<std::time_t>(unix_ns() / 1'000'000'000u);
  if (now != second) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    size = std::strftime(line, sizeof line, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    second = now;
  }
  return {line, size};
}

void append_number(std::string& out, std::uint64_t number, int base = 10) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, base).ptr;
  out.append(digits, end);
}

}  // namespace

const char* reason_phrase(unsigned status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

// The pending wait for the client to go, cut loose from its exchange when that ends first.
struct HttpExchange::Watch {
  HttpExchange* exchange = nullptr;
};

HttpExchange::HttpExchange(Loop& loop, Stream& stream, const ServerLimits& limits)
    : loop_(loop), stream_(stream), limits_(limits), deadline_(loop, [this] { on_deadline(); }) {
  error_code ignored;
  const auto endpoint = stream.socket().remote_endpoint(ignored);
  peer_ = endpoint.address().to_string();
}

HttpExchange::~HttpExchange() { stop_watch(); }

// ---- reading ----

Task<bool> HttpExchange::fill() {
  if (in_size_ == in_.size()) in_.resize(std::max(kReadSize, in_.size() * 2));
  waiting_ = Wait::kRead;
  const IoResult got = co_await stream_.read_some(in_.data() + in_size_, in_.size() - in_size_);
  waiting_ = Wait::kNothing;
  if (got.ec || got.n == 0) co_return false;
  in_size_ += got.n;
  co_return true;
}

void HttpExchange::hurry() {
  if (in_size_ == 0) deadline_.expires_after(kHurry);
}

bool HttpExchange::quiet() {
  error_code ignored;
  return in_size_ == in_used_ && stream_.socket().available(ignored) == 0;
}

// Whatever is left of the request, unread as it is, stands between it and a next one: it is dropped
// where that is cheap. A client that waits for 100 Continue sends none.
bool HttpExchange::can_go_on() const {
  if (body_read_) return true;
  if (head_.chunked || body_broken_) return false;
  const std::uint64_t length = head_.content_length.value_or(0);
  return length == 0 || (!head_.expect_continue && length <= kDiscardMax);
}

Task<bool> HttpExchange::read_head(bool hurried) {
  // What is left behind the last request is the beginning of the next one.
  if (in_used_ > 0) {
    std::memmove(in_.data(), in_.data() + in_used_, in_size_ - in_used_);
    in_size_ -= in_used_;
    in_used_ = 0;
  }
  scanned_ = 0;
  bool began = false;
  deadline_.expires_after(hurried ? kHurry : limits_.keep_alive_timeout);
  for (;;) {
    if (in_size_ > 0) {
      const HeadResult result =
          parse_request_head(in_.data(), in_size_, limits_.head, scanned_, head_);
      if (result.state == HeadResult::State::kDone) {
        // A chunked body is decoded behind the head, whose views must not move then: make the room
        // now and look again.
        if (head_.chunked && in_.size() - in_size_ < kReadSize) {
          in_.resize(in_size_ + 2 * kReadSize);
          scanned_ = 0;
          continue;
        }
        in_used_ = result.consumed;
        deadline_.disarm();
        co_return true;
      }
      if (result.state == HeadResult::State::kError) {
        co_await refuse(result.status, result.reason);
        co_return false;
      }
      // The head's own clock starts with its first byte, and runs however the bytes drip.
      if (!began) deadline_.expires_after(limits_.head_timeout);
      began = true;
    }
    const bool more = co_await fill();
    if (!more) {
      if (timed_out_ && began) co_await refuse(408, "the request head did not arrive in time");
      co_return false;
    }
  }
}

void HttpExchange::reset_answer() {
  out_.clear();
  out_last_ = {};
  sent_ = 0;
  started_ = chunked_ = finished_ = head_only_ = false;
  length_left_ = 0;
  timed_out_ = false;
}

void HttpExchange::begin_request(bool draining) {
  reset_answer();
  body_.clear();
  body_view_ = {};
  copy_ = nullptr;
  body_read_ = body_broken_ = continue_sent_ = false;
  head_only_ = head_.method == "HEAD";
  keep_alive_ = head_.keep_alive && !draining;
}

Task<> HttpExchange::linger() {
  // Closing while the client still sends makes the kernel answer with a reset, which may overtake
  // what was answered.
  stream_.shutdown_send();
  waiting_ = Wait::kRead;
  deadline_.expires_after(std::chrono::seconds(1));
  std::array<char, 4096> dropped;
  for (std::size_t total = 0; total < 1024 * 1024;) {
    const IoResult got = co_await stream_.read_some(dropped.data(), dropped.size());
    if (got.ec || got.n == 0) break;
    total += got.n;
  }
  deadline_.disarm();
  stream_.close();
}

Task<> HttpExchange::refuse(unsigned status, const char* reason) {
  reset_answer();
  keep_alive_ = false;
  std::string body = R"({"error":{"message":")";
  body += reason;
  body += R"(","type":"invalid_request_error","param":null,"code":")";
  body += status == 408 ? "request_timeout" : "malformed_http";
  body += "\"}}";
  start(status, "content-type: application/json\r\n", body.size());
  write(body);
  co_await flush();
}

Task<> HttpExchange::send_continue() {
  if (!head_.expect_continue || continue_sent_ || head_.minor == 0) co_return;
  continue_sent_ = true;
  if (in_size_ > in_used_) co_return;  // the client did not wait (RFC 9110 10.1.1)
  out_ += "HTTP/1.1 100 Continue\r\n\r\n";
  co_await flush();
}

void HttpExchange::extend_body_deadline(std::uint64_t received, std::uint64_t began_ns) {
  const std::uint64_t elapsed_ms = (mono_ns() - began_ns) / 1'000'000u;
  const std::uint64_t rate = std::max<std::uint64_t>(1, limits_.body_bytes_per_s_min);
  const std::uint64_t allowed_ms =
      static_cast<std::uint64_t>(limits_.body_timeout.count()) + received * 1000u / rate;
  const std::uint64_t left_ms = allowed_ms > elapsed_ms ? allowed_ms - elapsed_ms : 1;
  deadline_.expires_after(std::chrono::milliseconds(left_ms));
}

Task<Result<std::string_view, BodyFault>> HttpExchange::read_body(std::uint64_t bytes_max) {
  if (body_read_) co_return body_view_;
  if (head_.content_length.value_or(0) > bytes_max) {
    co_return BodyFault{413, "the request body is larger than the limit"};
  }
  co_await send_continue();
  Result<std::string_view, BodyFault> result = BodyFault{};
  if (head_.chunked) {
    result = co_await read_chunked(bytes_max);
  } else {
    result = co_await read_sized(bytes_max);
  }
  deadline_.disarm();
  if (!result) {
    body_broken_ = true;
    keep_alive_ = false;
    if (timed_out_) {
      timed_out_ = false;
      co_return BodyFault{408, "the request body did not arrive in time"};
    }
    if (result.error().status == 0) gone_ = true;
    co_return result;
  }
  body_read_ = true;
  body_view_ = *result;
  co_return result;
}

Task<Result<std::string_view, BodyFault>> HttpExchange::read_sized(std::uint64_t) {
  const std::uint64_t length = head_.content_length.value_or(0);
  const std::size_t have = std::min<std::uint64_t>(length, in_size_ - in_used_);
  if (have == length) {
    const std::string_view body(in_.data() + in_used_, have);
    in_used_ += have;
    co_return body;
  }
  body_.assign(in_.data() + in_used_, have);
  in_used_ += have;
  const std::uint64_t began_ns = mono_ns();
  std::size_t filled = have;
  // Memory follows the bytes that came, not the length that was promised.
  while (filled < length) {
    if (filled == body_.size()) {
      const std::size_t more = std::max<std::size_t>(16 * 1024, body_.size());
      body_.resize(std::min<std::uint64_t>(length, body_.size() + more));
    }
    extend_body_deadline(filled, began_ns);
    const IoResult got = co_await stream_.read_some(body_.data() + filled, body_.size() - filled);
    if (got.ec || got.n == 0) co_return BodyFault{};
    filled += got.n;
  }
  co_return std::string_view(body_);
}

Task<Result<std::string_view, BodyFault>> HttpExchange::read_chunked(std::uint64_t bytes_max) {
  ChunkedDecoder decoder;
  const std::uint64_t began_ns = mono_ns();
  const std::size_t head_end = in_used_;
  for (;;) {
    while (in_used_ < in_size_) {
      const auto step = decoder.feed(std::string_view(in_.data() + in_used_, in_size_ - in_used_));
      in_used_ += step.consumed;
      if (step.state == ChunkedDecoder::Step::State::kError) {
        co_return BodyFault{400, step.reason};
      }
      if (step.state == ChunkedDecoder::Step::State::kDone) co_return std::string_view(body_);
      if (step.state == ChunkedDecoder::Step::State::kNeedMore) break;
      if (body_.size() + step.data.size() > bytes_max) {
        co_return BodyFault{413, "the request body is larger than the limit"};
      }
      body_.append(step.data);
    }
    // What was decoded is in body_: only the head, which others look at, must stay where it is.
    const std::size_t left = in_size_ - in_used_;
    std::memmove(in_.data() + head_end, in_.data() + in_used_, left);
    in_used_ = head_end;
    in_size_ = head_end + left;
    // The head's views point into in_, so it never grows here: there is always room behind the head
    // for a chunk's line.
    if (in_.size() - in_size_ < 64) co_return BodyFault{400, "a chunk line is too long"};
    extend_body_deadline(body_.size(), began_ns);
    const IoResult got = co_await stream_.read_some(in_.data() + in_size_, in_.size() - in_size_);
    if (got.ec || got.n == 0) co_return BodyFault{};
    in_size_ += got.n;
  }
}

// ---- writing ----

void HttpExchange::append_status_line(unsigned status) {
  out_ += "HTTP/1.1 ";
  append_number(out_, status);
  out_ += ' ';
  out_ += reason_phrase(status);
  out_ += "\r\n";
  out_ += date_line();
}

void HttpExchange::start(unsigned status, std::string_view headers, std::uint64_t length) {
  started_ = true;
  finished_ = length == 0;
  length_left_ = length;
  append_status_line(status);
  append_headers(headers);
  if (status != 204) {
    out_ += "content-length: ";
    append_number(out_, length);
    out_ += "\r\n";
  }
  end_head();
  if (head_only_) {
    finished_ = true;
    length_left_ = 0;
  }
}

void HttpExchange::start_stream(unsigned status, std::string_view headers) {
  started_ = true;
  chunked_ = head_.minor > 0;
  if (!chunked_) keep_alive_ = false;
  append_status_line(status);
  append_headers(headers);
  if (chunked_) out_ += "transfer-encoding: chunked\r\n";
  end_head();
}

void HttpExchange::append_headers(std::string_view lines) {
  out_ += lines;
  if (copy_ == nullptr) return;
  constexpr std::string_view kName = "content-type: ";
  const std::size_t at = lines.starts_with(kName) ? 0 : lines.find("\r\ncontent-type: ");
  if (at == std::string_view::npos) return copied_type_.clear();
  lines.remove_prefix(at == 0 ? kName.size() : at + 2 + kName.size());
  copied_type_ = lines.substr(0, lines.find('\r'));
}

void HttpExchange::end_head() {
  // A client that is not told would send its next request into a connection that closes.
  keep_alive_ = keep_alive_ && can_go_on();
  if (!keep_alive_) {
    out_ += "connection: close\r\n";
  } else if (head_.minor == 0) {
    out_ += "connection: keep-alive\r\n";  // a 1.0 client takes silence for a close
  }
  out_ += "\r\n";
}

void HttpExchange::copy(std::string_view bytes) {
  if (copy_ != nullptr) copy_->append(bytes.substr(0, copy_max_ - copy_->size()));
}

void HttpExchange::write(std::string_view bytes) {
  if (bytes.empty() || head_only_) return;
  copy(bytes);
  if (!chunked_) {
    out_ += bytes;
    if (length_left_ > 0) length_left_ -= std::min<std::uint64_t>(length_left_, bytes.size());
    if (length_left_ == 0) finished_ = true;
    return;
  }
  append_number(out_, bytes.size(), 16);
  out_ += "\r\n";
  out_ += bytes;
  out_ += "\r\n";
}

void HttpExchange::write_last(std::string_view bytes) {
  if (head_only_) return;
  copy(bytes);
  out_last_ = bytes;
  length_left_ = 0;
  finished_ = true;
}

void HttpExchange::finish_stream() {
  if (chunked_ && !head_only_) out_ += "0\r\n\r\n";
  finished_ = true;
}

void HttpExchange::on_client_gone(std::function<void()> callback) {
  on_gone_ = std::move(callback);
  if (on_gone_) arm_watch();
}

bool HttpExchange::try_flush() {
  if (gone_) return true;
  const std::size_t total = out_.size() + out_last_.size();
  if (total == 0) return true;
  const std::array<asio::const_buffer, 2> pieces{asio::buffer(out_),
                                                 asio::buffer(out_last_.data(), out_last_.size())};
  const IoResult sent = stream_.try_write(pieces, sent_);
  sent_ += sent.n;
  if (sent.ec) {
    client_left();
  } else if (sent_ < total) {
    return false;
  }
  clear_sent();
  return true;
}

void HttpExchange::clear_sent() {
  sent_ = 0;
  out_last_ = {};
  // A stream that once had much to say does not hold the memory for ever.
  if (out_.capacity() > 64 * 1024) {
    out_ = std::string();
  } else {
    out_.clear();
  }
  if (!gone_ && started_ && !finished_) arm_watch();
}

Task<bool> HttpExchange::flush() {
  flushing_ = true;
  bool done = try_flush();
  while (!done) {
    // Whatever goes renews the time that the client has.
    waiting_ = Wait::kWrite;
    deadline_.expires_after(limits_.write_timeout);
    const error_code ec = co_await stream_.wait_writable();
    waiting_ = Wait::kNothing;
    deadline_.disarm();
    if (ec) client_left();
    done = try_flush();
  }
  flushing_ = false;
  co_return !gone_;
}

Task<bool> HttpExchange::upgrade(std::string_view protocol, std::string_view headers,
                                 std::function<void()> on_end, std::string& ahead) {
  stop_watch();
  on_gone_ = nullptr;
  if (gone_) co_return false;
  started_ = finished_ = true;
  keep_alive_ = false;
  append_status_line(101);
  out_.append("connection: Upgrade\r\nupgrade: ").append(protocol).append("\r\n");
  out_.append(headers).append("\r\n");
  ahead.assign(in_.data() + in_used_, in_size_ - in_used_);
  in_size_ = in_used_;
  const bool listening = co_await flush();
  out_ = std::string();
  if (listening) on_end_ = std::make_unique<std::function<void()>>(std::move(on_end));
  co_return listening;
}

// ---- the client's leaving ----

void HttpExchange::client_left() {
  if (gone_) return;
  gone_ = true;
  keep_alive_ = false;
  if (on_gone_) {
    const auto callback = std::exchange(on_gone_, nullptr);
    callback();
  }
}

void HttpExchange::arm_watch() {
  if (watch_ || waiting_ != Wait::kNothing || deadline_.armed()) return;
  waiting_ = Wait::kHandler;
  deadline_.expires_after(kWatchAfter);
}

void HttpExchange::stop_watch() {
  if (waiting_ == Wait::kHandler) {
    waiting_ = Wait::kNothing;
    deadline_.disarm();
  }
  if (!watch_) return;
  watch_->exchange = nullptr;
  watch_.reset();
  error_code ignored;
  stream_.socket().cancel(ignored);
}

void HttpExchange::on_deadline() {
  if (waiting_ != Wait::kHandler) {
    timed_out_ = true;
    // A read is only broken off: the client can still be told why. A write that stalls has nobody
    // to tell.
    error_code ignored;
    if (waiting_ == Wait::kWrite) {
      stream_.close();
    } else {
      stream_.socket().cancel(ignored);
    }
    return;
  }
  // The request takes its time: from now on the socket is watched. Short requests never pay for
  // this.
  waiting_ = Wait::kNothing;
  watch_ = std::make_shared<Watch>();
  watch_->exchange = this;
  stream_.socket().async_wait(tcp::socket::wait_read, [watch = watch_](error_code ec) {
    HttpExchange* const exchange = watch->exchange;
    if (exchange == nullptr) return;
    exchange->watch_.reset();
    // An error: the connection was closed from here, by close_all() or by a write that stalled.
    if (ec || exchange->stream_.peer_gone()) return exchange->client_left();
    // Bytes may be the next request (pipelined), or a TLS client's goodbye: they wait, and a socket
    // that stays readable is asked again later. Only an end or a reset means that nobody listens.
    exchange->arm_watch();
  });
}

// ---- between requests ----

Task<bool> HttpExchange::finish_request() {
  stop_watch();
  on_gone_ = nullptr;
  on_end_.reset();
  if (gone_ || !finished_) co_return false;
  if (!keep_alive_ || !head_.keep_alive) co_return false;
  if (!can_go_on()) co_return false;
  bool dropped = true;
  if (!body_read_) {
    const auto rest = co_await read_body(kDiscardMax);
    dropped = rest.has_value();
  }
  // Nobody needs it while the connection is idle.
  if (body_.capacity() > 64 * 1024) body_ = std::string();
  co_return dropped;
}

// ---- connections ----

HttpServer::HttpServer(Loop& loop, HttpHandler& handler) : loop_(loop), handler_(handler) {}

HttpServer::~HttpServer() = default;

void HttpServer::serve(Socket socket, std::shared_ptr<TlsServer> tls,
                       std::shared_ptr<const ServerLimits> limits, std::shared_ptr<void> hold) {
  asio::co_spawn(loop_.context(),
                 run(std::move(socket), std::move(tls), std::move(limits), std::move(hold)),
                 [](std::exception_ptr fault) {
                   if (!fault) return;
                   try {
                     std::rethrow_exception(fault);
                   } catch (const std::exception& what) {
                     spdlog::error("connection_failed reason=\"{}\"", what.what());
                   }
                 });
}

void HttpServer::drain() {
  draining_ = true;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = *it++;
    if (entry.exchange == nullptr) continue;  // in its TLS handshake
    if (!entry.idle) {
      entry.exchange->close_after();
    } else if (entry.fresh || !entry.exchange->quiet()) {
      // Who was let in gets one answer, and so does a request that is on its way.
      entry.exchange->hurry();
    } else {
      entry.stream->close();
    }
  }
}

void HttpServer::close_all() {
  draining_ = true;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = *it++;
    if (entry.exchange != nullptr && entry.exchange->on_end_) {
      const auto on_end = std::move(entry.exchange->on_end_);
      (*on_end)();
    } else {
      entry.stream->close();
    }
  }
}

Task<> HttpServer::run(Socket socket, std::shared_ptr<TlsServer> tls,
                       std::shared_ptr<const ServerLimits> limits, std::shared_ptr<void> hold) {
  struct Count {
    std::atomic<std::int64_t>& count;
    const std::shared_ptr<void> hold;  // what else counts this connection
    ~Count() { count.fetch_sub(1, std::memory_order_relaxed); }
  };
  const Count counted{connections_, std::move(hold)};  // reserve() counted it
  Stream stream(std::move(socket));
  Entry entry;
  entry.stream = &stream;
  entries_.push_back(entry);

  if (tls) {
    Deadline deadline(loop_, [&stream] { stream.close(); });
    deadline.expires_after(limits->tls_timeout);
    std::string why;
    const error_code failed = co_await stream.handshake(tls->make(), why);
    if (failed) co_return;
  }

  HttpExchange exchange(loop_, stream, *limits);
  entry.exchange = &exchange;
  bool more = true;
  while (more) {
    entry.idle = true;
    const bool head = co_await exchange.read_head(draining_);
    if (!head) break;
    entry.idle = entry.fresh = false;
    exchange.begin_request(draining_);
    co_await handler_.handle(exchange);
    more = co_await exchange.finish_request();
    more = more && !draining_;
  }
  // What was answered must arrive: an orderly end, then a moment for the client to have read it
  // (RFC 9112 9.6).
  if (exchange.client_gone() || !stream.is_open()) co_return;
  if (exchange.cut_short()) co_return;
  co_await exchange.linger();
}

}  // namespace switchyard::net

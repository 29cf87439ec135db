// The HTTP/1.1 side that clients see: connections, requests read whole, answers written whole or as
// a stream.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/net/http1.hpp"
#include "core/net/loop.hpp"
#include "core/net/stream.hpp"
#include "core/net/tls.hpp"

namespace switchyard::net {

struct ServerLimits {
  HeadLimits head;
  std::chrono::milliseconds head_timeout{10'000}, tls_timeout{5'000}, body_timeout{30'000},
      keep_alive_timeout{60'000}, write_timeout{60'000};
  std::uint64_t body_bytes_per_s_min = 1024;
};

// Why a body could not be read; `status` 0 means that the client is gone and nobody is left to
// answer.
struct BodyFault {
  unsigned status = 0;
  const char* reason = "";
};

// One request and its answer, for as long as the handler runs. Used only on its loop.
class HttpExchange {
 public:
  HttpExchange(Loop& loop, Stream& stream, const ServerLimits& limits);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // ---- the request ----
  const RequestHead& head() const { return head_; }
  const std::string& peer() const { return peer_; }
  // Reads the body whole, at most `bytes_max` (beyond: 413). Sends 100 Continue where the client
  // waits for it. The view lives until the handler returns. A second call gives the same view.
  Task<Result<std::string_view, BodyFault>> read_body(std::uint64_t bytes_max);
  // What read_body() gave; empty where it was not called, or in vain.
  std::string_view body() const { return body_view_; }

  // ---- the answer ----
  // Begins an answer of known length. `headers` are lines "name: value\r\n".
  void start(unsigned status, std::string_view headers, std::uint64_t length);
  // Begins an answer whose end is marked by chunking (or by closing, towards HTTP/1.0).
  void start_stream(unsigned status, std::string_view headers);
  // Appends bytes of the answer; they are copied.
  void write(std::string_view bytes);
  // Hands over the last bytes of an answer of known length; they must live until flush() returns.
  void write_last(std::string_view bytes);
  // Ends a streamed answer in order. Without it the connection is cut, which a client sees as a
  // broken stream.
  void finish_stream();
  // Sends what goes without waiting. True: nothing is left to wait for, all is sent or the client
  // is gone. Only where no flush() is running.
  bool try_flush();
  // Sends what is pending and waits while the client is slow. False: the client is gone.
  Task<bool> flush();
  bool flushing() const { return flushing_; }

  // What the answer's body says goes to `copy` as well, up to `bytes_max` bytes of it and one more
  // that tells that there was more. `copy` outlives the request.
  void copy_answer(std::string& copy, std::size_t bytes_max) {
    copy_ = &copy;
    copy_max_ = bytes_max + 1;
  }
  // The content type of an answer that is copied, once its head is there.
  const std::string& copied_type() const { return copied_type_; }

  bool started() const { return started_; }
  // The client closed or reset its connection, or does not read for too long.
  bool client_gone() const { return gone_; }
  // Calls back, once, on the loop, when the client goes while the handler waits for something else.
  // Empty: nobody.
  void on_client_gone(std::function<void()> callback);
  // The connection closes after this answer.
  void close_after() { keep_alive_ = false; }

  // Answers an upgrade with 101, these header lines beside those of the upgrade; false: the client
  // is gone. From then on the bytes of stream() are the handler's own, `ahead` the first of them,
  // and the connection ends when it returns. `on_end` is called where the server ends before:
  // return soon.
  Task<bool> upgrade(std::string_view protocol, std::string_view headers,
                     std::function<void()> on_end, std::string& ahead);
  Stream& stream() { return stream_; }

 private:
  friend class HttpServer;
  struct Watch;

  void begin_request(bool draining);
  void reset_answer();
  // The answer was begun and not ended: the client must see a cut, not an end.
  bool cut_short() const { return started_ && !finished_; }
  // Nothing of a next request has come.
  bool quiet();
  bool can_go_on() const;
  void end_head();
  // Gives a client that has not begun its request little time to do so.
  void hurry();
  // Ends the connection so that what was answered still arrives.
  Task<> linger();
  // Reads on until a head is complete; false: the connection is over (an answer was sent where one
  // was due).
  Task<bool> read_head(bool hurried);
  Task<> refuse(unsigned status, const char* reason);
  Task<Result<std::string_view, BodyFault>> read_sized(std::uint64_t bytes_max);
  Task<Result<std::string_view, BodyFault>> read_chunked(std::uint64_t bytes_max);
  Task<bool> fill();  // reads more into in_; false: end or error
  Task<> send_continue();
  void extend_body_deadline(std::uint64_t received, std::uint64_t began_ns);
  // After the handler: true where the connection can take another request.
  Task<bool> finish_request();
  void append_status_line(unsigned status);
  void append_headers(std::string_view lines);
  void copy(std::string_view bytes);
  void client_left();
  void clear_sent();
  void arm_watch();
  void stop_watch();
  void on_deadline();

  Loop& loop_;
  Stream& stream_;
  const ServerLimits& limits_;
  std::string peer_;

  std::string in_;  // bytes read; in_size_ of them are filled
  std::size_t in_size_ = 0;
  std::size_t in_used_ =
      0;  // bytes that belong to the current request (its head, then what was read of its body)
  std::size_t scanned_ = 0;
  RequestHead head_;
  std::string body_;  // where the body does not lie whole in in_
  std::string_view body_view_;
  bool body_read_ = false, body_broken_ = false, continue_sent_ = false;

  std::string* copy_ = nullptr;  // of the answer's body
  std::size_t copy_max_ = 0;
  std::string copied_type_;

  std::string out_;
  std::string_view out_last_;
  std::size_t sent_ = 0;  // of out_ and out_last_ together
  bool started_ = false, chunked_ = false, finished_ = false, head_only_ = false;
  std::uint64_t length_left_ = 0;
  bool keep_alive_ = true, gone_ = false, flushing_ = false, timed_out_ = false;

  std::function<void()> on_gone_;
  std::unique_ptr<std::function<void()>> on_end_;  // once upgraded
  std::shared_ptr<Watch> watch_;
  enum class Wait { kNothing, kRead, kWrite, kHandler };
  Wait waiting_ = Wait::kNothing;
  Deadline deadline_;
};

// What serves requests. Errors of a handler that are not caught end the connection and are logged.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual Task<> handle(HttpExchange& exchange) = 0;
};

// All client connections of one loop.
class HttpServer {
 public:
  HttpServer(Loop& loop, HttpHandler& handler);
  ~HttpServer();

  // Serves one accepted connection from now on. `tls` may be null; `hold` is let go when the
  // connection has ended. [loop]
  void serve(Socket socket, std::shared_ptr<TlsServer> tls,
             std::shared_ptr<const ServerLimits> limits, std::shared_ptr<void> hold);
  // No further request on any connection: idle ones close now, the others after their answer.
  // [loop]
  void drain();
  // Cuts what is left. [loop]
  void close_all();
  // Counts a connection that is on its way to serve(). [any thread]
  void reserve() { connections_.fetch_add(1, std::memory_order_relaxed); }
  // The same connection, where it does not get there. [any thread]
  void release() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  // [any thread]
  std::int64_t connections() const { return connections_.load(std::memory_order_relaxed); }

 private:
  Task<> run(Socket socket, std::shared_ptr<TlsServer> tls,
             std::shared_ptr<const ServerLimits> limits, std::shared_ptr<void> hold);

  Loop& loop_;
  HttpHandler& handler_;
  bool draining_ = false;
  std::atomic<std::int64_t> connections_{0};
  struct Entry : boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    Stream* stream = nullptr;
    HttpExchange* exchange = nullptr;
    bool idle = true;   // between requests
    bool fresh = true;  // has not had its first request yet
  };
  boost::intrusive::list<Entry, boost::intrusive::constant_time_size<false>> entries_;
};

// The text of a status code ("Not Found").
const char* reason_phrase(unsigned status);

}  // namespace switchyard::net

// The upstream of the benchmarks: one thread, one epoll. It answers by the request's model: "idle"
// opens a stream that then says nothing, "sse-<interval ms>-<events>" a paced stream, anything else
// a JSON answer of 0.9 KB. Streams are OpenAI's, or Anthropic's at /v1/messages. Usage:
// bench_upstream [CERTIFICATE KEY]; prints "plain PORT" and "tls PORT".
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/timerfd.h>

#include <array>
#include <csignal>
#include <memory>
#include <unordered_map>
#include <vector>

#include "bench_io.hpp"

namespace {

using bench::die;

constexpr std::uint64_t kTagPlain = 0, kTagTls = 1, kTagTimer = 2, kTagFirstClient = 16;
constexpr std::size_t kWheelSlots = 1024;  // of 1 ms

std::string chunked(std::string_view data) {
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return std::string(size).append(data).append("\r\n");
}

std::string delta(std::string_view content) {
  std::string event =
      R"(data: {"id":"chatcmpl-bench0000000000000000000000","object":"chat.completion.chunk",)"
      R"("created":1795132800,"model":"bench","service_tier":"default","choices":[{"index":0,"delta":)";
  event.append(content).append(R"(,"logprobs":null,"finish_reason":null}]})").append("\n\n");
  return chunked(event);
}

// What a stream is made of: how it begins, its events, its end.
struct Script {
  std::string begin, event, end;
};

const Script& openai_script() {
  static const Script script{delta(R"({"role":"assistant","content":""})"),
                             delta(R"({"content":" token"})"), chunked("data: [DONE]\n\n")};
  return script;
}

std::string anthropic_event(std::string_view type, std::string_view members) {
  std::string event = "event: ";
  event.append(type).append("\ndata: {\"type\":\"").append(type).append("\",");
  return chunked(event.append(members).append("}\n\n"));
}

const Script& anthropic_script() {
  static const Script script{
      anthropic_event("message_start",
                      R"("message":{"id":"msg_bench000000000000000000","type":"message",)"
                      R"("role":"assistant","model":"bench","content":[],"stop_reason":null,)"
                      R"("stop_sequence":null,"usage":{"input_tokens":220,"output_tokens":1}})") +
          anthropic_event("content_block_start",
                          R"("index":0,"content_block":{"type":"text","text":""})"),
      anthropic_event("content_block_delta",
                      R"("index":0,"delta":{"type":"text_delta","text":" token"})"),
      anthropic_event("content_block_stop", R"("index":0)") +
          anthropic_event("message_delta",
                          R"("delta":{"stop_reason":"end_turn","stop_sequence":null},)"
                          R"("usage":{"output_tokens":140})") +
          chunked("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")};
  return script;
}

std::string json_answer() {
  std::string body =
      R"({"id":"chatcmpl-bench0000000000000000000000","object":"chat.completion","created":1795132800,)"
      R"("model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":")";
  body.append(560, 'x');
  body +=
      R"(","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":)"
      R"({"prompt_tokens":220,"completion_tokens":140,"total_tokens":360,"prompt_tokens_details":)"
      R"({"cached_tokens":0}},"service_tier":"default"})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Client {
  int fd = -1;
  SSL* tls = nullptr;
  std::string in, out;
  bool wants_write = false;
  const Script* script = nullptr;  // of the stream that runs
  std::size_t interval_ms = 0;
  std::uint64_t events_left = 0;

  ~Client() {
    if (tls != nullptr) SSL_free(tls);
    if (fd >= 0) ::close(fd);
  }
};

class Upstream {
 public:
  explicit Upstream(SSL_CTX* tls) : tls_(tls), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) die("epoll_create1");
    std::printf("plain %u\n", listen(kTagPlain));
    if (tls_ != nullptr) std::printf("tls %u\n", listen(kTagTls));
    std::fflush(stdout);
    start_timer();
  }

  void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int n = ::epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < n; ++i) handle(events[static_cast<std::size_t>(i)]);
    }
  }

 private:
  unsigned listen(std::uint64_t tag) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address = bench::loopback(0);
    socklen_t size = sizeof address;
    if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(fd, 4096) != 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      die("listen");
    }
    bench::watch(epoll_, fd, EPOLLIN, tag);
    listeners_[tag] = fd;
    return ntohs(address.sin_port);
  }

  void start_timer() {
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    itimerspec every_ms{};
    every_ms.it_interval.tv_nsec = every_ms.it_value.tv_nsec = 1'000'000;
    if (timer_ < 0 || ::timerfd_settime(timer_, 0, &every_ms, nullptr) != 0) die("timerfd");
    bench::watch(epoll_, timer_, EPOLLIN, kTagTimer);
  }

  void handle(const epoll_event& event) {
    const std::uint64_t tag = event.data.u64;
    if (tag == kTagTimer) return tick();
    if (tag < kTagFirstClient) return accept_all(tag);
    const auto found = clients_.find(tag);
    if (found == clients_.end()) return;
    const bool alive = (event.events & EPOLLOUT) == 0 || flush(tag, *found->second);
    if (!alive || ((event.events & ~EPOLLOUT) != 0 && !read(tag, *found->second))) {
      clients_.erase(tag);
    }
  }

  void accept_all(std::uint64_t tag) {
    for (;;) {
      const int fd = ::accept4(listeners_[tag], nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      bench::no_delay(fd);
      auto client = std::make_unique<Client>();
      client->fd = fd;
      if (tag == kTagTls) {
        client->tls = SSL_new(tls_);
        SSL_set_fd(client->tls, fd);
        SSL_set_accept_state(client->tls);
      }
      const std::uint64_t id = next_id_++;
      bench::watch(epoll_, fd, EPOLLIN, id);
      clients_.emplace(id, std::move(client));
    }
  }

  // False: the connection is over.
  bool read(std::uint64_t id, Client& client) {
    char buffer[16 * 1024];
    for (;;) {
      const ssize_t n = receive(client, buffer, sizeof buffer);
      if (n == 0) return false;
      if (n < 0) break;
      client.in.append(buffer, static_cast<std::size_t>(n));
      if (client.tls == nullptr && static_cast<std::size_t>(n) < sizeof buffer) break;
    }
    for (;;) {
      const std::size_t size = bench::message_size(client.in);
      if (size == 0) break;
      answer(id, client, std::string_view(client.in).substr(0, size));
      client.in.erase(0, size);
    }
    return flush(id, client);
  }

  // Bytes read; 0: over; -1: nothing there.
  static ssize_t receive(Client& client, char* to, std::size_t size) {
    if (client.tls == nullptr) {
      const ssize_t n = ::read(client.fd, to, size);
      return n >= 0 ? n : (errno == EAGAIN ? -1 : 0);
    }
    ERR_clear_error();  // one queue for all: what another connection left there is not this one's
    const int n = SSL_read(client.tls, to, static_cast<int>(size));
    if (n > 0) return n;
    const int why = SSL_get_error(client.tls, n);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -1 : 0;
  }

  void answer(std::uint64_t id, Client& client, std::string_view request) {
    static const std::string json = json_answer();
    static const std::string head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    const std::string model = model_of(request);
    client.script =
        request.starts_with("POST /v1/messages") ? &anthropic_script() : &openai_script();
    unsigned interval_ms = 0;
    unsigned long long events = 0;
    if (model == "idle") {
      client.out += head + client.script->begin + client.script->event;
    } else if (std::sscanf(model.c_str(), "sse-%u-%llu", &interval_ms, &events) == 2 &&
               interval_ms > 0 && interval_ms < kWheelSlots) {
      client.out += head + client.script->begin;
      client.interval_ms = interval_ms;
      client.events_left = events;
      // Streams keep different phases, as those of different people do.
      wheel_[(slot_ + 1 + id % interval_ms) % kWheelSlots].push_back(id);
    } else {
      client.out += json;
    }
  }

  static std::string model_of(std::string_view request) {
    constexpr std::string_view kMember = "\"model\":";
    const std::size_t at = request.find(kMember);
    if (at == std::string_view::npos) return {};
    const std::size_t begin = request.find('"', at + kMember.size()) + 1;
    return std::string(request.substr(begin, request.find('"', begin) - begin));
  }

  void tick() {
    std::uint64_t ticks = 0;
    if (::read(timer_, &ticks, sizeof ticks) != sizeof ticks) return;
    for (; ticks > 0; --ticks) {
      slot_ = (slot_ + 1) % kWheelSlots;
      std::vector<std::uint64_t> due;
      due.swap(wheel_[slot_]);
      for (const std::uint64_t id : due) send_event(id);
    }
  }

  void send_event(std::uint64_t id) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    Client& client = *found->second;
    const bool more = client.events_left-- > 0;
    client.out += more ? client.script->event : client.script->end + "0\r\n\r\n";
    if (more) wheel_[(slot_ + client.interval_ms) % kWheelSlots].push_back(id);
    if (!flush(id, client)) clients_.erase(id);
  }

  bool flush(std::uint64_t id, Client& client) {
    if (client.tls != nullptr && !SSL_is_init_finished(client.tls)) return true;
    while (!client.out.empty()) {
      const ssize_t n = send(client);
      if (n == 0) return false;
      if (n < 0) break;
      client.out.erase(0, static_cast<std::size_t>(n));
    }
    const bool wants_write = !client.out.empty();
    if (wants_write != client.wants_write) {
      client.wants_write = wants_write;
      epoll_event event{};
      event.events = wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
      event.data.u64 = id;
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);
    }
    return true;
  }

  static ssize_t send(Client& client) {
    if (client.tls == nullptr) {
      const ssize_t n = ::send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
      return n >= 0 ? n : (errno == EAGAIN ? -1 : 0);
    }
    ERR_clear_error();
    const int n = SSL_write(client.tls, client.out.data(), static_cast<int>(client.out.size()));
    if (n > 0) return n;
    return SSL_get_error(client.tls, n) == SSL_ERROR_WANT_WRITE ? -1 : 0;
  }

  SSL_CTX* tls_;
  int epoll_, timer_ = -1;
  std::array<int, 2> listeners_{-1, -1};
  std::uint64_t next_id_ = kTagFirstClient;
  std::size_t slot_ = 0;
  std::array<std::vector<std::uint64_t>, kWheelSlots> wheel_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Client>> clients_;
};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  SSL_CTX* tls = nullptr;
  if (argc == 3) {
    tls = SSL_CTX_new(TLS_server_method());
    // Thousands of idle streams are held here too; the tool's own memory is not the measured one.
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(tls, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, argv[2], SSL_FILETYPE_PEM) != 1) {
      die("certificate");
    }
  }
  Upstream(tls).run();
}

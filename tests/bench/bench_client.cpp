// The clients of the benchmarks, both for plain HTTP on loopback:
//   bench_client stream PORT STREAMS REQUEST_FILE        opens the streams, prints "ready" when
//   each had its first
//     content; then prints the number of events seen so far for each line on stdin, until stdin
//     ends.
//   bench_client rate PORT RATE CONNECTIONS SECONDS REQUEST_FILE   sends requests at a constant
//   rate whatever the
//     answers do (latency counts from the moment a request was due), prints the latencies'
//     percentiles as JSON.
#include <sys/prctl.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <deque>
#include <fstream>
#include <iterator>
#include <vector>

#include "bench_io.hpp"

namespace {

using bench::die;

constexpr std::uint64_t kTagInput = ~0ull;

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) die(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) die("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

class Streams {
 public:
  Streams(std::uint16_t port, std::size_t count, const std::string& request)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), seen_(count), fds_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      fds_[i] = bench::connect_to(port);
      bench::watch(epoll_, fds_[i], EPOLLIN, i);
      send_all(fds_[i], request);
    }
    bench::watch(epoll_, STDIN_FILENO, EPOLLIN, kTagInput);
  }

  void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int n = ::epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < n; ++i) {
        const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
        if (tag == kTagInput) {
          if (!answer()) return;
        } else {
          read(static_cast<std::size_t>(tag));
        }
      }
    }
  }

 private:
  // How many events began: a cut inside the five bytes is so rare with paced events that it is not
  // looked for.
  static std::uint64_t count_events(std::string_view bytes) {
    std::uint64_t events = 0;
    for (std::size_t at = bytes.find("data:"); at != std::string_view::npos;
         at = bytes.find("data:", at + 5)) {
      ++events;
    }
    return events;
  }

  void read(std::size_t stream) {
    char buffer[64 * 1024];
    const ssize_t n = ::read(fds_[stream], buffer, sizeof buffer);
    if (n <= 0) die("a stream ended after " + std::to_string(seen_[stream]) + " events");
    const std::string_view bytes(buffer, static_cast<std::size_t>(n));
    if (seen_[stream] == 0 && bytes.substr(0, 7) == "HTTP/1." &&
        bytes.find("text/event-stream") == std::string_view::npos) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(n), buffer);
      die("a stream was refused");
    }
    const std::uint64_t events = count_events(bytes);
    const bool first_content = seen_[stream] < 2 && seen_[stream] + events >= 2;
    seen_[stream] += events;
    total_ += events;
    if (first_content && ++started_ == seen_.size()) say("ready");
  }

  bool answer() {
    char line[64];
    if (::read(STDIN_FILENO, line, sizeof line) <= 0) return false;
    say(std::to_string(total_).c_str());
    return true;
  }

  static void say(const char* text) {
    std::printf("%s\n", text);
    std::fflush(stdout);
  }

  int epoll_;
  std::vector<std::uint64_t> seen_;  // events per stream
  std::vector<int> fds_;
  std::uint64_t total_ = 0;
  std::size_t started_ = 0;
};

class ConstantRate {
 public:
  ConstantRate(std::uint16_t port, double per_s, std::size_t connections, double seconds,
               std::string request)
      : request_(std::move(request)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
        interval_ns_(1e9 / per_s),
        requests_(static_cast<std::size_t>(per_s * seconds)),
        connections_(connections) {
    latencies_ns_.reserve(requests_);
    for (std::size_t i = 0; i < connections; ++i) {
      connections_[i].fd = bench::connect_to(port);
      bench::watch(epoll_, connections_[i].fd, EPOLLIN, i);
      free_.push_back(i);
    }
    bench::watch(epoll_, timer_, EPOLLIN, kTagInput);
  }

  void run() {
    start_ns_ = bench::now_ns() + 1'000'000;
    std::array<epoll_event, 256> events;
    while (latencies_ns_.size() < requests_) {
      send_due();
      arm();
      const int n = ::epoll_wait(epoll_, events.data(), events.size(), 5000);
      if (n == 0) die("no answer for 5 s");
      for (int i = 0; i < n; ++i) {
        const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
        if (tag != kTagInput) read(static_cast<std::size_t>(tag));
      }
    }
    print();
  }

 private:
  struct Connection {
    int fd = -1;
    std::uint64_t due_ns = 0;
    std::string in;
  };

  std::uint64_t due_ns(std::size_t request) const {
    return start_ns_ + static_cast<std::uint64_t>(interval_ns_ * static_cast<double>(request));
  }

  void send_due() {
    while (sent_ < requests_ && !free_.empty() && due_ns(sent_) <= bench::now_ns()) {
      Connection& connection = connections_[free_.front()];
      free_.pop_front();
      connection.due_ns = due_ns(sent_++);
      send_all(connection.fd, request_);
    }
  }

  void arm() {
    itimerspec at{};
    if (sent_ < requests_ && !free_.empty()) {
      const std::uint64_t due = due_ns(sent_);
      at.it_value.tv_sec = static_cast<time_t>(due / 1'000'000'000u);
      at.it_value.tv_nsec = static_cast<long>(due % 1'000'000'000u);
    }
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
  }

  void read(std::size_t index) {
    Connection& connection = connections_[index];
    char buffer[16 * 1024];
    const ssize_t n = ::read(connection.fd, buffer, sizeof buffer);
    if (n <= 0) die("a connection ended");
    connection.in.append(buffer, static_cast<std::size_t>(n));
    const std::size_t size = bench::message_size(connection.in);
    if (size == 0) return;
    if (connection.in.compare(9, 3, "200") != 0) die("status " + connection.in.substr(9, 3));
    connection.in.erase(0, size);
    latencies_ns_.push_back(bench::now_ns() - connection.due_ns);
    free_.push_back(index);
  }

  void print() {
    std::sort(latencies_ns_.begin(), latencies_ns_.end());
    const auto at_us = [this](double quantile) {
      const auto index = static_cast<std::size_t>(quantile * static_cast<double>(requests_ - 1));
      return static_cast<double>(latencies_ns_[index]) / 1000.0;
    };
    std::printf(
        "{\"requests\":%zu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f}\n",
        requests_, at_us(0.5), at_us(0.9), at_us(0.99), at_us(0.999));
  }

  std::string request_;
  int epoll_, timer_;
  double interval_ns_;
  std::size_t requests_, sent_ = 0;
  std::vector<Connection> connections_;
  std::deque<std::size_t> free_;
  std::vector<std::uint64_t> latencies_ns_;
  std::uint64_t start_ns_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "stream" && argc == 5) {
    Streams(static_cast<std::uint16_t>(std::atoi(argv[2])),
            static_cast<std::size_t>(std::atoi(argv[3])), read_file(argv[4]))
        .run();
    return 0;
  }
  if (mode == "rate" && argc == 7) {
    ::prctl(PR_SET_TIMERSLACK, 1);
    ConstantRate(static_cast<std::uint16_t>(std::atoi(argv[2])), std::atof(argv[3]),
                 static_cast<std::size_t>(std::atoi(argv[4])), std::atof(argv[5]),
                 read_file(argv[6]))
        .run();
    return 0;
  }
  std::fprintf(stderr, "usage: see the top of tests/bench/bench_client.cpp\n");
  return 2;
}

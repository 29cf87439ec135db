// The product's own supervisor and command line around a worker made for tests: it answers every
// request with its process id, and misbehaves as the file `behaviour` in the state directory says:
//   cannot-start   leaves at once, as over a bad configuration     die-at-start   crashes at once
//   never-ready    hangs before READY                              refuse-reload  answers RELOAD
//   with REFUSED   ignore-drain   takes no notice of DRAIN         mute           serves, never
//   READY
// The body of the answer to "GET /slow" waits until the file `finish` is there.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "core/cli/dispatch.hpp"
#include "core/worker/control.hpp"
#include "core/worker/worker.hpp"

namespace {

std::atomic<int> open_requests{0};

std::string behaviour(const switchyard::WorkerOptions& options) {
  std::ifstream file(options.state / "behaviour");
  std::string word;
  file >> word;
  return word;
}

void send_text(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

void wait_ms(int ms) { poll(nullptr, 0, ms); }

void answer(int fd, const std::filesystem::path& state) {
  char head[4096];
  const ssize_t size = ::recv(fd, head, sizeof head, 0);
  const std::string request(head, size > 0 ? static_cast<std::size_t>(size) : 0);
  const std::string body = std::to_string(getpid()) + '\n';
  send_text(fd, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: " +
                    std::to_string(body.size()) + "\r\n\r\n");
  if (request.starts_with("GET /slow")) {
    while (!std::filesystem::exists(state / "finish")) wait_ms(5);
  }
  send_text(fd, body);
  ::close(fd);
  --open_requests;
}

void accept_all(int listener, const std::filesystem::path& state) {
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++open_requests;
    std::thread(answer, fd, state).detach();
  }
}

void drain() {
  while (open_requests > 0) wait_ms(5);
}

}  // namespace

int switchyard::run_worker(const WorkerOptions& options) {
  const std::string how = behaviour(options);
  if (how == "cannot-start") return kWorkerCannotStart;
  if (how == "die-at-start") std::abort();
  if (how != "never-ready" && how != "mute") {
    control::send(options.control_fd, control::Tag::kReady);
  }

  for (;;) {
    std::vector<pollfd> waited{{options.control_fd, POLLIN, 0}};
    if (how != "never-ready") {
      for (const int fd : options.listen_fds) waited.push_back({fd, POLLIN, 0});
    }
    poll(waited.data(), waited.size(), -1);
    for (std::size_t i = 1; i < waited.size(); ++i) accept_all(waited[i].fd, options.state);

    control::Message message;
    const auto received = control::receive(options.control_fd, message);
    if (received == control::Received::kNothing) continue;
    if (received == control::Received::kMessage && message.tag == control::Tag::kReload) {
      const bool refuse = behaviour(options) == "refuse-reload";
      control::send(options.control_fd, refuse ? control::Tag::kRefused : control::Tag::kReloaded,
                    "as told");
      continue;
    }
    if (received == control::Received::kMessage && message.tag != control::Tag::kDrain) continue;
    if (behaviour(options) == "ignore-drain") {
      for (;;) pause();
    }
    for (const int fd : options.listen_fds) {
      accept_all(fd, options.state);
      ::close(fd);
    }
    drain();
    control::send(options.control_fd, control::Tag::kDrained);
    return 0;
  }
}

int main(int argc, char** argv) { return switchyard::cli::dispatch(argc, argv); }

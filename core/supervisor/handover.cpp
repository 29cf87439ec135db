#include "core/supervisor/handover.hpp"

#include <charconv>

namespace switchyard::supervisor {
namespace {

// "1 listen=9,0,40001,1,127.0.0.1 admin=10,8081,8081,0,127.0.0.1 worker=123,7,0": words, and
// numbers parted by commas.
std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view word = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return word;
}

template <class Number>
bool take_number(std::string_view& text, Number& number) {
  const std::string_view word = take_until(text, ',');
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size();
}

bool parse_listener(std::string_view text, HandedListener& listener) {
  int tls = 0;
  const bool ok = take_number(text, listener.fd) && take_number(text, listener.asked.port) &&
                  take_number(text, listener.port) && take_number(text, tls);
  listener.asked.tls = tls != 0;
  listener.asked.address = std::string(text);
  return ok && listener.fd > 2 && !text.empty();
}

bool parse_worker(std::string_view text, HandedWorker& worker) {
  const bool ok = take_number(text, worker.pid) && take_number(text, worker.control_fd) &&
                  take_number(text, worker.kill_at_ns);
  return ok && worker.pid > 0;
}

std::string encode(std::string_view name, const HandedListener& listener) {
  return ' ' + std::string(name) + '=' + std::to_string(listener.fd) + ',' +
         std::to_string(listener.asked.port) + ',' + std::to_string(listener.port) + ',' +
         (listener.asked.tls ? '1' : '0') + ',' + listener.asked.address;
}

}  // namespace

std::string encode(const Handover& handover) {
  std::string text = std::to_string(kHandoverVersion);
  for (const HandedListener& listener : handover.open) text += encode("listen", listener);
  if (handover.admin) text += encode("admin", *handover.admin);
  for (const HandedWorker& worker : handover.workers) {
    text += " worker=" + std::to_string(worker.pid) + ',' + std::to_string(worker.control_fd) +
            ',' + std::to_string(worker.kill_at_ns);
  }
  return text;
}

Result<Handover> decode_handover(std::string_view text) {
  const std::string whole(text);
  const std::string_view version = take_until(text, ' ');
  if (version != std::to_string(kHandoverVersion)) {
    return Error{"handover version " + std::string(version) + ", expected " +
                 std::to_string(kHandoverVersion)};
  }
  Handover handover;
  while (!text.empty()) {
    std::string_view value = take_until(text, ' ');
    const std::string_view name = take_until(value, '=');
    bool ok = true;
    if (name == "listen" || name == "admin") {
      HandedListener listener;
      ok = parse_listener(value, listener);
      if (name == "admin") {
        handover.admin = std::move(listener);
      } else {
        handover.open.push_back(std::move(listener));
      }
    } else if (name == "worker") {
      ok = parse_worker(value, handover.workers.emplace_back());
    }
    if (!ok) return Error{"handover can't be read: " + whole};
  }
  return handover;
}

}  // namespace switchyard::supervisor

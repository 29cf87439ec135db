#include "core/net/dns.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "core/base/clock.hpp"
#include "core/net/await.hpp"
#include "core/net/text.hpp"

namespace switchyard::net {
namespace {

using Addresses = Resolver::Addresses;

constexpr std::uint64_t kFailureKept_ns = 1'000'000'000;
// How long a question waits for the name service where an old answer is at hand.
constexpr std::chrono::milliseconds kStaleAfter{500};
constexpr std::size_t kNamesMax = 4096;

// RFC 6761, section 6.3: these names are this machine, and nobody else may say otherwise.
bool is_localhost(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  return ('.' + to_lower(host)).ends_with(".localhost");
}

Addresses loopback() {
  using namespace asio::ip;
  const std::vector<address> both{address_v6::loopback(), address_v4::loopback()};
  return std::make_shared<const std::vector<address>>(both);
}

std::vector<asio::ip::address> ask_system(const std::string& host, std::string& why) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int fault = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  std::vector<asio::ip::address> addresses;
  if (fault != 0) {
    why = ::gai_strerror(fault);
    return addresses;
  }
  for (const addrinfo* entry = list; entry; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      const auto* in = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
      addresses.push_back(asio::ip::address_v4(ntohl(in->sin_addr.s_addr)));
    } else if (entry->ai_family == AF_INET6) {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      asio::ip::address_v6::bytes_type bytes;
      std::copy_n(in->sin6_addr.s6_addr, bytes.size(), bytes.begin());
      addresses.push_back(asio::ip::address_v6(bytes, in->sin6_scope_id));
    }
  }
  ::freeaddrinfo(list);
  if (addresses.empty()) why = "the name has no address";
  return addresses;
}

// One question that waits on a loop for an answer from a thread. The timer only wakes it.
struct Waiter {
  explicit Waiter(Executor loop) : executor(loop), timer(loop) {}
  Executor executor;
  Timer timer;
  std::optional<Result<Addresses>> answer;  // on the loop only
};
using WaiterPtr = std::shared_ptr<Waiter>;

struct Entry {
  Addresses addresses;  // the last good answer
  std::uint64_t fetched_ns = 0;
  std::string why;  // the last failure
  std::uint64_t failed_ns = 0;
  bool asking = false;
  std::uint64_t asked_ns = 0;
  std::vector<WaiterPtr> waiters;
};

// Takes a waiter off its name's list however the coroutine ends.
template <class Impl>
class Listed {
 public:
  Listed(Impl& impl, const std::string& host, const WaiterPtr& waiter)
      : impl_(impl), host_(host), waiter_(waiter) {}
  ~Listed() { impl_.forget(host_, waiter_); }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

 private:
  Impl& impl_;
  const std::string& host_;
  const WaiterPtr& waiter_;
};

Error failure(const std::string& host, const std::string& why) {
  return Error{"name does not resolve: " + host + ": " + why};
}

}  // namespace

class Resolver::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {
    asks_system_ = !options_.lookup;
    if (asks_system_) options_.lookup = ask_system;
    if (!options_.now_ns) options_.now_ns = mono_ns;
  }

  // What is known without waiting. Else `waiter` is put on the name's list.
  std::optional<Result<Addresses>> ask(const std::string& host, const WaiterPtr& waiter,
                                       Addresses& stale) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t now = options_.now_ns();
    if (entries_.size() >= kNamesMax && !entries_.contains(host)) make_room();
    Entry& entry = entries_[host];
    const std::uint64_t age = now - entry.fetched_ns;
    const std::uint64_t ttl = ns(options_.ttl);
    if (entry.addresses && age < ttl) {
      if (age > ttl / 4 * 3 && !failed_lately(entry, now)) enqueue(host, entry);
      return Result<Addresses>(entry.addresses);
    }
    if (entry.addresses && age < ttl + ns(options_.stale)) stale = entry.addresses;
    if (failed_lately(entry, now)) {
      if (stale) return Result<Addresses>(stale);
      return Result<Addresses>(failure(host, entry.why));
    }
    const bool slow = entry.asking && now - entry.asked_ns >= ns(kStaleAfter);
    if (slow && stale) return Result<Addresses>(stale);
    enqueue(host, entry);
    entry.waiters.push_back(waiter);
    return std::nullopt;
  }

  void forget(const std::string& host, const WaiterPtr& waiter) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(host);
    if (found != entries_.end()) std::erase(found->second.waiters, waiter);
  }

  void start(const std::shared_ptr<Impl>& self) {
    workers_.resize(std::max(1u, options_.threads));
    for (Worker& worker : workers_) {
      worker.thread = std::thread([self, &worker] { self->run(worker); });
    }
  }

  // A thread that is deep in the name service may stay there for many seconds: it is left behind,
  // and ends by itself. A lookup of the caller's own is waited for, for what it uses may go next.
  void stop() {
    std::vector<std::thread> ending;
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      for (Worker& worker : workers_) {
        if (worker.busy && asks_system_) {
          worker.thread.detach();
        } else {
          ending.push_back(std::move(worker.thread));
        }
      }
      for (auto& [host, entry] : entries_) {
        entry.why = "the host is stopping";
        tell(host, entry);
      }
    }
    wake_.notify_all();
    for (std::thread& thread : ending) thread.join();
  }

 private:
  static std::uint64_t ns(std::chrono::milliseconds time) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
  }
  static bool failed_lately(const Entry& entry, std::uint64_t now) {
    return !entry.why.empty() && now - entry.failed_ns < kFailureKept_ns;
  }

  void enqueue(const std::string& host, Entry& entry) {
    if (entry.asking) return;
    entry.asking = true;
    entry.asked_ns = options_.now_ns();
    queue_.push_back(host);
    wake_.notify_one();
  }

  void settle(const std::string& host, std::vector<asio::ip::address> list, std::string why) {
    Entry& entry = entries_[host];
    entry.asking = false;
    const std::uint64_t now = options_.now_ns();
    if (!list.empty()) {
      entry.addresses = std::make_shared<const std::vector<asio::ip::address>>(std::move(list));
      entry.fetched_ns = now;
      entry.why.clear();
    } else {
      entry.why = why.empty() ? "the name service failed" : std::move(why);
      entry.failed_ns = now;
      if (entry.addresses && now - entry.fetched_ns >= ns(options_.ttl) + ns(options_.stale)) {
        entry.addresses.reset();
      }
    }
    tell(host, entry);
  }

  // Under the mutex: a waiter that is still listed keeps its loop alive, for it takes itself off
  // first.
  void tell(const std::string& host, Entry& entry) {
    for (WaiterPtr& waiter : entry.waiters) {
      Result<Addresses> answer = failure(host, entry.why);
      if (entry.addresses) answer = entry.addresses;
      const Executor executor = waiter->executor;
      asio::post(executor, [waiter = std::move(waiter), answer = std::move(answer)]() mutable {
        waiter->answer = std::move(answer);
        waiter->timer.cancel();
      });
    }
    entry.waiters.clear();
  }

  // Names come from clients too: the table is bounded, and what nobody waits for can be asked
  // again.
  void make_room() {
    std::erase_if(entries_, [&](const auto& item) {
      const Entry& entry = item.second;
      return !entry.asking && entry.waiters.empty() &&
             options_.now_ns() - entry.fetched_ns >= ns(options_.ttl);
    });
    for (auto it = entries_.begin(); it != entries_.end() && entries_.size() >= kNamesMax;) {
      const bool idle = !it->second.asking && it->second.waiters.empty();
      it = idle ? entries_.erase(it) : std::next(it);
    }
  }

  struct Worker {
    std::thread thread;
    bool busy = false;
  };

  void run(Worker& worker) {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      const std::string host = std::move(queue_.front());
      queue_.pop_front();
      worker.busy = true;
      lock.unlock();
      std::string why;
      auto list = options_.lookup(host, why);
      lock.lock();
      worker.busy = false;
      settle(host, std::move(list), std::move(why));
    }
  }

  Options options_;
  bool asks_system_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::deque<std::string> queue_;
  std::unordered_map<std::string, Entry> entries_;
  std::vector<Worker> workers_;
};

Resolver::Resolver(Options options) : impl_(std::make_shared<Impl>(std::move(options))) {
  impl_->start(impl_);
}

Resolver::~Resolver() { impl_->stop(); }

Task<Result<Addresses>> Resolver::resolve(std::string host) {
  Cancel never;
  co_return co_await resolve(std::move(host), never);
}

Task<Result<Addresses>> Resolver::resolve(std::string host, Cancel& cancel) {
  error_code ec;
  const auto literal = asio::ip::make_address(host, ec);
  if (!ec) {
    co_return std::make_shared<const std::vector<asio::ip::address>>(1, literal);
  }
  if (is_localhost(host)) co_return loopback();

  const std::shared_ptr<Impl> impl = impl_;
  const Executor executor = co_await asio::this_coro::executor;
  const WaiterPtr waiter = std::make_shared<Waiter>(executor);
  Addresses stale;
  auto known = impl->ask(host, waiter, stale);
  if (known) co_return std::move(*known);

  const Listed<Impl> listed(*impl, host, waiter);
  const Cancel::Scope scope(cancel, [&waiter] { waiter->timer.cancel(); });
  if (stale) {
    waiter->timer.expires_after(kStaleAfter);
  } else {
    waiter->timer.expires_at(Timer::time_point::max());
  }
  if (!cancel.cancelled()) co_await waiter->timer.async_wait(kAwait);
  if (waiter->answer) co_return std::move(*waiter->answer);
  if (stale && !cancel.cancelled()) co_return stale;
  co_return failure(host, "given up");
}

}  // namespace switchyard::net

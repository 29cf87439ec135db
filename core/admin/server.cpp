#include "core/admin/server.hpp"

#include <httplib.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/clock.hpp"
#include "core/observe/log.hpp"

namespace switchyard::admin {
namespace {

using observe::quote;
using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

constexpr std::size_t kThreads = 4;
constexpr time_t kIoTimeoutS = 5;

Digest digest(std::string_view text) {
  Digest out;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data());
  return out;
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

// The name in a Host header, without its port.
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_local(const httplib::Request& request) {
  // Behind a proxy on this machine every peer is a loopback peer.
  if (request.has_header("X-Forwarded-For") || request.has_header("Forwarded")) return false;
  // A web page that had its own name resolved to this machine is no local caller.
  const std::string host = request.get_header_value("Host");
  const std::string_view name = host_name(host);
  const bool named_local = name == "localhost" || name == "[::1]" || name.starts_with("127.");
  return named_local && is_loopback(request.remote_addr);
}

void reply(httplib::Response& response, const Answer& answer) {
  response.status = answer.status;
  for (const auto& [name, value] : answer.headers) response.set_header(name, value);
  response.set_content(answer.body, answer.type);
}

// What httplib refuses by itself has no body yet.
void explain(const httplib::Request&, httplib::Response& response) {
  if (!response.body.empty()) return;
  reply(response, error_answer(response.status, "The request can't be served.",
                               "invalid_request_error", "bad_request"));
}

using Texts = std::map<std::string, std::string>;

std::string_view take_segment(std::string_view& rest) {
  const std::size_t slash = rest.find('/');
  const std::string_view segment = rest.substr(0, slash);
  rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  return segment;
}

// What of `path` stands for the {NAME}s of `pattern`; nothing where it does not fit.
std::optional<Texts> match(std::string_view pattern, std::string_view path) {
  if (std::count(pattern.begin(), pattern.end(), '/') !=
      std::count(path.begin(), path.end(), '/')) {
    return std::nullopt;
  }
  Texts params;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view wanted = take_segment(pattern);
    const std::string_view given = take_segment(path);
    const bool is_param = wanted.starts_with('{');
    if (is_param ? given.empty() : wanted != given) return std::nullopt;
    if (is_param) params.emplace(wanted.substr(1, wanted.size() - 2), given);
  }
  return params;
}

// As httplib registers it: names are read by match().
std::string to_regex(std::string_view pattern) {
  std::string regex;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '{') {
      regex += "[^/]+";
      i = pattern.find('}', i);
    } else {
      if (pattern[i] == '.') regex += '\\';
      regex += pattern[i];
    }
  }
  return regex;
}

Request to_request(const Route& route, const httplib::Request& from, const std::string& body) {
  Request request{from.method,
                  from.path,
                  body,
                  from.get_header_value("Idempotency-Key"),
                  match(route.path, from.path).value_or(Texts()),
                  {},
                  {},
                  from.remote_addr,
                  from.has_header("Idempotency-Key")};
  for (const auto& [name, value] : from.params) request.query.emplace(name, value);
  return request;
}

// The calling thread takes no signal; threads that it starts inherit that.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

Answer error_answer(int status, std::string_view message, std::string_view type,
                    std::string_view code) {
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> json(text);
  const auto put = [&](const char* name, std::string_view value) {
    json.Key(name);
    json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  };
  json.StartObject();
  json.Key("error");
  json.StartObject();
  put("message", message);
  put("type", type);
  put("code", code);
  json.EndObject();
  json.EndObject();
  return {status, text.GetString()};
}

std::string_view to_string(Role role) {
  return role == Role::kOwner ? "owner" : role == Role::kOperator ? "operator" : "viewer";
}

std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kOwner}) {
    if (text == to_string(role)) return role;
  }
  return std::nullopt;
}

class Server::Impl {
 public:
  Impl(const config::Listen& listen, const Secret& token, std::vector<Route> routes,
       FindCaller find_caller);
  ~Impl();
  Result<void> start();
  std::uint16_t port() const { return port_; }

 private:
  using Handled = httplib::Server::HandlerResponse;

  bool bind();
  void run();
  Handled admit(const httplib::Request& request, httplib::Response& response);
  Result<Caller, Answer> caller_of(const httplib::Request& request) const;
  Result<Caller, Answer> let_in(const httplib::Request& request, const Route* route) const;
  void note_refused(const httplib::Request& request, int status);
  void register_route(const Route& route);
  void serve(const Route& route, const httplib::Request& request, httplib::Response& response,
             const std::string& body) const;
  void take_body(const Route& route, const httplib::Request& request, httplib::Response& response,
                 const httplib::ContentReader& read) const;

  const std::string address_;
  std::uint16_t port_;
  const std::optional<config::TlsFiles> tls_;
  const bool has_token_;
  const Digest token_;
  const std::vector<Route> routes_;
  const FindCaller find_caller_;
  observe::LogGate refused_gate_{std::chrono::seconds(1)};
  std::unique_ptr<httplib::Server> server_;
  bool stopping_ = false;             // guarded by mutex_
  std::atomic<bool> finished_{true};  // no thread, or it is through
  std::mutex mutex_;
  std::condition_variable stopped_;
  std::thread thread_;
};

Server::Impl::Impl(const config::Listen& listen, const Secret& token, std::vector<Route> routes,
                   FindCaller find_caller)
    : address_(listen.address),
      port_(listen.port),
      tls_(listen.tls),
      has_token_(!token.empty()),
      token_(digest(token.reveal())),
      routes_(std::move(routes)),
      find_caller_(std::move(find_caller)) {
  if (tls_) {
    server_ = std::make_unique<httplib::SSLServer>(tls_->certificate.c_str(), tls_->key.c_str());
  } else {
    server_ = std::make_unique<httplib::Server>();
  }
  server_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server_->set_keep_alive_max_count(1);  // a body left unread can't become the next request
  server_->set_read_timeout(kIoTimeoutS);
  server_->set_write_timeout(kIoTimeoutS);
  std::size_t body_bytes_max = kBodyBytesMax;
  for (const Route& route : routes_)
    body_bytes_max = std::max(body_bytes_max, route.body_bytes_max);
  server_->set_payload_max_length(body_bytes_max);
  server_->set_default_headers(
      {{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}});
  server_->set_socket_options([](int socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  });
  server_->set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        return admit(request, response);
      });
  server_->set_error_handler(explain);
  server_->set_exception_handler(
      [](const httplib::Request& request, httplib::Response& response, std::exception_ptr thrown) {
        std::string what = "unknown";
        try {
          std::rethrow_exception(thrown);
        } catch (const std::exception& error) {
          what = error.what();
        } catch (...) {
        }
        spdlog::error("admin_failed path={} error={}", quote(request.path), quote(what));
        reply(response, error_answer(500, "The gateway failed; its log says more.", "server_error",
                                     "internal_error"));
      });
  for (const Route& route : routes_) register_route(route);
}

Server::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  // stop() has no effect between a bind and the server's run.
  while (!server_->is_running() && !finished_) std::this_thread::yield();
  if (!finished_) server_->stop();
  if (thread_.joinable()) thread_.join();
}

Result<void> Server::Impl::start() {
  const std::string place = "admin: " + address_ + ":" + std::to_string(port_) + ": ";
  if (!server_->is_valid()) {
    return Error{place + "the certificate or its key can't be used: " + tls_->certificate.string() +
                 ", " + tls_->key.string()};
  }
  errno = 0;
  if (!bind()) {
    return Error{place + "can't listen: " + (errno == 0 ? "no such address" : strerror(errno))};
  }
  {
    const SignalsBlocked inherited;
    finished_ = false;
    thread_ = std::thread([this] { run(); });
  }
  return {};
}

bool Server::Impl::bind() {
  if (port_ != 0) return server_->bind_to_port(address_, port_);
  const int port = server_->bind_to_any_port(address_);
  if (port <= 0) return false;
  port_ = static_cast<std::uint16_t>(port);
  return true;
}

// httplib gives its socket up when an accept fails, as after a connection that was reset at once.
void Server::Impl::run() {
  for (;;) {
    server_->listen_after_bind();
    do {
      std::unique_lock lock(mutex_);
      if (stopped_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stopping_; })) {
        finished_ = true;
        return;
      }
    } while (!bind());
    spdlog::warn("admin_listens_again port={}", port_);
  }
}

// Whatever is refused is refused here, before the body is read.
Server::Impl::Handled Server::Impl::admit(const httplib::Request& request,
                                          httplib::Response& response) {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const Route* found = nullptr;
  std::string allow;
  for (const Route& route : routes_) {
    if (!match(route.path, request.path)) continue;
    allow += (allow.empty() ? "" : ", ") + route.method + (route.method == "GET" ? ", HEAD" : "");
    // The first, as httplib takes it.
    if (route.method == method && found == nullptr) found = &route;
  }
  const auto caller = let_in(request, found);
  if (!caller) {
    note_refused(request, caller.error().status);
    reply(response, caller.error());
    return Handled::Handled;
  }
  if (found != nullptr) return Handled::Unhandled;
  if (allow.empty()) {
    reply(response, error_answer(404, "There is nothing here: " + request.path,
                                 "invalid_request_error", "unknown_route"));
  } else {
    response.set_header("Allow", allow);
    reply(response, error_answer(405, request.path + " takes " + allow + ", not " + request.method,
                                 "invalid_request_error", "method_not_allowed"));
  }
  return Handled::Handled;
}

void Server::Impl::note_refused(const httplib::Request& request, int status) {
  if (const auto held = refused_gate_.pass(mono_ns())) {
    spdlog::warn("admin_refused peer={} path={} status={} held_back={}", request.remote_addr,
                 quote(request.path), status, *held);
  }
}

Result<Caller, Answer> Server::Impl::caller_of(const httplib::Request& request) const {
  Answer unknown = error_answer(401, "Send an admin token: Authorization: Bearer <token>.",
                                "authentication_error", "invalid_admin_token");
  unknown.headers = {{"WWW-Authenticate", "Bearer"}};
  const std::string header = request.get_header_value("Authorization");
  const bool bearer = header.size() > 7 && strncasecmp(header.c_str(), "bearer ", 7) == 0;
  if (!bearer) return unknown;
  const std::string_view token = std::string_view(header).substr(7);
  const Digest given = digest(token);
  if (has_token_ && CRYPTO_memcmp(given.data(), token_.data(), given.size()) == 0) {
    return Caller{"admin.token", Role::kOwner, {}, "owner"};
  }
  if (!find_caller_) return unknown;
  auto found = find_caller_(token);
  if (!found) {
    spdlog::error("admin_token_not_checked reason={}", quote(found.error().message));
    return error_answer(503, "The token can't be checked now; the gateway's log says why.",
                        "server_error", "store_failed");
  }
  if (!*found) return unknown;
  return std::move(**found);
}

// `route` may be null: then any token shows that there is nothing.
Result<Caller, Answer> Server::Impl::let_in(const httplib::Request& request,
                                            const Route* route) const {
  const bool secret = request.path.starts_with("/admin/");
  const Access access = route != nullptr ? route->access : secret ? Access::kToken : Access::kOpen;
  if (access == Access::kOpen || (access == Access::kLocal && is_local(request))) {
    return Caller{{}, Role::kViewer, {}, {}};
  }
  auto caller = caller_of(request);
  if (!caller || route == nullptr) return caller;
  if (caller->role < route->role) {
    return error_answer(403,
                        "This needs the role " + std::string(to_string(route->role)) +
                            "; the token is of a " + std::string(to_string(caller->role)) + ".",
                        "permission_error", "role_not_allowed");
  }
  if (!caller->account.empty() && !route->for_accounts) {
    return error_answer(403, "The token is scoped to an account, and this is not an account's.",
                        "permission_error", "account_scope");
  }
  return caller;
}

void Server::Impl::register_route(const Route& route) {
  const auto plain = [this, &route](const httplib::Request& request, httplib::Response& response) {
    serve(route, request, response, {});
  };
  const auto with_body = [this, &route](const httplib::Request& request,
                                        httplib::Response& response,
                                        const httplib::ContentReader& read) {
    take_body(route, request, response, read);
  };
  const std::string path = to_regex(route.path);
  if (route.method == "GET") server_->Get(path, plain);
  if (route.method == "PUT") server_->Put(path, with_body);
  if (route.method == "POST") server_->Post(path, with_body);
  if (route.method == "PATCH") server_->Patch(path, with_body);
  if (route.method == "DELETE") server_->Delete(path, with_body);
}

// httplib's own limit looks at Content-Length alone: a chunked or compressed body would pass it.
void Server::Impl::take_body(const Route& route, const httplib::Request& request,
                             httplib::Response& response,
                             const httplib::ContentReader& read) const {
  if (request.is_multipart_form_data()) {
    return reply(response, error_answer(415, "Send the body as JSON.", "invalid_request_error",
                                        "unsupported_media_type"));
  }
  const std::size_t bytes_max = route.body_bytes_max > 0 ? route.body_bytes_max : kBodyBytesMax;
  std::string body;
  bool fits = true;
  const bool has_body =
      request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
  const bool whole = !has_body || read([&](const char* data, std::size_t size) {
    fits = body.size() + size <= bytes_max;
    if (fits) body.append(data, size);
    return fits;
  });
  if (!fits || response.status == 413) {
    const std::string limit = std::to_string(bytes_max / 1024);
    return reply(response, error_answer(413, "The body is larger than " + limit + " KiB.",
                                        "invalid_request_error", "body_too_large"));
  }
  if (!whole) {
    return reply(response, error_answer(400, "The body did not come whole.",
                                        "invalid_request_error", "bad_body"));
  }
  serve(route, request, response, body);
}

void Server::Impl::serve(const Route& route, const httplib::Request& request,
                         httplib::Response& response, const std::string& body) const {
  Request asked = to_request(route, request, body);
  // Asked again: what was let in before the body came may be disabled by now.
  auto caller = let_in(request, &route);
  if (!caller) return reply(response, caller.error());
  asked.caller = std::move(*caller);
  const Answer answer = route.answer(asked);
  reply(response, answer);
  const auto level = route.method == "GET" ? spdlog::level::debug : spdlog::level::info;
  spdlog::log(level, "admin method={} path={} status={} peer={} caller={}", request.method,
              route.path, answer.status, request.remote_addr, quote(asked.caller.name));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(const config::Listen& listen, Secret token,
                                              std::vector<Route> routes, FindCaller find_caller) {
  auto impl = std::make_unique<Impl>(listen, token, std::move(routes), std::move(find_caller));
  if (auto started = impl->start(); !started) return started.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const { return impl_->port(); }

}  // namespace switchyard::admin

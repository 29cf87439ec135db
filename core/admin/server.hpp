// The admin plane's HTTP server: its own port and threads, callers with roles, and a fixed table of
// routes. What a caller may not do is refused before the body is read.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"

namespace switchyard::admin {

struct Answer {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::map<std::string, std::string> headers = {};  // beside those that every answer has
};

// {"error":{"message":...,"type":...,"code":...}}
Answer error_answer(int status, std::string_view message, std::string_view type,
                    std::string_view code);

enum class Access {
  kOpen,
  kLocal,  // from this machine without a token: a loopback peer, no proxy between, addressed as
           // loopback
  kToken,
};

// Each may do what those before it may.
enum class Role { kViewer, kOperator, kOwner };
std::string_view to_string(Role role);
std::optional<Role> parse_role(std::string_view text);

// Who asks, as far as a token says.
struct Caller {
  std::string name;  // of the token
  Role role = Role::kOwner;
  std::string account;  // not empty: sees and changes this account and those below it alone
  std::string id;       // "tok_..."; "owner" for admin.token
};

// The ids of an account and of those below it, sorted: what a caller who is scoped to it sees.
// [server threads]
using FindFamily = std::function<Result<std::vector<std::string>>(const std::string& account)>;

// Texts are decoded; of a query's members with one name the first counts.
struct Request {
  std::string method, path, body, idempotency_key;
  std::map<std::string, std::string> params;  // what stands for {NAME} in the route's path
  std::map<std::string, std::string> query;
  Caller caller;
  std::string peer;                  // the address that the connection came from
  bool has_idempotency_key = false;  // also an empty one
};

struct Route {
  std::string method;  // a GET route answers HEAD too
  std::string path;    // a part {NAME} takes one segment: "/admin/v1/keys/{id}"
  Access access = Access::kToken;
  // Runs on a thread of the server and may block. What it throws becomes a 500.
  std::function<Answer(const Request& request)> answer;
  Role role = Role::kOwner;  // the least that may
  // A caller who is scoped to an account may ask too: the answer keeps to what is the caller's.
  bool for_accounts = false;
  // Makes something or moves money: with an Idempotency-Key it is done once (idempotency.hpp).
  bool idempotent_by_key = false;
  bool private_body = false;       // the audit log keeps its body's digest alone
  std::size_t body_bytes_max = 0;  // 0: Server::kBodyBytesMax
  bool audited_read = false;       // a GET route whose askers are written down as well
};

inline Route made_once(Route route) {
  route.idempotent_by_key = true;
  return route;
}

// Who has this token; nothing: nobody. The error says why that can't be told. [server threads]
using FindCaller = std::function<Result<std::optional<Caller>>(std::string_view token)>;

class Server {
 public:
  static constexpr std::size_t kBodyBytesMax = 64 * 1024;

  // Binds and serves. Port 0 takes a free one. The address may be shared with another process of
  // this user, so that an old and a new worker overlap. `token` is the owner's, and where it is
  // empty nobody's; `find_caller` knows the others.
  static Result<std::unique_ptr<Server>> start(const config::Listen& listen, Secret token,
                                               std::vector<Route> routes,
                                               FindCaller find_caller = {});
  // Stops accepting; returns when the last answer is out.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace switchyard::admin

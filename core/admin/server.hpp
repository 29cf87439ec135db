// The admin plane's HTTP server: its own port and threads, a bearer token, and a fixed table of
// routes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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

struct Route {
  std::string method;  // a GET route answers HEAD too
  std::string path;    // exact
  Access access = Access::kToken;
  // Runs on a thread of the server and may block. What it throws becomes a 500.
  std::function<Answer(const std::string& body)> answer;
};

class Server {
 public:
  static constexpr std::size_t kBodyBytesMax = 64 * 1024;

  // Binds and serves. Port 0 takes a free one. The address may be shared with another process of
  // this user, so that an old and a new worker overlap. An empty token lets nobody in.
  static Result<std::unique_ptr<Server>> start(const config::Listen& listen, Secret token,
                                               std::vector<Route> routes);
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

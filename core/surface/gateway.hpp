// The public listener's handler, one per loop: which endpoint, whose key, which model; then the
// exchange.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <boost/smart_ptr/local_shared_ptr.hpp>
#include <memory>
#include <string>

#include "core/account/keys.hpp"
#include "core/exchange/exchange.hpp"
#include "core/net/server.hpp"
#include "core/observe/record.hpp"

namespace switchyard::surface {

// What a worker publishes to its loops, at once and as a whole.
struct Published {
  std::shared_ptr<const exchange::Snapshot> snapshot;
  std::shared_ptr<const account::KeyTable> keys;
  std::shared_ptr<observe::LoggerFanout> loggers;
  bool open_access = false;  // no key exists: everybody on this machine may call
};

class Gateway : public net::HttpHandler {
 public:
  Gateway(exchange::LoopContext context, net::asio::thread_pool& compute);

  // From the next request on. [loop]
  void publish(std::shared_ptr<const Published> published);
  // /readyz says no from now on. [loop]
  void set_draining() { draining_ = true; }

  net::Task<> handle(net::HttpExchange& http) override;

 private:
  struct Call;
  // A request's hold on what was published when it began. Counted without atomics: it never leaves
  // its loop.
  using Pin = boost::local_shared_ptr<const std::shared_ptr<const Published>>;

  net::Task<> serve(Call& call);
  net::Task<> serve_task(Call& call);
  net::Task<> serve_realtime(Call& call);
  static std::optional<exchange::Failure> find_route(const Call& call, const std::string& model,
                                                     std::string_view task, routing::Route& route);
  net::Task<> answer(Call& call, unsigned status, std::string body);
  net::Task<> refuse(Call& call, exchange::Failure failure);
  static std::vector<std::string> near_names(const Call& call, std::string_view name);
  void list_models(const Call& call, std::string& out) const;
  void finish(Call& call);
  std::string new_request_id();

  exchange::LoopContext context_;
  net::asio::thread_pool& compute_;
  Pin current_;
  bool draining_ = false;
  std::uint64_t id_state_[2];
};

}  // namespace switchyard::surface

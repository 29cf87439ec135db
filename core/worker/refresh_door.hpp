// Takes those in who changed the store and wait until requests find the change.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "core/base/os_fd.hpp"

namespace switchyard {

class RefreshDoor {
 public:
  // What was asked for is done when the last copy of it is gone, on whichever thread.
  using Done = std::shared_ptr<void>;
  using Take = std::function<void(Done done)>;

  // `listening`: of store::listen_for_refresh(). `take` runs on the context, which outlives every
  // Done.
  RefreshDoor(boost::asio::io_context& context, UniqueFd listening, Take take);

 private:
  void accept();
  void accept_later();

  boost::asio::io_context& context_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  Take take_;
};

}  // namespace switchyard

#include "core/worker/refresh_door.hpp"

#include <sys/socket.h>

#include <boost/asio/post.hpp>

namespace switchyard {
namespace {

// Where there is no descriptor for it.
constexpr std::chrono::milliseconds kPause{100};

}  // namespace

using boost::asio::local::stream_protocol;

RefreshDoor::RefreshDoor(boost::asio::io_context& context, UniqueFd listening, Take take)
    : context_(context),
      acceptor_(context, stream_protocol(), listening.release()),
      pause_(context),
      take_(std::move(take)) {
  accept();
}

void RefreshDoor::accept() {
  acceptor_.async_accept([this](boost::system::error_code ec, stream_protocol::socket accepted) {
    if (ec == boost::asio::error::operation_aborted) return;
    if (ec) return accept_later();
    auto socket = std::make_shared<stream_protocol::socket>(std::move(accepted));
    take_(Done(nullptr, [&context = context_, socket](void*) {
      // Who left meanwhile is told nothing.
      boost::asio::post(context, [socket] {
        (void)!::send(socket->native_handle(), "1", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
      });
    }));
    accept();
  });
}

void RefreshDoor::accept_later() {
  pause_.expires_after(kPause);
  pause_.async_wait([this](boost::system::error_code ec) {
    if (!ec) accept();
  });
}

}  // namespace switchyard

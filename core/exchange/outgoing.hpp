// The request that a provider plugin writes, until the host sends it.
#pragma once

#include <boost/asio/buffer.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard::exchange {

// Appends bytes of a gather list as SWY_ENC_* says. False for an encoding that is not known.
bool append_encoded(std::string& out, std::uint32_t encoding, std::string_view bytes);

class Outgoing {
 public:
  // `body` is the client's request body: views into it are sent from where they lie.
  explicit Outgoing(std::string_view body) : borrowed_(body) {}
  ~Outgoing();
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;

  swy_rc begin(std::string_view method, std::string_view url, std::uint32_t xid,
               std::uint32_t framing);
  swy_rc header(std::string_view name, std::string_view value);
  swy_rc auth(std::string_view scheme, std::string_view arg);
  swy_rc body(std::span<const swy_seg> pieces);

  bool begun() const { return begun_; }
  std::uint32_t xid() const { return xid_; }
  std::uint32_t framing() const { return framing_; }
  std::string_view method() const { return method_; }
  // What the last assembled upgrade asked for.
  std::string_view websocket_key() const { return upgrade_->key; }
  std::string_view websocket_protocols() const { return upgrade_->protocols; }

  // The request has been answered and will not be sent again: lets its bytes go, the credential
  // first.
  void forget();

  // The request as it goes out: head and body. Valid until the next begin(). The credential appears
  // only here.
  std::span<const boost::asio::const_buffer> assemble(const ProviderSlot& slot,
                                                      const config::Credential* credential);

 private:
  struct Piece {
    const char* data;  // null: at `offset` of copied_
    std::size_t offset, size;
  };
  void append_copy(std::string_view bytes);

  std::string_view borrowed_;
  bool begun_ = false;
  std::uint32_t xid_ = 0, framing_ = 0;
  std::string method_, path_, headers_;
  std::string auth_scheme_, auth_name_;
  struct Upgrade {
    std::string key, protocols;
  };
  std::unique_ptr<Upgrade> upgrade_;  // of a request with SWY_FRAME_WEBSOCKET
  std::string copied_;
  std::vector<Piece> pieces_;
  std::string head_;
  std::vector<boost::asio::const_buffer> buffers_;
};

}  // namespace switchyard::exchange

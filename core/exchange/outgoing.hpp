// The request that a provider plugin writes, until the host sends it.
#pragma once

#include <switchyard/provider.h>

#include <boost/asio/buffer.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard::exchange {

class Outgoing {
 public:
  // `body` is the client's request body and `blobs` its uploads: views into them are sent from
  // where they lie.
  explicit Outgoing(std::string_view body, std::span<const Blob> blobs = {});
  ~Outgoing();
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;

  swy_rc begin(std::string_view method, std::string_view url, std::uint32_t xid,
               std::uint32_t framing);
  // Where a request goes whose URL was absolute; the path is then below the origin's root. Behind
  // begin().
  void send_to(Origin origin);
  swy_rc header(std::string_view name, std::string_view value);
  // `secret` takes the place of the credential's key.
  swy_rc auth(std::string_view scheme, std::string_view arg,
              std::optional<Secret> secret = std::nullopt);
  swy_rc part(std::span<const swy_kv> headers);
  swy_rc body(std::span<const swy_seg> pieces);
  swy_rc token(std::string_view name, std::string_view value_at, std::string_view ttl_at);
  // Only while it is signed.
  swy_rc query(std::string_view name, std::string_view value);

  bool begun() const { return begun_; }
  std::uint32_t xid() const { return xid_; }
  std::uint32_t framing() const { return framing_; }
  std::string_view method() const { return method_; }
  // nullptr: the provider's own upstream.
  const std::shared_ptr<const net::Upstream>* upstream() const;
  // False where the request goes to an origin that no credential may reach.
  bool trusted() const;

  // Has parts, pieces to encode, or a signature: prepare() comes before assemble().
  bool special() const { return special_ != nullptr && special_->work; }
  bool heavy() const;  // and too much for a loop
  // Encodes and hashes. On any thread, where nothing else is done with this object meanwhile.
  void prepare();
  bool signs() const { return auth_scheme_ == "sign"; }
  // What the plugin signs over; valid until end_signing(). Between the two it may add
  // authorization and query().
  const swy_sign_facts& begin_signing(const ProviderSlot& slot);
  void end_signing();

  struct Token {
    std::string name, value_at, ttl_at;
  };
  const Token* token() const;

  // The request has been answered and will not be sent again: lets its bytes go, the credential
  // first.
  void forget();

  // The request as it goes out: head and body. Valid until the next begin(). The credential appears
  // only here.
  std::span<const boost::asio::const_buffer> assemble(const ProviderSlot& slot,
                                                      const config::Credential* credential);

 private:
  static constexpr std::size_t kWorkOnLoopMax = 256 * 1024;

  struct Piece {
    const char* data;  // null: at `offset` of copied_
    std::size_t offset, size;
    std::uint32_t encoding = SWY_ENC_RAW;  // still to be done
  };
  // What few requests have.
  struct Special {
    bool work = false;  // for prepare()
    std::size_t work_bytes = 0;
    std::optional<Origin> origin;
    std::optional<Secret> secret;
    std::string auth_prefix;
    std::string boundary;
    bool part_open = false;
    std::vector<std::string> encoded;
    std::optional<Token> token;
    bool signing = false;
    swy_sign_facts facts{};
    std::string url, header_text;
    std::vector<swy_kv> headers;
  };
  Special& special_part();
  void append_copy(std::string_view bytes);
  swy_rc append_piece(const swy_seg& piece);
  void close_parts();
  void encode(Piece& piece);
  const char* bytes_of(const Piece& piece) const;
  std::size_t body_size() const;
  std::string_view fixed_headers(const ProviderSlot& slot) const;
  void append_headers(std::string& out) const;

  std::string_view borrowed_;
  std::span<const Blob> blobs_;
  bool begun_ = false;
  std::uint32_t xid_ = 0, framing_ = 0;
  std::string method_, path_, headers_;
  std::string auth_scheme_, auth_name_;
  std::string copied_;
  std::vector<Piece> pieces_;
  std::string head_;
  std::vector<boost::asio::const_buffer> buffers_;
  std::unique_ptr<Special> special_;
};

}  // namespace switchyard::exchange

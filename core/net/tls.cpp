#include "core/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <filesystem>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace switchyard::net {
namespace {

namespace fs = std::filesystem;

struct ContextDelete {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, ContextDelete>;

struct SessionDelete {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, SessionDelete>;

constexpr unsigned char kAlpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason ? reason : "unknown reason";
}

// Sessions to resume, by "host:port". [any thread]
class SessionCache {
 public:
  void put(const std::string& key, Session session) {
    const std::lock_guard lock(mutex_);
    if (sessions_.size() >= kKeysMax && !sessions_.contains(key))
      sessions_.erase(sessions_.begin());
    auto& list = sessions_[key];
    if (list.size() >= kPerKeyMax) list.erase(list.begin());
    list.push_back(std::move(session));
  }

  // TLS 1.3 tickets serve once (RFC 8446 C.4); a session of TLS 1.2 stays and a copy goes out, for
  // OpenSSL writes to the one that it uses.
  Session take(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || found->second.empty()) return nullptr;
    auto& list = found->second;
    if (SSL_SESSION_get_protocol_version(list.back().get()) < TLS1_3_VERSION) {
      return Session(SSL_SESSION_dup(list.back().get()));
    }
    Session session = std::move(list.back());
    list.pop_back();
    return session;
  }

 private:
  static constexpr std::size_t kKeysMax = 1024;
  static constexpr std::size_t kPerKeyMax = 4;

  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<Session>> sessions_;
};

// What an SSL carries so that a session that comes later finds its place, even after the TlsClient
// has gone.
struct SessionPlace {
  std::shared_ptr<SessionCache> cache;
  std::string key;
};

void free_place(void*, void* place, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<SessionPlace*>(place);
}

int place_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_place);
  return index;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* place = static_cast<SessionPlace*>(SSL_get_ex_data(ssl, place_index()));
  if (!place) return 0;
  place->cache->put(place->key, Session(session));
  return 1;  // the reference is ours now
}

class Client final : public TlsClient {
 public:
  explicit Client(Context context) : context_(std::move(context)) {}

  SslPtr make(const std::string& host, std::uint16_t port) override {
    SslPtr ssl(SSL_new(context_.get()));
    SSL_set_connect_state(ssl.get());
    error_code ec;
    asio::ip::make_address(host, ec);
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl.get());
    if (!ec) {
      X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str());
    } else {
      std::string name = host;
      if (name.ends_with('.')) name.pop_back();
      X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      X509_VERIFY_PARAM_set1_host(param, name.data(), name.size());
      SSL_set_tlsext_host_name(ssl.get(), name.c_str());
    }
    auto place = std::make_unique<SessionPlace>(sessions_, host + ':' + std::to_string(port));
    if (const Session session = sessions_->take(place->key)) {
      SSL_set_session(ssl.get(), session.get());
    }
    SSL_set_ex_data(ssl.get(), place_index(), place.release());
    return ssl;
  }

 private:
  Context context_;
  std::shared_ptr<SessionCache> sessions_ = std::make_shared<SessionCache>();
};

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned in_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301 3.2
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// A key with a passphrase is refused rather than asked for on the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

Result<Context> server_context(const std::string& certificate, const std::string& key) {
  ERR_clear_error();
  Context context(SSL_CTX_new(TLS_server_method()));
  if (!context) return Error{"TLS: " + openssl_reason()};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1) {
    return Error{certificate + ": no certificate chain in PEM: " + openssl_reason()};
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Error{key + ": no private key in PEM that fits " + certificate + ": " +
                 openssl_reason()};
  }
  return context;
}

// By what a change of the files is noticed.
struct FileMark {
  fs::file_time_type changed;
  std::uintmax_t size = 0;
  bool operator==(const FileMark&) const = default;
};

FileMark mark_of(const std::string& path) {
  std::error_code ignored;
  return {fs::last_write_time(path, ignored), fs::file_size(path, ignored)};
}

class Server final : public TlsServer {
 public:
  Server(std::string certificate, std::string key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  Result<void> reload() override {
    const std::lock_guard one(reloading_);
    // Before the files are read: what changes meanwhile is noticed the next time.
    const std::pair marks(mark_of(certificate_), mark_of(key_));
    auto fresh = server_context(certificate_, key_);
    if (!fresh) return std::move(fresh).error();
    const std::lock_guard lock(mutex_);
    context_ = std::move(*fresh);
    marks_ = marks;
    return {};
  }

  Result<bool> reload_if_changed() override {
    {
      const std::lock_guard one(reloading_);
      if (marks_ == std::pair(mark_of(certificate_), mark_of(key_))) return false;
    }
    auto done = reload();
    if (!done) return std::move(done).error();
    return true;
  }

  SslPtr make() override {
    const std::lock_guard lock(mutex_);
    SslPtr ssl(SSL_new(context_.get()));
    SSL_set_accept_state(ssl.get());
    return ssl;
  }

 private:
  const std::string certificate_, key_;
  std::mutex reloading_;
  std::pair<FileMark, FileMark> marks_;
  std::mutex mutex_;
  Context context_;
};

}  // namespace

Result<std::shared_ptr<TlsClient>> TlsClient::create(const std::string& ca_file) {
  ERR_clear_error();
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return Error{"TLS: " + openssl_reason()};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), kAlpn, sizeof kAlpn);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  if (ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else if (SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1) {
    return Error{ca_file + ": no CA certificates in PEM: " + openssl_reason()};
  }
  return std::shared_ptr<TlsClient>(std::make_shared<Client>(std::move(context)));
}

Result<std::shared_ptr<TlsServer>> TlsServer::create(const std::string& certificate_file,
                                                     const std::string& key_file) {
  auto server = std::make_shared<Server>(certificate_file, key_file);
  auto loaded = server->reload();
  if (!loaded) return std::move(loaded).error();
  return std::shared_ptr<TlsServer>(std::move(server));
}

}  // namespace switchyard::net

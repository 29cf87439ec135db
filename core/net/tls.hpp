// TLS contexts: one per upstream trust setting, one per listener.
#pragma once

#include <memory>
#include <string>

#include "core/base/result.hpp"
#include "core/net/stream.hpp"

namespace switchyard::net {

// Verification is on and can't be turned off; TLS 1.2 at least. Sessions are kept per host and
// port. [any thread]
class TlsClient {
 public:
  // ca_file: PEM bundle instead of the system's, or empty.
  static Result<std::shared_ptr<TlsClient>> create(const std::string& ca_file);
  virtual ~TlsClient() = default;
  // An SSL in connect state with SNI and the name to verify (an IP literal is verified as such),
  // session reused if any.
  virtual SslPtr make(const std::string& host, std::uint16_t port) = 0;
};

// Certificate and key of a listener; load() again replaces them for new connections only. [any
// thread]
class TlsServer {
 public:
  static Result<std::shared_ptr<TlsServer>> create(const std::string& certificate_file,
                                                   const std::string& key_file);
  virtual ~TlsServer() = default;
  // Reads the files anew; on failure the old ones stay in use.
  virtual Result<void> reload() = 0;
  // Reloads where the files' modification times or sizes differ from what was loaded; true where it
  // did.
  virtual Result<bool> reload_if_changed() = 0;
  virtual SslPtr make() = 0;
};

}  // namespace switchyard::net

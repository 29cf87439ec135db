// One request within the gateway, for the files that Gateway is written in.
#pragma once

#include <memory>
#include <string>

#include "core/surface/gateway.hpp"

namespace switchyard::surface {

// All that belongs to one request; lives in the frame of handle().
struct Gateway::Call {
  net::HttpExchange& http;
  Pin pin;
  const Published& published;
  const account::GatewayKey* key = nullptr;  // nullptr: everybody may call
  const account::Account* account = nullptr;
  std::shared_ptr<observe::Record> record = std::make_shared<observe::Record>();
  std::string headers;    // lines on every answer
  bool recorded = false;  // whether this request is one to keep a record of

  Call(net::HttpExchange& exchange, Pin held)
      : http(exchange), pin(std::move(held)), published(**pin) {}
  const net::RequestHead& head() const { return http.head(); }
  const exchange::Snapshot& snapshot() const { return *published.snapshot; }
  bool may_use(std::string_view model) const { return key == nullptr || key->may_use(model); }
};

}  // namespace switchyard::surface

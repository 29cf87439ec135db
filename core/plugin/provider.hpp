// A provider plugin as the host uses it: instances, and operations whose results arrive at a sink.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/plugin/library.hpp"

namespace switchyard::plugin {

// What an operation writes; implemented by whoever drives it. Called only inside Operation::step,
// on its thread. Views are valid until step returns, except those into the request's body (until
// the operation ends) and into the event's data (until the event's bytes go).
class OperationSink {
 public:
  virtual ~OperationSink() = default;
  virtual swy_rc req_begin(std::string_view method, std::string_view url, std::uint32_t xid,
                           std::uint32_t framing) = 0;
  virtual swy_rc req_header(std::string_view name, std::string_view value) = 0;
  virtual swy_rc req_auth(std::string_view scheme, std::string_view name,
                          std::string_view slot) = 0;
  virtual swy_rc req_body(std::span<const swy_seg> pieces) = 0;
  virtual swy_rc emit(std::uint32_t what, std::uint32_t flags, std::string_view data) = 0;

  // What not every driver of operations has.
  virtual swy_rc req_part(std::span<const swy_kv>) { return SWY_E_UNSUP; }
  virtual swy_rc req_query(std::string_view, std::string_view) { return SWY_E_UNSUP; }
  virtual swy_rc req_token(std::string_view, std::string_view, std::string_view) {
    return SWY_E_UNSUP;
  }
  virtual swy_rc has_token(std::string_view) { return SWY_E_UNSUP; }
  virtual swy_rc keep(std::string_view) { return SWY_E_UNSUP; }
  // The key of the credential that is pinned to the operation, for swy.sign/1; nullptr: none.
  virtual const Secret* credential_key() const { return nullptr; }
  virtual swy_rc ws_send(bool /*to_client*/, std::uint32_t /*opcode*/,
                         std::span<const swy_seg> /*pieces*/) {
    return SWY_E_UNSUP;
  }
};

// Facts of a provider kind, parsed from its caps.
struct ProviderCaps {
  std::vector<std::string> tasks, dialects;
  // Dialects that an instance takes where its configuration says true at this JSON pointer.
  std::vector<std::pair<std::string, std::string>> dialects_if;
  // It goes on with an assistant's text (CANONICAL.md, section 3); an instance also where its
  // configuration has anything at this JSON pointer.
  bool continues = false;
  std::string continues_if;
  bool has_task(std::string_view task) const;
  bool takes_dialect(std::string_view dialect) const;
};

// The error names the member: "caps.tasks: ...".
Result<ProviderCaps> parse_provider_caps(std::string_view json);

// One configured instance. Destroyed only on the control thread, after its last operation.
class ProviderInstance {
 public:
  // open()s an instance. The configuration is checked against the kind's schema by the config room
  // before.
  static Result<std::unique_ptr<ProviderInstance>> open(const Libraries& libraries,
                                                        std::string_view kind_name,
                                                        std::string_view config_json,
                                                        std::string instance_id);
  ~ProviderInstance();
  ProviderInstance(const ProviderInstance&) = delete;
  ProviderInstance& operator=(const ProviderInstance&) = delete;

  const ProviderCaps& caps() const { return caps_; }
  const std::string& id() const { return id_; }
  const Library& library() const { return *library_; }

 private:
  friend class Operation;
  ProviderInstance() = default;
  std::shared_ptr<const Library> library_;
  const swy_provider* table_ = nullptr;
  void* instance_ = nullptr;
  std::string id_;
  ProviderCaps caps_;
  struct LogTag;
  std::unique_ptr<LogTag> tag_;
};

// The error of a step or of op_new, as the plugin filled it.
struct Fault {
  int cls = SWY_CLS_PLUGIN;
  unsigned http = 0;
  std::uint32_t retry_after_ms = 0;
  std::string message;
};

// One operation, from op_new to op_free. Calls are serialised by its driver.
class Operation {
 public:
  // `request` must live, unmoved, until the Operation is destroyed.
  static Result<Operation, Fault> start(ProviderInstance& instance, const swy_req& request);
  Operation(Operation&& other) noexcept;
  Operation& operator=(Operation&&) = delete;
  ~Operation();

  struct Next {
    std::uint32_t act = SWY_ACT_FAIL;
    std::uint64_t delay_ns = 0;
    Fault fault;  // where act is SWY_ACT_FAIL
  };
  // Gives one event. A negative return of the plugin, or an act the contract does not know, comes
  // back as FAIL with cls SWY_CLS_PLUGIN.
  Next step(const swy_ev& event, OperationSink& sink);

 private:
  Operation(ProviderInstance& instance, void* operation);
  Next call_step(const swy_ev& event, OperationSink& sink);
  ProviderInstance* instance_;
  void* operation_;
};

}  // namespace switchyard::plugin

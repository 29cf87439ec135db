#include "core/plugin/provider.hpp"

#include <rapidjson/document.h>
#include <rapidjson/pointer.h>

#include <algorithm>
#include <utility>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/plugin/configuration.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/sign.hpp"
#include "core/plugin/table.hpp"
#include "core/store/call_note.hpp"

namespace switchyard::plugin {

struct ProviderInstance::LogTag : InstanceTag {};

namespace {

// Far over the contract's 1 ms, so that a busy machine is not blamed on the plugin.
constexpr std::uint64_t kStepSlowNs = 10'000'000, kStepFaultNs = 1'000'000'000;

// ---- swy_out, on its way to the sink ----

bool readable(swy_str s) { return s.p != nullptr || s.n == 0; }

bool readable(const swy_seg* pieces, std::uint32_t n) {
  if (!pieces) return n == 0;
  return std::all_of(pieces, pieces + n, [](const swy_seg& piece) {
    return piece.kind == SWY_SEG_BLOB || readable(piece.b);
  });
}

OperationSink& sink_of(void* ctx) { return *static_cast<OperationSink*>(ctx); }

swy_rc SWY_CALL req_begin(void* ctx, swy_str method, swy_str url, std::uint32_t xid,
                          std::uint32_t framing) noexcept {
  if (!readable(method) || !readable(url)) return SWY_E_ARG;
  return sink_of(ctx).req_begin(view(method), view(url), xid, framing);
}

swy_rc SWY_CALL req_header(void* ctx, swy_str name, swy_str value) noexcept {
  if (!readable(name) || !readable(value)) return SWY_E_ARG;
  return sink_of(ctx).req_header(view(name), view(value));
}

swy_rc SWY_CALL req_auth(void* ctx, swy_str scheme, swy_str name, swy_str slot) noexcept {
  if (!readable(scheme) || !readable(name) || !readable(slot)) return SWY_E_ARG;
  return sink_of(ctx).req_auth(view(scheme), view(name), view(slot));
}

swy_rc SWY_CALL req_part(void* ctx, const swy_kv* headers, std::uint32_t n) noexcept {
  if (headers == nullptr && n > 0) return SWY_E_ARG;
  const bool good = std::all_of(headers, headers + n, [](const swy_kv& header) {
    return readable(header.k) && readable(header.v);
  });
  return good ? sink_of(ctx).req_part({headers, n}) : SWY_E_ARG;
}

swy_rc SWY_CALL req_body(void* ctx, const swy_seg* pieces, std::uint32_t n) noexcept {
  if (!readable(pieces, n)) return SWY_E_ARG;
  return sink_of(ctx).req_body({pieces, n});
}

swy_rc SWY_CALL emit(void* ctx, std::uint32_t what, std::uint32_t flags, swy_str data) noexcept {
  if (!readable(data)) return SWY_E_ARG;
  return sink_of(ctx).emit(what, flags, view(data));
}

swy_rc SWY_CALL keep(void* ctx, swy_str resume) noexcept {
  return readable(resume) ? sink_of(ctx).keep(view(resume)) : SWY_E_ARG;
}

swy_rc SWY_CALL ws_send(void* ctx, std::uint32_t to_client, std::uint32_t opcode,
                        const swy_seg* pieces, std::uint32_t n) noexcept {
  if (!readable(pieces, n)) return SWY_E_ARG;
  return sink_of(ctx).ws_send(to_client != 0, opcode, {pieces, n});
}

swy_rc SWY_CALL req_query(void* ctx, swy_str name, swy_str value) noexcept {
  if (!readable(name) || !readable(value)) return SWY_E_ARG;
  return sink_of(ctx).req_query(view(name), view(value));
}

swy_rc SWY_CALL req_token(void* ctx, swy_str name, swy_str value_at, swy_str ttl_at) noexcept {
  if (!readable(name) || !readable(value_at) || !readable(ttl_at)) return SWY_E_ARG;
  return sink_of(ctx).req_token(view(name), view(value_at), view(ttl_at));
}

swy_rc SWY_CALL has_token(void* ctx, swy_str name) noexcept {
  return readable(name) ? sink_of(ctx).has_token(view(name)) : SWY_E_ARG;
}

swy_out out_to(OperationSink& sink) {
  return {.size = sizeof(swy_out),
          .flags = 0,
          .ctx = &sink,
          .req_begin = req_begin,
          .req_header = req_header,
          .req_auth = req_auth,
          .req_part = req_part,
          .req_body = req_body,
          .emit = emit,
          .keep = keep,
          .ws_send = ws_send,
          .req_query = req_query,
          .req_token = req_token,
          .has_token = has_token};
}

// ---- faults ----

Fault plugin_fault(std::string message) {
  return {.cls = SWY_CLS_PLUGIN, .http = 0, .retry_after_ms = 0, .message = std::move(message)};
}

// What the plugin says of the upstream. Values outside the contract mean nothing to the caller.
Fault upstream_fault(const swy_err& err) {
  const bool known = err.cls >= SWY_CLS_PLUGIN && err.cls <= SWY_CLS_BAD_ANSWER;
  return {.cls = known ? err.cls : SWY_CLS_PLUGIN,
          .http = err.http >= 100 && err.http <= 599 ? err.http : 0,
          .retry_after_ms = err.retry_after_ms,
          .message = std::string(err.msg, ::strnlen(err.msg, sizeof err.msg))};
}

swy_err empty_err() {
  swy_err err{};
  err.size = sizeof err;
  return err;
}

Result<std::vector<std::string>> strings(const rapidjson::Value& caps, const char* name) {
  const std::string place = std::string("caps.") + name;
  std::vector<std::string> result;
  const auto member = caps.FindMember(name);
  if (member == caps.MemberEnd()) return result;
  if (!member->value.IsArray()) return Error{place + ": expected an array of strings"};
  for (const rapidjson::Value& item : member->value.GetArray()) {
    if (!item.IsString()) return Error{place + ": expected an array of strings"};
    result.emplace_back(item.GetString(), item.GetStringLength());
  }
  return result;
}

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::string names_of(const Libraries& libraries, std::string_view iface) {
  std::vector<std::string> names;
  for (const auto& library : libraries.all()) {
    for (const Kind& kind : library->kinds()) {
      if (kind.iface == iface && !contains(names, kind.name)) names.push_back(kind.name);
    }
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

bool ProviderCaps::has_task(std::string_view task) const { return contains(tasks, task); }

bool ProviderCaps::takes_dialect(std::string_view dialect) const {
  return contains(dialects, dialect);
}

Result<ProviderCaps> parse_provider_caps(std::string_view json) {
  rapidjson::Document caps;
  caps.Parse(json.data(), json.size());
  if (caps.HasParseError() || !caps.IsObject()) return Error{"caps: expected a JSON object"};
  Result<std::vector<std::string>> tasks = strings(caps, "tasks");
  if (!tasks) return std::move(tasks).error();
  if (tasks->empty()) return Error{"caps.tasks: expected at least one task"};
  Result<std::vector<std::string>> dialects = strings(caps, "dialects");
  if (!dialects) return std::move(dialects).error();
  ProviderCaps read{.tasks = std::move(*tasks), .dialects = std::move(*dialects)};
  if (const auto continues = caps.FindMember("continues"); continues != caps.MemberEnd()) {
    const bool pointer =
        continues->value.IsString() && rapidjson::Pointer(continues->value.GetString()).IsValid();
    if (!pointer && !continues->value.IsBool()) {
      return Error{"caps.continues: expected true, false or a JSON pointer"};
    }
    read.continues = continues->value.IsTrue();
    if (pointer) read.continues_if = continues->value.GetString();
  }
  const auto conditions = caps.FindMember("dialects_if");
  if (conditions == caps.MemberEnd()) return read;
  if (!conditions->value.IsObject()) return Error{"caps.dialects_if: expected an object"};
  for (const auto& [dialect, pointer] : conditions->value.GetObject()) {
    if (!pointer.IsString() || !rapidjson::Pointer(pointer.GetString()).IsValid()) {
      return Error{"caps.dialects_if: expected JSON pointers"};
    }
    read.dialects_if.emplace_back(dialect.GetString(), pointer.GetString());
  }
  return read;
}

Result<std::unique_ptr<ProviderInstance>> ProviderInstance::open(const Libraries& libraries,
                                                                 std::string_view kind_name,
                                                                 std::string_view config_json,
                                                                 std::string instance_id) {
  const Libraries::Found found = libraries.find("provider", kind_name);
  if (!found.kind) {
    return Error{"provider \"" + instance_id + "\": no plugin \"" + std::string(kind_name) +
                 "\"; there are: " + names_of(libraries, SWY_PROVIDER_IFACE)};
  }
  Result<ProviderCaps> caps = parse_provider_caps(found.kind->caps);
  if (!caps) return std::move(caps).error();
  if (const std::string wrong = configuration_fault(*found.kind, config_json); !wrong.empty()) {
    return Error{"provider \"" + instance_id + "\": " + wrong};
  }

  rapidjson::Document config;
  config.Parse(config_json.data(), config_json.size());
  for (auto& [dialect, pointer] : caps->dialects_if) {
    const rapidjson::Value* const said =
        config.HasParseError() ? nullptr : rapidjson::Pointer(pointer.c_str()).Get(config);
    if (said != nullptr && said->IsTrue()) caps->dialects.push_back(dialect);
  }
  if (!caps->continues_if.empty() && !config.HasParseError()) {
    caps->continues = rapidjson::Pointer(caps->continues_if.c_str()).Get(config) != nullptr;
  }

  std::unique_ptr<ProviderInstance> instance(new ProviderInstance);
  instance->library_ = found.library;
  instance->table_ = static_cast<const swy_provider*>(found.kind->vt);
  instance->caps_ = std::move(*caps);
  instance->tag_ = std::make_unique<LogTag>();
  instance->tag_->name = instance_id;
  instance->id_ = std::move(instance_id);

  swy_err err = empty_err();
  InstanceTag* tag = instance->tag_.get();
  const store::CallNote note(found.library->note(), store::Call::kOpen);
  const swy_rc rc =
      instance->table_->open(to_swy(config_json), host_table(), tag, &instance->instance_, &err);
  if (rc < 0) {
    // Nothing was opened, so nothing may be closed.
    instance->table_ = nullptr;
    return Error{"provider \"" + instance->id_ + "\": plugin \"" + std::string(kind_name) +
                 "\": " + fault_text(rc, err)};
  }
  return instance;
}

ProviderInstance::~ProviderInstance() {
  if (!table_) return;
  const store::CallNote note(library_->note(), store::Call::kClose);
  table_->close(instance_);
}

Operation::Operation(ProviderInstance& instance, void* operation)
    : instance_(&instance), operation_(operation) {}

Operation::Operation(Operation&& other) noexcept
    : instance_(std::exchange(other.instance_, nullptr)), operation_(other.operation_) {}

Operation::~Operation() {
  if (!instance_) return;
  const store::CallNote note(instance_->library_->note(), store::Call::kOpFree);
  instance_->table_->op_free(operation_);
}

Result<Operation, Fault> Operation::start(ProviderInstance& instance, const swy_req& request) {
  swy_err err = empty_err();
  void* operation = nullptr;
  const store::CallNote note(instance.library_->note(), store::Call::kOpNew);
  const swy_rc rc = instance.table_->op_new(instance.instance_, &request, &operation, &err);
  if (rc < 0) {
    // op_new may say that the request itself is at fault, as a step may.
    Fault fault = upstream_fault(err);
    if (fault.message.empty()) fault.message = fault_text(rc, err);
    if (fault.cls == SWY_CLS_PLUGIN) instance.library_->health().fault(mono_ns());
    return fault;
  }
  return Operation(instance, operation);
}

Operation::Next Operation::step(const swy_ev& event, OperationSink& sink) {
  Next next = call_step(event, sink);
  const std::uint64_t now = mono_ns();
  const std::uint64_t took = now - event.now_ns;
  Health& health = instance_->library_->health();
  if (took > kStepSlowNs && event.now_ns != 0) {
    health.slow();
    if (took > kStepFaultNs) health.fault(now);
  }
  if (next.act == SWY_ACT_FAIL && next.fault.cls == SWY_CLS_PLUGIN) health.fault(now);
  return next;
}

Operation::Next Operation::call_step(const swy_ev& event, OperationSink& sink) {
  const store::CallNote note(instance_->library_->note(), store::Call::kOpStep);
  const swy_out out = out_to(sink);
  const SigningScope signing(out);
  swy_next next{};
  next.size = sizeof next;
  swy_err err = empty_err();
  const swy_rc rc = instance_->table_->op_step(operation_, &event, &out, &next, &err);
  if (rc < 0)
    return {.act = SWY_ACT_FAIL, .delay_ns = 0, .fault = plugin_fault(fault_text(rc, err))};
  if (next.act < SWY_ACT_FAIL) return {.act = next.act, .delay_ns = next.delay_ns, .fault = {}};
  if (next.act == SWY_ACT_FAIL)
    return {.act = SWY_ACT_FAIL, .delay_ns = 0, .fault = upstream_fault(err)};
  return {.act = SWY_ACT_FAIL,
          .delay_ns = 0,
          .fault = plugin_fault("op_step answered with act " + std::to_string(next.act) +
                                ", which the contract does not know")};
}

}  // namespace switchyard::plugin

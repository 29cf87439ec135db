#include "core/plugin/table.hpp"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <switchyard/logger.h>
#include <switchyard/provider.h>
#include <switchyard/strategy.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "core/plugin/host.hpp"
#include "core/plugin/provider.hpp"
#include "switchyard_version.hpp"

namespace switchyard::plugin {
namespace {

constexpr std::uint32_t kKindsMax = 64;
// What minor 0 had: a table without what later minors append is whole.
constexpr std::size_t kLibBytesMin = offsetof(swy_lib, self_test) + sizeof(swy_lib::self_test);
constexpr std::size_t kKindBytesMin = offsetof(swy_kind, vt) + sizeof(swy_kind::vt);

// One mandatory slot of a function table.
struct Slot {
  const char* name;
  std::size_t offset;
};

constexpr Slot kProviderSlots[] = {{"open", offsetof(swy_provider, open)},
                                   {"close", offsetof(swy_provider, close)},
                                   {"op_new", offsetof(swy_provider, op_new)},
                                   {"op_step", offsetof(swy_provider, op_step)},
                                   {"op_free", offsetof(swy_provider, op_free)}};
constexpr Slot kStrategySlots[] = {{"open", offsetof(swy_strategy, open)},
                                   {"close", offsetof(swy_strategy, close)},
                                   {"score", offsetof(swy_strategy, score)}};
constexpr Slot kLoggerSlots[] = {{"open", offsetof(swy_logger, open)},
                                 {"close", offsetof(swy_logger, close)},
                                 {"write", offsetof(swy_logger, write)},
                                 {"flush", offsetof(swy_logger, flush)}};

struct Interface {
  std::string_view id;
  const char* table;  // what a refusal calls the function table
  std::span<const Slot> slots;
};

constexpr std::array<Interface, 3> kInterfaces = {{
    {SWY_PROVIDER_IFACE, "swy_provider", kProviderSlots},
    {SWY_STRATEGY_IFACE, "swy_strategy", kStrategySlots},
    {SWY_LOGGER_IFACE, "swy_logger", kLoggerSlots},
}};

const Interface* find_interface(std::string_view id) {
  const auto it = std::find_if(kInterfaces.begin(), kInterfaces.end(),
                               [&](const Interface& known) { return known.id == id; });
  return it == kInterfaces.end() ? nullptr : &*it;
}

bool in_grammar(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && in_grammar(name, "_-");
}

bool is_id(std::string_view id) {
  const std::size_t dot = id.find('.');
  return id.size() <= 127 && dot != std::string_view::npos && dot > 0 && dot + 1 < id.size() &&
         in_grammar(id, "_-.");
}

Error short_struct(const std::string& what, std::uint32_t size, std::size_t least) {
  return Error{what + " has " + std::to_string(size) + " bytes, expected at least " +
               std::to_string(least)};
}

Result<void> check_object(const std::string& what, const char* json) {
  rapidjson::Document document;
  document.Parse(json);
  if (document.HasParseError()) {
    return Error{what + " is not JSON: byte " + std::to_string(document.GetErrorOffset()) + ": " +
                 rapidjson::GetParseError_En(document.GetParseError())};
  }
  if (!document.IsObject()) return Error{what + " is not a JSON object"};
  return {};
}

Result<void> check_table(const std::string& where, const Interface& iface, const void* table) {
  if (!table) return Error{where + ": vt is NULL"};
  std::uint32_t size = 0;
  std::memcpy(&size, table, sizeof size);
  for (const Slot& slot : iface.slots) {
    const std::string name = std::string(iface.table) + "." + slot.name;
    if (size < slot.offset + sizeof(void*)) {
      return Error{where + ": " + name + " is missing: the table has " + std::to_string(size) +
                   " bytes"};
    }
    const void* function = nullptr;
    std::memcpy(&function, static_cast<const char*>(table) + slot.offset, sizeof function);
    if (!function) return Error{where + ": " + name + " is NULL"};
  }
  return {};
}

Result<Kind> read_kind(const std::string& place, const swy_kind& kind, const Interface& iface) {
  if (!kind.name) return Error{place + ": name is NULL"};
  if (!is_name(kind.name)) {
    return Error{place + ": name \"" + kind.name + "\", expected [a-z0-9_-]{1,63}"};
  }
  const std::string where = place + " (" + kind.iface + " \"" + kind.name + "\")";
  if (!kind.caps) return Error{where + ": caps is NULL"};
  if (Result<void> ok = check_object(where + ": caps", kind.caps); !ok) return ok.error();
  if (kind.schema) {
    if (Result<void> ok = check_object(where + ": schema", kind.schema); !ok) return ok.error();
  }
  if (iface.id == SWY_PROVIDER_IFACE) {
    if (auto caps = parse_provider_caps(kind.caps); !caps) {
      return Error{where + ": " + caps.error().message};
    }
  }
  if (Result<void> ok = check_table(where, iface, kind.vt); !ok) return ok.error();
  return Kind{.iface = kind.iface,
              .name = kind.name,
              .schema = kind.schema ? kind.schema : "",
              .caps = kind.caps,
              .vt = kind.vt};
}

std::string known_interfaces() {
  std::string text;
  for (const Interface& iface : kInterfaces) {
    if (!text.empty()) text += ", ";
    text += iface.id;
  }
  return text;
}

Result<std::vector<Kind>> read_kinds(const swy_lib& lib) {
  if (lib.nkinds == 0) return Error{"offers nothing: nkinds is 0"};
  if (lib.nkinds > kKindsMax) {
    return Error{"offers " + std::to_string(lib.nkinds) + " kinds, expected at most " +
                 std::to_string(kKindsMax)};
  }
  if (!lib.kinds) return Error{"swy_lib.kinds is NULL"};

  std::vector<Kind> kinds;
  std::string unknown;
  for (std::uint32_t i = 0; i < lib.nkinds; ++i) {
    const std::string place = "kinds[" + std::to_string(i) + "]";
    const swy_kind* kind = lib.kinds[i];
    if (!kind) return Error{place + " is NULL"};
    if (kind->size < kKindBytesMin) {
      return short_struct(place + ": swy_kind", kind->size, kKindBytesMin);
    }
    if (!kind->iface) return Error{place + ": iface is NULL"};
    const Interface* iface = find_interface(kind->iface);
    if (!iface) {
      // A library may bring kinds for newer hosts beside those that this one knows.
      unknown += (unknown.empty() ? "" : ", ") + std::string(kind->iface);
      continue;
    }
    Result<Kind> read = read_kind(place, *kind, *iface);
    if (!read) return std::move(read).error();
    for (const Kind& other : kinds) {
      if (other.iface == read->iface && other.name == read->name) {
        return Error{place + " (" + read->iface + " \"" + read->name + "\") is there twice"};
      }
    }
    kinds.push_back(std::move(*read));
  }
  if (kinds.empty()) {
    return Error{"offers nothing that this host knows: " + unknown +
                 "; known: " + known_interfaces()};
  }
  return kinds;
}

// A plugin's exception must not unwind through host frames; it ends the process here, and in the
// trial the child.
swy_rc call(swy_rc(SWY_CALL* function)(const swy_host*, swy_err*), swy_err& err) noexcept {
  return function(host_table(), &err);
}

Result<void> call_checked(const char* name, swy_rc(SWY_CALL* function)(const swy_host*, swy_err*)) {
  if (!function) return {};
  swy_err err{};
  err.size = sizeof err;
  const swy_rc rc = call(function, err);
  if (rc < 0) return Error{std::string(name) + " failed: " + fault_text(rc, err)};
  return {};
}

const swy_lib* offer(swy_entry entry, const swy_hello& hello) noexcept { return entry(&hello); }

std::string rc_name(swy_rc rc) {
  switch (rc) {
    case SWY_E_UNSUP:
      return "SWY_E_UNSUP";
    case SWY_E_ARG:
      return "SWY_E_ARG";
    case SWY_E_DATA:
      return "SWY_E_DATA";
    case SWY_E_LIMIT:
      return "SWY_E_LIMIT";
    case SWY_E_GONE:
      return "SWY_E_GONE";
    case SWY_E_BUG:
      return "SWY_E_BUG";
    default:
      return "code " + std::to_string(rc);
  }
}

}  // namespace

Result<Offer> negotiate(swy_entry entry) {
  const swy_hello hello = {.size = sizeof(swy_hello),
                           .host_minor = SWY_MINOR,
                           .oldest_plugin_minor = 0,
                           .flags = 0,
                           .host_version = kVersion};
  const swy_lib* lib = offer(entry, hello);
  if (!lib) {
    return Error{"refuses this host: " SWY_ENTRY_NAME " returned NULL to an offer of minor " +
                 std::to_string(SWY_MINOR)};
  }
  if (lib->size < kLibBytesMin) return short_struct("swy_lib", lib->size, kLibBytesMin);
  if (lib->need_host_minor > SWY_MINOR) {
    return Error{"needs host minor " + std::to_string(lib->need_host_minor) + ", this host has " +
                 std::to_string(SWY_MINOR)};
  }
  if (!lib->id || !lib->version || !lib->build) {
    return Error{std::string("swy_lib.") +
                 (!lib->id        ? "id"
                  : !lib->version ? "version"
                                  : "build") +
                 " is NULL"};
  }
  if (!is_id(lib->id)) {
    return Error{std::string("id \"") + lib->id + "\", expected vendor.name of [a-z0-9_.-]"};
  }
  Result<std::vector<Kind>> kinds = read_kinds(*lib);
  if (!kinds) return std::move(kinds).error();
  return Offer{.table = lib,
               .id = lib->id,
               .version = lib->version,
               .build = lib->build,
               .kinds = std::move(*kinds)};
}

Result<void> call_init(const swy_lib& table) { return call_checked("init", table.init); }

Result<void> call_self_test(const swy_lib& table) {
  return call_checked("self_test", table.self_test);
}

void call_fini(const swy_lib& table) noexcept {
  if (table.fini) table.fini();
}

std::string fault_text(swy_rc rc, const swy_err& err) {
  const std::string text(err.msg, ::strnlen(err.msg, sizeof err.msg));
  return text.empty() ? rc_name(rc) : text;
}

}  // namespace switchyard::plugin

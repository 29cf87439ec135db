#include "plugin.hpp"

#include <dlfcn.h>
#include <string.h>
#include <switchyard/logger.h>
#include <switchyard/provider.h>
#include <switchyard/strategy.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <switchyard/plugin.hpp>

#include "child.hpp"
#include "signing.hpp"

namespace swy::check {
namespace {

constexpr std::uint32_t kKindsMax = 64;

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
  std::span<const Slot> slots;
};
constexpr Interface kInterfaces[] = {{SWY_PROVIDER_IFACE, kProviderSlots},
                                     {SWY_STRATEGY_IFACE, kStrategySlots},
                                     {SWY_LOGGER_IFACE, kLoggerSlots}};

bool in_grammar(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

std::string object_fault(const char* what, const char* text, Value* read = nullptr) {
  std::string why;
  std::optional<Value> value = parse(text, why);
  if (!value) return std::string(what) + " is not JSON: " + why;
  if (!value->is('o')) return std::string(what) + " is not a JSON object";
  if (read) *read = std::move(*value);
  return {};
}

std::string caps_fault(const Value& caps) {
  const Value* tasks = caps.find("tasks");
  if (!tasks) return "caps.tasks: expected at least one task";
  for (const char* name : {"tasks", "dialects"}) {
    const Value* list = caps.find(name);
    if (!list) continue;
    const bool texts = list->is('a') && std::all_of(list->items.begin(), list->items.end(),
                                                    [](const Value& v) { return v.is('s'); });
    if (!texts) return std::string("caps.") + name + ": expected an array of strings";
  }
  const Value* continues = caps.find("continues");
  if (continues && !continues->is('s') && !continues->is('t') && !continues->is('f')) {
    return "caps.continues: expected true, false or a JSON pointer";
  }
  return tasks->items.empty() ? "caps.tasks: expected at least one task" : "";
}

std::string table_fault(const Interface& iface, const void* table) {
  if (!table) return "vt is NULL";
  std::uint32_t size = 0;
  std::memcpy(&size, table, sizeof size);
  for (const Slot& slot : iface.slots) {
    if (size < slot.offset + sizeof(void*)) {
      return std::string(slot.name) + " is missing: the table has " + std::to_string(size) +
             " bytes";
    }
    const void* function = nullptr;
    std::memcpy(&function, static_cast<const char*>(table) + slot.offset, sizeof function);
    if (!function) return std::string(slot.name) + " is NULL";
  }
  return {};
}

std::string kind_fault(const swy_kind& kind, const Interface& iface) {
  if (!kind.name || !in_grammar(kind.name, "_-") || *kind.name == '\0' ||
      std::strlen(kind.name) > 63) {
    return "name: expected [a-z0-9_-]{1,63}";
  }
  if (!kind.caps) return "caps is NULL";
  Value caps;
  std::string fault = object_fault("caps", kind.caps, &caps);
  if (fault.empty() && kind.schema) fault = object_fault("schema", kind.schema);
  if (fault.empty() && iface.id == SWY_PROVIDER_IFACE) fault = caps_fault(caps);
  if (fault.empty()) fault = table_fault(iface, kind.vt);
  return fault;
}

std::string lib_fault(const swy_lib& lib) {
  if (lib.size < sizeof(swy_lib)) {
    return "swy_lib has " + std::to_string(lib.size) + " bytes, expected at least " +
           std::to_string(sizeof(swy_lib));
  }
  if (lib.need_host_minor > SWY_MINOR) {
    return "needs host minor " + std::to_string(lib.need_host_minor) + ", this kit has " +
           std::to_string(SWY_MINOR);
  }
  if (!lib.id || !lib.version || !lib.build) return "swy_lib.id, version or build is NULL";
  const std::string_view id = lib.id;
  const std::size_t dot = id.find('.');
  if (dot == 0 || dot == std::string_view::npos || dot + 1 == id.size() || id.size() > 127 ||
      !in_grammar(id, "_-.")) {
    return "id \"" + shown(id) + "\", expected vendor.name of [a-z0-9_.-]";
  }
  if (lib.nkinds == 0 || lib.nkinds > kKindsMax || !lib.kinds) {
    return "offers " + std::to_string(lib.nkinds) + " kinds, expected 1 to " +
           std::to_string(kKindsMax);
  }
  return {};
}

// ---- the host ----

void SWY_CALL host_log(const swy_host*, void*, std::int32_t, swy_str msg) noexcept {
  // Reads each byte: a line that isn't there shows here.
  volatile char sum = 0;
  for (std::uint64_t i = 0; i < msg.n; ++i) sum = static_cast<char>(sum ^ msg.p[i]);
}

// The wall clock stands still, so that the same events have the same answer.
std::uint64_t SWY_CALL host_now(const swy_host*, std::int32_t wall) noexcept {
  if (wall != 0) return 1'795'176'000'000'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

const void* SWY_CALL host_ext(const swy_host*, const char* id) noexcept {
  return id && std::string_view(id) == SWY_SIGN_EXT ? sign_table() : nullptr;
}

}  // namespace

std::string Kind::short_iface() const {
  const std::size_t dot = iface.find('.'), slash = iface.find('/');
  return iface.substr(dot + 1, slash - dot - 1);
}

swy_hello hello(std::uint32_t minor) {
  swy_hello offer{};
  offer.size = sizeof offer;
  offer.host_minor = minor;
  offer.host_version = "conformance kit";
  return offer;
}

Plugin load(const std::string& file) {
  Plugin plugin;
  entering("its constructors");
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  left();
  if (!library) {
    plugin.fault = std::string("can't be loaded: ") + ::dlerror();
    return plugin;
  }
  plugin.entry = reinterpret_cast<swy_entry>(::dlsym(library, SWY_ENTRY_NAME));
  if (!plugin.entry) {
    plugin.fault = "does not export " SWY_ENTRY_NAME;
    return plugin;
  }
  const swy_hello offer = hello(SWY_MINOR);
  entering(SWY_ENTRY_NAME);
  plugin.lib = plugin.entry(&offer);
  left();
  if (!plugin.lib) plugin.fault = SWY_ENTRY_NAME " returned NULL to this header's own minor";
  return plugin;
}

void read_kinds(Plugin& plugin) {
  if (!plugin.fault.empty()) return;
  plugin.fault = lib_fault(*plugin.lib);
  std::string unknown;
  for (std::uint32_t i = 0; plugin.fault.empty() && i < plugin.lib->nkinds; ++i) {
    const std::string place = "kinds[" + std::to_string(i) + "]: ";
    const swy_kind* kind = plugin.lib->kinds[i];
    if (!kind || kind->size < sizeof(swy_kind) || !kind->iface) {
      plugin.fault = place + "NULL, shorter than swy_kind, or without an iface";
      return;
    }
    const auto iface =
        std::find_if(std::begin(kInterfaces), std::end(kInterfaces),
                     [&](const Interface& known) { return known.id == kind->iface; });
    if (iface == std::end(kInterfaces)) {
      unknown += std::string(" ") + kind->iface;
      continue;
    }
    const std::string fault = kind_fault(*kind, *iface);
    if (!fault.empty()) {
      plugin.fault = place + fault;
      return;
    }
    plugin.kinds.push_back({kind->iface, kind->name, kind->schema ? kind->schema : "", kind->caps,
                            kind->schema != nullptr, kind->vt});
  }
  if (plugin.fault.empty() && plugin.kinds.empty()) {
    plugin.fault = "offers nothing that this kit knows:" + unknown;
  }
}

std::string call_init(const Plugin& plugin) {
  if (!plugin.lib->init) return {};
  swy_err err = empty_err();
  entering("swy_lib.init");
  const swy_rc rc = plugin.lib->init(host_table(), &err);
  left();
  return rc < 0 ? "init failed: " + rc_name(rc) + " " + err_text(err) : "";
}

const swy_host* host_table() {
  static const swy_host table = {sizeof(swy_host), SWY_MINOR, nullptr,
                                 host_log,         host_now,  host_ext};
  return &table;
}

std::string rc_name(swy_rc rc) {
  switch (rc) {
    case SWY_OK:
      return "SWY_OK";
    case SWY_SLOW:
      return "SWY_SLOW";
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

swy_err empty_err() {
  swy_err err{};
  err.size = sizeof err;
  return err;
}

std::string err_text(const swy_err& err) {
  return shown({err.msg, ::strnlen(err.msg, sizeof err.msg)});
}

std::string err_fault(const swy_err& err) {
  if (std::memchr(err.msg, 0, sizeof err.msg) == nullptr) return "err.msg has no NUL at its end";
  if (err.msg[0] == '\0') return "err.msg is empty: it has to say what happened";
  if (!is_utf8(err.msg)) return "err.msg is not UTF-8: " + shown(err.msg);
  if (err.cls < SWY_CLS_PLUGIN || err.cls > SWY_CLS_BAD_ANSWER) {
    return "err.cls is " + std::to_string(err.cls) + ", expected a SWY_CLS_*";
  }
  if (err.http != 0 && (err.http < 100 || err.http > 599)) {
    return "err.http is " + std::to_string(err.http) + ", expected a status or 0";
  }
  return {};
}

}  // namespace swy::check

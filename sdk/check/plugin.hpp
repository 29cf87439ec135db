// A plugin's library as the kit sees it: loaded, its table and kinds read, and the host that it is
// shown.
#pragma once

#include <switchyard/plugin.h>

#include <string>
#include <vector>

#include "json.hpp"

namespace swy::check {

// One kind, with copies of its texts.
struct Kind {
  std::string iface, name, schema, caps;
  bool has_schema = false;
  const void* vt = nullptr;

  std::string short_iface() const;  // "provider" of "swy.provider/0"
  std::string title() const { return short_iface() + ":" + name; }
};

struct Plugin {
  swy_entry entry = nullptr;
  const swy_lib* lib = nullptr;
  std::vector<Kind> kinds;
  std::string fault;  // why the rest is empty
};

// Maps the file and asks its entry; of what it offers nothing is read yet.
Plugin load(const std::string& file);
// Reads the table; the fault says what of it is not well-formed.
void read_kinds(Plugin& plugin);
// "" where init went well.
std::string call_init(const Plugin& plugin);

const swy_host* host_table();
swy_hello hello(std::uint32_t minor);

std::string rc_name(swy_rc rc);
swy_err empty_err();
// What is wrong with an err that was filled for a fault; "" where nothing is.
std::string err_fault(const swy_err& err);
std::string err_text(const swy_err& err);

// What of `config` the schema (draft 4) does not allow, or what is wrong with the schema itself.
std::string schema_fault(const Value& schema);
std::string config_fault(const Value& schema, const Value& config);

}  // namespace swy::check

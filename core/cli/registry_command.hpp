// What the commands about accounts and keys have in common: they work on the store itself, and
// return when a running gateway has taken the change.
#pragma once

#include <rapidjson/document.h>

#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/account/registry.hpp"
#include "core/base/result.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/terminal.hpp"
#include "core/store/store.hpp"

namespace switchyard::cli {

std::uint64_t now_unix_s();

struct OpenRegistry {
  std::filesystem::path state;
  std::unique_ptr<store::Database> database;
  std::unique_ptr<store::Accounts> accounts;
  std::unique_ptr<account::Registry> registry;
};

// That of --state, --config or the user. It has to be there where `present`: looking must not make
// one.
Result<OpenRegistry> open_registry(const Arguments& args, bool present);

// How an option becomes a member of what the registry is told.
enum class Kind { kText, kTextOrNone, kList, kFlag, kNumber, kTime, kJson };
struct Option {
  const char* option;  // "--models"
  const char* member;  // "models"
  Kind kind;
};
std::vector<std::string> option_names(const std::vector<Option>& options);
// The members that the options of `args` say, as a JSON object. The error names the option.
// "--rpm" and its like make up one member, "limits".
std::vector<std::string> with_limit_options(std::vector<std::string> names);
Result<rapidjson::Document> fields_of(const Arguments& args, const std::vector<Option>& options);

// "90s", "24h", "30d", in seconds.
Result<std::uint64_t> parse_age(const std::string& text);

// Of JSON texts: one object, and an array of them.
void print_json(const std::string& json, std::ostream& out);
void print_json(const std::vector<std::string>& objects, std::ostream& out);
// A line for each member of an object.
void print_members(const std::string& json, std::ostream& out);

struct Verb {
  const char* name;
  int (*run)(account::Registry& registry, const Arguments& args, const Streams& streams);
  bool takes_id = false;
  std::vector<std::string> options;
  // Makes the state directory where there is none, for calls that this finds no fault with.
  int (*creates)(const Arguments& args, const Streams& streams) = nullptr;
};
// What a command like "switchyard NOUN VERB [ID] [OPTIONS]" does.
int run_verb(const std::string& noun, const char* usage, const std::vector<Verb>& verbs,
             std::span<const std::string> args, const Streams& streams);

std::string joined(const std::vector<std::string>& texts);

}  // namespace switchyard::cli

#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/cli/admin_client.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/plugin_file.hpp"
#include "core/cli/plugin_new.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

using Words = std::span<const std::string>;
using Json = rapidjson::Value;

constexpr char kUsage[] =
    "usage: switchyard plugin list\n"
    "       switchyard plugin swap FILE.so      what the plugin directory's file holds now "
    "serves;\n"
    "                                           a path elsewhere is installed there first\n"
    "       switchyard plugin rollback NAME.so  the generation before serves again\n"
    "each with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n"
    "       switchyard plugin check FILE.so     holds a plugin file against its contract (--help)\n"
    "       switchyard plugin new provider|strategy|logger NAME [DIRECTORY]\n"
    "                                           a project of your own, from the template\n";

// A command that asks a running gateway.
struct Call {
  Arguments args;
  AdminClient client;
  const Streams& streams;

  bool as_json() const { return args.has("--json"); }
  const std::string& word() const { return args.words.front(); }
};

std::string text_of(const Json& json, const char* name) {
  const auto found = json.FindMember(name);
  return found != json.MemberEnd() && found->value.IsString() ? found->value.GetString() : "";
}

std::string number_of(const Json& json, const char* name) {
  const auto found = json.FindMember(name);
  return found != json.MemberEnd() && found->value.IsUint64()
             ? std::to_string(found->value.GetUint64())
             : "";
}

const Json& array_of(const Json& json, const char* name) {
  static const Json kEmpty(rapidjson::kArrayType);
  const auto found = json.FindMember(name);
  return found != json.MemberEnd() && found->value.IsArray() ? found->value : kEmpty;
}

Result<rapidjson::Document> parse(const AdminAnswer& answer) {
  rapidjson::Document document;
  document.Parse(answer.body.data(), answer.body.size());
  if (document.HasParseError() || !document.IsObject()) {
    return Error{"the gateway's answer is not the JSON object that was expected"};
  }
  return document;
}

// The API's own answer goes out as it came: a program sees code and message either way.
int refuse(const Call& call, const AdminAnswer& answer) {
  if (call.as_json()) {
    call.streams.out << answer.body << '\n';
    return 1;
  }
  return fail(call.streams, error_message(answer));
}

// ---- list ----

void tell_plugins(const Json& plugins, std::ostream& out) {
  std::vector<std::vector<std::string>> lines{
      {"FILE", "GENERATION", "STATE", "ID", "VERSION", "SHA256", "INSTANCES", "SINCE"}};
  std::vector<std::string> reasons;
  for (const Json& plugin : array_of(plugins, "plugins").GetArray()) {
    const std::string file = text_of(plugin, "file");
    for (const Json& generation : array_of(plugin, "generations").GetArray()) {
      const std::string state = text_of(generation, "state");
      if (state == "retired") continue;
      lines.push_back({file, number_of(generation, "number"), state, text_of(generation, "id"),
                       text_of(generation, "version"), text_of(generation, "sha256").substr(0, 12),
                       number_of(generation, "instances"), text_of(generation, "since")});
      const std::string reason = text_of(generation, "reason");
      if (!reason.empty()) reasons.push_back(file + ": " + reason);
    }
  }
  print_table(lines, out);
  for (const std::string& reason : reasons) out << reason << '\n';
}

int list(const Call& call) {
  const auto answer = call.client.get("/admin/v1/plugins");
  if (!answer) return fail(call.streams, answer.error().message);
  if (answer->status != 200) return refuse(call, *answer);
  if (call.as_json()) {
    call.streams.out << answer->body << '\n';
    return 0;
  }
  const auto plugins = parse(*answer);
  if (!plugins) return fail(call.streams, plugins.error().message);
  tell_plugins(*plugins, call.streams.out);
  return 0;
}

// ---- swap, rollback ----

void tell_serving(const Json& plugin, std::ostream& out) {
  out << text_of(plugin, "file") << ": generation " << number_of(plugin, "generation")
      << " serves: " << text_of(plugin, "id") << ' ' << text_of(plugin, "version") << '\n';
}

// 0 where the file's change is in force.
int change(const Call& call, const char* route, const std::string& file) {
  std::string body = R"({"file":)";
  append_json_string(body, file);
  body += '}';
  const auto answer = call.client.post(route, body);
  if (!answer) return fail(call.streams, answer.error().message);
  if (answer->status != 200) return refuse(call, *answer);
  if (call.as_json()) {
    call.streams.out << answer->body << '\n';
    return 0;
  }
  const auto plugin = parse(*answer);
  if (!plugin) return fail(call.streams, plugin.error().message);
  tell_serving(*plugin, call.streams.out);
  return 0;
}

Result<fs::path> plugin_directory(const AdminClient& client) {
  const auto answer = client.get("/admin/v1/plugins");
  if (!answer) return answer.error();
  if (answer->status != 200) return Error{error_message(*answer)};
  const auto plugins = parse(*answer);
  if (!plugins) return plugins.error();
  return fs::path(text_of(*plugins, "directory"));
}

int swap(const Call& call) {
  constexpr char kRoute[] = "/admin/v1/plugins/swap";
  const fs::path path = call.word();
  if (!path.has_parent_path()) return change(call, kRoute, call.word());
  const auto directory = plugin_directory(call.client);
  if (!directory) return fail(call.streams, directory.error().message);
  std::error_code missing;
  if (fs::equivalent(path.parent_path(), *directory, missing)) {
    return change(call, kRoute, path.filename().string());
  }
  if (path.extension() != ".so" || path.filename().string().starts_with('.')) {
    return misuse(call.streams, path.string() + ": expected the path of a .so file", kUsage);
  }
  auto installed = InstalledFile::install(path, *directory);
  if (!installed) return fail(call.streams, installed.error().message);
  const int status = change(call, kRoute, installed->name());
  if (status == 0) installed->keep();
  return status;
}

int rollback(const Call& call) { return change(call, "/admin/v1/plugins/rollback", call.word()); }

// ---- what there is ----

// Asks the gateway whose state the options name.
int ask_gateway(Words words, std::size_t wanted, int (*run)(const Call&), const Streams& streams) {
  auto parsed = parse_arguments(words, {"--state", "--config", "--ca-file"}, {"--json", "--help"});
  if (!parsed) return misuse(streams, parsed.error().message, kUsage);
  if (parsed->has("--help")) {
    streams.out << kUsage;
    return 0;
  }
  if (parsed->has("--state") && parsed->has("--config")) {
    return misuse(streams, "--state and --config both say where the state is; give one", kUsage);
  }
  if (parsed->words.size() != wanted) {
    return misuse(
        streams,
        wanted == 0 ? "plugin list takes no further words" : "expected the name of one plugin file",
        kUsage);
  }
  const auto directory = state_directory(*parsed);
  if (!directory) return fail(streams, directory.error().message);
  auto client = AdminClient::open(*directory, parsed->value("--ca-file"));
  if (!client) return fail(streams, client.error().message);
  return run(Call{std::move(*parsed), std::move(*client), streams});
}

struct Verb {
  const char* name;
  int (*run)(Words, const Streams&);
};

constexpr Verb kVerbs[] = {
    {"check",
     [](Words words, const Streams& to) { return run_plugin_check(words, to.out, to.err); }},
    {"new", [](Words words, const Streams& to) { return run_plugin_new(words, to.out, to.err); }},
    {"list", [](Words words, const Streams& to) { return ask_gateway(words, 0, list, to); }},
    {"swap", [](Words words, const Streams& to) { return ask_gateway(words, 1, swap, to); }},
    {"rollback",
     [](Words words, const Streams& to) { return ask_gateway(words, 1, rollback, to); }},
};

}  // namespace

int run_plugin(Words args, std::ostream& out, std::ostream& err) {
  const Streams streams{out, err};
  if (args.empty()) return misuse(streams, "plugin: new, check, list, swap or rollback?", kUsage);
  if (args[0] == "--help") {
    out << kUsage;
    return 0;
  }
  for (const Verb& verb : kVerbs) {
    if (args[0] == verb.name) return verb.run(args.subspan(1), streams);
  }
  return misuse(streams, "plugin: there is no \"" + args[0] + "\"", kUsage);
}

int run_plugin(Words args) { return run_plugin(args, std::cout, std::cerr); }

}  // namespace switchyard::cli

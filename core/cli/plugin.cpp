#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iostream>
#include <thread>
#include <vector>

#include "core/admin/plugin_routes.hpp"
#include "core/base/json_object.hpp"
#include "core/cli/admin_client.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/plugin_file.hpp"
#include "core/cli/plugin_new.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/config/address.hpp"
#include "core/config/json_text.hpp"

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
    "         --shadow N         first its strategies decide beside those that serve, which is\n"
    "                            compared and changes nothing: for N decisions (100000 at most)\n"
    "         --shadow-for TIME  or for so long, whatever comes first (10m; 1h at most)\n"
    "         --agree PERCENT    it serves only if in so many the first choice was the same\n"
    "       switchyard plugin rollback NAME.so  the generation before serves again; a shadow run\n"
    "                                           ends, and what serves stays\n"
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

// ---- one file ----

void tell_serving(const Json& plugin, std::ostream& out) {
  out << text_of(plugin, "file") << ": generation " << number_of(plugin, "generation")
      << " serves: " << text_of(plugin, "id") << ' ' << text_of(plugin, "version") << '\n';
}

std::string file_json(const std::string& file) { return R"({"file":)" + json_text(file) + '}'; }

// 0 where the file's change is in force.
int change(const Call& call, const char* route, const std::string& file) {
  const auto answer = call.client.post(route, file_json(file));
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

// ---- a shadow run ----

constexpr char kSwapRoute[] = "/admin/v1/plugins/swap";
constexpr std::chrono::milliseconds kLook{200};

// A whole number, with `unit` behind it or not.
Result<std::uint64_t> read_number(const Arguments& args, const char* name, std::uint64_t most,
                                  char unit = '\0') {
  std::string text = args.value(name);
  if (unit != '\0' && text.ends_with(unit)) text.pop_back();
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end && number >= 1 && number <= most) return number;
  return Error{std::string(name) + ": expected 1 to " + std::to_string(most)};
}

// The member "shadow" of the call; empty: none is wanted. What is not given is the gateway's to
// say.
Result<std::string> shadow_json(const Arguments& args) {
  using Terms = admin::ShadowTerms;
  JsonObject json;
  if (!args.has("--shadow") && !args.has("--shadow-for")) {
    if (!args.has("--agree")) return std::string();
    return Error{"--agree is of a shadow run: give --shadow or --shadow-for too"};
  }
  if (args.has("--shadow")) {
    const auto decisions = read_number(args, "--shadow", Terms::kDecisionsMax);
    if (!decisions) return decisions.error();
    json.number("decisions", *decisions);
  }
  if (args.has("--shadow-for")) {
    const auto time = config::parse_duration(args.value("--shadow-for"));
    const auto seconds = time ? std::chrono::duration_cast<std::chrono::seconds>(*time).count() : 0;
    if (seconds < 1 || seconds > Terms::kSecondsMax) {
      return Error{"--shadow-for: expected a duration such as 60s or 5m, 1h at most"};
    }
    json.number("seconds", static_cast<std::uint64_t>(seconds));
  }
  if (args.has("--agree")) {
    const auto percent = read_number(args, "--agree", 100, '%');
    if (!percent) return percent.error();
    json.number("agree_percent", *percent);
  }
  return json.take();
}

void tell_shadow(const Json& shadow, std::ostream& out) {
  out << "compared " << number_of(shadow, "compared")
      << " decisions in the shadow: " << number_of(shadow, "agreed")
      << " with the same first choice, " << number_of(shadow, "same_order")
      << " of them in the same order; " << number_of(shadow, "mean_us") << " us each, "
      << number_of(shadow, "max_us") << " us at most\n";
  for (const Json& each : array_of(shadow, "differences").GetArray()) {
    const auto side = [&](const char* name, const char* reason) {
      return text_of(each, name) + " (" + text_of(each, reason) + ")";
    };
    out << printable("  " + text_of(each, "request_id") + ": " + side("serving", "serving_reason") +
                     ", the new one " + side("candidate", "candidate_reason"))
        << '\n';
  }
}

// The file as the gateway has it; null where it has none of that name.
const Json* find_plugin(const Json& plugins, const std::string& file) {
  for (const Json& plugin : array_of(plugins, "plugins").GetArray()) {
    if (text_of(plugin, "file") == file) return &plugin;
  }
  return nullptr;
}

const Json& shadow_of(const Json& plugin) {
  static const Json kNone(rapidjson::kObjectType);
  const auto found = plugin.FindMember("shadow");
  return found == plugin.MemberEnd() ? kNone : found->value;
}

// 0 where the file serves then.
int tell_end(const Call& call, const Json& plugin, const std::string& file) {
  const Json& shadow = shadow_of(plugin);
  const std::string state = text_of(shadow, "state");
  if (call.as_json()) {
    call.streams.out << config::to_json(plugin) << '\n';
  } else {
    tell_shadow(shadow, call.streams.out);
    if (state == "published") tell_serving(plugin, call.streams.out);
  }
  if (state == "published") return 0;
  return fail(call.streams, file + ": " + state + ": " + text_of(shadow, "reason"));
}

// Looks at the run until it is over. The run is the gateway's: it goes on where this command ends.
int await_shadow(const Call& call, const std::string& file) {
  for (;;) {
    std::this_thread::sleep_for(kLook);
    const auto answer = call.client.get("/admin/v1/plugins");
    if (answer && answer->status != 200) return refuse(call, *answer);
    const auto plugins = answer ? parse(*answer) : Result<rapidjson::Document>(answer.error());
    const Json* const plugin = plugins ? find_plugin(*plugins, file) : nullptr;
    const std::string state = plugin != nullptr ? text_of(shadow_of(*plugin), "state") : "";
    if (state == "running") continue;
    if (!state.empty()) return tell_end(call, *plugin, file);
    return fail(call.streams, file + ": its shadow run ended with the worker that made it, and " +
                                  "what served before serves on; the gateway's log says why");
  }
}

int swap_with_shadow(const Call& call, const std::string& file, const std::string& shadow) {
  const std::string body = JsonObject().text("file", file).raw("shadow", shadow).take();
  const auto answer = call.client.post(kSwapRoute, body);
  if (!answer) return fail(call.streams, answer.error().message);
  if (answer->status != 202) return refuse(call, *answer);
  return await_shadow(call, file);
}

// ---- swap, rollback ----

int swap(const Call& call) {
  const auto shadow = shadow_json(call.args);
  if (!shadow) return misuse(call.streams, shadow.error().message, kUsage);
  const auto swap_file = [&](const std::string& file) {
    return shadow->empty() ? change(call, kSwapRoute, file) : swap_with_shadow(call, file, *shadow);
  };
  const fs::path path = call.word();
  if (!path.has_parent_path()) return swap_file(call.word());
  const auto directory = plugin_directory(call.client);
  if (!directory) return fail(call.streams, directory.error().message);
  std::error_code missing;
  if (fs::equivalent(path.parent_path(), *directory, missing)) {
    return swap_file(path.filename().string());
  }
  if (path.extension() != ".so" || path.filename().string().starts_with('.')) {
    return misuse(call.streams, path.string() + ": expected the path of a .so file", kUsage);
  }
  auto installed = InstalledFile::install(path, *directory);
  if (!installed) return fail(call.streams, installed.error().message);
  const int status = swap_file(installed->name());
  if (status == 0) installed->keep();
  return status;
}

int rollback(const Call& call) { return change(call, "/admin/v1/plugins/rollback", call.word()); }

// ---- what there is ----

// Asks the gateway whose state the options name.
int ask_gateway(Words words, std::size_t wanted, int (*run)(const Call&), const Streams& streams,
                const std::vector<std::string>& more = {}) {
  std::vector<std::string> options = {"--state", "--config", "--ca-file"};
  options.insert(options.end(), more.begin(), more.end());
  auto parsed = parse_arguments(words, options, {"--json", "--help"});
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
    {"swap",
     [](Words words, const Streams& to) {
       return ask_gateway(words, 1, swap, to, {"--shadow", "--shadow-for", "--agree"});
     }},
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

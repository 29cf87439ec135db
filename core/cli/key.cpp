#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <ctime>
#include <iostream>

#include "core/account/keys.hpp"
#include "core/base/clock.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/config/config.hpp"
#include "core/store/store.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

using Json = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

constexpr char kUsage[] =
    "usage: switchyard key create --name NAME [--models A,B]\n"
    "       switchyard key list\n"
    "       switchyard key disable ID\n"
    "each with [--state DIR | --config FILE] [--json]\n";

struct Streams {
  std::ostream& out;
  std::ostream& err;
};

int fail(const Streams& streams, const std::string& message) {
  streams.err << message << '\n';
  return 1;
}

int misuse(const Streams& streams, const std::string& message) {
  streams.err << message << '\n' << kUsage;
  return 2;
}

std::uint64_t now_unix_s() { return unix_ns() / 1'000'000'000u; }

std::string utc(std::uint64_t unix_s) {
  const auto seconds = static_cast<std::time_t>(unix_s);
  std::tm broken{};
  if (gmtime_r(&seconds, &broken) == nullptr) return "?";
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &broken);
  return {text, size};
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = text.find(',', begin);
    parts.push_back(text.substr(begin, comma - begin));
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool is_pattern(const std::string& pattern) {
  return !pattern.empty() && pattern.size() <= 256 &&
         std::all_of(pattern.begin(), pattern.end(),
                     [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

struct Opened {
  store::State state;
  std::unique_ptr<store::Store> store;
};

Result<Opened> open_store(const fs::path& directory) {
  auto state = store::open_state(directory);
  if (!state) return state.error();
  auto store = store::Store::open(directory);
  if (!store) return store.error();
  return Opened{std::move(state).value(), std::move(store).value()};
}

void put_row(Json& json, const store::KeyRow& row) {
  json.Key("id");
  json.String(row.id);
  json.Key("name");
  json.String(row.name);
  json.Key("account");
  json.String(row.account);
  json.Key("models");
  json.StartArray();
  for (const std::string& model : row.models) json.String(model);
  json.EndArray();
  json.Key("created");
  json.String(utc(row.created_unix_s));
  json.Key("disabled");
  if (row.disabled_unix_s == 0) {
    json.Null();
  } else {
    json.String(utc(row.disabled_unix_s));
  }
}

void tell_created(const store::KeyRow& row, const Secret& key, bool as_json, std::ostream& out) {
  if (!as_json) {
    out << "The key " << row.id << " (" << row.name << ") may use "
        << (row.models.empty() ? "every model" : joined(row.models))
        << ". It is shown this once and kept nowhere:\n\n  " << key.reveal()
        << "\n\nClients send it as \"Authorization: Bearer KEY\"; the SDKs of OpenAI take it as "
           "the "
           "API key.\n";
    return;
  }
  rapidjson::StringBuffer buffer;
  Json json(buffer);
  json.StartObject();
  put_row(json, row);
  json.Key("key");
  json.String(key.reveal().data(), static_cast<rapidjson::SizeType>(key.reveal().size()));
  json.Key("mac");
  json.String(row.mac_hex);
  json.EndObject();
  out << buffer.GetString() << '\n';
}

int create(const Arguments& args, const Streams& streams) {
  const std::string name = args.value("--name");
  if (args.words.size() != 1) return misuse(streams, "key create takes no further words");
  if (!is_name(name)) {
    return misuse(streams, "--name: expected 1 to 64 characters of A-Z, a-z, 0-9, . _ and -");
  }
  store::KeyRow row;
  if (args.has("--models")) row.models = split(args.value("--models"));
  if (!std::all_of(row.models.begin(), row.models.end(), is_pattern)) {
    return misuse(streams, "--models: expected names or patterns, with commas between them");
  }
  const auto directory = state_directory(args);
  if (!directory) return fail(streams, directory.error().message);
  const auto opened = open_store(*directory);
  if (!opened) return fail(streams, opened.error().message);

  const Secret key = account::new_gateway_key();
  row.id = account::new_key_id();
  row.name = name;
  row.account = "default";
  row.mac_hex = account::to_hex(account::Pepper(Secret(opened->state.pepper)).mac(key.reveal()));
  row.created_unix_s = now_unix_s();
  const auto added = opened->store->add_key(row);
  if (!added) return fail(streams, added.error().message);
  tell_created(row, key, args.has("--json"), streams.out);
  return 0;
}

// The store of a directory that has to be there: looking must not make one.
Result<Opened> open_present(const Arguments& args) {
  const auto directory = state_directory(args);
  if (!directory) return directory.error();
  std::error_code ignored;
  if (!fs::exists(*directory, ignored)) {
    return Error{directory->string() +
                 ": there is no state directory; --state or --config says where it is"};
  }
  return open_store(*directory);
}

void tell_list(const std::vector<store::KeyRow>& rows, bool as_json, std::ostream& out) {
  if (as_json) {
    rapidjson::StringBuffer buffer;
    Json json(buffer);
    json.StartArray();
    for (const store::KeyRow& row : rows) {
      json.StartObject();
      put_row(json, row);
      json.EndObject();
    }
    json.EndArray();
    out << buffer.GetString() << '\n';
    return;
  }
  if (rows.empty()) {
    out << "no keys; make one with: switchyard key create --name NAME\n";
    return;
  }
  std::vector<std::array<std::string, 5>> lines{{"ID", "NAME", "CREATED", "STATE", "MODELS"}};
  for (const store::KeyRow& row : rows) {
    const std::string state =
        row.disabled_unix_s == 0 ? "enabled" : "disabled " + utc(row.disabled_unix_s);
    lines.push_back({row.id, row.name, utc(row.created_unix_s), state,
                     row.models.empty() ? "every" : joined(row.models)});
  }
  std::array<std::size_t, 5> widths{};
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      out << line[i] << std::string(widths[i] - line[i].size() + 2, ' ');
    }
    out << line.back() << '\n';
  }
}

int list(const Arguments& args, const Streams& streams) {
  if (args.words.size() != 1) return misuse(streams, "key list takes no further words");
  const auto opened = open_present(args);
  if (!opened) return fail(streams, opened.error().message);
  const auto rows = opened->store->keys();
  if (!rows) return fail(streams, rows.error().message);
  tell_list(*rows, args.has("--json"), streams.out);
  return 0;
}

int disable(const Arguments& args, const Streams& streams) {
  if (args.words.size() != 2) return misuse(streams, "key disable takes the id of one key");
  const std::string& id = args.words[1];
  const auto opened = open_present(args);
  if (!opened) return fail(streams, opened.error().message);
  const auto found = opened->store->disable_key(id, now_unix_s());
  if (!found) return fail(streams, found.error().message);
  if (!*found) return fail(streams, "there is no key " + id + "; `switchyard key list` shows them");
  if (args.has("--json")) {
    streams.out << "{\"id\": \"" << id << "\", \"disabled\": true}\n";
  } else {
    streams.out << id << " is disabled; a running gateway sees it within a second\n";
  }
  return 0;
}

}  // namespace

int run_key(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const Streams streams{out, err};
  const auto parsed =
      parse_arguments(args, {"--name", "--models", "--state", "--config"}, {"--json", "--help"});
  if (!parsed) return misuse(streams, parsed.error().message);
  if (parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (parsed->words.empty()) return misuse(streams, "key: create, list or disable?");
  if (parsed->has("--state") && parsed->has("--config")) {
    return misuse(streams, "--state and --config both say where the state is; give one");
  }
  const std::string& verb = parsed->words[0];
  const bool creating = verb == "create";
  if (!creating && (parsed->has("--name") || parsed->has("--models"))) {
    return misuse(streams, "--name and --models go with key create");
  }
  if (creating) return create(*parsed, streams);
  if (verb == "list") return list(*parsed, streams);
  if (verb == "disable") return disable(*parsed, streams);
  return misuse(streams, "key: there is no \"" + verb + "\"");
}

int run_key(std::span<const std::string> args) { return run_key(args, std::cout, std::cerr); }

}  // namespace switchyard::cli

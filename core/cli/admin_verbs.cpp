#include "core/cli/admin_verbs.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/base/json_scan.hpp"
#include "core/base/percent.hpp"
#include "core/cli/admin_client.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"

namespace switchyard::cli {
namespace {

using Json = rapidjson::Value;
using Kind = ApiOption::Kind;

bool takes_word(const ApiVerb& verb) { return std::strchr(verb.path, '{') != nullptr; }

std::string path_of(const ApiVerb& verb, const Arguments& args) {
  std::string path = verb.path;
  const std::size_t place = path.find("{}");
  if (place != std::string::npos) path.replace(place, 2, percent_encoded(args.words.front()));
  if (std::strcmp(verb.method, "GET") != 0) return path;
  char before = '?';
  for (const ApiOption& option : verb.options) {
    if (!args.has(option.name)) continue;
    path +=
        before + percent_encoded(option.member) + "=" + percent_encoded(args.value(option.name));
    before = '&';
  }
  return path;
}

// "a,b" as a JSON array of texts.
std::string list_json(const std::string& text) {
  std::string json = "[";
  std::size_t from = 0;
  while (from <= text.size()) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    if (json.size() > 1) json += ',';
    append_json_string(json, std::string_view(text).substr(from, comma - from));
    from = comma + 1;
  }
  return json + "]";
}

Result<std::string> value_json(const ApiOption& option, const Arguments& args) {
  const std::string text = args.value(option.name);
  std::string json;
  switch (option.kind) {
    case Kind::kFlag:
      return std::string("true");
    case Kind::kList:
      return list_json(text);
    case Kind::kNumber: {
      std::int64_t number = 0;
      const char* const end = text.data() + text.size();
      const auto [stopped, fault] = std::from_chars(text.data(), end, number);
      if (fault == std::errc() && stopped == end) return text;
      return Error{std::string(option.name) + ": expected a whole number"};
    }
    case Kind::kJson: {
      rapidjson::Document document;
      document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
      if (!document.HasParseError()) return text;
      return Error{std::string(option.name) + ": expected JSON"};
    }
    default:
      append_json_string(json, text);
      return json;
  }
}

Result<std::string> body_of(const ApiVerb& verb, const Arguments& args) {
  std::string body = "{";
  for (const ApiOption& option : verb.options) {
    if (!args.has(option.name)) continue;
    const auto value = value_json(option, args);
    if (!value) return value;
    if (body.size() > 1) body += ',';
    append_json_string(body, option.member);
    body += ":" + *value;
  }
  return body + "}";
}

// ---- what people see ----

std::string shown(const Json& value) {
  if (value.IsNull()) return "-";
  if (value.IsString()) return {value.GetString(), value.GetStringLength()};
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  value.Accept(writer);
  return {text.GetString(), text.GetSize()};
}

std::string heading(std::string name) {
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(std::toupper(c));
  return name;
}

void tell_table(const ApiVerb& verb, const Json& rows, std::ostream& out) {
  std::vector<std::vector<std::string>> lines(1);
  for (const char* const column : verb.columns) lines[0].push_back(heading(column));
  for (const Json& row : rows.GetArray()) {
    lines.emplace_back();
    for (const char* const column : verb.columns) {
      const bool there = row.IsObject() && row.HasMember(column);
      lines.back().push_back(there ? shown(row[column]) : "-");
    }
  }
  print_table(lines, out);
}

void tell(const ApiVerb& verb, const Json& answer, std::ostream& out) {
  const char* const data = verb.columns.empty() ? "" : "data";
  if (answer.HasMember(data) && answer[data].IsArray()) {
    tell_table(verb, answer[data], out);
    if (answer.HasMember("next") && answer["next"].IsString()) {
      out << "more: --after " << answer["next"].GetString() << '\n';
    }
    return;
  }
  for (const auto& member : answer.GetObject()) {
    if (verb.text_member != nullptr && member.name == verb.text_member) continue;
    out << member.name.GetString() << ": " << shown(member.value) << '\n';
  }
  if (verb.text_member == nullptr || !answer.HasMember(verb.text_member)) return;
  for (const Json& each : answer[verb.text_member].GetArray()) out << shown(each) << '\n';
}

int tell_answer(const ApiVerb& verb, const AdminAnswer& answer, bool as_json,
                const Streams& streams) {
  const bool good = answer.status >= 200 && answer.status < 300;
  if (!good && !as_json) {
    streams.err << error_message(answer) << '\n';
    return 1;
  }
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(answer.body.data(), answer.body.size());
  // What is no JSON was asked for in another form.
  if (as_json || document.HasParseError() || !document.IsObject()) {
    streams.out << answer.body << (answer.body.ends_with('\n') ? "" : "\n");
  } else {
    tell(verb, document, streams.out);
  }
  return good ? 0 : 1;
}

int misuse(const ApiNoun& noun, const std::string& message, const Streams& streams) {
  streams.err << message << '\n' << noun.usage;
  return 2;
}

Result<AdminAnswer> ask(const AdminClient& client, const ApiVerb& verb, const std::string& path,
                        const std::string& body) {
  const std::string_view method = verb.method;
  if (method == "GET") return client.get(path);
  if (method == "PATCH") return client.patch(path, body);
  return client.post(path, body);
}

int run_verb(const ApiNoun& noun, const ApiVerb& verb, std::span<const std::string> words,
             const Streams& streams) {
  std::vector<std::string> with_value{"--state", "--config", "--ca-file"};
  std::vector<std::string> flags{"--json", "--help"};
  for (const ApiOption& option : verb.options) {
    (option.kind == Kind::kFlag ? flags : with_value).push_back(option.name);
  }
  const auto args = parse_arguments(words, with_value, flags);
  if (!args) return misuse(noun, args.error().message, streams);
  if (args->has("--help")) {
    streams.out << noun.usage;
    return 0;
  }
  if (args->words.size() != (takes_word(verb) ? 1u : 0u)) {
    return misuse(noun, takes_word(verb) ? "expected one id" : "expected no further words",
                  streams);
  }
  const auto body = body_of(verb, *args);
  if (!body) return misuse(noun, body.error().message, streams);
  const auto directory = state_directory(*args);
  if (!directory) {
    streams.err << directory.error().message << '\n';
    return 1;
  }
  const auto client = AdminClient::open(*directory, args->value("--ca-file"));
  const auto answer = client ? ask(*client, verb, path_of(verb, *args), *body)
                             : Result<AdminAnswer>(client.error());
  if (!answer) {
    streams.err << answer.error().message << '\n';
    return 1;
  }
  return tell_answer(verb, *answer, args->has("--json"), streams);
}

}  // namespace

int run_noun(const ApiNoun& noun, std::span<const std::string> args, std::ostream& out,
             std::ostream& err) {
  const Streams streams{out, err};
  if (args.empty()) return misuse(noun, std::string(noun.name) + ": what is to be done?", streams);
  if (args[0] == "--help") {
    out << noun.usage;
    return 0;
  }
  for (const ApiVerb& verb : noun.verbs) {
    if (args[0] == verb.name) return run_verb(noun, verb, args.subspan(1), streams);
  }
  return misuse(noun, std::string(noun.name) + ": there is no \"" + args[0] + "\"", streams);
}

}  // namespace switchyard::cli

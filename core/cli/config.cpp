#include <rapidjson/document.h>

#include <iostream>

#include "core/base/json_object.hpp"
#include "core/cli/admin_client.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::cli {
namespace {

constexpr char kUsage[] =
    "usage: switchyard config show            what the configuration in force means\n"
    "       switchyard config validate FILE   what stands against a configuration\n"
    "       switchyard config apply FILE      it serves from now on, or nothing changes\n"
    "       switchyard config history         what was in force\n"
    "       switchyard config rollback [ID]   one of these serves again; without ID the one "
    "before\n"
    "each asks the running gateway, with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n";

struct Call {
  Arguments args;
  AdminClient client;
  Streams streams;

  bool as_json() const { return args.has("--json"); }
};

rapidjson::Document parsed(const std::string& body) {
  rapidjson::Document document;
  document.Parse(body.data(), body.size());
  if (document.HasParseError() || !document.IsObject()) document.SetObject();
  return document;
}

std::string text_of(const rapidjson::Value& json, const char* name) {
  const auto* found = config::member(json, name);
  return found != nullptr && found->IsString() ? found->GetString() : "";
}

void tell_faults(const rapidjson::Value* faults, std::ostream& out) {
  if (faults == nullptr || !faults->IsArray()) return;
  for (const auto& fault : faults->GetArray()) {
    const std::string pointer = text_of(fault, "pointer");
    out << (pointer.empty() ? "" : pointer + ": ") << text_of(fault, "message") << '\n';
  }
}

int refuse(const Call& call, const AdminAnswer& answer) {
  if (call.as_json()) {
    call.streams.out << answer.body << '\n';
    return 1;
  }
  call.streams.err << error_message(answer) << '\n';
  const auto document = parsed(answer.body);
  if (const auto* error = config::member(document, "error")) {
    tell_faults(config::member(*error, "faults"), call.streams.err);
  }
  return 1;
}

// 0 where the answer is a 200, which `tell` then shows.
template <class Tell>
int show(const Call& call, const Result<AdminAnswer>& answer, Tell tell) {
  if (!answer) return fail(call.streams, answer.error().message);
  if (answer->status != 200) return refuse(call, *answer);
  if (call.as_json()) {
    call.streams.out << answer->body << '\n';
    return 0;
  }
  tell(answer->body);
  return 0;
}

int show_config(const Call& call) {
  const auto answer = call.client.get("/admin/v1/config");
  if (answer && answer->status == 200 && call.as_json()) {
    call.streams.out << JsonObject().text("text", answer->body).take() << '\n';
    return 0;
  }
  return show(call, answer, [&](const std::string& body) { call.streams.out << body; });
}

int validate(const Call& call) {
  const auto text = config::read_file(call.args.words[1]);
  if (!text) return fail(call.streams, call.args.words[1] + ": " + text.error().message);
  const auto answer = call.client.post("/admin/v1/config/validate", *text);
  const int status = show(call, answer, [&](const std::string& body) {
    const auto document = parsed(body);
    const auto* faults = config::member(document, "faults");
    if (faults != nullptr && faults->IsArray() && faults->Empty())
      call.streams.out << "no faults\n";
    tell_faults(faults, call.streams.err);
  });
  if (status != 0) return status;
  const auto document = parsed(answer->body);
  const auto* valid = config::member(document, "valid");
  return valid != nullptr && valid->IsTrue() ? 0 : 1;
}

int tell_applied(const Call& call, const Result<AdminAnswer>& answer) {
  return show(call, answer, [&](const std::string& body) {
    const auto document = parsed(body);
    const auto* generation = config::member(document, "generation");
    const bool known = generation != nullptr && generation->IsUint64();
    call.streams.out << "in force"
                     << (known ? ": configuration " + std::to_string(generation->GetUint64()) : "")
                     << '\n';
  });
}

int apply(const Call& call) {
  const auto text = config::read_file(call.args.words[1]);
  if (!text) return fail(call.streams, call.args.words[1] + ": " + text.error().message);
  return tell_applied(call, call.client.post("/admin/v1/config/apply", *text));
}

int history(const Call& call) {
  return show(call, call.client.get("/admin/v1/config/history"), [&](const std::string& body) {
    const auto document = parsed(body);
    std::vector<std::vector<std::string>> lines{{"ID", "IN FORCE FROM", "BYTES"}};
    const auto* data = config::member(document, "data");
    if (data == nullptr || !data->IsArray()) return;
    for (const auto& entry : data->GetArray()) {
      const auto* bytes = config::member(entry, "bytes");
      lines.push_back(
          {text_of(entry, "id"), text_of(entry, "at"),
           bytes != nullptr && bytes->IsUint64() ? std::to_string(bytes->GetUint64()) : ""});
    }
    if (lines.size() == 1) {
      call.streams.out << "no history: the file was not changed by `config apply` yet\n";
    } else {
      print_table(lines, call.streams.out);
    }
  });
}

int roll_back(const Call& call) {
  JsonObject body;
  if (call.args.words.size() == 2) body.text("id", call.args.words[1]);
  return tell_applied(call, call.client.post("/admin/v1/config/rollback", body.take()));
}

struct Verb {
  const char* name;
  std::size_t words_min, words_max;  // with the verb
  int (*run)(const Call&);
};

constexpr Verb kVerbs[] = {
    {"show", 1, 1, show_config}, {"validate", 2, 2, validate},  {"apply", 2, 2, apply},
    {"history", 1, 1, history},  {"rollback", 1, 2, roll_back},
};

}  // namespace

int run_config(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  auto read = parse_arguments(args, {"--state", "--config", "--ca-file"}, {"--json", "--help"});
  if (!read) return misuse({out, err}, read.error().message, kUsage);
  if (read->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (read->words.empty())
    return misuse({out, err}, "config: show, validate, apply, history or rollback?", kUsage);
  if (read->has("--state") && read->has("--config")) {
    return misuse({out, err}, "--state and --config both say where the state is; give one", kUsage);
  }
  for (const Verb& verb : kVerbs) {
    if (read->words[0] != verb.name) continue;
    if (read->words.size() < verb.words_min || read->words.size() > verb.words_max) {
      return misuse({out, err},
                    "config " + read->words[0] +
                        (verb.words_max == 1 ? " takes no further words" : " takes one name"),
                    kUsage);
    }
    const auto directory = state_directory(*read);
    if (!directory) return fail({out, err}, directory.error().message);
    auto client = AdminClient::open(*directory, read->value("--ca-file"));
    if (!client) return fail({out, err}, client.error().message);
    return verb.run(Call{std::move(*read), std::move(*client), {out, err}});
  }
  return misuse({out, err}, "config: there is no \"" + read->words[0] + "\"", kUsage);
}

int run_config(std::span<const std::string> args) { return run_config(args, std::cout, std::cerr); }

}  // namespace switchyard::cli

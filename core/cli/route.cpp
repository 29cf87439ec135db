#include <rapidjson/document.h>

#include <algorithm>
#include <iostream>

#include "core/base/json_object.hpp"
#include "core/base/nano.hpp"
#include "core/cli/admin_client.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/cli/state_directory.hpp"
#include "core/cli/terminal.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::cli {
namespace {

using Json = rapidjson::Value;

constexpr char kUsage[] =
    "usage: switchyard route explain MODEL [--request FILE] [--task TASK] [--stream]\n"
    "                                [--session TEXT] [--account ID] [--key ID] [--seed N]\n"
    "how a request would be routed now, without a call; FILE is its body in JSON\n"
    "with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n";

Result<std::string> body_of(const Arguments& args) {
  JsonObject body;
  body.text("model", args.words[1]);
  for (const char* const name : {"task", "session", "account", "key"}) {
    const std::string option = std::string("--") + name;
    if (args.has(option)) body.text(name, args.value(option));
  }
  if (args.has("--stream")) body.boolean("stream", true);
  if (args.has("--seed")) body.raw("seed", args.value("--seed"));
  if (args.has("--request")) {
    const std::string file = args.value("--request");
    auto text = config::read_file(file);
    if (!text) return Error{file + ": " + text.error().message};
    body.raw("request", *text);
  }
  return body.take();
}

const Json& member(const Json& json, const char* name) {
  static const Json kNull;
  const Json* const found = config::member(json, name);
  return found != nullptr ? *found : kNull;
}

std::string text_of(const Json& json) {
  return json.IsString() ? std::string(config::text_of(json)) : std::string();
}

std::string ms_of(const Json& us) {
  if (!us.IsUint64() || us.GetUint64() == 0) return "-";
  return std::to_string((us.GetUint64() + 500) / 1000) + " ms";
}

std::string state_of(const Json& candidate) {
  const Json& state = member(candidate, "state");
  if (!state.IsUint()) return "-";
  constexpr const char* kNames[] = {"closed", "half open", "open"};
  return kNames[std::min(state.GetUint(), 2u)];
}

std::string failed_of(const Json& candidate) {
  const Json& samples = member(candidate, "samples");
  if (!samples.IsUint64() || samples.GetUint64() == 0) return "-";
  const std::uint64_t ppm = member(candidate, "err_ppm").GetUint64();
  return std::to_string((ppm + 5'000) / 10'000) + " % of " + std::to_string(samples.GetUint64());
}

std::string cost_of(const Json& candidate, const std::string& currency) {
  const Json& cost = member(candidate, "est_cost_nano");
  return cost.IsInt64() ? format_nano(cost.GetInt64()) + ' ' + currency : "-";
}

// What the host and each strategy said.
std::string said_of(const Json& candidate) {
  std::string said = text_of(member(candidate, "refused"));
  const Json& verdict = member(candidate, "verdict");
  if (!verdict.IsArray()) return said;
  for (const Json& each : verdict.GetArray()) {
    if (!said.empty()) said += "; ";
    if (member(each, "excluded").IsTrue()) said += "excluded: ";
    said += text_of(member(each, "reason"));
  }
  return said;
}

// The candidates in the order in which they would be tried, then those that would not.
std::vector<rapidjson::SizeType> places_of(const Json& plan, rapidjson::SizeType candidates) {
  std::vector<rapidjson::SizeType> places;
  const Json& order = member(plan, "order");
  if (order.IsArray()) {
    for (const Json& each : order.GetArray()) {
      if (each.IsUint() && each.GetUint() < candidates) places.push_back(each.GetUint());
    }
  }
  for (rapidjson::SizeType i = 0; i < candidates; ++i) {
    if (std::find(places.begin(), places.end(), i) == places.end()) places.push_back(i);
  }
  return places;
}

void tell(const Json& answer, std::ostream& out) {
  out << text_of(member(answer, "reason")) << "\n\n";
  const Json& plan = member(answer, "plan");
  const Json& candidates = member(plan, "candidates");
  if (!candidates.IsArray()) return;
  const std::string currency = text_of(member(member(plan, "request"), "currency"));
  const Json& order = member(plan, "order");
  const std::size_t tried = order.IsArray() ? order.Size() : 0;
  std::vector<std::vector<std::string>> lines{
      {"", "TARGET", "STATE", "COST", "FIRST TOKEN", "ANSWER", "FAILED", "SAID"}};
  for (const rapidjson::SizeType i : places_of(plan, candidates.Size())) {
    const Json& each = candidates[i];
    const std::string place = lines.size() <= tried ? std::to_string(lines.size()) : "not";
    lines.push_back({place,
                     text_of(member(each, "provider")) + '/' + text_of(member(each, "model")),
                     state_of(each), cost_of(each, currency), ms_of(member(each, "ttft_us")),
                     ms_of(member(each, "latency_us")), failed_of(each), said_of(each)});
  }
  print_table(lines, out);
}

}  // namespace

int run_route(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto parsed = parse_arguments(args,
                                      {"--request", "--task", "--session", "--account", "--key",
                                       "--seed", "--state", "--config", "--ca-file"},
                                      {"--stream", "--json", "--help"});
  if (parsed && parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (!parsed || parsed->words.size() != 2 || parsed->words[0] != "explain") {
    err << (parsed ? "route explain takes one model" : parsed.error().message) << '\n' << kUsage;
    return 2;
  }
  const auto fail = [&err](const std::string& message) {
    err << message << '\n';
    return 1;
  };
  const auto body = body_of(*parsed);
  if (!body) return fail(body.error().message);
  const auto directory = state_directory(*parsed);
  if (!directory) return fail(directory.error().message);
  const auto client = AdminClient::open(*directory, parsed->value("--ca-file"));
  if (!client) return fail(client.error().message);
  const auto answer = client->post("/admin/v1/routes/explain", *body);
  if (!answer) return fail(answer.error().message);
  if (answer->status != 200) return fail(error_message(*answer));
  if (parsed->has("--json")) {
    out << answer->body << '\n';
    return 0;
  }
  rapidjson::Document document;
  document.Parse(answer->body.data(), answer->body.size());
  if (document.HasParseError() || !document.IsObject()) {
    return fail("the gateway's answer is not the JSON object that was expected");
  }
  tell(document, out);
  return 0;
}

int run_route(std::span<const std::string> args) { return run_route(args, std::cout, std::cerr); }

}  // namespace switchyard::cli

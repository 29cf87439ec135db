#include "core/cli/registry_command.hpp"

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <charconv>

#include "core/base/clock.hpp"
#include "core/base/utc.hpp"
#include "core/cli/state_directory.hpp"
#include "core/config/address.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

using Json = rapidjson::Value;
using Allocator = rapidjson::Document::AllocatorType;

constexpr std::uint64_t kDay = 24 * 3600;

struct LimitOption {
  const char* option;
  const char* member;
};
constexpr LimitOption kLimits[] = {
    {"--rpm", "rpm"},
    {"--tpm", "tpm"},
    {"--concurrency", "concurrency"},
    {"--requests-per-day", "requests_per_day"},
    {"--tokens-per-day", "tokens_per_day"},
    {"--requests-per-month", "requests_per_month"},
    {"--tokens-per-month", "tokens_per_month"},
};

Json text_value(const std::string& text, Allocator& allocator) {
  return Json(text.data(), static_cast<rapidjson::SizeType>(text.size()), allocator);
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

// "*" lifts a restriction.
Json list_value(std::string_view text, Allocator& allocator) {
  Json list(rapidjson::kArrayType);
  if (text == "*") return list;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    list.PushBack(text_value(std::string(text.substr(begin, comma - begin)), allocator), allocator);
    begin = comma + 1;
  }
  return list;
}

Result<Json> time_value(const std::string& text, Allocator& allocator) {
  if (text == "never") return Json();
  if (parse_utc(text)) return text_value(text, allocator);
  const auto age = parse_age(text);
  if (!age) return Error{"expected a time such as 2027-01-31T00:00:00Z, 30d or never"};
  return text_value(utc_text(now_unix_s() + *age), allocator);
}

Result<Json> value_of(Kind kind, const std::string& text, Allocator& allocator) {
  switch (kind) {
    case Kind::kText:
      return text_value(text, allocator);
    case Kind::kTextOrNone:
      return text == "none" ? Json() : text_value(text, allocator);
    case Kind::kList:
      return list_value(text, allocator);
    case Kind::kTime:
      return time_value(text, allocator);
    case Kind::kFlag:
      if (text != "yes" && text != "no") return Error{"expected yes or no"};
      return Json(text == "yes");
    case Kind::kNumber: {
      const bool minus = text.starts_with('-');
      const auto count = parse_count(std::string_view(text).substr(minus));
      if (!count || *count > INT64_MAX) return Error{"expected a number"};
      const auto number = static_cast<std::int64_t>(*count);
      return Json(minus ? -number : number);
    }
    case Kind::kJson: {
      auto parsed = account::parse_fields(text);
      if (!parsed) return Error{"expected a JSON object"};
      return Json(*parsed, allocator);
    }
  }
  return Error{"expected something else"};
}

void print(const Json& value, std::ostream& out) {
  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> json(buffer);
  value.Accept(json);
  out << buffer.GetString() << '\n';
}

std::string shown(const Json& value) {
  if (value.IsString()) return value.GetString();
  if (value.IsNull()) return "-";
  if (value.IsArray()) {
    std::string text;
    for (const Json& each : value.GetArray()) text += (text.empty() ? "" : ",") + shown(each);
    return text.empty() ? "any" : text;
  }
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  value.Accept(json);
  return buffer.GetString();
}

}  // namespace

std::uint64_t now_unix_s() { return unix_ns() / 1'000'000'000u; }

Result<OpenRegistry> open_registry(const Arguments& args, bool present) {
  const auto directory = state_directory(args);
  if (!directory) return directory.error();
  std::error_code ignored;
  if (present && !fs::exists(*directory, ignored)) {
    return Error{directory->string() +
                 ": there is no state directory; --state or --config says where it is"};
  }
  const auto state = store::open_state(*directory);
  if (!state) return state.error();
  auto database = store::open_database(*directory);
  if (!database) return database.error();
  OpenRegistry opened;
  opened.state = *directory;
  opened.database = std::move(*database);
  opened.accounts = std::make_unique<store::Accounts>(*opened.database);
  opened.registry =
      std::make_unique<account::Registry>(*opened.accounts, account::Pepper(Secret(state->pepper)));
  return opened;
}

int run_verb(const std::string& noun, const char* usage, const std::vector<Verb>& verbs,
             std::span<const std::string> args, const Streams& streams) {
  const auto wrong = [&](const std::string& what) { return misuse(streams, what, usage); };
  const auto verb = std::find_if(verbs.begin(), verbs.end(), [&](const Verb& each) {
    return !args.empty() && args[0] == each.name;
  });
  std::vector<std::string> options{"--state", "--config"};
  if (verb != verbs.end())
    options.insert(options.end(), verb->options.begin(), verb->options.end());
  const auto parsed = parse_arguments(args, options, {"--json", "--help"});
  if (parsed && parsed->has("--help")) {
    streams.out << usage;
    return 0;
  }
  if (args.empty()) return wrong(noun + ": what is to be done?");
  if (verb == verbs.end()) return wrong(noun + ": there is no \"" + args[0] + '"');
  if (!parsed) return wrong(parsed.error().message);
  if (parsed->has("--state") && parsed->has("--config")) {
    return wrong("--state and --config both say where the state is; give one");
  }
  const std::string call = noun + ' ' + args[0];
  if (parsed->words.size() != (verb->takes_id ? 2 : 1)) {
    return wrong(call + (verb->takes_id ? " takes one id" : " takes no further words"));
  }
  if (verb->creates != nullptr) {
    const int fault = verb->creates(*parsed, streams);
    if (fault != 0) return fault;
  }
  const auto opened = open_registry(*parsed, verb->creates == nullptr);
  if (!opened) return fail(streams, opened.error().message);
  const auto before = opened->accounts->version();
  const int status = verb->run(*opened->registry, *parsed, streams);
  const auto after = opened->accounts->version();
  const bool same = before && after && *before == *after;
  if (!same) await_gateway(opened->state, streams.err);
  return status;
}

std::vector<std::string> option_names(const std::vector<Option>& options) {
  std::vector<std::string> names;
  for (const Option& option : options) names.emplace_back(option.option);
  return names;
}

std::vector<std::string> with_limit_options(std::vector<std::string> names) {
  for (const LimitOption& limit : kLimits) names.emplace_back(limit.option);
  return names;
}

Result<rapidjson::Document> fields_of(const Arguments& args, const std::vector<Option>& options) {
  rapidjson::Document fields(rapidjson::kObjectType);
  auto& allocator = fields.GetAllocator();
  for (const Option& option : options) {
    if (!args.has(option.option)) continue;
    auto value = value_of(option.kind, args.value(option.option), allocator);
    if (!value) return Error{std::string(option.option) + ": " + value.error().message};
    fields.AddMember(rapidjson::StringRef(option.member), *value, allocator);
  }
  Json limits(rapidjson::kObjectType);
  for (const LimitOption& limit : kLimits) {
    if (!args.has(limit.option)) continue;
    const auto count = parse_count(args.value(limit.option));
    if (!count) return Error{std::string(limit.option) + ": expected a number, or 0 for no limit"};
    limits.AddMember(rapidjson::StringRef(limit.member), Json(*count), allocator);
  }
  if (limits.MemberCount() > 0) fields.AddMember("limits", limits, allocator);
  return fields;
}

Result<std::uint64_t> parse_age(const std::string& text) {
  if (text.ends_with('d')) {
    const auto days = parse_count(std::string_view(text).substr(0, text.size() - 1));
    if (days && *days <= 36'500) return *days * kDay;
  } else if (const auto age = config::parse_duration(text)) {
    return static_cast<std::uint64_t>(age->count()) / 1000;
  }
  return Error{"expected a duration such as 90s, 24h or 30d"};
}

void print_json(const std::string& json, std::ostream& out) {
  rapidjson::Document document;
  document.Parse(json.data(), json.size());
  print(document, out);
}

void print_json(const std::vector<std::string>& objects, std::ostream& out) {
  std::string array = "[";
  for (const std::string& object : objects) array += (array.size() > 1 ? "," : "") + object;
  print_json(array + "]", out);
}

void print_members(const std::string& json, std::ostream& out) {
  rapidjson::Document document;
  document.Parse(json.data(), json.size());
  std::size_t width = 0;
  for (const auto& member : document.GetObject()) {
    width = std::max<std::size_t>(width, member.name.GetStringLength());
  }
  for (const auto& member : document.GetObject()) {
    const std::string name = member.name.GetString();
    out << name << std::string(width - name.size() + 2, ' ') << shown(member.value) << '\n';
  }
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all;
}

}  // namespace switchyard::cli

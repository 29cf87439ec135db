#include "core/plugin/use.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <array>
#include <utility>

namespace switchyard::plugin {
namespace {

constexpr std::array<std::pair<const char*, std::string Use::*>, 6> kMembers = {
    {{"family", &Use::family},
     {"kind", &Use::kind},
     {"id", &Use::id},
     {"config", &Use::config},
     {"model", &Use::model},
     {"destinations", &Use::destinations}}};

}  // namespace

std::string to_json(const Uses& uses) {
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> json(text);
  json.StartArray();
  for (const Use& use : uses) {
    json.StartObject();
    for (const auto& [name, member] : kMembers) {
      json.Key(name);
      json.String(use.*member);
    }
    json.EndObject();
  }
  json.EndArray();
  return {text.GetString(), text.GetSize()};
}

Result<Uses> parse_uses(std::string_view text) {
  const Error misshapen{R"(the uses are not an array of {"family","kind","id","config"})"};
  rapidjson::Document json;
  json.Parse(text.data(), text.size());
  if (json.HasParseError() || !json.IsArray()) return misshapen;
  Uses uses;
  for (const rapidjson::Value& entry : json.GetArray()) {
    if (!entry.IsObject()) return misshapen;
    Use use;
    for (const auto& [name, member] : kMembers) {
      const auto found = entry.FindMember(name);
      if (found == entry.MemberEnd()) continue;
      if (!found->value.IsString()) return misshapen;
      (use.*member).assign(found->value.GetString(), found->value.GetStringLength());
    }
    uses.push_back(std::move(use));
  }
  return uses;
}

}  // namespace switchyard::plugin

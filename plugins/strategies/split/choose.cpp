#include "strategies/split/choose.hpp"

#include <switchyard/json.hpp>

namespace split {
namespace {

constexpr std::string_view kTag = "variant";

// FNV-1a of both: who is in the tenth of one experiment is anywhere in the next.
std::uint64_t hash(std::string_view experiment, std::string_view whom) {
  std::uint64_t value = 0xcbf29ce484222325u;
  const auto add = [&value](std::string_view text) {
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    value = (value ^ 0xffu) * 0x100000001b3u;
  };
  add(experiment);
  add(whom);
  return value;
}

// The finaliser of MurmurHash3 (Appleby, public domain): FNV's low bits alone are not good enough
// to take a remainder of.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdu;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53u;
  return value ^ (value >> 33);
}

By by_of(std::string_view name) {
  if (name == "account") return By::kAccount;
  if (name == "session") return By::kSession;
  return name == "request" ? By::kRequest : By::kKey;
}

}  // namespace

const char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "required": ["experiment", "variants"],
  "properties": {
    "experiment": {
      "type": "string", "minLength": 1, "maxLength": 24,
      "description": "Its name. Another name assigns anew."
    },
    "variants": {
      "type": "object", "minProperties": 1, "maxProperties": 16,
      "additionalProperties": { "type": "integer", "minimum": 0, "maximum": 1000000 },
      "description": "By the name that candidates have in their tag \"variant\": its share of what is assigned."
    },
    "by": {
      "enum": ["key", "account", "session", "request"],
      "description": "Whose requests are assigned together. key where left out."
    },
    "strict": {
      "type": "boolean",
      "description": "Other variants are not tried where the assigned one fails. False where left out."
    }
  }
})";

swy::Result<Strategy> Strategy::open(std::string_view config_json, swy::Host) {
  namespace json = swy::json;
  Settings settings;
  settings.experiment = json::to_text(json::find(config_json, "experiment")).value_or("");
  settings.by = by_of(json::to_text(json::find(config_json, "by")).value_or(""));
  settings.strict = json::find(config_json, "strict") == "true";
  json::Cursor variants(json::find(config_json, "variants"));
  std::string_view name;
  std::uint64_t total = 0;
  if (variants.object()) {
    while (variants.member(name)) {
      const auto share = json::to_integer(variants.value()).value_or(0);
      std::string quoted = "\"";
      quoted.append(name).append("\"");
      settings.variants.push_back({json::unescape(quoted), static_cast<std::uint32_t>(share)});
      total += static_cast<std::uint64_t>(share);
    }
  }
  if (total == 0) {
    return swy::Error{SWY_CLS_PLUGIN, "variants: all shares are 0, so nothing can be assigned"};
  }
  return Strategy(std::move(settings));
}

// Without a session or a key each request is drawn for itself.
std::uint64_t Strategy::drawn(const swy::RouteRequest& request) const {
  const std::uint64_t alone = request.chance(hash(settings_.experiment, {}));
  switch (settings_.by) {
    case By::kKey:
      if (request->key_id.n == 0) return alone;
      return mixed(hash(settings_.experiment, swy::view(request->key_id)));
    case By::kAccount:
      if (request->account.n == 0) return alone;
      return mixed(hash(settings_.experiment, swy::view(request->account)));
    case By::kSession:
      if (request->affinity == 0) return alone;
      return mixed(request->affinity ^ hash(settings_.experiment, {}));
    case By::kRequest:
      break;
  }
  return alone;
}

const Variant& Strategy::assigned(const swy::RouteRequest& request) const {
  std::uint64_t total = 0;
  for (const Variant& variant : settings_.variants) total += variant.share;
  std::uint64_t at = drawn(request) % total;
  for (const Variant& variant : settings_.variants) {
    if (at < variant.share) return variant;
    at -= variant.share;
  }
  return settings_.variants.back();
}

void Strategy::score(const swy::RouteRequest& request, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  const Variant& variant = assigned(request);
  const std::string exposed = settings_.experiment + '=' + variant.name;
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const std::string_view own = candidates.tag(i, kTag);
    if (own == variant.name) {
      scores.set(i, 1, exposed);
    } else if (settings_.strict) {
      scores.exclude(i, exposed);
    } else {
      scores.set(i, 0, exposed + ", but is " + (own.empty() ? "of none" : std::string(own)));
    }
  }
}

}  // namespace split

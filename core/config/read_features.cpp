#include "core/config/read_features.hpp"

#include <switchyard/plugin.h>

#include <algorithm>

#include "core/base/near.hpp"
#include "core/base/pattern.hpp"
#include "core/config/address.hpp"

namespace switchyard::config {
namespace {

constexpr std::size_t kNameMax = 256;

struct FaultClass {
  std::string_view name;
  std::uint32_t on;
};

constexpr std::uint32_t bit(int cls) { return 1u << cls; }

// As records name them. A request that is wrong is wrong everywhere.
constexpr FaultClass kFaultClasses[] = {
    {"auth", bit(SWY_CLS_AUTH)},
    {"rate_limit", bit(SWY_CLS_RATE_LIMIT)},
    {"overloaded", bit(SWY_CLS_OVERLOADED)},
    {"too_long", bit(SWY_CLS_TOO_LONG)},
    {"filtered", bit(SWY_CLS_FILTERED)},
    {"timeout", bit(SWY_CLS_TIMEOUT)},
    {"not_offered", bit(SWY_CLS_NOT_OFFERED)},
    {"quota", bit(SWY_CLS_QUOTA)},
    {"server", bit(SWY_CLS_SERVER)},
    {"no_model", bit(SWY_CLS_NO_MODEL)},
    {"bad_answer", bit(SWY_CLS_BAD_ANSWER)},
};

constexpr std::uint32_t any_class() {
  std::uint32_t any = bit(SWY_CLS_PLUGIN);
  for (const FaultClass& each : kFaultClasses) any |= each.on;
  return any;
}

const Json* object_member(const Json& value, std::string_view name) {
  const Json* found = member(value, name);
  return found != nullptr && found->IsObject() ? found : nullptr;
}

std::string_view text_member(const Json& value, std::string_view name) {
  const Json* found = member(value, name);
  return found != nullptr && found->IsString() ? text_of(*found) : std::string_view();
}

std::vector<std::string> texts(const Json& value, std::string_view name) {
  std::vector<std::string> found;
  const Json* list = member(value, name);
  if (list == nullptr || !list->IsArray()) return found;
  for (const Json& each : list->GetArray()) {
    if (each.IsString()) found.emplace_back(text_of(each));
  }
  return found;
}

template <class Number>
void read_number(const Json& value, std::string_view name, Number& number) {
  const Json* found = member(value, name);
  if (found != nullptr && found->IsUint64()) number = static_cast<Number>(found->GetUint64());
}

bool same_target(const Candidate& a, const Candidate& b) {
  return a.provider == b.provider && a.model == b.model;
}

// Behind those of its own priority.
void insert(std::vector<Candidate>& list, Candidate candidate) {
  const auto place = std::upper_bound(
      list.begin(), list.end(), candidate.priority,
      [](std::uint32_t priority, const Candidate& other) { return priority < other.priority; });
  list.insert(place, std::move(candidate));
}

void read_facts(const Json& value, Candidate& candidate) {
  read_number(value, "weight", candidate.weight);
  read_number(value, "priority", candidate.priority);
  if (const std::string_view region = text_member(value, "region"); !region.empty()) {
    candidate.region = region;
  }
  const Json* tags = object_member(value, "tags");
  if (tags == nullptr) return;
  for (const auto& tag : tags->GetObject()) {
    if (tag.value.IsString()) candidate.tags.emplace(text_of(tag.name), text_of(tag.value));
  }
}

void read_strategies(const Json& value, const std::string& pointer, Feature& feature) {
  const Json* given = member(value, "strategy");
  if (given == nullptr) return;
  const auto add = [&feature](const Json& strategy, std::string at) {
    if (!strategy.IsObject()) return;
    const Json* config = object_member(strategy, "config");
    feature.strategies.push_back({std::string(text_member(strategy, "plugin")),
                                  config != nullptr ? to_json(*config) : "{}", std::move(at)});
  };
  if (!given->IsArray()) return add(*given, pointer);
  for (rapidjson::SizeType i = 0; i < given->Size(); ++i) add((*given)[i], child(pointer, i));
}

// An alias may be made of others, so each is read when it is first needed.
class FeatureReader {
 public:
  FeatureReader(const Json& document, const Sources& sources, Config& config, Faults& faults)
      : document_(document), sources_(sources), config_(config), faults_(faults) {
    index("models", "", aliases_);
    index("features", kFeaturePrefix, features_);
    for (const Provider& each : config.providers) provider_ids_.push_back(each.id);
  }

  void read() {
    // Whoever names another one's candidates has to find them; fallbacks come when all are there.
    for (Entry& entry : aliases_) resolve(entry);
    for (Entry& entry : features_) resolve(entry);
    for (auto* entries : {&aliases_, &features_}) {
      for (Entry& entry : *entries) read_fallback(entry);
    }
    for (Entry& entry : aliases_) config_.models.push_back(std::move(entry.feature));
    for (Entry& entry : features_) config_.features.push_back(std::move(entry.feature));
  }

 private:
  enum class State { kUnread, kOpen, kRead };
  struct Entry {
    std::string name;  // without the prefix
    const Json* value = nullptr;
    std::string pointer;
    State state = State::kUnread;
    Feature feature;
  };
  using Entries = std::vector<Entry>;

  void fault(std::string pointer, std::string message) {
    faults_.push_back({std::move(pointer), std::move(message)});
  }

  std::string shown_at(const std::string& pointer, std::string_view text) const {
    return shown(sources_.written, pointer, text);
  }

  void index(const char* section, std::string_view prefix, Entries& entries) {
    const Json* all = object_member(document_, section);
    if (all == nullptr) return;
    for (const auto& each : all->GetObject()) {
      Entry entry;
      entry.name = text_of(each.name);
      entry.value = &each.value;
      entry.pointer = child(std::string("/") + section, entry.name);
      entry.feature.name = std::string(prefix) + entry.name;
      if (entry.name.empty() || entry.name.size() > kNameMax) {
        fault(entry.pointer, "a model's name has 1 to 256 bytes");
      }
      const bool plain = entry.name.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                         std::string::npos;
      // It stands in header fields.
      if (!prefix.empty() && (!plain || entry.name.size() > 64)) {
        fault(entry.pointer, "a feature's name has 1 to 64 characters of A-Z, a-z, 0-9, . _ and -");
      }
      entries.push_back(std::move(entry));
    }
  }

  void resolve(Entry& entry) {
    if (entry.state != State::kUnread) return;
    entry.state = State::kOpen;
    Feature& feature = entry.feature;
    const Json& value = *entry.value;
    if (value.IsArray()) {
      read_candidates(value, entry.pointer, feature.candidates);
    } else if (value.IsString()) {
      read_candidate(value, entry.pointer, feature.candidates);
    } else if (const Json* candidates = member(value, "candidates")) {
      read_candidates(*candidates, child(entry.pointer, "candidates"), feature.candidates);
      read_strategies(value, child(entry.pointer, "strategy"), feature);
      read_policy(value, entry.pointer, feature);
    }
    keep_regions(feature, feature.candidates, entry.pointer);
    if (feature.candidates.size() > kCandidatesMax) {
      fault(entry.pointer, "more than " + std::to_string(kCandidatesMax) + " candidates");
    }
    entry.state = State::kRead;
  }

  void keep_regions(const Feature& feature, std::vector<Candidate>& candidates,
                    const std::string& pointer) {
    if (feature.regions.empty() || candidates.empty()) return;
    std::erase_if(candidates, [&](const Candidate& candidate) {
      return std::none_of(
          feature.regions.begin(), feature.regions.end(),
          [&](const std::string& region) { return matches_pattern(region, candidate.region); });
    });
    if (candidates.empty()) {
      fault(pointer,
            "no candidate is in one of its \"regions\"; say \"region\" of candidates or "
            "of their providers");
    }
  }

  // --- candidates ------------------------------------------------------------------------------

  void read_candidates(const Json& list, const std::string& pointer,
                       std::vector<Candidate>& candidates) {
    if (!list.IsArray()) return;
    for (rapidjson::SizeType i = 0; i < list.Size(); ++i) {
      read_candidate(list[i], child(pointer, i), candidates);
    }
  }

  // One target, or all of an alias.
  void read_candidate(const Json& value, const std::string& pointer,
                      std::vector<Candidate>& candidates) {
    if (value.IsObject() && !names_one(value, pointer)) return;
    if (const std::string_view alias = text_member(value, "model"); !alias.empty()) {
      return take_from(aliases_, alias, child(pointer, "model"), candidates);
    }
    Candidate candidate;
    bool found = false;
    if (value.IsString()) {
      found = read_target(text_of(value), pointer, candidate);
    } else if (const std::string_view target = text_member(value, "target"); !target.empty()) {
      found = read_target(target, child(pointer, "target"), candidate);
    }
    if (!found) return;
    if (value.IsObject()) read_facts(value, candidate);
    const bool doubled =
        std::any_of(candidates.begin(), candidates.end(),
                    [&](const Candidate& other) { return same_target(other, candidate); });
    // Two equal texts are told of by the schema.
    if (doubled && value.IsObject())
      return fault(pointer, "a second candidate for the same target");
    insert(candidates, std::move(candidate));
  }

  // What stands for several has what each of them says of itself.
  bool names_one(const Json& value, const std::string& pointer) {
    std::size_t named = 0;
    for (const char* name : {"target", "model", "feature"}) {
      named += member(value, name) != nullptr ? 1 : 0;
    }
    if (named != 1) {
      fault(pointer, named == 0 ? "\"target\" is missing, or \"model\" for all of an alias"
                                : "has several of \"target\", \"model\" and \"feature\"");
      return false;
    }
    if (member(value, "target") != nullptr || value.MemberCount() == 1) return true;
    fault(pointer, "stands for several targets, which say themselves what holds for them");
    return false;
  }

  void take_from(Entries& entries, std::string_view name, const std::string& pointer,
                 std::vector<Candidate>& candidates) {
    const auto entry = std::find_if(entries.begin(), entries.end(),
                                    [&](const Entry& each) { return each.name == name; });
    if (entry == entries.end()) {
      std::vector<std::string> known;
      for (const Entry& each : entries) known.push_back(each.name);
      return fault(pointer, shown_at(pointer, name) + ": there is none of that name in \"" +
                                (&entries == &aliases_ ? "models" : "features") + "\"" +
                                did_you_mean(name, known));
    }
    if (entry->state == State::kOpen) {
      return fault(pointer, shown_at(pointer, name) + ": is made of this one itself");
    }
    resolve(*entry);
    for (const Candidate& each : entry->feature.candidates) {
      const bool there =
          std::any_of(candidates.begin(), candidates.end(),
                      [&](const Candidate& other) { return same_target(other, each); });
      if (!there) insert(candidates, each);
    }
  }

  bool read_target(std::string_view text, const std::string& pointer, Candidate& candidate) {
    const std::size_t slash = text.find('/');
    const std::string provider(text.substr(0, slash));
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size()) {
      fault(pointer, shown_at(pointer, text) + ", expected \"provider/model\"");
      return false;
    }
    const auto known = std::find(provider_ids_.begin(), provider_ids_.end(), provider);
    if (known == provider_ids_.end()) {
      fault(pointer, shown_at(pointer, text) + ": there is no provider \"" + provider + "\"" +
                         did_you_mean(provider, provider_ids_));
      return false;
    }
    candidate.provider = provider;
    candidate.model = text.substr(slash + 1);
    candidate.region =
        config_.providers[static_cast<std::size_t>(known - provider_ids_.begin())].region;
    return true;
  }

  // --- what holds for its requests -------------------------------------------------------------

  void read_policy(const Json& value, const std::string& pointer, Feature& feature) {
    feature.description = text_member(value, "description");
    feature.require = texts(value, "require");
    feature.regions = texts(value, "regions");
    feature.priority = parse_priority(text_member(value, "priority")).value_or(Priority::kNormal);
    if (const Json* limits = object_member(value, "limits"))
      (void)read_rate_limits(*limits, feature.limits);
    AttemptPolicy& attempts = feature.attempts;
    if (const Json* timeouts = object_member(value, "timeouts")) {
      const std::string at = child(pointer, "timeouts");
      read_duration(*timeouts, "first_byte", at, attempts.first_byte);
      read_duration(*timeouts, "first_token", at, attempts.first_token);
      read_duration(*timeouts, "total", at, attempts.total);
    }
    if (const Json* retry = object_member(value, "retry")) {
      read_number(*retry, "attempts_max", attempts.attempts_max);
      read_number(*retry, "budget_percent", attempts.retry_budget_percent);
    }
    if (const Json* hedge = object_member(value, "hedge")) {
      read_number(*hedge, "percent", attempts.hedge.percent);
      read_duration(*hedge, "after_min", child(pointer, "hedge"), attempts.hedge.after_min);
    }
    const Json* const continues = member(value, "continue");
    attempts.continues = continues != nullptr && continues->IsTrue();
  }

  void read_duration(const Json& value, std::string_view name, const std::string& pointer,
                     std::chrono::milliseconds& duration) {
    const std::string_view text = text_member(value, name);
    if (text.empty()) return;
    if (const auto parsed = parse_duration(text)) {
      duration = *parsed;
    } else if (text.find_first_not_of("0123456789mhs") == std::string_view::npos) {
      fault(child(pointer, name), "a duration of more than 30 days");
    }
  }

  // --- fallback --------------------------------------------------------------------------------

  void read_fallback(Entry& entry) {
    const Json* list = member(*entry.value, "fallback");
    if (list == nullptr || !list->IsArray()) return;
    const std::string pointer = child(entry.pointer, "fallback");
    for (rapidjson::SizeType i = 0; i < list->Size(); ++i) {
      const Json& value = (*list)[i];
      if (!value.IsObject()) continue;
      const std::string at = child(pointer, i);
      Fallback fallback;
      fallback.on = read_classes(value);
      if (const Json* to = member(value, "to")) {
        read_fallback_targets(*to, child(at, "to"), fallback.to);
        keep_regions(entry.feature, fallback.to, at);
      }
      entry.feature.fallback.push_back(std::move(fallback));
    }
  }

  // The schema has told of names that are none.
  static std::uint32_t read_classes(const Json& value) {
    const std::vector<std::string> names = texts(value, "on");
    if (names.empty()) return any_class();
    std::uint32_t on = 0;
    for (const std::string& name : names) {
      if (name == "any") on |= any_class();
      for (const FaultClass& each : kFaultClasses) {
        if (each.name == name) on |= each.on;
      }
    }
    return on;
  }

  void read_fallback_targets(const Json& value, const std::string& pointer,
                             std::vector<Candidate>& to) {
    if (value.IsArray()) {
      for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
        read_fallback_targets(value[i], child(pointer, i), to);
      }
    } else if (const std::string_view feature = text_member(value, "feature"); !feature.empty()) {
      if (names_one(value, pointer)) take_from(features_, feature, child(pointer, "feature"), to);
    } else {
      read_candidate(value, pointer, to);
    }
  }

  const Json& document_;
  const Sources& sources_;
  Config& config_;
  Faults& faults_;
  Entries aliases_, features_;
  std::vector<std::string> provider_ids_;
};

}  // namespace

std::string fault_names(std::uint32_t on) {
  if (on == any_class()) return "any";
  std::string names;
  for (const FaultClass& each : kFaultClasses) {
    if ((on & each.on) != 0) names.append(names.empty() ? "" : ", ").append(each.name);
  }
  return names;
}

void read_features(const Json& document, const Sources& sources, Config& config, Faults& faults) {
  FeatureReader(document, sources, config, faults).read();
}

}  // namespace switchyard::config

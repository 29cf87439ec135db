// From the name that a client gives to the targets that may serve it. Immutable, made from a
// configuration and a catalog, which it refers to.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/catalog/catalog.hpp"
#include "core/config/config.hpp"

namespace switchyard::routing {

class Live;
class Pipeline;
class Statistics;
class Unlisted;
struct Decided;

// Of a target that is tried whatever the one before it came to.
inline constexpr std::uint32_t kOnAny = UINT32_MAX;

struct Target {
  std::size_t provider = 0;     // index into Config::providers
  std::string model;            // upstream name
  std::uint32_t candidate = 0;  // of the route's pipeline
  Live* live = nullptr;         // how it fares; null: nobody keeps it
  // For which faults of the attempt before it is tried, a bit 1 << SWY_CLS_* for each: of what the
  // configuration has as a fallback. Those are behind all that have kOnAny, and no strategy's.
  std::uint32_t on = kOnAny;
  const catalog::Model* known = nullptr;  // null: the catalog has nothing on it
  std::string_view region;                // empty: nobody said
};

// A candidate that the host itself left out, and why.
struct LeftOut {
  std::size_t provider = 0;
  std::string model, reason;
};

struct Route {
  std::string name;             // what the client asked for
  std::vector<Target> targets;  // tried in order
  std::string reason;  // why these, for the record: "alias fast", "model gpt-x at openai", ...
  const Pipeline* pipeline = nullptr;       // which chooses among several targets
  std::string feature;                      // its name, where one was asked for
  const config::Feature* policy = nullptr;  // what holds for its attempts; null: the defaults
  catalog::Capabilities require;            // of every request, whatever it shows
  std::vector<LeftOut> left_out;
  std::string_view language;  // of the prompt: "zh", "latin" ...; empty where nobody looked
  std::shared_ptr<const Decided> decided;  // once it has chosen
};

// By the name of the alias that each chooses for.
using Pipelines = std::map<std::string, std::unique_ptr<Pipeline>>;

class Table {
 public:
  // A provider that lists no models has those that the catalog knows for its family.
  Table(const config::Config& config, const catalog::Catalog& catalog);
  // With `statistics` each target knows how it fares.
  Table(const config::Config& config, const catalog::Catalog& catalog, Pipelines pipelines,
        Statistics* statistics = nullptr);
  ~Table();

  // Resolution order: a configured feature ("feature/NAME") or model (alias); "provider/model"
  // where that provider lists the model; a model that providers list, in configuration order;
  // "provider/model" where the provider takes any name ("*") or lists what the catalog has, which
  // new models are missing from; a provider that takes any name. Empty targets: unknown.
  Route resolve(std::string_view name) const;

  // Every name that can be asked for, sorted, without duplicates ("*" providers contribute
  // nothing).
  struct Listed {
    std::string name;
    std::string owned_by;  // provider id, or "switchyard" for an alias of several
  };
  const std::vector<Listed>& models() const { return listed_; }
  // At most `max` known names that look like `name` (edit distance, common prefix), nearest first.
  std::vector<std::string> near(std::string_view name, std::size_t max = 3) const;

  const Pipelines& pipelines() const { return pipelines_; }
  // Each target once, those that no list names among them. [any thread]
  void each_live(const std::function<void(const Live&)>& call) const;

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  template <class Value>
  using ByName = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

  struct Provider {
    std::string id;
    std::string_view region;
    bool any = false;   // lists "*"
    bool open = false;  // lists nothing itself: a model that the catalog lacks can still be asked
                        // for by "provider/model"
    std::shared_ptr<Unlisted> unlisted;
    ByName<Live*> lives;  // of its models that a list or an alias names
  };

  void add_models(std::size_t index, const config::Provider& provider,
                  const catalog::Catalog& catalog);
  void add_all(const std::vector<config::Feature>& features, const config::Config& config,
               const catalog::Catalog& catalog);
  Target make_target(const config::Candidate& candidate, const config::Config& config,
                     const catalog::Catalog& catalog) const;
  void keep_live(const config::Config& config, Statistics& statistics);
  Target unlisted_target(std::size_t provider, std::string_view model) const;
  void make_list();
  const Target* listed_target(std::string_view model, std::size_t provider) const;

  Pipelines pipelines_;
  ByName<Route> aliases_;  // features too
  std::vector<Provider> providers_;
  ByName<std::size_t> provider_ids_;
  ByName<std::vector<Target>> by_model_;
  std::vector<std::size_t> any_;
  std::vector<Listed> listed_;
  std::vector<std::shared_ptr<Live>> lives_;  // of all listed targets, and of aliases'
};

}  // namespace switchyard::routing

// From the name that a client gives to the targets that may serve it. Immutable, made from a
// configuration.
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

class Pipeline;
class TargetStats;
struct Decided;

struct Target {
  std::size_t provider = 0;      // index into Config::providers
  std::string model;             // upstream name
  std::uint32_t candidate = 0;   // of the route's pipeline
  TargetStats* stats = nullptr;  // where some strategy wants to know how it fares
};

struct Route {
  std::string name;             // what the client asked for
  std::vector<Target> targets;  // tried in order
  std::string reason;  // why these, for the record: "alias fast", "model gpt-x at openai", ...
  const Pipeline* pipeline = nullptr;      // which chooses among several targets
  std::shared_ptr<const Decided> decided;  // once it has chosen
};

// By the name of the alias that each chooses for.
using Pipelines = std::map<std::string, std::unique_ptr<Pipeline>>;

class Table {
 public:
  // A provider that lists no models has those that the catalog knows for its family.
  Table(const config::Config& config, const catalog::Catalog& catalog);
  Table(const config::Config& config, const catalog::Catalog& catalog, Pipelines pipelines);
  ~Table();

  // Resolution order: a configured model (alias); "provider/model" where that provider lists the
  // model; a model that providers list, in configuration order; "provider/model" where the provider
  // takes any name ("*") or lists what the catalog has, which new models are missing from; a
  // provider that takes any name. Empty targets: unknown.
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
    bool any = false;   // lists "*"
    bool open = false;  // lists nothing itself: a model that the catalog lacks can still be asked
                        // for by "provider/model"
  };

  void add_models(std::size_t index, const std::vector<std::string>& names);
  void add_aliases(const config::Config& config);
  void share_statistics();
  void make_list();
  const Target* listed_target(std::string_view model, std::size_t provider) const;

  Pipelines pipelines_;
  ByName<Route> aliases_;
  std::vector<Provider> providers_;
  ByName<std::size_t> provider_ids_;
  ByName<std::vector<Target>> by_model_;
  std::vector<std::size_t> any_;
  std::vector<Listed> listed_;
};

}  // namespace switchyard::routing

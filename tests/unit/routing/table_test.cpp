#include "core/routing/table.hpp"

#include <switchyard/plugin.h>

#include <filesystem>
#include <fstream>

#include "../scratch.hpp"

using namespace switchyard;
using routing::Table;

namespace {

config::Provider provider(std::string id, std::vector<std::string> models,
                          std::string family = "none") {
  config::Provider made;
  made.id = std::move(id);
  made.models = std::move(models);
  made.family = std::move(family);
  return made;
}

catalog::Catalog catalog_of(const std::string& family, const std::string& models) {
  const Scratch scratch;
  scratch.write(family + ".json", R"({"family":")" + family + R"(","models":[)" + models + "]}");
  auto loaded = catalog::Catalog::load(scratch.path());
  REQUIRE(loaded);
  return std::move(loaded).value();
}

std::string route(const Table& table, std::string_view name) {
  const routing::Route found = table.resolve(name);
  std::string text;
  for (const routing::Target& target : found.targets) {
    text += (text.empty() ? "" : " ") + std::to_string(target.provider) + ":" + target.model;
  }
  return text;
}

}  // namespace

TEST_CASE("routing: names resolve in the promised order", "[unit][routing]") {
  config::Config config;
  config.providers = {provider("openai", {"gpt", "shared"}),
                      provider("other", {"shared", "openai/gpt", "x"})};
  config.models = {{"fast", {{"openai", "gpt"}}},
                   {"x", {{"openai", "gpt"}, {"other", "shared"}}},
                   {"openai/x", {{"other", "x"}}}};
  const Table table(config, {});

  CHECK(route(table, "fast") == "0:gpt");
  CHECK(route(table, "x") == "0:gpt 1:shared");  // the alias hides the model
  CHECK(route(table, "openai/x") == "1:x");      // the alias hides the provider
  CHECK(route(table, "other/x") == "1:x");
  CHECK(route(table, "openai/gpt") == "0:gpt");  // the provider's, not the model of that name
  CHECK(route(table, "other/openai/gpt") == "1:openai/gpt");
  CHECK(route(table, "shared") == "0:shared 1:shared");
  CHECK(table.resolve("shared").reason == "model shared at openai, other");
  CHECK(table.resolve("fast").reason == "alias fast");
}

TEST_CASE("routing: what nobody offers has no target", "[unit][routing]") {
  config::Config config;
  config.providers = {provider("openai", {"gpt"})};
  const Table table(config, {});
  CHECK(route(table, "").empty());
  CHECK(route(table, "/").empty());
  CHECK(route(table, "openai/").empty());
  CHECK(route(table, "openai/unlisted").empty());
  CHECK(route(table, "/gpt").empty());
  CHECK(route(table, "GPT").empty());
  CHECK(route(table, "*").empty());
}

TEST_CASE("routing: a provider with a star takes any name, behind those that list it",
          "[unit][routing]") {
  config::Config config;
  config.providers = {provider("any", {"*"}), provider("openai", {"gpt"})};
  const Table table(config, {});
  CHECK(route(table, "gpt") == "1:gpt");
  CHECK(route(table, "new") == "0:new");
  CHECK(route(table, "openai/new") == "0:openai/new");
  CHECK(route(table, "any/new") == "0:new");
  REQUIRE(table.models().size() == 1);
  CHECK(table.models()[0].name == "gpt");
}

TEST_CASE(
    "routing: a provider that lists nothing has the catalog's models, and newer ones by full name",
    "[unit][routing]") {
  const catalog::Catalog catalog = catalog_of("deepseek", R"({"name":"flash"},{"name":"pro"})");
  config::Config config;
  config.providers = {provider("ds", {}, "deepseek"), provider("plain", {}, "unknown")};
  const Table table(config, catalog);
  CHECK(route(table, "flash") == "0:flash");
  CHECK(route(table, "ds/pro") == "0:pro");
  CHECK(route(table, "ds/tomorrow") == "0:tomorrow");
  CHECK(route(table, "tomorrow").empty());
  CHECK(route(table, "plain/anything") == "1:anything");
  CHECK(table.models().size() == 2);
}

TEST_CASE("routing: the list is sorted, without doubles, and says whose a model is",
          "[unit][routing]") {
  config::Config config;
  config.providers = {provider("b", {"two", "one", "one"}), provider("a", {"two", "*"})};
  config.models = {{"one", {{"a", "z"}}}, {"mix", {{"a", "two"}, {"b", "two"}}}};
  const Table table(config, {});
  std::string listed;
  for (const Table::Listed& each : table.models()) listed += each.name + "@" + each.owned_by + " ";
  CHECK(listed == "mix@switchyard one@a two@b ");
}

TEST_CASE("routing: a slip finds the near names, nearest first", "[unit][routing]") {
  config::Config config;
  config.providers = {provider("openai", {"gpt-5.4", "gpt-5.4-mini", "gpt-4o", "o3"})};
  const Table table(config, {});
  CHECK(table.near("GPT5.4") == std::vector<std::string>{"gpt-5.4", "gpt-4o"});
  CHECK(table.near("gpt-5.4-min") == std::vector<std::string>{"gpt-5.4-mini", "gpt-5.4"});
  CHECK(table.near("gpt-5.4-min", 1) == std::vector<std::string>{"gpt-5.4-mini"});
  CHECK(table.near("openai/gpt-5.4-mni") == std::vector<std::string>{"gpt-5.4-mini", "gpt-5.4"});
  CHECK(table.near("claude").empty());
  CHECK(table.near("").empty());
  CHECK(table.near(std::string(100'000, 'g')).empty());
}

TEST_CASE("routing: a feature has a route, with its fallbacks behind its candidates",
          "[unit][routing]") {
  const catalog::Catalog catalog =
      catalog_of("x", R"({"name":"m","capabilities":["tools"]},{"name":"n"})");
  config::Config config;
  config.providers = {provider("a", {"m"}, "x"), provider("b", {"n"}, "x")};
  config.providers[1].region = "eu";
  config::Feature feature;
  feature.name = "feature/f";
  feature.candidates = {{"a", "m"}};
  feature.fallback = {{1u << SWY_CLS_TOO_LONG, {{"b", "n", 1, 0, "us", {}}, {"a", "m"}}}};
  feature.require = {"tools"};
  config.features = {feature};
  const Table table(config, catalog);

  const routing::Route found = table.resolve("feature/f");
  CHECK(found.name == "feature/f");
  CHECK(found.feature == "f");
  CHECK(found.reason == "feature f");
  CHECK(found.policy == &config.features[0]);
  CHECK(found.require.has(catalog::Capability::kTools));
  REQUIRE(found.targets.size() == 3);
  CHECK(found.targets[0].on == routing::kOnAny);
  CHECK(found.targets[0].known == catalog.find("x", "m"));
  CHECK(found.targets[1].on == 1u << SWY_CLS_TOO_LONG);
  CHECK(found.targets[1].model == "n");
  CHECK(found.targets[1].region == "us");
  CHECK(found.targets[2].on == 1u << SWY_CLS_TOO_LONG);

  CHECK(table.resolve("f").targets.empty());
  CHECK(table.resolve("b/n").targets.at(0).region == "eu");
  CHECK(table.resolve("b/n").policy == nullptr);
  CHECK(table.near("feature/g") == std::vector<std::string>{"feature/f"});
  CHECK(table.models()[0].name == "feature/f");
}

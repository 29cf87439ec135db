#include "core/routing/needs.hpp"

#include "../scratch.hpp"
#include "core/base/json_scan.hpp"

using namespace switchyard;
using catalog::Capability;
using routing::Needs;
using routing::Route;
using routing::Target;

namespace {

Needs needs_of(const std::string& body, std::string_view task = "chat") {
  JsonIndex index;
  const auto scanned = index.scan(body);
  if (!scanned) FAIL(body);
  return routing::read_needs(task, body, index.members());
}

Needs of_messages(const std::string& messages, std::string_view task = "chat") {
  return needs_of(R"({"model":"m","messages":)" + messages + "}", task);
}

std::string names(const Needs& needs) {
  std::string text;
  for (std::size_t i = 0; i < catalog::kCapabilityNames.size(); ++i) {
    if (!needs.capabilities.has(static_cast<Capability>(i))) continue;
    text.append(text.empty() ? "" : " ").append(catalog::kCapabilityNames[i]);
  }
  return text;
}

std::string language(const std::string& content) {
  return std::string(routing::language_of(content));
}

// Models of one file of the catalog.
struct Models {
  explicit Models(const std::string& models) {
    files.write("x.json", R"({"family":"x","models":[)" + models + "]}");
    auto loaded = catalog::Catalog::load(files.path());
    REQUIRE(loaded);
    catalog = std::move(*loaded);
  }

  Target target(const std::string& name, std::uint32_t on = routing::kOnAny) const {
    Target target;
    target.model = name;
    target.on = on;
    target.known = catalog.find("x", name);
    return target;
  }

  Scratch files;
  catalog::Catalog catalog;
};

const char kThree[] = R"(
  {"name":"small","tasks":["chat"],"capabilities":["tools"],"context_tokens":1000,
   "output_tokens_max":100},
  {"name":"seeing","tasks":["chat"],"capabilities":["tools","vision","reasoning"],
   "context_tokens":1000,"output_tokens_max":100},
  {"name":"long","tasks":["chat"],"context_tokens":100000,"output_tokens_max":100},
  {"name":"vectors","tasks":["embeddings"]})";

std::string left(const Route& route) {
  std::string text;
  for (const Target& each : route.targets) text += (text.empty() ? "" : " ") + each.model;
  return text;
}

std::string left_out(const Route& route) {
  std::string text;
  for (const routing::LeftOut& each : route.left_out) {
    text += (text.empty() ? "" : "; ") + each.model + " " + each.reason;
  }
  return text;
}

constexpr std::uint32_t kTooLong = 1u << SWY_CLS_TOO_LONG;
constexpr std::uint32_t kNotOffered = 1u << SWY_CLS_NOT_OFFERED;

}  // namespace

TEST_CASE("routing: a text asks for nothing, whatever words are in it", "[unit][routing]") {
  CHECK(names(of_messages(R"([{"role":"user","content":"image_url"}])")).empty());
  CHECK(names(of_messages(R"([{"role":"user","content":"{\"type\":\"image_url\"}"}])")).empty());
  CHECK(
      names(of_messages(R"([{"role":"user","content":[{"type":"text","text":"file"}]}])")).empty());
  CHECK(names(needs_of(R"({"messages":[],"tools":[],"tool_choice":"none"})")).empty());
  CHECK(names(needs_of(R"({"messages":[],"response_format":{"type":"json_object"}})")).empty());
  CHECK(names(needs_of(R"({"messages":[],"reasoning_effort":"none"})")).empty());
}

TEST_CASE("routing: what a request needs is seen in it", "[unit][routing]") {
  const auto part = [](const std::string& json) {
    return names(
        of_messages(R"([{"content":[{"type":"text","text":"a"},)" + json + R"(],"role":"user"}])"));
  };
  CHECK(part(R"({"type":"image_url","image_url":{"url":"https://x.example/a.png"}})") == "vision");
  CHECK(part(R"({ "type" : "image_url" })") == "vision");
  CHECK(part(R"({"type":"input_audio","input_audio":{"data":"AAAA"}})") == "audio_in");
  CHECK(part(R"({"type":"file","file":{"file_data":"data:application/pdf;base64,A"}})") == "files");
  CHECK(names(needs_of(R"({"messages":[],"tools":[{"type":"function"}]})")) == "tools");
  CHECK(names(needs_of(R"({"messages":[],"functions":[{"name":"f"}]})")) == "tools");
  CHECK(names(needs_of(R"({"messages":[],"response_format":{"type":"json_schema"}})")) ==
        "json_schema");
  CHECK(names(needs_of(R"({"messages":[],"reasoning_effort":"high"})")) == "reasoning");
  CHECK(names(needs_of(R"({"input":"a","tools":[{}]})", "embeddings")).empty());
}

TEST_CASE("routing: what is encoded is not counted as text", "[unit][routing]") {
  const std::string bytes(50'000, 'A');
  const std::string words(5000, 'a');
  CHECK(of_messages(R"([{"role":"user","content":")" + words + "\"}]").tokens_in == 1000);
  CHECK(of_messages(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":)"
                    R"("data:image/png;base64,)" +
                    bytes + R"("}},{"type":"text","text":")" + words + R"("}]}])")
            .tokens_in == 1000);
  CHECK(of_messages(R"([{"role":"user","content":[{"type":"input_audio","input_audio":{"data":")" +
                    bytes + R"("}}]}])")
            .tokens_in == 0);
  // Six bytes that stand for three.
  std::string coded;
  for (int i = 0; i < 1000; ++i) coded += "\\u4e2d";
  CHECK(of_messages(R"([{"role":"user","content":")" + coded + "\"}]").tokens_in == 600);
  CHECK(of_messages(R"([{"role":"user","content":"a\"b\\"},{"role":"user","content":")" + words +
                    "\"}]")
            .tokens_in == 1001);
}

TEST_CASE("routing: the limit of the answer is what the request says", "[unit][routing]") {
  CHECK(needs_of(R"({"messages":[],"max_tokens":7})").tokens_out_max == 7);
  CHECK(needs_of(R"({"max_completion_tokens":8,"max_tokens":7,"messages":[]})").tokens_out_max ==
        8);
  CHECK(needs_of(R"({"max_tokens":7,"max_completion_tokens":8,"messages":[]})").tokens_out_max ==
        8);
  CHECK(needs_of(R"({"messages":[],"max_tokens":null})").tokens_out_max == 0);
}

TEST_CASE("routing: the language is that of the user's last words, by their script",
          "[unit][routing]") {
  CHECK(language("") == "");
  CHECK(language("12345 !?") == "");
  CHECK(language("Hello there") == "latin");
  CHECK(language("Grüße, ça va?") == "latin");
  CHECK(language("今天天气怎么样") == "zh");
  CHECK(language("请用Python写一个function") == "zh");
  CHECK(language("\\u4eca\\u5929\\u5929\\u6c14") == "zh");
  CHECK(language("今日の天気はどうですか") == "ja");
  CHECK(language("오늘 날씨 어때요") == "ko");
  CHECK(language("Какая сегодня погода") == "ru");
  CHECK(language("كيف الطقس اليوم") == "ar");
  CHECK(language("The word for it is 天气, I think, is it not so?") == "latin");
  // A cut within a character counts for nothing, and a lone escape at the end is no fault.
  CHECK(language(std::string(4096, 'a') + "天") == "latin");
  const auto said = [](const std::string& body) { return std::string(needs_of(body).said); };
  CHECK(said(R"({"messages":[{"role":"system","content":"You are kind."},
                        {"role":"user","content":"first"},
                        {"role":"user","content":[{"type":"text","text":"last"}]},
                        {"role":"assistant","content":"Let me see."},
                        {"role":"tool","content":"sunny and warm"}]})") == "last");
  CHECK(said(R"({"messages":[{"role":"system","content":"You are kind."}]})") == "You are kind.");
  CHECK(said(R"({"input":["a","b"]})") == "b");
  CHECK(said(R"({"messages":[]})").empty());
}

TEST_CASE("routing: only what the catalog knows to lack something is left out", "[unit][routing]") {
  const Models models(kThree);
  Route route;
  for (const char* name : {"small", "seeing", "long", "nowhere"}) {
    route.targets.push_back(models.target(name));
  }
  Needs needs;
  needs.capabilities.add(Capability::kVision);
  needs.capabilities.add(Capability::kFiles);  // of which no list says all
  routing::leave_out_unfit(route, needs);
  CHECK(left(route) == "seeing long nowhere");
  CHECK(left_out(route) == "small lacks vision");
}

TEST_CASE("routing: a prompt that can't fit is left to those where it may", "[unit][routing]") {
  const Models models(kThree);
  Route route;
  route.targets = {models.target("small"), models.target("nowhere"), models.target("long")};
  Needs needs;
  needs.tokens_in = 900;
  needs.tokens_out_max = 100;
  Route fits = route;
  routing::leave_out_unfit(fits, needs);
  CHECK(left(fits) == "small nowhere long");
  needs.tokens_out_max = 101;
  routing::leave_out_unfit(route, needs);
  CHECK(left(route) == "nowhere long");
  CHECK(left_out(route) ==
        "small takes 1000 tokens, and these are 900 or more with 101 for the answer");
}

TEST_CASE("routing: where no candidate fits, the fallback that is meant for it comes first",
          "[unit][routing]") {
  const Models models(kThree);
  Route route;
  route.targets = {models.target("small"), models.target("seeing"),
                   models.target("nowhere", kNotOffered), models.target("long", kTooLong)};
  Needs needs;
  needs.tokens_in = 5000;
  routing::leave_out_unfit(route, needs);
  CHECK(left(route) == "long");
  CHECK(route.targets[0].on == routing::kOnAny);

  Route none;
  none.targets = {models.target("small"), models.target("nowhere", kNotOffered)};
  routing::leave_out_unfit(none, needs);
  CHECK(none.targets.empty());

  // One that fits is asked, and the fallbacks stay what they are.
  Route one;
  one.targets = {models.target("small"), models.target("nowhere"), models.target("long", kTooLong)};
  routing::leave_out_unfit(one, needs);
  CHECK(left(one) == "nowhere long");
  CHECK(one.targets[1].on == kTooLong);
}

TEST_CASE("routing: thinking is preferred, and no reason for no answer", "[unit][routing]") {
  const Models models(kThree);
  Needs needs;
  needs.capabilities.add(Capability::kReasoning);
  Route some;
  some.targets = {models.target("small"), models.target("seeing")};
  routing::leave_out_unfit(some, needs);
  CHECK(left(some) == "seeing");
  Route none;
  none.targets = {models.target("small")};
  routing::leave_out_unfit(none, needs);
  CHECK(left(none) == "small");
  // Unless a feature requires it.
  none.require.add(Capability::kReasoning);
  routing::leave_out_unfit(none, needs);
  CHECK(none.targets.empty());
}

TEST_CASE("routing: needs are read only where they may matter", "[unit][routing]") {
  const Models models(kThree);
  const auto matter = [&](const char* name, std::uint64_t bytes, std::string_view task = "chat") {
    Route route;
    route.targets = {models.target(name)};
    return routing::needs_matter(route, task, bytes);
  };
  CHECK(matter("small", 10));
  CHECK_FALSE(matter("nowhere", 1'000'000));
  CHECK_FALSE(matter("long", 400'000));
  CHECK(matter("long", 500'000));
  CHECK_FALSE(matter("small", 10, "embeddings"));
}

TEST_CASE("routing: a key's requests go where it may go", "[unit][routing]") {
  config::Config config;
  for (const char* id : {"openai", "openai-eu", "qwen"}) {
    config.providers.emplace_back();
    config.providers.back().id = id;
  }
  const auto route = [](const config::Reach& reach, const config::Config& from) {
    Route made;
    for (std::size_t i = 0; i < 3; ++i) {
      Target target;
      target.provider = i;
      target.model = std::to_string(i);
      target.region = std::string_view(i == 1 ? "eu-west" : i == 2 ? "cn" : "");
      made.targets.push_back(target);
    }
    routing::leave_out_of_reach(made, reach, from);
    return made;
  };
  config::Reach reach;
  CHECK(left(route(reach, config)) == "0 1 2");
  reach.providers = {"openai*"};
  CHECK(left(route(reach, config)) == "0 1");
  reach.providers_denied = {"openai"};
  CHECK(left(route(reach, config)) == "1");
  CHECK(left_out(route(reach, config)) ==
        "0 is a provider that the key may not use; 2 is a provider that the key may not use");
  reach = {};
  reach.regions = {"eu*"};
  CHECK(left(route(reach, config)) == "1");
  CHECK(left_out(route(reach, config)) ==
        "0 has no region, and the key is bound to some; 2 is in cn, where the key may not go");
}

TEST_CASE("routing: of models for different tasks those are asked that do this one",
          "[unit][routing]") {
  const Models models(kThree);
  const auto route = [&](std::string_view task) {
    Route made;
    made.targets = {models.target("vectors"), models.target("nowhere"), models.target("small")};
    routing::leave_out_other_tasks(made, task);
    return left(made);
  };
  CHECK(route("chat") == "nowhere small");
  CHECK(route("completions") == "nowhere small");
  CHECK(route("embeddings") == "vectors nowhere");
  CHECK(route("rerank") == "nowhere");
  Route only;
  only.targets = {models.target("vectors")};
  routing::leave_out_other_tasks(only, "chat");  // the upstream knows better than an old file
  CHECK(left(only) == "vectors");
}

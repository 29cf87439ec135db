#include "core/exchange/choice.hpp"

#include <catch2/catch.hpp>

#include "core/base/json_scan.hpp"

namespace switchyard::exchange {
namespace {

struct Asked {
  explicit Asked(std::string text, std::string_view task = "chat") : body(std::move(text)) {
    REQUIRE(index.scan(body));
    route.name = "alias";
    record.key_id = "key-1";
    request.task = task;
    request.body = body;
    request.members = index.members();
    request.route = &route;
    request.record = &record;
  }
  swy_rreq facts() const { return route_facts(request, 7, 11); }

  std::string body;
  JsonIndex index;
  routing::Route route;
  observe::Record record;
  Request request;
};

}  // namespace

TEST_CASE("exchange: strategies are told the request's facts", "[unit][exchange]") {
  Asked asked(R"({"model":"alias","messages":[],"max_tokens":40})");
  asked.request.stream = true;
  const swy_rreq facts = asked.facts();
  CHECK(view(facts.model) == "alias");
  CHECK(view(facts.task) == "chat");
  CHECK(view(facts.key_id) == "key-1");
  CHECK(facts.flags == SWY_RREQ_STREAM);
  CHECK(facts.seed == 7);
  CHECK(facts.now_ns == 11);
  CHECK(facts.tok_in_est == (asked.body.size() + 3) / 4);
  CHECK(facts.tok_out_max == 40);
  CHECK(facts.tok_out_est == 40);
  CHECK(facts.affinity == 0);
}

TEST_CASE("exchange: the guessed answer is no longer than the request allows", "[unit][exchange]") {
  CHECK(Asked("{}").facts().tok_out_est == 500);
  CHECK(Asked(R"({"max_tokens":100000})").facts().tok_out_est == 500);
  CHECK(Asked(R"({"max_tokens":100000})").facts().tok_out_max == 100'000);
  CHECK(Asked(R"({"max_tokens":9,"max_completion_tokens":8})").facts().tok_out_max == 9);
  CHECK(Asked(R"({"max_tokens":1.5})").facts().tok_out_max == 0);
  CHECK(Asked(R"({"max_tokens":"40"})").facts().tok_out_max == 0);
  CHECK(Asked(R"({"max_tokens":-4})").facts().tok_out_max == 0);
  CHECK(Asked(R"({"input":"x"})", "embeddings").facts().tok_out_est == 0);
}

TEST_CASE("exchange: what belongs together has one affinity", "[unit][exchange]") {
  const auto affinity = [](const char* body) { return Asked(body).facts().affinity; };
  const std::uint64_t ann = affinity(R"({"user":"ann"})");
  CHECK(ann != 0);
  CHECK(affinity(R"({"stream":true,"user":"ann"})") == ann);
  CHECK(affinity(R"({"user":"bob"})") != ann);
  CHECK(affinity(R"({"user":"bob","prompt_cache_key":"ann"})") == ann);
  CHECK(affinity(R"({"user":7})") == 0);
}

TEST_CASE("exchange: a session that the client names goes before what the body says",
          "[unit][exchange]") {
  Asked asked(R"({"user":"ann"})");
  const std::uint64_t ann = asked.facts().affinity;
  asked.request.session_id = "s1";
  const std::uint64_t first = asked.facts().affinity;
  CHECK(first != ann);
  asked.record.account = "acme";  // another account's "s1" is another session
  CHECK(asked.facts().affinity != first);
  CHECK((asked.facts().flags & SWY_RREQ_PREFIX) == 0);
}

TEST_CASE("exchange: without a session a prompt's start says what belongs together",
          "[unit][exchange]") {
  const auto facts = [](const std::string& messages) {
    return Asked(R"({"messages":[)" + messages + "]}").facts();
  };
  const std::string system = R"({"role":"system","content":"Be brief."})";
  const std::string user = R"({"role":"user","content":"Hi ]}, \"there\""})";
  const std::string rest =
      R"(,{"role":"assistant","content":"Yes?"},{"role":"user","content":"x"})";
  const swy_rreq begun = facts(system + "," + user);
  CHECK(begun.affinity != 0);
  CHECK((begun.flags & SWY_RREQ_PREFIX) != 0);
  CHECK(facts(system + "," + user + rest).affinity == begun.affinity);
  CHECK(facts(user + rest).affinity != begun.affinity);
  CHECK(facts(system + R"(,{"role":"user","content":"Other"})").affinity != begun.affinity);
  CHECK(facts(system).affinity != begun.affinity);
  CHECK(facts("").affinity == 0);
  CHECK((facts("").flags & SWY_RREQ_PREFIX) == 0);
  CHECK(Asked(R"({"messages":7})").facts().affinity == 0);
}

TEST_CASE("exchange: without a strategy nothing is chosen", "[unit][exchange]") {
  Asked asked("{}");
  asked.route.targets.resize(3);
  CHECK_FALSE(choose(asked.request));
  CHECK(asked.route.targets.size() == 3);
}

}  // namespace switchyard::exchange

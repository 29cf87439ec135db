// The examples of the SDK, built out of this tree by the test before this one, as a host uses them.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "core/base/json_scan.hpp"
#include "core/plugin/logger.hpp"
#include "core/plugin/provider.hpp"
#include "core/plugin/strategy.hpp"
#include "tests/abi/zoo.hpp"

namespace switchyard::plugin::test {
namespace {

// Keeps what is emitted; an example that answers by itself sends nothing.
class Answer : public OperationSink {
 public:
  swy_rc req_begin(std::string_view, std::string_view, std::uint32_t, std::uint32_t) override {
    return SWY_E_ARG;
  }
  swy_rc req_header(std::string_view, std::string_view) override { return SWY_E_ARG; }
  swy_rc req_auth(std::string_view, std::string_view, std::string_view) override {
    return SWY_E_ARG;
  }
  swy_rc req_body(std::span<const swy_seg>) override { return SWY_E_ARG; }
  swy_rc emit(std::uint32_t what, std::uint32_t flags, std::string_view data) override {
    text += std::to_string(what) + " " + std::to_string(flags) + " " + std::string(data) + "\n";
    return SWY_OK;
  }

  std::string text;
};

swy_member member(std::string_view body, std::string_view name, std::string_view value) {
  const std::size_t at = body.find("\"" + std::string(name) + "\"");
  return {.name = to_swy(body.substr(at + 1, name.size())),
          .at = at,
          .value_at = body.find(value),
          .value_n = value.size(),
          .type = static_cast<std::uint32_t>(value[0] == '[' ? 'a' : 's'),
          .flags = 0};
}

std::string ask(ProviderInstance& instance, std::string_view body, std::string_view messages,
                std::uint32_t flags) {
  const swy_member listed = member(body, "messages", messages);
  swy_req req{};
  req.size = sizeof req;
  req.flags = flags;
  req.task = to_swy("chat");
  req.model = to_swy("echo-\"1\"");
  req.body = to_swy(body);
  req.member = &listed;
  req.nmember = 1;
  req.member_stride = sizeof listed;
  auto operation = Operation::start(instance, req);
  REQUIRE(operation);
  swy_ev start{};
  start.size = sizeof start;
  start.kind = SWY_EV_START;
  Answer answer;
  CHECK(operation->step(start, answer).act == SWY_ACT_DONE);
  return answer.text;
}

}  // namespace

TEST_CASE("sdk: the examples load, and answer as their documents say", "[.sdk]") {
  const char* plugins = std::getenv("SWITCHYARD_SDK_PLUGINS");
  REQUIRE(plugins);
  const Directory directory;
  LibraryOptions options = directory.options();
  options.directory = plugins;
  Libraries libraries(options);
  for (const auto& refused : libraries.load_all()) {
    FAIL_CHECK(refused.file.string() << ": " << refused.reason);
  }
  CHECK(libraries.all().size() == 3);

  SECTION("echo-provider") {
    const auto echo = ProviderInstance::open(libraries, "echo", "{}", "echo");
    REQUIRE(echo);
    const std::string messages =
        R"([{"role":"user","content":"no"},{"role":"user","content":"say \"hi\"\n"},)"
        R"({"role":"assistant","content":"well"},{"role":"user","content":[]}])";
    const std::string body = R"({"model":"echo","messages":)" + messages + "}";
    const std::string head = R"("created":0,"model":"echo-\"1\"","choices":[{"index":0,)";
    const std::string said = R"({"role":"assistant","content":"say \"hi\"\n"})";
    CHECK(ask(**echo, body, messages, 0) == R"(6 0 {"id":"echo","object":"chat.completion",)" +
                                                head + R"("message":)" + said +
                                                R"(,"finish_reason":"stop"}]})" + "\n9 0 stop\n");
    CHECK(ask(**echo, body, messages, SWY_REQ_STREAM) ==
          R"(2 1 {"id":"echo","object":"chat.completion.chunk",)" + head + R"("delta":)" + said +
              R"(,"finish_reason":null}]})" + "\n" +
              R"(2 0 {"id":"echo","object":"chat.completion.chunk",)" + head +
              R"("delta":{},"finish_reason":"stop"}]})" + "\n9 0 stop\n");
    CHECK_THAT(ask(**echo, R"({"messages":[]})", "[]", 0), Catch::Contains(R"("content":"")"));
  }
  SECTION("home-strategy") {
    CHECK(StrategyInstance::open(libraries, "home", "{}", "test").error()[0].message ==
          "strategy \"home\": region: missing");
    const auto home = StrategyInstance::open(libraries, "home", R"({"region":"eu"})", "test");
    REQUIRE(home);
    std::vector<swy_cand> candidates(3);
    candidates[1].region = to_swy("eu");
    candidates[2].inflight = 2;
    std::vector<swy_score> out(3);
    REQUIRE((*home)->score({}, candidates, out));
    CHECK(out[1].score > out[0].score);
    CHECK(out[0].score > out[2].score);
    CHECK(std::string(out[1].reason) == "at home");
  }
  SECTION("minimal-c") {
    auto count = LoggerInstance::open(libraries, "count", "{}");
    REQUIRE(count);
    swy_rec record{};
    record.size = sizeof record;
    CHECK(*(*count)->write({&record, 1}, 1) == 1);
    CHECK((*count)->flush(1));
  }
}

}  // namespace switchyard::plugin::test

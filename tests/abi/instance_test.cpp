#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <sstream>

#include "core/base/json_scan.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/logger.hpp"
#include "core/plugin/provider.hpp"
#include "tests/abi/zoo.hpp"

namespace switchyard::plugin::test {
namespace {

// Writes down what an operation hands over.
class Recorder : public OperationSink {
 public:
  swy_rc req_begin(std::string_view method, std::string_view url, std::uint32_t xid,
                   std::uint32_t framing) override {
    text_ += std::string(method) + " " + std::string(url) + " " + std::to_string(xid) + " " +
             std::to_string(framing) + "\n";
    return SWY_OK;
  }
  swy_rc req_header(std::string_view name, std::string_view value) override {
    text_ += std::string(name) + ": " + std::string(value) + "\n";
    return SWY_SLOW;
  }
  swy_rc req_auth(std::string_view scheme, std::string_view arg, std::string_view) override {
    text_ += "auth " + std::string(scheme) + " '" + std::string(arg) + "'\n";
    return SWY_OK;
  }
  swy_rc req_body(std::span<const swy_seg> pieces) override {
    for (const swy_seg& piece : pieces) text_ += "body " + std::string(view(piece.b)) + "\n";
    return SWY_OK;
  }
  swy_rc emit(std::uint32_t what, std::uint32_t flags, std::string_view data) override {
    text_ += "emit " + std::to_string(what) + " " + std::to_string(flags) + " " +
             std::string(data) + "\n";
    last_ = data;
    return SWY_OK;
  }

  std::string text_;
  std::string_view last_;
};

struct Host {
  Host() : libraries(directory.options()) {
    REQUIRE(libraries.load(directory.add("mirror", "m.so")));
  }
  std::unique_ptr<ProviderInstance> provider(std::string_view config = "{}") {
    auto opened = ProviderInstance::open(libraries, "mirror", config, "eu-mirror");
    REQUIRE(opened);
    return std::move(*opened);
  }

  Directory directory;
  Libraries libraries;
};

swy_req request(std::string_view model, std::string_view body = "{}") {
  swy_req req{};
  req.size = sizeof req;
  req.task = to_swy("chat");
  req.model = to_swy(model);
  req.body = to_swy(body);
  return req;
}

swy_ev event(std::uint32_t kind, std::string_view data = {}) {
  swy_ev ev{};
  ev.size = sizeof ev;
  ev.kind = kind;
  ev.data = to_swy(data);
  return ev;
}

}  // namespace

TEST_CASE("plugin: an instance is opened with its configuration or says why not", "[abi]") {
  Host host;
  const auto none = ProviderInstance::open(host.libraries, "nothing", "{}", "a");
  REQUIRE_FALSE(none);
  CHECK(none.error().message == "provider \"a\": no plugin \"nothing\"; there are: mirror");
  const auto bad = ProviderInstance::open(host.libraries, "mirror", R"({"bad":1})", "a");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message == "provider \"a\": plugin \"mirror\": bad: not known here");

  const auto good = host.provider();
  CHECK(good->id() == "eu-mirror");
  CHECK(good->library().id() == "zoo.mirror");
  CHECK(good->caps().has_task("chat"));
  CHECK_FALSE(good->caps().has_task("video"));
  CHECK(good->caps().takes_dialect("openai"));
  CHECK_FALSE(good->caps().takes_dialect("gemini"));
}

TEST_CASE("plugin: every slot of swy_out reaches the sink or is answered as unsupported", "[abi]") {
  Host host;
  const auto instance = host.provider(R"({"k":1})");
  const swy_req req = request("all", R"({"model":"all"})");
  auto operation = Operation::start(*instance, req);
  REQUIRE(operation);

  Recorder sink;
  const Operation::Next next = operation->step(event(SWY_EV_START), sink);
  CHECK(next.act == SWY_ACT_SEND);
  CHECK(sink.text_ ==
        "POST /chat 3 2\n"
        "x-a: 1\n"
        "auth bearer ''\n"
        "body {\"model\":\"all\"}\n"
        "emit 6 0 0 1 0 -1 0 -1 -1 -2 -2 0 {\"k\":1}\n");
}

TEST_CASE("plugin: a view of the event's data reaches the sink uncopied", "[abi]") {
  Host host;
  const auto instance = host.provider();
  const swy_req req = request("m");
  auto operation = Operation::start(*instance, req);
  REQUIRE(operation);
  Recorder sink;
  const std::string frame = "frame";
  CHECK(operation->step(event(SWY_EV_DATA, frame), sink).act == SWY_ACT_FEED);
  CHECK(sink.last_.data() == frame.data());
  CHECK(sink.text_ == "emit 2 2 frame\n");
}

TEST_CASE("plugin: faults of the plugin and of the upstream are told apart", "[abi]") {
  Host host;
  const auto instance = host.provider();
  Recorder sink;

  const swy_req refused = request("refused");
  const auto none = Operation::start(*instance, refused);
  REQUIRE_FALSE(none);
  CHECK(none.error().cls == SWY_CLS_NO_MODEL);
  CHECK(none.error().http == 404);
  CHECK(none.error().message == "no such model here");

  const swy_req req = request("m");
  auto operation = Operation::start(*instance, req);
  REQUIRE(operation);
  const auto first = operation->step(event(SWY_EV_START), sink);
  CHECK(first.act == SWY_ACT_WAIT);
  CHECK(first.delay_ns == 5);

  swy_ev broke = event(SWY_EV_IOERR);
  broke.status = SWY_CLS_TIMEOUT;
  const auto failed = operation->step(broke, sink);
  CHECK(failed.act == SWY_ACT_FAIL);
  CHECK(failed.fault.cls == SWY_CLS_TIMEOUT);
  CHECK(failed.fault.http == 0);
  CHECK(failed.fault.retry_after_ms == 250);
  CHECK(failed.fault.message == std::string(256, 'm'));

  broke.status = 77;
  CHECK(operation->step(broke, sink).fault.cls == SWY_CLS_PLUGIN);

  const auto odd = operation->step(event(SWY_EV_TIMER), sink);
  CHECK(odd.act == SWY_ACT_FAIL);
  CHECK(odd.fault.cls == SWY_CLS_PLUGIN);
  CHECK(odd.fault.message == "op_step answered with act 9, which the contract does not know");

  const auto bug = operation->step(event(SWY_EV_CANCEL), sink);
  CHECK(bug.act == SWY_ACT_FAIL);
  CHECK(bug.fault.cls == SWY_CLS_PLUGIN);
  CHECK(bug.fault.message == "SWY_E_BUG");
  CHECK(operation->step(event(99), sink).fault.message == "SWY_E_UNSUP");
}

TEST_CASE("plugin: each operation and instance is freed exactly once", "[abi]") {
  Host host;
  const auto instance = host.provider();
  const swy_req req = request("m");
  const auto counts = [&] {
    Recorder sink;
    auto probe = Operation::start(*instance, req);
    REQUIRE(probe);
    probe->step(event(SWY_EV_END), sink);
    return sink.text_;
  };
  {
    auto second = host.provider();
    auto started = Operation::start(*second, req);
    REQUIRE(started);
    std::optional<Operation> moved(std::move(*started));
    CHECK(counts() == "emit 6 0 2 2\n");
    moved.reset();
    CHECK(counts() == "emit 6 0 2 1\n");
  }
  CHECK(counts() == "emit 6 0 1 1\n");
}

TEST_CASE("plugin: a log line carries its instance's name and can't forge another line", "[abi]") {
  std::ostringstream text;
  const auto before = spdlog::default_logger();
  auto logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
  logger->set_pattern("%l %v");
  spdlog::set_default_logger(logger);
  {
    Host host;
    const auto instance = host.provider();
    const swy_req req = request("all");
    auto operation = Operation::start(*instance, req);
    REQUIRE(operation);
    Recorder sink;
    operation->step(event(SWY_EV_START), sink);
  }
  spdlog::set_default_logger(before);
  CHECK_THAT(text.str(), Catch::Contains("warning plugin eu-mirror: two\\x0alines\n"));
}

TEST_CASE("plugin: log lines are cut at 4 KiB, between characters", "[abi]") {
  CHECK(log_line({nullptr, 5}).empty());
  CHECK(log_line(to_swy("a\tb\x1b[0m\x7f")) == "a\\x09b\\x1b[0m\\x7f");
  CHECK(log_line(to_swy(std::string(5000, 'a'))).size() == 4096);
  const std::string text = std::string(4095, 'a') + "\xe2\x82\xac" + "tail";
  CHECK(log_line(to_swy(text)) == std::string(4095, 'a'));
}

TEST_CASE("plugin: provider caps are read member by member", "[abi]") {
  CHECK(parse_provider_caps("[]").error().message == "caps: expected a JSON object");
  CHECK(parse_provider_caps(R"({"tasks":[1]})").error().message ==
        "caps.tasks: expected an array of strings");
  CHECK(parse_provider_caps(R"({"tasks":["chat"],"dialects":{}})").error().message ==
        "caps.dialects: expected an array of strings");
  const auto caps = parse_provider_caps(R"({"tasks":["chat"],"more":[]})");
  REQUIRE(caps);
  CHECK(caps->dialects.empty());
  CHECK_FALSE(caps->continues);

  const auto continues = [](const std::string& value) {
    return parse_provider_caps(R"({"tasks":["chat"],"continues":)" + value + "}");
  };
  CHECK(continues("true")->continues);
  CHECK(continues("\"/dialect\"")->continues_if == "/dialect");
  CHECK_FALSE(continues("\"/dialect\"")->continues);  // an instance's configuration says
  for (const char* const wrong : {"1", "\"dialect\"", "{}"}) {
    CHECK(continues(wrong).error().message ==
          "caps.continues: expected true, false or a JSON pointer");
  }
}

TEST_CASE("plugin: a logger takes a prefix, fails with its words, and is never believed too much",
          "[abi]") {
  Host host;
  CHECK(LoggerInstance::open(host.libraries, "none", "{}").error().message ==
        "logger \"none\": no plugin of that name is loaded");
  CHECK(LoggerInstance::open(host.libraries, "counter", R"({"bad":1})").error().message ==
        "logger \"counter\": bad: not known here");

  std::array<swy_rec, 4> records{};
  for (swy_rec& record : records) record.size = sizeof record;
  records[3].id = to_swy("r-4");
  const auto logger = [&](std::string_view config) {
    auto opened = LoggerInstance::open(host.libraries, "counter", config);
    REQUIRE(opened);
    return std::move(*opened);
  };
  const auto all = logger("{}");
  CHECK(all->name() == "counter");
  CHECK(*all->write(records, 1) == 4);
  CHECK(all->flush(1));
  CHECK(all->flush(0).error().message == "logger \"counter\": flush: SWY_E_LIMIT");
  CHECK(*logger("half")->write(records, 1) == 2);
  CHECK(logger("more")->write(records, 1).error().message ==
        "logger \"counter\": write: took 5 of 4 records");
  CHECK(logger("fail")->write(records, 1).error().message ==
        "logger \"counter\": write: disk full at r-4");
}

}  // namespace switchyard::plugin::test

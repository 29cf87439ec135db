#include <rapidjson/document.h>

#include <set>
#include <switchyard/testing.hpp>

#include "loggers/otlp/exporter.hpp"
#include "loggers/otlp/translate.hpp"

namespace {

using swy::testing::FakeHost;
using Json = rapidjson::Value;

constexpr std::uint64_t kDeadline = 7'000'000'000;

rapidjson::Document parse(const std::string& text) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag>(text.data(), text.size());
  CAPTURE(text);
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

std::string text(const Json& value) {
  REQUIRE(value.IsString());
  return {value.GetString(), value.GetStringLength()};
}

// "key=value" of each attribute, with its type: "a=s:x b=i:5". Every form is checked.
std::string attributes(const Json& list) {
  std::string all;
  std::set<std::string> keys;
  for (const Json& each : list.GetArray()) {
    REQUIRE(each.MemberCount() == 2);
    REQUIRE(keys.insert(text(each["key"])).second);
    REQUIRE(each["value"].MemberCount() == 1);
    const auto member = each["value"].MemberBegin();
    const std::string type = text(member->name);
    std::string shown;
    if (type == "stringValue") {
      shown = "s:" + text(member->value);
    } else if (type == "intValue") {
      shown = "i:" + text(member->value);  // 64 bits are a string
    } else if (type == "doubleValue") {
      REQUIRE(member->value.IsNumber());
      shown = "d:" + otlp::number(member->value.GetDouble());
    } else if (type == "boolValue") {
      REQUIRE(member->value.IsBool());
      shown = std::string("b:") + (member->value.GetBool() ? "true" : "false");
    } else {
      REQUIRE(type == "arrayValue");
      shown = "a:" + text(member->value["values"][0]["stringValue"]);
    }
    all += (all.empty() ? "" : "\n") + text(each["key"]) + "=" + shown;
  }
  return all;
}

// What stands in the one scope of the one resource.
const Json& items(const Json& document, const char* resources, const char* scopes,
                  const char* name) {
  REQUIRE(document.MemberCount() == 1);
  REQUIRE(document[resources].Size() == 1);
  const Json& resource = document[resources][0];
  REQUIRE(resource.MemberCount() == 2);
  REQUIRE(attributes(resource["resource"]["attributes"]) == "service.name=s:gate\nzone=s:a");
  REQUIRE(resource[scopes].Size() == 1);
  const Json& scope = resource[scopes][0];
  REQUIRE(scope.MemberCount() == 2);
  REQUIRE(text(scope["scope"]["name"]) == "switchyard");
  return scope[name];
}
const Json& spans(const Json& document) {
  return items(document, "resourceSpans", "scopeSpans", "spans");
}
const Json& log_records(const Json& document) {
  return items(document, "resourceLogs", "scopeLogs", "logRecords");
}
const Json& metrics(const Json& document) {
  return items(document, "resourceMetrics", "scopeMetrics", "metrics");
}

bool is_id(const std::string& id, std::size_t digits) {
  return id.size() == digits && id.find_first_not_of("0123456789abcdef") == id.npos &&
         id.find_first_not_of('0') != id.npos;
}

swy_rec record(const char* id) {
  swy_rec made{};
  made.size = sizeof made;
  made.status = 200;
  made.attempts = 1;
  made.start_unix_ns = 1'795'176'000'123'456'789;
  made.dur_ns = 1'500'000'000;
  made.upstream_ns = 250'000'000;
  made.tok_in = 7;
  made.tok_out = 80;
  made.id = swy::str(id);
  made.task = swy::str("chat");
  made.surface = swy::str("openai");
  made.model_asked = swy::str("fast");
  made.model_used = swy::str("grok-9");
  made.provider = swy::str("xai-eu");
  made.provider_name = swy::str("x_ai");
  made.final_status = swy::str("ok");
  return made;
}

// What the gateway refused before any provider was asked.
swy_rec refused(const char* id) {
  swy_rec made{};
  made.size = sizeof made;
  made.status = 401;
  made.start_unix_ns = 1'795'176'000'000'000'000;
  made.dur_ns = 1000;
  made.id = swy::str(id);
  made.final_status = swy::str("client_error");
  made.error_code = swy::str("invalid_api_key");
  return made;
}

struct Stage {
  explicit Stage(const std::string& more = "") {
    host.destinations = {"collector"};
    auto opened = otlp::Exporter::open(
        R"({"destination":"collector","service_name":"gate","resource":{"zone":"a"})" + more + "}",
        host.host());
    if (!opened) FAIL(opened.error().message);
    exporter.emplace(*std::move(opened));
  }

  swy::Result<std::uint32_t> write(const std::vector<swy_rec>& records) {
    return exporter->write(
        swy::Records(records.data(), static_cast<std::uint32_t>(records.size()), sizeof(swy_rec)),
        kDeadline);
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const auto& post : host.posts) all.push_back(post.path);
    return all;
  }

  FakeHost host;
  std::optional<otlp::Exporter> exporter;
};

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("otlp: a request is a server span with OpenTelemetry's names", "[unit][otlp]") {
  const swy_kv fact{swy::str("region"), swy::str("eu\n\"1\"")};
  swy_rec one = record("r-1");
  one.flags = SWY_REC_STREAM | SWY_REC_COST_KNOWN | SWY_REC_USAGE_ESTIMATED;
  one.ttft_ns = 125'000'000;
  one.tok_cached = 3;
  one.tok_reasoning = 40;
  one.cost_nano = -12;
  one.cost_currency = swy::str("USD");
  one.trace = swy::str("4bf92f3577b34da6a3ce929d0e0e4736");
  one.parent_span = swy::str("00f067aa0ba902b7");
  one.trace_flags = 1;
  one.finish_reason = swy::str("stop");
  one.key_id = swy::str("app");
  one.fallback_path = swy::str("a/b:timeout > xai-eu/grok-9:ok");
  one.route_reason = swy::str("alias");
  one.kv = &fact;
  one.nkv = 1;

  Stage stage(R"(,"signals":["traces"])");
  REQUIRE(*stage.write({one}) == 1);
  REQUIRE(stage.paths() == Paths{"/v1/traces"});
  const auto& post = stage.host.posts[0];
  REQUIRE(post.destination == "collector");
  REQUIRE(post.deadline_ns == kDeadline);
  REQUIRE(post.headers == swy::testing::Headers{{"content-type", "application/json"}});

  const auto document = parse(post.body);
  REQUIRE(spans(document).Size() == 1);
  const Json& span = spans(document)[0];
  REQUIRE(span.MemberCount() == 10);
  REQUIRE(text(span["traceId"]) == "4bf92f3577b34da6a3ce929d0e0e4736");
  REQUIRE(is_id(text(span["spanId"]), 16));
  REQUIRE(text(span["parentSpanId"]) == "00f067aa0ba902b7");
  REQUIRE(span["flags"].GetUint() == 0x301);  // sampled; the parent is known to be remote
  REQUIRE(text(span["name"]) == "chat fast");
  REQUIRE(span["kind"].GetInt() == 2);
  REQUIRE(text(span["startTimeUnixNano"]) == "1795176000123456789");
  REQUIRE(text(span["endTimeUnixNano"]) == "1795176001623456789");
  REQUIRE(span["status"].MemberCount() == 0);
  REQUIRE(attributes(span["attributes"]) == R"(gen_ai.operation.name=s:chat
gen_ai.provider.name=s:x_ai
gen_ai.request.model=s:fast
gen_ai.response.model=s:grok-9
gen_ai.request.stream=b:true
gen_ai.response.finish_reasons=a:stop
gen_ai.response.time_to_first_chunk=d:0.125
gen_ai.usage.input_tokens=i:7
gen_ai.usage.output_tokens=i:80
gen_ai.usage.cache_read.input_tokens=i:3
gen_ai.usage.reasoning.output_tokens=i:40
switchyard.usage.estimated=b:true
http.response.status_code=i:200
switchyard.request_id=s:r-1
switchyard.provider=s:xai-eu
switchyard.status=s:ok
switchyard.attempts=i:1
switchyard.upstream_wait=d:0.25
switchyard.cost_nano=i:-12
switchyard.cost_currency=s:USD
switchyard.key_id=s:app
switchyard.surface=s:openai
switchyard.fallback_path=s:a/b:timeout > xai-eu/grok-9:ok
switchyard.route_reason=s:alias
switchyard.facts.region=s:eu
"1")");
}

TEST_CASE("otlp: what is not known is not claimed", "[unit][otlp]") {
  Stage stage(R"(,"signals":["traces"])");
  REQUIRE(stage.write({refused("r-1"), record("r-2"), refused("r-2")}));
  const auto document = parse(stage.host.posts[0].body);
  const Json& span = spans(document)[0];
  REQUIRE(text(span["name"]) == "request");
  REQUIRE_FALSE(span.HasMember("parentSpanId"));
  REQUIRE(span["flags"].GetUint() == 0x101);
  REQUIRE(attributes(span["attributes"]) == R"(error.type=s:invalid_api_key
http.response.status_code=i:401
switchyard.request_id=s:r-1
switchyard.status=s:client_error
switchyard.attempts=i:0
switchyard.upstream_wait=d:0)");
  std::set<std::string> traces, ids;
  for (const Json& each : spans(document).GetArray()) {
    REQUIRE(is_id(text(each["traceId"]), 32));
    REQUIRE(is_id(text(each["spanId"]), 16));
    traces.insert(text(each["traceId"]));
    ids.insert(text(each["spanId"]));
  }
  REQUIRE(traces.size() == 3);
  REQUIRE(ids.size() == 3);
}

TEST_CASE("otlp: a trace that the client did not sample says so", "[unit][otlp]") {
  swy_rec one = record("r-1");
  one.trace = swy::str("4bf92f3577b34da6a3ce929d0e0e4736");
  Stage stage(R"(,"signals":["traces"])");
  REQUIRE(stage.write({one}));
  REQUIRE(spans(parse(stage.host.posts[0].body))[0]["flags"].GetUint() == 0x100);
}

TEST_CASE("otlp: faults of gateway and upstream are errors, those of clients are not",
          "[unit][otlp]") {
  Stage stage(R"(,"signals":["traces"])");
  swy_rec broken = record("r-1");
  broken.final_status = swy::str("upstream_error");
  broken.error_text = swy::str("cut in the middle");
  REQUIRE(stage.write({broken, refused("r-2")}));
  const auto document = parse(stage.host.posts[0].body);
  REQUIRE(spans(document)[0]["status"]["code"].GetInt() == 2);
  REQUIRE(text(spans(document)[0]["status"]["message"]) == "cut in the middle");
  REQUIRE(attributes(spans(document)[0]["attributes"]).find("error.type=s:upstream_error") !=
          std::string::npos);
  REQUIRE(spans(document)[1]["status"].MemberCount() == 0);
}

TEST_CASE("otlp: a log record is the event of a request", "[unit][otlp]") {
  Stage stage(R"(,"signals":["logs"])");
  swy_rec failed = record("r-3");
  failed.final_status = swy::str("gateway_error");
  REQUIRE(stage.write({record("r-1"), refused("r-2"), failed}));
  REQUIRE(stage.paths() == Paths{"/v1/logs"});
  const auto document = parse(stage.host.posts[0].body);
  REQUIRE(log_records(document).Size() == 3);
  const Json& log = log_records(document)[0];
  REQUIRE(log.MemberCount() == 10);
  REQUIRE(text(log["timeUnixNano"]) == "1795176001623456789");
  REQUIRE(text(log["observedTimeUnixNano"]) == std::to_string(stage.host.unix_ns));
  REQUIRE(log["severityNumber"].GetInt() == 9);
  REQUIRE(text(log["severityText"]) == "INFO");
  REQUIRE(text(log["eventName"]) == "switchyard.request");
  REQUIRE(text(log["body"]["stringValue"]) == "chat fast -> xai-eu/grok-9 200");
  REQUIRE(log["flags"].GetUint() == 1);
  REQUIRE(attributes(log["attributes"]).find("gen_ai.operation.name=s:chat\n") == 0);
  REQUIRE(log_records(document)[1]["severityNumber"].GetInt() == 13);
  REQUIRE(text(log_records(document)[1]["body"]["stringValue"]) == "request 401 invalid_api_key");
  REQUIRE(log_records(document)[2]["severityNumber"].GetInt() == 17);
}

TEST_CASE("otlp: a request's log record names its span", "[unit][otlp]") {
  Stage stage;
  REQUIRE(stage.write({record("r-1")}));
  const auto traces = parse(stage.host.posts.at(0).body), logs = parse(stage.host.posts.at(1).body);
  REQUIRE(text(spans(traces)[0]["traceId"]) == text(log_records(logs)[0]["traceId"]));
  REQUIRE(text(spans(traces)[0]["spanId"]) == text(log_records(logs)[0]["spanId"]));
}

TEST_CASE("otlp: metrics add up until they are flushed, and begin anew", "[unit][otlp]") {
  Stage stage(R"(,"signals":["metrics"])");
  const std::uint64_t opened = stage.host.unix_ns;
  REQUIRE(stage.write({record("r-1"), refused("r-2")}));
  REQUIRE(stage.write({record("r-3")}));
  REQUIRE(stage.host.posts.empty());
  stage.host.unix_ns += 1000;
  REQUIRE(stage.exporter->flush(kDeadline));
  REQUIRE(stage.paths() == Paths{"/v1/metrics"});

  const auto document = parse(stage.host.posts[0].body);
  const Json& all = metrics(document);
  REQUIRE(all.Size() == 3);
  const Json& requests = all[0];
  REQUIRE(text(requests["name"]) == "switchyard.requests");
  REQUIRE(text(requests["unit"]) == "{request}");
  REQUIRE(requests["sum"]["aggregationTemporality"].GetInt() == 1);
  REQUIRE(requests["sum"]["isMonotonic"].GetBool());
  REQUIRE(requests["sum"]["dataPoints"].Size() == 2);
  std::set<std::string> counts;
  for (const Json& point : requests["sum"]["dataPoints"].GetArray()) {
    REQUIRE(text(point["startTimeUnixNano"]) == std::to_string(opened));
    REQUIRE(text(point["timeUnixNano"]) == std::to_string(opened + 1000));
    counts.insert(text(point["asInt"]) + " " + attributes(point["attributes"]));
  }
  REQUIRE(counts == std::set<std::string>{
                        "1 http.response.status_code=i:401\nswitchyard.status=s:client_error",
                        "2 gen_ai.operation.name=s:chat\ngen_ai.provider.name=s:x_ai\n"
                        "gen_ai.request.model=s:fast\nswitchyard.provider=s:xai-eu\n"
                        "http.response.status_code=i:200\nswitchyard.status=s:ok"});

  const Json& duration = all[1];
  REQUIRE(text(duration["name"]) == "gen_ai.client.operation.duration");
  REQUIRE(text(duration["unit"]) == "s");
  REQUIRE(duration["histogram"]["aggregationTemporality"].GetInt() == 1);
  REQUIRE(duration["histogram"]["dataPoints"].Size() == 1);
  const Json& point = duration["histogram"]["dataPoints"][0];
  REQUIRE(text(point["count"]) == "2");
  REQUIRE(point["sum"].GetDouble() == 3.0);
  REQUIRE(point["min"].GetDouble() == 1.5);
  REQUIRE(point["max"].GetDouble() == 1.5);
  REQUIRE(point["explicitBounds"].Size() == 14);
  REQUIRE(point["bucketCounts"].Size() == 15);
  REQUIRE(point["explicitBounds"][7].GetDouble() == 1.28);
  REQUIRE(text(point["bucketCounts"][8]) == "2");

  const Json& tokens = all[2];
  REQUIRE(text(tokens["name"]) == "gen_ai.client.token.usage");
  REQUIRE(text(tokens["unit"]) == "{token}");
  const Json& kinds = tokens["histogram"]["dataPoints"];
  REQUIRE(kinds.Size() == 2);
  REQUIRE(attributes(kinds[0]["attributes"]).find("gen_ai.token.type=s:input") !=
          std::string::npos);
  REQUIRE(kinds[0]["sum"].GetDouble() == 14);
  REQUIRE(text(kinds[0]["bucketCounts"][2]) == "2");  // above 4, at most 16
  REQUIRE(attributes(kinds[1]["attributes"]).find("gen_ai.token.type=s:output") !=
          std::string::npos);

  REQUIRE(stage.exporter->flush(kDeadline));
  REQUIRE(stage.host.posts.size() == 1);  // nothing new, nothing sent
  REQUIRE(stage.write({refused("r-4")}));
  REQUIRE(stage.exporter->flush(kDeadline));
  const auto next = parse(stage.host.posts[1].body);
  REQUIRE(metrics(next).Size() == 1);
  REQUIRE(text(metrics(next)[0]["sum"]["dataPoints"][0]["startTimeUnixNano"]) ==
          std::to_string(opened + 1000));
}

TEST_CASE("otlp: a bound belongs to the bucket below it", "[unit][otlp]") {
  Stage stage(R"(,"signals":["metrics"])");
  swy_rec one = record("r-1");
  one.tok_in = 16;
  one.tok_out = 100'000'000;
  one.dur_ns = 0;
  REQUIRE(stage.write({one}));
  REQUIRE(stage.exporter->flush(kDeadline));
  const auto document = parse(stage.host.posts[0].body);
  const Json& tokens = metrics(document)[2]["histogram"]["dataPoints"];
  REQUIRE(text(tokens[0]["bucketCounts"][2]) == "1");
  REQUIRE(text(tokens[1]["bucketCounts"][14]) == "1");
  REQUIRE(text(metrics(document)[1]["histogram"]["dataPoints"][0]["bucketCounts"][0]) == "1");
}

TEST_CASE("otlp: series are bounded, whatever clients call their models", "[unit][otlp]") {
  Stage stage(R"(,"signals":["metrics"])");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < otlp::Metrics::kSeriesMax + 50; ++i) {
    names.push_back("model-" + std::to_string(i));
  }
  for (const std::string& name : names) {
    swy_rec one = record("r");
    one.model_asked = swy::str(name);
    REQUIRE(stage.write({one}));
  }
  REQUIRE(stage.exporter->flush(kDeadline));
  const auto document = parse(stage.host.posts[0].body);
  const Json& points = metrics(document)[0]["sum"]["dataPoints"];
  REQUIRE(points.Size() == otlp::Metrics::kSeriesMax + 1);
  std::string overflow;
  for (const Json& point : points.GetArray()) {
    if (attributes(point["attributes"]) == "otel.metric.overflow=b:true") {
      overflow = text(point["asInt"]);
    }
  }
  REQUIRE(overflow == "50");
}

TEST_CASE("otlp: where the collector is down or busy nothing is taken", "[unit][otlp]") {
  for (const std::uint32_t status : {429U, 502U, 503U, 504U}) {
    CAPTURE(status);
    Stage stage;
    stage.host.replies = {{.status = status, .retry_after_ms = 3000}};
    const auto wrote = stage.write({record("r-1")});
    REQUIRE_FALSE(wrote);
    REQUIRE(wrote.error().cls == SWY_CLS_OVERLOADED);
    REQUIRE(wrote.error().retry_after_ms == 3000);
    REQUIRE(stage.paths() == Paths{"/v1/traces"});

    // Not asked again before its time, then from where it stopped.
    stage.host.monotonic_ns += 1'000'000'000;
    REQUIRE(stage.write({record("r-1")}).error().retry_after_ms > 1999);
    REQUIRE(stage.host.posts.size() == 1);
    stage.host.monotonic_ns += 2'000'000'000;
    REQUIRE(*stage.write({record("r-1")}) == 1);
    REQUIRE(stage.paths() == Paths{"/v1/traces", "/v1/traces", "/v1/logs"});
  }
  Stage stage;
  stage.host.replies = {{.rc = SWY_E_GONE, .message = "connection refused"}};
  const auto wrote = stage.write({record("r-1")});
  REQUIRE(wrote.error().cls == SWY_CLS_OVERLOADED);
  REQUIRE(wrote.error().message == "connection refused");
  REQUIRE(stage.host.log.empty());  // the host tells it
}

TEST_CASE("otlp: a batch that comes again goes only where it is missing", "[unit][otlp]") {
  Stage stage;
  stage.host.replies = {{}, {.status = 503}};
  REQUIRE_FALSE(stage.write({record("r-1"), record("r-2")}));
  REQUIRE(*stage.write({record("r-1"), record("r-2")}) == 2);
  REQUIRE(stage.paths() == Paths{"/v1/traces", "/v1/logs", "/v1/logs"});

  // Another batch is another.
  stage.host.replies = {{}, {.status = 503}};
  REQUIRE_FALSE(stage.write({record("r-3")}));
  REQUIRE(stage.write({record("r-4")}));
  REQUIRE(stage.paths().size() == 7);
  REQUIRE(stage.paths()[5] == "/v1/traces");
}

TEST_CASE("otlp: metrics that could not be sent go on adding up", "[unit][otlp]") {
  Stage stage(R"(,"signals":["metrics"])");
  REQUIRE(stage.write({record("r-1")}));
  stage.host.replies = {{.status = 503}};
  const auto flushed = stage.exporter->flush(kDeadline);
  REQUIRE_FALSE(flushed);
  REQUIRE(flushed.error().cls == SWY_CLS_OVERLOADED);
  REQUIRE(stage.write({record("r-2")}));
  REQUIRE(stage.exporter->flush(kDeadline));
  const auto document = parse(stage.host.posts[1].body);
  REQUIRE(text(metrics(document)[0]["sum"]["dataPoints"][0]["asInt"]) == "2");
}

TEST_CASE("otlp: what is refused for good is taken, counted and told once a minute",
          "[unit][otlp]") {
  Stage stage(R"(,"signals":["traces"])");
  const FakeHost::Reply no{.status = 400, .body = R"({"code":3,"message":"bad span"})"};
  stage.host.replies = {no, no, no};
  REQUIRE(*stage.write({record("r-1"), record("r-2")}) == 2);
  REQUIRE(stage.host.log.size() == 1);
  REQUIRE(stage.host.log[0].first == SWY_LOG_ERROR);
  REQUIRE(stage.host.log[0].second ==
          "collector/v1/traces rejected 2 spans for good (2 items since this was last told): "
          "status 400: bad span");
  REQUIRE(stage.write({record("r-3")}));
  REQUIRE(stage.host.log.size() == 1);
  stage.host.monotonic_ns += 60'000'000'000;
  REQUIRE(stage.write({record("r-4")}));
  REQUIRE(stage.host.log.size() == 2);
  REQUIRE(stage.host.log[1].second.find("(2 items since this was last told)") != std::string::npos);
}

TEST_CASE("otlp: a partial success is told and not sent again", "[unit][otlp]") {
  Stage stage;
  stage.host.replies = {
      {.body = R"({"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}})"},
      {.body = R"({"partialSuccess":{"rejectedLogRecords":0,"errorMessage":"only a hint"}})"}};
  REQUIRE(*stage.write({record("r-1"), record("r-2")}) == 2);
  REQUIRE(stage.host.log.size() == 1);
  REQUIRE(stage.host.log[0].second ==
          "collector/v1/traces rejected 1 spans for good (1 items since this was last told): "
          "too old");
}

TEST_CASE("otlp: a configuration that could never work is refused", "[unit][otlp]") {
  FakeHost host;
  host.destinations = {"collector"};
  const auto fault = [&](const char* config) {
    const auto opened = otlp::Exporter::open(config, host.host());
    return opened ? std::string("(none)") : opened.error().message;
  };
  REQUIRE(fault("{}") == "destination: missing");
  REQUIRE(fault(R"({"destination":"other"})") == "no such destination");
  REQUIRE(fault(R"({"destination":"collector","signals":["spans"]})") ==
          "signals: expected traces, logs or metrics");
  REQUIRE(otlp::Exporter::open(R"({"destination":"collector"})", swy::Host()).error().message ==
          "this host has no swy.http/1");
}

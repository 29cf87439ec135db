// Checks of every kind: its schema, open and close.
#include <memory>

#include "bench.hpp"

namespace swy::check {
namespace {

Outcome schema(Bench& bench) {
  if (!bench.kind().has_schema) return Outcome::passed("takes no configuration of its own");
  std::string why;
  const std::optional<Value> schema = parse(bench.kind().schema, why);
  const std::optional<Value> config = parse(bench.options().config, why);
  if (!schema) return Outcome::failed("schema is not JSON: " + why);
  std::string fault = schema_fault(*schema);
  if (!fault.empty()) return Outcome::failed("the schema: " + fault);
  if (!config) return Outcome::failed("the configuration that was given is not JSON: " + why);
  fault = config_fault(*schema, *config);
  if (!fault.empty()) {
    return Outcome::failed("the schema refuses the configuration that was given: " + fault +
                           "; give another with --config");
  }
  return Outcome::passed();
}

Outcome open(Bench& bench) {
  void* instance = nullptr;
  std::string why;
  if (!bench.open(bench.options().config, instance, why)) {
    return Outcome::failed("open refused " + shown(bench.options().config) + ": " + why +
                           "; give a configuration that it accepts with --config");
  }
  bench.close(instance);
  return Outcome::passed();
}

// As many of what may stand in a file as there is a use for: broken, of the wrong type, huge.
std::vector<std::string> garbage(const Kind& kind) {
  std::vector<std::string> texts = {"",
                                    "{",
                                    "[]",
                                    "null",
                                    "\"text\"",
                                    "{\"a\"",
                                    "{\"a\":",
                                    "{\"a\":1,}",
                                    "nul",
                                    "\xff\xfe\x00",
                                    std::string("{\"a\0\":1}", 8),
                                    std::string(100'000, '['),
                                    "{\"x\":\"" + std::string(1'000'000, 'y') + "\"}"};
  std::string why;
  const std::optional<Value> schema =
      kind.has_schema ? parse(kind.schema, why) : std::optional<Value>();
  const Value* properties = schema ? schema->find("properties") : nullptr;
  for (std::size_t i = 0; properties && i < properties->members.size(); ++i) {
    const Value name{'s', properties->members[i].name, {}, {}};
    for (const char* value : {"1", "-1", "\"\"", "\"x\"", "null", "{}", "[[]]", "1e999", "true",
                              "99999999999999999999", "\"\\ud800\""}) {
      texts.push_back("{" + to_json(name) + ":" + value + "}");
    }
  }
  return texts;
}

Outcome bad_config(Bench& bench) {
  std::size_t refused = 0;
  const std::vector<std::string> texts = garbage(bench.kind());
  for (const std::string& text : texts) {
    trying("configuration " + shown(text));
    int mark = 0;
    void* instance = &mark;
    swy_err err{};
    const swy_rc rc = bench.open(text, instance, err);
    if (rc >= 0) {
      bench.close(instance);
      continue;
    }
    ++refused;
    const std::string fault = err_fault(err);
    if (!fault.empty()) {
      return Outcome::failed("open refused " + shown(text) + " with " + rc_name(rc) + ", and " +
                             fault);
    }
    if (instance != &mark) {
      return Outcome::failed("open refused " + shown(text) +
                             " but wrote to *inst: on failure it stays untouched");
    }
  }
  return Outcome::passed(std::to_string(refused) + " of " + std::to_string(texts.size()) +
                         " configurations refused, each with a message");
}

Outcome reopen(Bench& bench) {
  return growth("times open and close", [&](std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) bench.close(bench.open_own());
  });
}

Outcome instances(Bench& bench) {
  std::vector<void*> open;
  for (int i = 0; i < 16; ++i) open.push_back(bench.open_own());
  for (std::size_t i = 0; i < open.size(); i += 2) bench.close(open[i]);
  for (std::size_t i = 1; i < open.size(); i += 2) bench.close(open[i]);
  if (bench.plugin().lib->fini) {
    entering("swy_lib.fini");
    bench.plugin().lib->fini();
    left();
  }
  const std::string fault = call_init(bench.plugin());
  if (!fault.empty()) return Outcome::failed("again after fini, " + fault);
  bench.close(bench.open_own());
  return Outcome::passed("16 at once, and one after fini and init");
}

}  // namespace

const std::vector<Check> kKindChecks = {{"kind.schema", schema},
                                        {"kind.open", open},
                                        {"kind.bad-config", bad_config},
                                        {"kind.instances", instances},
                                        {"kind.reopen", reopen}};

}  // namespace swy::check

// What the kit finds in plugins that are broken on purpose, each by the check that is named for it.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <switchyard/check.hpp>
#include <switchyard/json.hpp>
#include <vector>

#include "child.hpp"

namespace swy::check::test {
namespace {

namespace fs = std::filesystem;

std::string fixture(const std::string& kind, const std::string& defect) {
  return std::string(KIT_FIXTURES) + "/kit_" + kind + "_" + defect + ".so";
}

Options quick(const std::string& only) {
  Options options;
  options.only = only;
  options.seconds_max = 20;
  return options;
}

struct Defect {
  const char* kind;
  const char* name;
  const char* id;    // of the check that has to find it
  const char* text;  // a part of what it says
  Verdict verdict = Verdict::kFailed;
};

const std::vector<Defect>& defects() {
  static const std::vector<Defect> all = {
      {"provider", "null_table", "lib.load", "returned NULL"},
      {"provider", "two_tables", "lib.entry", "another table"},
      {"provider", "refuses_newer", "lib.entry", "newer minor"},
      {"provider", "init_once", "lib.lifecycle", "again after fini, init failed: SWY_E_BUG"},
      {"provider", "bad_schema", "kind.schema", "/$defs"},
      {"provider", "needs_config", "kind.schema", "/path: missing"},
      {"provider", "silent_refusal", "kind.bad-config", "err.msg is empty"},
      {"provider", "touches_inst", "kind.bad-config", "stays untouched"},
      {"provider", "open_crash", "kind.bad-config", "crashed with SIGABRT in open"},
      {"provider", "close_leak", "kind.reopen", "bytes of heap"},
      {"provider", "no_begin", "provider.minimal", "req_auth was called before req_begin"},
      {"provider", "broken_body", "provider.minimal", "says JSON and is none"},
      {"provider", "exits", "provider.minimal",
       "ended the process with status 3 in provider.op_step, event 3 (DATA)"},
      {"provider", "late_writer", "provider.minimal", "emit was called outside op_step"},
      {"provider", "no_finish", "provider.canonical", "SWY_EMIT_FINISH"},
      {"provider", "no_flag", "provider.canonical", "lacks the flag SWY_EMIT_CONTENT"},
      {"provider", "unasked_usage", "provider.canonical", "did not ask for"},
      {"provider", "io_done", "provider.io-error", "IOERR ends in FAIL; seen: DONE"},
      {"provider", "silent_fail", "provider.io-error", "err.msg is empty"},
      {"provider", "raw", "provider.cut-stream", "cut at byte"},
      {"provider", "done_at_end", "provider.truncated", "the answer ends at byte 0 of"},
      {"provider", "error_done", "provider.error-answers", "the answer is a 400"},
      {"provider", "wrong_class", "provider.error-answers", "status 401 alone is class 10",
       Verdict::kWarned},
      {"provider", "takes_garbage", "provider.garbage-answers", "can't be understood"},
      {"provider", "unknown_ok", "provider.unknown-event", "event kind 12 as the first"},
      {"provider", "random_crash", "provider.random-events", "crashed with SIGABRT"},
      {"provider", "cancel_feeds", "provider.cancel", "CANCEL after event 1"},
      {"provider", "free_crash", "provider.free-anywhere", "op_free after event 1"},
      {"provider", "slow_stops", "provider.slow-writer", "SWY_SLOW means taken"},
      {"provider", "gone_aborts", "provider.refusing-writer", "writer call 1 answers SWY_E_GONE"},
      {"provider", "keeps", "provider.borrowed",
       "it used ev.data of event 3 after that call had returned"},
      {"provider", "overruns", "provider.borrowed", "it went past the end of ev.data of event 3"},
      {"provider", "fixed_stride", "provider.larger-structs", "have a stride"},
      {"provider", "global", "provider.parallel", ""},
      {"provider", "leak", "provider.leaks", "bytes of heap"},
      {"provider", "leak_fd", "provider.leaks", "keeps descriptors"},
      {"provider", "busy", "provider.time", "the contract allows 1000 us", Verdict::kWarned},
      {"strategy", "last_missing", "strategy.fills", "out[4].score was left as it was"},
      {"strategy", "excludes_all", "strategy.fills", "all of five", Verdict::kWarned},
      {"strategy", "endless_reason", "strategy.fills", "out[0].reason has no NUL"},
      {"strategy", "random", "strategy.same-answer", "candidate 0 scored"},
      {"strategy", "fixed_stride", "strategy.strides", ""},
      {"strategy", "writes_behind", "strategy.strides", "behind out[0]"},
      {"strategy", "first", "strategy.counts", "0 candidates"},
      {"strategy", "null_text", "strategy.extremes", "in strategy.score; tried: the outermost"},
      {"strategy", "alone", "strategy.concurrent", "beside itself"},
      {"strategy", "load_forgets", "strategy.state", "scores as its predecessor"},
      {"strategy", "load_trusts", "strategy.state", "it went past the end of state"},
      {"strategy", "keeps", "strategy.borrowed", "it used swy_rreq"},
      {"strategy", "leak", "strategy.leaks", "bytes of heap"},
      {"strategy", "busy", "strategy.time", "the contract allows 100 us", Verdict::kWarned},
      {"logger", "takes_nothing", "logger.takes", "took nothing"},
      {"logger", "takes_more", "logger.takes", "it says 2 of 1"},
      {"logger", "silent", "logger.takes", "err.msg is empty"},
      {"logger", "fixed_stride", "logger.strides", "crashed"},
      {"logger", "null_text", "logger.empty-fields", "in logger.write; tried: a record of zeros"},
      {"logger", "wears_out", "logger.many", "crashed with SIGABRT in logger.write"},
      {"logger", "late", "logger.deadline", "given 0 ms, it took"},
      {"logger", "lies", "logger.unwritable", "1,000 records taken"},
      {"logger", "keeps", "logger.borrowed", "it used rec"},
      {"logger", "leak", "logger.leaks", "bytes of heap"},
      {"logger", "leak_fd", "kind.reopen", ""},
  };
  return all;
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("kit: each defect is found by its check, and named", "[kit]") {
  for (const Defect& defect : defects()) {
    CAPTURE(defect.kind, defect.name);
    if (kSanitized && std::string_view(defect.text) == "bytes of heap") continue;
    const Report report = run(fixture(defect.kind, defect.name), quick(defect.id));
    REQUIRE(report.trouble.empty());
    REQUIRE_FALSE(report.findings.empty());
    const Finding& found = report.findings.back();
    CHECK(found.id == defect.id);
    CHECK(static_cast<int>(found.verdict) == static_cast<int>(defect.verdict));
    CHECK_THAT(found.text, Catch::Contains(defect.text));
    CHECK(report.exit_code() == (defect.verdict == Verdict::kFailed ? 1 : 0));
  }
}

TEST_CASE("kit: a hang is ended and named", "[kit]") {
  Options options = quick("provider.minimal");
  options.seconds_max = 1;
  const Report report = run(fixture("provider", "hangs"), options);
  REQUIRE(report.findings.size() == 1);
  CHECK_THAT(report.findings[0].text,
             Catch::StartsWith("hung in provider.op_step, event 3 (DATA); tried: chat, answered"));
}

TEST_CASE("kit: a plugin without a defect passes, each check having run", "[kit]") {
  for (const char* kind : {"provider", "strategy", "logger"}) {
    const Report report = run(fixture(kind, "none"));
    INFO(report.text());
    CHECK(report.passed());
    CHECK(report.findings.size() >= 16);
    for (const Finding& finding : report.findings) {
      CHECK(finding.verdict != Verdict::kFailed);
      CHECK(finding.verdict != Verdict::kSkipped);
    }
  }
}

TEST_CASE("kit: warnings are failures where that is asked for", "[kit]") {
  Options options = quick("provider.error-answers");
  CHECK(run(fixture("provider", "wrong_class"), options).exit_code() == 0);
  options.strict = true;
  CHECK(run(fixture("provider", "wrong_class"), options).exit_code() == 1);
}

TEST_CASE("kit: what can't be checked is told from what failed", "[kit]") {
  const Report none = run("/nowhere/none.so");
  CHECK(none.exit_code() == 2);
  CHECK_THAT(none.text(), Catch::Contains("could not be checked: /nowhere/none.so"));
  Options options;
  options.kind = "logger:other";
  CHECK(run(fixture("logger", "none"), options).exit_code() == 2);
  options = quick("no.such-check");
  CHECK(run(fixture("logger", "none"), options).exit_code() == 2);
  options.transcripts = "/nowhere";
  CHECK(run(fixture("provider", "none"), options).exit_code() == 2);
}

TEST_CASE("kit: a configuration that open refuses ends the checks of its kind", "[kit]") {
  Options options;
  options.config = "{\"x\":1}";
  const Report report = run(fixture("provider", "silent_refusal"), options);
  CHECK(report.exit_code() == 1);
  for (const Finding& finding : report.findings) CHECK(finding.id.substr(0, 8) != "provider");
}

TEST_CASE("kit: the report for machines holds every finding", "[kit]") {
  const Report report = run(fixture("logger", "silent"), quick("logger.takes"));
  const std::string text = report.json();
  CHECK(json::find(text, "ok") == "false");
  const std::string_view first = json::at(json::find(text, "findings"), 0);
  CHECK(json::find(first, "id") == "\"logger.takes\"");
  CHECK(json::find(first, "kind") == "\"logger:fixture\"");
  CHECK(json::find(first, "verdict") == "\"failed\"");
}

TEST_CASE("kit: a transcript that differs says where, and a recorded one passes", "[kit]") {
  const fs::path place = fs::temp_directory_path() / "switchyard-kit-test";
  fs::remove_all(place);
  fs::create_directories(place / "given");
  fs::copy(fs::path(KIT_TRANSCRIPTS) / "stream.json", place / "given");
  Options options = quick("provider.transcript");
  options.transcripts = (place / "given").string();
  const Report differs = run(fixture("provider", "none"), options);
  REQUIRE(differs.findings.size() == 1);
  CHECK(differs.findings[0].id == "provider.transcript.stream");
  CHECK_THAT(differs.findings[0].text,
             Catch::Contains("exchanges[0].request.url: expected \"/chat/completions\", seen "
                             "\"/chat\""));

  options.record = (place / "seen").string();
  REQUIRE(run(fixture("provider", "none"), options).passed());
  CHECK_THAT(read(place / "seen" / "stream.json"), Catch::Contains("\"url\":\"/chat\""));
  options.transcripts = options.record;
  options.record.clear();
  CHECK(run(fixture("provider", "none"), options).passed());
  CHECK_FALSE(run(fixture("provider", "no_finish"), options).passed());
  fs::remove_all(place);
}

}  // namespace swy::check::test

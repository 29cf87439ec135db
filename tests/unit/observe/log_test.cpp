#include "core/observe/log.hpp"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <regex>
#include <sstream>

using namespace switchyard;
using observe::LogGate;
using observe::quote;

namespace {

std::string line_of(std::string_view message) {
  std::ostringstream out;
  spdlog::logger logger("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(observe::make_log_formatter());
  logger.warn(message);
  logger.flush();
  return out.str();
}

}  // namespace

TEST_CASE("log: a control character in any message cannot start a second line", "[unit][observe]") {
  const std::string line = line_of("bad_request target=/\r\n2026 error forged\x1b[31m\x7f");
  REQUIRE(line.find("target=/\\r\\n2026 error forged\\x1b[31m\\x7f\n") != std::string::npos);
  REQUIRE(std::count(line.begin(), line.end(), '\n') == 1);
}

TEST_CASE("log: a line is UTC time, level, event and values", "[unit][observe]") {
  const std::regex shape(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warn started port=8080\n)");
  REQUIRE(std::regex_match(line_of("started port=8080"), shape));
}

TEST_CASE("log: quote leaves a plain word alone and escapes the rest", "[unit][observe]") {
  REQUIRE(quote("gpt-4o") == "gpt-4o");
  REQUIRE(quote("") == R"("")");
  REQUIRE(quote("two words") == R"("two words")");
  REQUIRE(quote("a=b") == R"("a=b")");
  REQUIRE(quote("say \"hi\" \\") == R"("say \"hi\" \\")");
  REQUIRE(quote(std::string_view("x\0y\n", 4)) == R"("x\x00y\n")");
  REQUIRE(quote("模型") == "模型");
}

TEST_CASE("log: an unknown level is refused and the old one stays", "[unit][observe]") {
  const std::string before = observe::log_level();
  REQUIRE(observe::set_log_level("debug"));
  REQUIRE(observe::log_level() == "debug");
  const auto refused = observe::set_log_level("loud");
  REQUIRE_FALSE(refused);
  REQUIRE(refused.error().message ==
          "log level: loud, expected trace, debug, info, warn, error or off");
  REQUIRE(observe::log_level() == "debug");
  REQUIRE(observe::set_log_level(before));
}

TEST_CASE("log: a gate lets one line pass per interval and tells how many it held",
          "[unit][observe]") {
  LogGate gate{std::chrono::seconds(1)};
  const std::uint64_t s = 1'000'000'000;
  REQUIRE(gate.pass(5 * s) == 0u);
  REQUIRE_FALSE(gate.pass(5 * s + 1));
  REQUIRE_FALSE(gate.pass(6 * s - 1));
  REQUIRE(gate.pass(6 * s) == 2u);
  REQUIRE_FALSE(gate.pass(6 * s));
}

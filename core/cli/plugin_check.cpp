#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>
#include <switchyard/check.hpp>

#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/plugin/trial.hpp"

namespace switchyard::cli {
namespace {

constexpr char kUsage[] =
    "usage: switchyard plugin check FILE.so [options]\n"
    "  --config JSON|@FILE    what instances are opened with; {} where it is left out\n"
    "  --kind KIND:NAME       one kind alone, such as provider:openai\n"
    "  --only ID              checks whose id begins with this\n"
    "  --model NAME           what a provider is asked for\n"
    "  --transcripts DIR      golden transcripts to hold a provider against\n"
    "  --record DIR           writes them there with what was seen\n"
    "  --seconds N            how long one check may take; 60 where it is left out\n"
    "  --strict               warnings count as failures\n"
    "  --json\n";

constexpr std::chrono::seconds kTrialMax{10};

Result<std::string> read_config(const std::string& given) {
  if (given.empty()) return std::string("{}");
  if (given.front() != '@') return given;
  std::ifstream file(given.substr(1), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{given.substr(1) + " can't be read"};
  return text.str();
}

Result<swy::check::Options> read_options(const Arguments& args) {
  swy::check::Options options;
  Result<std::string> config = read_config(args.value("--config"));
  if (!config) return config.error();
  options.config = *config;
  options.kind = args.value("--kind");
  options.only = args.value("--only");
  if (args.has("--model")) options.model = args.value("--model");
  options.transcripts = args.value("--transcripts");
  options.record = args.value("--record");
  options.strict = args.has("--strict");
  if (!options.record.empty() && options.transcripts.empty()) {
    return Error{"--record needs --transcripts: it adds to them what was seen"};
  }
  if (!args.has("--seconds")) return options;
  const std::string seconds = args.value("--seconds");
  const bool digits = seconds.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || seconds.size() > 4 || std::stoul(seconds) == 0) {
    return Error{"--seconds: expected 1 to 9999"};
  }
  options.seconds_max = static_cast<std::uint32_t>(std::stoul(seconds));
  return options;
}

// What the host does with a file before it loads one comes first: what it refuses needs no checks.
swy::check::Report check(const std::string& file, const swy::check::Options& options) {
  swy::check::Report report;
  report.file = file;
  report.strict = options.strict;
  if (!std::ifstream(file)) {
    report.trouble = "it can't be read";
    return report;
  }
  const auto began = std::chrono::steady_clock::now();
  const auto trial = plugin::try_in_child({}, file, {}, kTrialMax);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  swy::check::Finding first{"library", "host.trial", swy::check::Verdict::kPassed, "",
                            static_cast<std::uint64_t>(took.count())};
  if (trial) {
    report = swy::check::run(file, options);
  } else {
    first.verdict = swy::check::Verdict::kFailed;
    first.text = trial.error().message;
  }
  report.findings.insert(report.findings.begin(), std::move(first));
  return report;
}

}  // namespace

int run_plugin_check(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto parsed = parse_arguments(
      args, {"--config", "--kind", "--only", "--model", "--transcripts", "--record", "--seconds"},
      {"--strict", "--json", "--help"});
  if (parsed && parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  if (!parsed || parsed->words.size() != 1) {
    err << (parsed ? "plugin check takes one file" : parsed.error().message) << '\n' << kUsage;
    return 2;
  }
  const Result<swy::check::Options> options = read_options(*parsed);
  if (!options) {
    err << options.error().message << '\n' << kUsage;
    return 2;
  }
  const swy::check::Report report = check(parsed->words.front(), *options);
  out << (parsed->has("--json") ? report.json() : report.text());
  return report.exit_code();
}

}  // namespace switchyard::cli

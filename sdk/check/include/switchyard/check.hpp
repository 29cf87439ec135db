// check.hpp - the conformance kit: says whether a built plugin keeps the contract of its headers.
//
//   const swy::check::Report report = swy::check::run("build/mine.so");
//   if (report.exit_code() != 0) std::cerr << report.text();
//
// Each check runs in a child process of its own with limits on time and memory and, where the
// system lets it, without a network: what crashes or hangs there is a finding, and the next check
// goes on. Linux only. Call run() while the process has no other thread that holds a lock, for
// children are forked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace swy::check {

struct Options {
  // The configuration that instances are opened with. Checks run in an empty directory that is
  // removed afterwards, so a relative path in it is a file there.
  std::string config = "{}";
  std::string kind;                // "provider:NAME", "strategy:NAME", "logger:NAME"; empty: all
  std::string only;                // checks whose id begins with this; empty: all
  std::string model = "m";         // what a provider is asked for
  std::string transcripts;         // a directory of golden transcripts, see README.md; empty: none
  std::string record;              // a directory that receives them with what was seen
  bool strict = false;             // warnings count as failures
  std::uint32_t seconds_max = 60;  // of one check
};

enum class Verdict { kPassed, kWarned, kFailed, kSkipped };

struct Finding {
  std::string kind;  // "library", or "provider:NAME" and so on
  std::string id;    // stable, such as "provider.truncated"
  Verdict verdict = Verdict::kPassed;
  std::string text;  // one line; of a failure: what the contract says, what was seen, and where
  std::uint64_t took_ms = 0;
};

struct Report {
  std::string file;
  std::string trouble;  // why nothing could be checked; empty where it could
  std::vector<Finding> findings;
  bool strict = false;

  bool passed() const;
  int exit_code() const;     // 0 passed, 1 failed, 2 could not run
  std::string text() const;  // for people, grouped by kind
  std::string json() const;
};

Report run(const std::string& file, const Options& options = {});

}  // namespace swy::check

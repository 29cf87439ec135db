#include <switchyard/provider.h>
#include <switchyard/strategy.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <switchyard/check.hpp>
#include <switchyard/json.hpp>

#include "bench.hpp"
#include "corpus.hpp"
#include "session.hpp"

namespace swy::check {
namespace {

const char* verdict_name(Verdict verdict) {
  constexpr const char* kNames[] = {"passed", "warning", "failed", "skipped"};
  return kNames[static_cast<std::size_t>(verdict)];
}

// Runs the checks one after another and keeps what they found.
class Kit {
 public:
  Kit(Report& report, const Options& options) : report_(report), options_(options) {}

  void run() {
    std::error_code error;
    file_ = std::filesystem::canonical(report_.file, error).string();
    if (error) return trouble(report_.file + ": " + error.message());
    if (!own_paths()) return;
    char place[] = "/tmp/swy-check-XXXXXX";
    if (::mkdtemp(place) == nullptr) return trouble("no directory for the checks");
    directory_ = place;
    check_library();
    for (const std::string& title : titles_) check_kind(title);
    std::filesystem::remove_all(directory_, error);
    if (report_.findings.empty() && report_.trouble.empty()) {
      trouble("nothing to check: no kind or check is called so");
    }
  }

 private:
  void trouble(std::string what) { report_.trouble = std::move(what); }

  // Children work elsewhere.
  bool own_paths() {
    std::error_code error;
    if (!options_.record.empty()) std::filesystem::create_directories(options_.record, error);
    for (std::string* path : {&options_.transcripts, &options_.record}) {
      if (path->empty()) continue;
      *path = std::filesystem::canonical(*path, error).string();
      if (error) return trouble("transcripts: " + error.message()), false;
    }
    if (options_.transcripts.empty()) return true;
    std::string fault;
    for (const Case& made : read_transcripts(options_.transcripts, fault)) {
      transcripts_.push_back(made.name);
    }
    if (!fault.empty()) trouble(fault);
    return fault.empty();
  }

  // False where it failed.
  bool add(const std::string& kind, const std::string& id, std::string& data,
           const std::function<Outcome(std::string&)>& work) {
    const bool wanted = id.starts_with(options_.only);
    if (!wanted && kind != "library") return true;
    const std::string place = directory_ + "/" + std::to_string(report_.findings.size());
    std::filesystem::create_directory(place);
    const std::uint64_t began = mono_ns();
    const Outcome outcome = in_child(place, options_.seconds_max, data, work);
    const bool failed = outcome.verdict == Verdict::kFailed;
    if (wanted || failed) {
      report_.findings.push_back(
          {kind, id, outcome.verdict, outcome.text, (mono_ns() - began) / 1'000'000});
    }
    return !failed;
  }

  void check_library() {
    std::string data;
    const std::string file = file_;
    const auto loads = [&file](std::string& kinds) {
      Plugin plugin = load(file);
      if (!plugin.fault.empty()) return Outcome::failed(plugin.fault);
      read_kinds(plugin);
      if (!plugin.fault.empty()) return Outcome::failed(plugin.fault);
      for (const Kind& kind : plugin.kinds) kinds += kind.title() + "\n";
      return Outcome::passed(std::string(plugin.lib->id) + " " + plugin.lib->version +
                             ", built by " + plugin.lib->build);
    };
    if (!add("library", "lib.load", data, loads)) return;
    const std::string titles = data;
    if (!add("library", "lib.entry", data, [&](std::string&) { return entry(); })) return;
    if (!add("library", "lib.lifecycle", data, [&](std::string&) { return lifecycle(); })) return;
    for (std::size_t at = 0; at < titles.size();) {
      const std::size_t end = titles.find('\n', at);
      const std::string title = titles.substr(at, end - at);
      if (options_.kind.empty() || options_.kind == title) titles_.push_back(title);
      at = end + 1;
    }
    if (titles_.empty()) trouble("it offers no kind \"" + options_.kind + "\"");
  }

  Outcome entry() const {
    const Plugin plugin = load(file_);
    entering(SWY_ENTRY_NAME);
    const swy_hello same = hello(SWY_MINOR), newer = hello(SWY_MINOR + 1000);
    const swy_lib* again = plugin.entry(&same);
    const swy_lib* later = plugin.entry(&newer);
    left();
    if (again != plugin.lib) {
      return Outcome::failed(
          "the entry may be called again and answers the same; it gave another table");
    }
    if (!later) {
      return Outcome::failed("a host of a newer minor serves older plugins; the entry refused it");
    }
    return Outcome::passed();
  }

  Outcome lifecycle() const {
    const Plugin plugin = load(file_);
    // init comes again where the same content is used again.
    for (int i = 0; i < 3; ++i) {
      const std::string fault = call_init(plugin);
      if (!fault.empty()) return Outcome::failed((i > 0 ? "again after fini, " : "") + fault);
      if (plugin.lib->self_test) {
        swy_err err = empty_err();
        entering("swy_lib.self_test");
        const swy_rc rc = plugin.lib->self_test(host_table(), &err);
        left();
        if (rc < 0)
          return Outcome::failed("self_test failed: " + rc_name(rc) + " " + err_text(err));
      }
      if (plugin.lib->fini) {
        entering("swy_lib.fini");
        plugin.lib->fini();
        left();
      }
    }
    return Outcome::passed("init, self_test and fini, three times");
  }

  void run_check(const std::string& title, const std::string& id,
                 const std::function<Outcome(Bench&)>& work) {
    std::string data;
    add(title, id, data, [&](std::string&) {
      Bench bench(file_, options_, title);
      return bench.fault().empty() ? work(bench) : Outcome::failed(bench.fault());
    });
  }

  void check_kind(const std::string& title) {
    for (const Check& check : kKindChecks) run_check(title, check.id, check.run);
    const std::size_t failed = static_cast<std::size_t>(std::count_if(
        report_.findings.begin(), report_.findings.end(), [&](const Finding& finding) {
          return finding.kind == title && finding.id == "kind.open" &&
                 finding.verdict == Verdict::kFailed;
        }));
    if (failed > 0) return;  // nothing more can be tried
    const bool provider = title.starts_with("provider:");
    const auto& checks = provider                         ? kProviderChecks
                         : title.starts_with("strategy:") ? kStrategyChecks
                                                          : kLoggerChecks;
    for (const Check& check : checks) run_check(title, check.id, check.run);
    for (std::size_t i = 0; provider && i < transcripts_.size(); ++i) {
      const std::string name = transcripts_[i];
      run_check(title, "provider.transcript." + name,
                [name](Bench& bench) { return check_transcript(bench, name); });
    }
  }

  Report& report_;
  Options options_;
  std::string file_, directory_;
  std::vector<std::string> titles_, transcripts_;
};

}  // namespace

bool Report::passed() const { return exit_code() == 0; }

int Report::exit_code() const {
  if (!trouble.empty()) return 2;
  const bool failed = std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
    return finding.verdict == Verdict::kFailed || (strict && finding.verdict == Verdict::kWarned);
  });
  return failed ? 1 : 0;
}

std::string Report::text() const {
  std::string out = file + "\n", kind;
  if (!trouble.empty()) return out + "could not be checked: " + trouble + "\n";
  std::size_t counts[4] = {};
  for (const Finding& finding : findings) {
    ++counts[static_cast<std::size_t>(finding.verdict)];
    if (finding.kind != kind) out += "\n" + (kind = finding.kind) + "\n";
    std::string line = std::string("  ") + verdict_name(finding.verdict);
    line.resize(std::max<std::size_t>(line.size() + 1, 11), ' ');
    line += finding.id;
    line.resize(std::max<std::size_t>(line.size() + 2, 38), ' ');
    line += finding.text;
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out + "\n" + std::to_string(counts[0]) + " passed, " + std::to_string(counts[2]) +
         " failed, " + std::to_string(counts[1]) + " warnings, " + std::to_string(counts[3]) +
         " skipped\n";
}

std::string Report::json() const {
  std::string out;
  json::Writer writer(out);
  writer.open_object().key("file").text(file).key("ok").boolean(passed());
  if (!trouble.empty()) writer.key("trouble").text(trouble);
  writer.key("findings").open_array();
  for (const Finding& finding : findings) {
    writer.open_object().key("kind").text(finding.kind).key("id").text(finding.id);
    writer.key("verdict").text(verdict_name(finding.verdict)).key("text").text(finding.text);
    writer.key("took_ms").natural(finding.took_ms).close_object();
  }
  writer.close_array().close_object();
  return out + "\n";
}

Report run(const std::string& file, const Options& options) {
  Report report;
  report.file = file;
  report.strict = options.strict;
  Kit(report, options).run();
  return report;
}

}  // namespace swy::check

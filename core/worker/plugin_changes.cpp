#include "core/worker/plugin_changes.hpp"

#include <spdlog/spdlog.h>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/observe/log.hpp"
#include "core/store/crashes.hpp"
#include "core/worker/ending.hpp"
#include "core/worker/plugin_uses.hpp"

namespace switchyard {
namespace {

admin::PluginRefusal ending() { return {409, "gateway_ending", kEnding}; }

}  // namespace

std::string join(const config::Faults& faults) {
  std::string text;
  for (const config::Fault& fault : faults) {
    if (!text.empty()) text += '\n';
    text += fault.pointer + ": " + fault.message;
  }
  return text;
}

// ---- swaps ----

admin::PluginRefusal PluginChanges::refuse(const std::string& file, const std::string& reason) {
  spdlog::error("plugin_refused file={} reason={}", file, observe::quote(reason));
  tell();
  return {422, "plugin_refused", file + ": " + reason};
}

PluginChanges::Proposal PluginChanges::propose(const std::string& file, Intent intent) {
  auto proposed = libraries_.propose(libraries_.options().directory / file,
                                     plugin_uses(host_.config()), intent);
  if (!proposed) return refuse(file, proposed.error().reason);
  return std::move(*proposed);
}

admin::PluginResult PluginChanges::swap(const std::string& file, Intent intent) {
  if (ended_) return ending();
  const bool again = intent == Intent::kSwap && run_ && run_->file() == file &&
                     cancel_shadow("the file was swapped again");
  if (again) host_.publish();
  const auto proposed = propose(file, intent);
  if (!proposed) return proposed.error();
  if (!proposed->changed) return report(file);
  return serve(file);
}

// What is proposed for the file, with the configuration that is in force.
admin::PluginResult PluginChanges::serve(const std::string& file) {
  const auto served = host_.serve_proposed();
  if (served) return report(file);
  const std::string reason = join(served.error());
  libraries_.withdraw(reason);
  return refuse(file, reason);
}

// What is taken back of a file in a shadow run is that run.
admin::PluginResult PluginChanges::rollback(const std::string& file) {
  if (ended_) return ending();
  if (!run_ || run_->file() != file || !cancel_shadow("rolled back")) return go_back(file);
  host_.publish();
  return report(file);
}

admin::PluginResult PluginChanges::go_back(const std::string& file) {
  const auto proposed = libraries_.propose_previous(file);
  if (!proposed) {
    return admin::PluginRefusal{409, "no_rollback", file + ": " + proposed.error().message};
  }
  return serve(file);
}

void PluginChanges::leave_resting() {
  std::vector<std::string> resting;
  for (const auto& [file, history] : libraries_.files()) {
    for (const auto& generation : history) {
      if (generation->state != plugin::State::kServing) continue;
      if (generation->library->health().resting(mono_ns())) resting.push_back(file);
    }
  }
  for (const std::string& file : resting) {
    const auto back = go_back(file);
    if (back)
      spdlog::error("plugin_rolled_back file={} reason=\"it failed again and again\"", file);
  }
}

admin::PluginResult PluginChanges::release(const std::string& sha256) {
  const bool crashed = store::CrashList(libraries_.options().private_directory).release(sha256);
  if (!libraries_.release(sha256) && !crashed) {
    return admin::PluginRefusal{404, "not_quarantined",
                                "No content of this SHA-256 is quarantined."};
  }
  tell();
  return "{\"sha256\":" + json_text(sha256) + ",\"released\":true}";
}

// ---- the shadow run ----

admin::PluginResult PluginChanges::shadow(const std::string& file,
                                          const admin::ShadowTerms& terms) {
  if (ended_) return ending();
  if (run_ && run_->running() && run_->file() != file) {
    return admin::PluginRefusal{409, "shadow_runs",
                                run_->file() + " is in a shadow run, and there is one at a " +
                                    "time: wait for its end, or end it by a rollback of that file"};
  }
  if (cancel_shadow("the file was swapped again")) host_.publish();
  const auto proposed = propose(file, Intent::kSwap);
  if (!proposed) return proposed.error();
  return begin_shadow(file, *proposed->library, terms);
}

// Nothing that serves changes: what is proposed is set aside, and loops get it to compare with.
admin::PluginResult PluginChanges::begin_shadow(const std::string& file,
                                                const plugin::Library& candidate,
                                                const admin::ShadowTerms& terms) {
  auto pipelines = builder_.build_shadow(host_.snapshot(), candidate);
  if (!pipelines) {
    const std::string reason = join(pipelines.error());
    libraries_.withdraw(reason);
    return refuse(file, reason);
  }
  if (pipelines->empty()) {
    libraries_.withdraw();
    return admin::PluginRefusal{
        422, "no_shadow",
        file +
            ": no route with several candidates asks a strategy of it, and a shadow run "
            "compares what strategies decide; swap it without one"};
  }
  run_ = std::make_unique<ShadowRun>(control_, libraries_.set_aside(file), std::move(*pipelines),
                                     terms, [this] { end_shadow(); });
  spdlog::info("plugin_shadow_begins file={} sha256={} decisions={} seconds={}", file,
               candidate.sha256(), terms.decisions, terms.time.count());
  host_.publish();
  return report(file);
}

// Its decisions are made, or its time is up. From here on it is a swap as any, or none.
void PluginChanges::end_shadow() {
  const std::string file = run_->file();
  const auto objection = run_->judge();
  libraries_.propose_again(run_->candidate());
  if (objection) {
    libraries_.withdraw(objection->reason, objection->blame);
    run_->refused(objection->reason);
    refuse(file, objection->reason);
    return host_.publish();
  }
  const auto served = serve(file);
  if (served) {
    run_->published(run_->candidate()->number);
  } else {
    run_->refused(served.error().message);
  }
  host_.publish();
}

// True: one ran, and loops are still to hear of its end.
bool PluginChanges::cancel_shadow(const std::string& reason) {
  if (!run_ || !run_->running()) return false;
  run_->cancel(reason);
  spdlog::warn("plugin_shadow_cancelled file={} reason={}", run_->file(), observe::quote(reason));
  return true;
}

// ---- the watched directory ----

void PluginChanges::watch() {
  if (!host_.config().plugins.watch) return watch_.reset();
  if (watch_) return;
  // A refusal is in the log, and nobody waits for it.
  auto started = PluginWatch::start(
      control_, libraries_.options().directory,
      [this](const std::string& file) { (void)swap(file, Intent::kWatch).has_value(); });
  if (started) {
    watch_ = std::move(*started);
  } else {
    spdlog::error("plugins_not_watched reason={}", observe::quote(started.error().message));
  }
}

void PluginChanges::end() {
  ended_ = true;
  watch_.reset();
  cancel_shadow("the gateway is ending");
}

}  // namespace switchyard

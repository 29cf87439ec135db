#include "core/plugin/strategy.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/plugin/configuration.hpp"
#include "core/plugin/table.hpp"

namespace switchyard::plugin {
namespace {

// What a strategy may keep from one generation to the next.
constexpr std::size_t kStateBytesMax = 16u << 20;

swy_err empty_err() {
  swy_err err{};
  err.size = sizeof err;
  return err;
}

swy_rc SWY_CALL append(void* ctx, swy_str bytes) noexcept {
  auto& state = *static_cast<std::string*>(ctx);
  if (bytes.p == nullptr && bytes.n > 0) return SWY_E_ARG;
  if (bytes.n > kStateBytesMax - state.size()) return SWY_E_LIMIT;
  state += view(bytes);
  return SWY_OK;
}

}  // namespace

Result<std::unique_ptr<StrategyInstance>> StrategyInstance::from_table(const swy_strategy* table,
                                                                       std::string name,
                                                                       std::string_view config_json,
                                                                       std::string_view owner) {
  std::unique_ptr<StrategyInstance> strategy(new StrategyInstance);
  strategy->name_ = std::move(name);
  strategy->tag_ = std::make_unique<InstanceTag>(
      InstanceTag{owner.empty() ? strategy->name_ : strategy->name_ + " of " + std::string(owner)});
  swy_err err = empty_err();
  const swy_rc rc = table->open(to_swy(config_json), host_table(), strategy->tag_.get(),
                                &strategy->instance_, &err);
  // Where nothing was opened nothing may be closed: table_ stays null.
  if (rc < 0) return Error{"strategy \"" + strategy->name_ + "\": " + fault_text(rc, err)};
  strategy->table_ = table;
  return strategy;
}

Result<std::unique_ptr<StrategyInstance>, config::Faults> StrategyInstance::open(
    const Libraries& libraries, std::string_view kind_name, std::string_view config_json,
    std::string_view owner, Role role) {
  const Libraries::Found found = libraries.find("strategy", kind_name);
  if (!found.kind) {
    return config::Faults{{"/plugin", "strategy \"" + std::string(kind_name) +
                                          "\": no plugin of that name is loaded"}};
  }
  config::Faults faults = check_configuration(*found.kind, config_json);
  for (config::Fault& fault : faults) fault.pointer = "/config" + fault.pointer;
  if (!faults.empty()) return faults;
  const bool shadow = role == Role::kShadow;
  const store::CallNote note(found.library->note(),
                             shadow ? store::Call::kShadow : store::Call::kOpen);
  auto strategy = from_table(static_cast<const swy_strategy*>(found.kind->vt),
                             std::string(kind_name), config_json, owner);
  if (!strategy) return config::Faults{{"/config", strategy.error().message}};
  (*strategy)->library_ = found.library;
  (*strategy)->note_ = found.library->note();
  (*strategy)->role_ = role;
  return std::move(*strategy);
}

StrategyInstance::~StrategyInstance() {
  if (!table_) return;
  const store::CallNote noted = note(store::Call::kClose);
  table_->close(instance_);
}

store::CallNote StrategyInstance::note(store::Call call) const {
  return {note_, role_ == Role::kShadow ? store::Call::kShadow : call};
}

std::string StrategyInstance::fault(const char* function, std::string_view what) const {
  return "strategy \"" + name_ + "\": " + function + ": " + std::string(what);
}

Result<void> StrategyInstance::score(const swy_rreq& request, std::span<const swy_cand> candidates,
                                     std::span<swy_score> out) const {
  const bool rests = library_ && library_->health().resting(mono_ns());
  if (rests) return Error{fault("score", "rests after many faults")};
  auto scored = call_score(request, candidates, out);
  if (!scored && library_) library_->health().fault(mono_ns());
  return scored;
}

Result<void> StrategyInstance::call_score(const swy_rreq& request,
                                          std::span<const swy_cand> candidates,
                                          std::span<swy_score> out) const {
  const store::CallNote noted = note(store::Call::kScore);
  for (swy_score& each : out) {
    each = {};
    each.size = sizeof each;
    each.score = SWY_SCORE_UNSET;
  }
  swy_err err = empty_err();
  const swy_rc rc = table_->score(instance_, &request, candidates.data(),
                                  static_cast<std::uint32_t>(candidates.size()), sizeof(swy_cand),
                                  out.data(), sizeof(swy_score), &err);
  if (rc < 0) return Error{fault("score", fault_text(rc, err))};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto name = [&] {
      return std::string(view(candidates[i].provider)) + "/" +
             std::string(view(candidates[i].model));
    };
    if (out[i].score == SWY_SCORE_UNSET) return Error{fault("score", "left out " + name())};
    if (std::memchr(out[i].reason, '\0', sizeof out[i].reason) == nullptr) {
      return Error{fault("score", "the reason for " + name() + " does not end")};
    }
  }
  return {};
}

void StrategyInstance::observe(const swy_outcome& outcome) const {
  if (!SWY_FN(table_, swy_strategy, observe)) return;
  const store::CallNote noted = note(store::Call::kObserve);
  table_->observe(instance_, &outcome);
}

Result<std::string> StrategyInstance::save() const {
  std::string state;
  if (!SWY_FN(table_, swy_strategy, save)) return state;
  const store::CallNote noted = note(store::Call::kSave);
  const swy_rc rc = table_->save(instance_, append, &state);
  if (rc < 0) return Error{fault("save", fault_text(rc, empty_err()))};
  return state;
}

Result<bool> StrategyInstance::load(std::string_view state) {
  if (!SWY_FN(table_, swy_strategy, load)) return false;
  const store::CallNote noted = note(store::Call::kLoad);
  const swy_rc rc = table_->load(instance_, to_swy(state));
  if (rc == SWY_E_DATA) return false;
  if (rc < 0) return Error{fault("load", fault_text(rc, empty_err()))};
  return true;
}

}  // namespace switchyard::plugin

// A strategy plugin as the host uses it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/config/config.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/library.hpp"
#include "core/store/call_note.hpp"

namespace switchyard::plugin {

// One configured instance. Destroyed only on the control thread, when nothing calls it any more.
class StrategyInstance {
 public:
  // Checks the configuration against the kind's schema, then opens. The faults' pointers start at
  // an entry {"plugin": ..., "config": ...}. `owner`: whose it is, for the log. [control thread]
  // A shadow's calls are noted as such: store/crashes.hpp.
  enum class Role { kServing, kShadow };
  static Result<std::unique_ptr<StrategyInstance>, config::Faults> open(
      const Libraries& libraries, std::string_view kind_name, std::string_view config_json,
      std::string_view owner, Role role = Role::kServing);
  // The same of a table that is in the program already, such as a test's. The table outlives the
  // instance.
  static Result<std::unique_ptr<StrategyInstance>> from_table(const swy_strategy* table,
                                                              std::string name,
                                                              std::string_view config_json,
                                                              std::string_view owner = {});
  ~StrategyInstance();
  StrategyInstance(const StrategyInstance&) = delete;
  StrategyInstance& operator=(const StrategyInstance&) = delete;

  const std::string& name() const { return name_; }
  // Null where it is not of a loaded file.
  const Library* library() const { return library_.get(); }

  // Fills out[i] for candidates[i]. An answer that is missing, or that the contract does not know,
  // is a fault as a negative return is; the error names the strategy. [any thread]
  Result<void> score(const swy_rreq& request, std::span<const swy_cand> candidates,
                     std::span<swy_score> out) const;
  // Does nothing where the strategy has no observe. [any thread]
  void observe(const swy_outcome& outcome) const;

  // The learned state; empty where the strategy keeps none. [control thread]
  Result<std::string> save() const;
  // False: the strategy starts fresh, as it does where it takes no state. Before the first score().
  // [control thread]
  Result<bool> load(std::string_view state);

 private:
  StrategyInstance() = default;
  store::CallNote note(store::Call call) const;
  std::string fault(const char* function, std::string_view what) const;
  Result<void> call_score(const swy_rreq& request, std::span<const swy_cand> candidates,
                          std::span<swy_score> out) const;

  std::shared_ptr<const Library> library_;
  const swy_strategy* table_ = nullptr;
  void* instance_ = nullptr;
  std::uint32_t note_ = 0;  // of library_
  Role role_ = Role::kServing;
  std::string name_;
  std::unique_ptr<InstanceTag> tag_;
};

}  // namespace switchyard::plugin

// The shadow run of a plugin file: on what terms, what it found, and what became of it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/admin/plugin_routes.hpp"
#include "core/plugin/library.hpp"
#include "core/routing/shadow.hpp"

namespace switchyard {

// [control thread]
class ShadowRun {
 public:
  // Runs from here on, as far as shadow() is published. `over` is called once, when the decisions
  // are made, the time is up or the candidate failed: not where it was cancelled before.
  ShadowRun(boost::asio::io_context& control, std::shared_ptr<plugin::Generation> candidate,
            routing::Pipelines pipelines, const admin::ShadowTerms& terms,
            std::function<void()> over);
  ShadowRun(const ShadowRun&) = delete;
  ShadowRun& operator=(const ShadowRun&) = delete;

  const std::string& file() const { return candidate_->file; }
  const std::shared_ptr<plugin::Generation>& candidate() const { return candidate_; }
  bool running() const { return state_ == State::kRunning; }
  // Null where it runs no more.
  const std::shared_ptr<routing::Shadow>& shadow() const { return shadow_; }

  // Ends it. Why the candidate may not serve; nothing: it may.
  struct Objection {
    std::string reason;
    plugin::Libraries::Blame blame = plugin::Libraries::Blame::kNone;
  };
  std::optional<Objection> judge();
  // What came of it, after its judgement.
  void published(unsigned generation);
  void refused(const std::string& reason);
  // Ends it without one.
  void cancel(const std::string& reason);

  std::string json() const;

 private:
  enum class State { kRunning, kJudged, kPublished, kRefused, kCancelled };
  static const char* to_string(State state);
  void stop();
  void settle(State state, const std::string& reason);
  routing::ShadowFindings findings() const { return shadow_ ? shadow_->findings() : findings_; }

  const std::shared_ptr<plugin::Generation> candidate_;
  const admin::ShadowTerms terms_;
  const std::uint64_t begun_unix_s_;
  State state_ = State::kRunning;
  std::string reason_;
  unsigned generation_ = 0;
  std::shared_ptr<routing::Shadow> shadow_;
  routing::ShadowFindings findings_;  // once it is over
  boost::asio::steady_timer time_;
  // Handlers that are queued already when this goes find it gone.
  const std::shared_ptr<const bool> life_ = std::make_shared<const bool>(true);
};

}  // namespace switchyard

#include "core/worker/shadow_run.hpp"

#include <boost/asio/post.hpp>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"

namespace switchyard {
namespace {

using routing::ShadowFindings;

std::string difference_json(const ShadowFindings::Difference& each) {
  return JsonObject()
      .text("request_id", each.request_id)
      .text("alias", each.alias)
      .text("serving", each.serving)
      .text("serving_reason", each.serving_reason)
      .text("candidate", each.candidate)
      .text("candidate_reason", each.candidate_reason)
      .take();
}

std::string share_text(const ShadowFindings& findings) {
  return std::to_string(findings.agreed) + " of " + std::to_string(findings.compared) +
         " decisions";
}

}  // namespace

ShadowRun::ShadowRun(boost::asio::io_context& control,
                     std::shared_ptr<plugin::Generation> candidate, routing::Pipelines pipelines,
                     const admin::ShadowTerms& terms, std::function<void()> over)
    : candidate_(std::move(candidate)),
      terms_(terms),
      begun_unix_s_(unix_ns() / 1'000'000'000u),
      time_(control, terms.time) {
  const auto still = [this, life = std::weak_ptr(life_), over = std::move(over)] {
    if (!life.expired() && running()) over();
  };
  time_.async_wait([still](boost::system::error_code ec) {
    if (!ec) still();
  });
  shadow_ = std::make_shared<routing::Shadow>(
      std::move(pipelines), candidate_->library.get(), terms_.decisions,
      [&control, still] { boost::asio::post(control, still); }, &mono_ns);
}

const char* ShadowRun::to_string(State state) {
  switch (state) {
    case State::kRunning:
    case State::kJudged:
      return "running";
    case State::kPublished:
      return "published";
    case State::kRefused:
      return "refused";
    case State::kCancelled:
      return "cancelled";
  }
  return "?";
}

// Its instances are closed when the last request that might use them is done.
void ShadowRun::stop() {
  if (!shadow_) return;
  time_.cancel();
  shadow_->end();
  findings_ = shadow_->findings();
  shadow_.reset();
}

std::optional<ShadowRun::Objection> ShadowRun::judge() {
  stop();
  state_ = State::kJudged;
  if (!findings_.fault.empty()) {
    return Objection{"failed in its shadow run: " + findings_.fault,
                     plugin::Libraries::Blame::kCounts};
  }
  if (terms_.agree_percent == 0) return std::nullopt;
  const std::string wanted = std::to_string(terms_.agree_percent) + "% were asked for";
  if (findings_.compared == 0) {
    return Objection{"agreed in no decision of its shadow run, for 0 decisions were compared; " +
                     wanted};
  }
  if (findings_.agreed * 100 < findings_.compared * terms_.agree_percent) {
    return Objection{"agreed in " + share_text(findings_) + " of its shadow run; " + wanted};
  }
  return std::nullopt;
}

void ShadowRun::settle(State state, const std::string& reason) {
  stop();
  state_ = state;
  reason_ = reason;
  if (state != State::kPublished) candidate_->library.reset();  // nobody asks it any more
}

void ShadowRun::published(unsigned generation) {
  generation_ = generation;
  settle(State::kPublished, "");
}

void ShadowRun::refused(const std::string& reason) { settle(State::kRefused, reason); }

void ShadowRun::cancel(const std::string& reason) {
  if (running()) settle(State::kCancelled, reason);
}

std::string ShadowRun::json() const {
  const ShadowFindings found = findings();
  JsonObject json;
  json.text("state", to_string(state_))
      .text("sha256", candidate_->sha256)
      .text("id", candidate_->id)
      .text("version", candidate_->version)
      .text("since", utc_text(begun_unix_s_))
      .number("decisions", terms_.decisions)
      .number("seconds", static_cast<std::uint64_t>(terms_.time.count()));
  if (terms_.agree_percent > 0) json.number("agree_percent", terms_.agree_percent);
  json.number("compared", found.compared)
      .number("agreed", found.agreed)
      .number("same_order", found.same_order)
      .number("mean_us", found.compared > 0 ? found.ns / found.compared / 1000 : 0)
      .number("max_us", found.ns_max / 1000);
  if (!found.fault.empty()) json.text("fault", found.fault);
  if (!reason_.empty()) json.text("reason", reason_);
  if (generation_ > 0) json.number("generation", generation_);
  json.raw("differences", json_array(found.differences, difference_json));
  return json.take();
}

}  // namespace switchyard

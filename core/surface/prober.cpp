#include "core/surface/prober.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "core/account/ledger.hpp"
#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/exchange/quantities.hpp"
#include "core/routing/live.hpp"
#include "core/surface/gateway.hpp"

namespace switchyard::surface {
namespace {

using routing::Breaker;
using routing::Lane;

constexpr std::chrono::seconds kTick{1};

// One call each, and none that is made again.
const config::Feature& one_attempt() {
  static const config::Feature feature = [] {
    config::Feature made;
    made.attempts.attempts_max = 1;
    return made;
  }();
  return feature;
}

// What asks for a pause gets it, and what is closed off or at a limit is left alone.
bool wants_probe(const Lane& lane, const config::ProbePolicy& policy, std::uint64_t now_ns) {
  switch (lane.barred(0, now_ns)) {
    case Lane::Barred::kOpen:
    case Lane::Barred::kRefused:
      return true;
    case Lane::Barred::kNot:
      if (lane.breaker.state(now_ns) == Breaker::State::kHalfOpen) return true;
      return policy.quiet && !lane.stats.asked_lately(now_ns);
    default:
      return false;
  }
}

// `request` is an object that names none.
std::string with_model(const std::string& request, const std::string& model) {
  std::string body = R"({"model":)";
  append_json_string(body, model);
  if (request.size() > 2) body += ',';
  return body + request.substr(1);
}

}  // namespace

// Takes an answer that nobody reads.
class Prober::Writer final : public exchange::ClientWriter {
 public:
  void delta(std::string_view, bool content) override { committed_ |= content; }
  void whole(std::string_view) override { committed_ = true; }
  void end_stream(const observe::Usage&) override {}
  void fail(const exchange::Failure&) override {}
  void discard() override {}
  bool started() const override { return committed_; }
  bool committed() const override { return committed_; }
  bool try_flush() override { return true; }
  net::Task<bool> flush() override { co_return !left_; }
  bool gone() const override { return left_; }
  void on_gone(std::function<void()> callback) override { on_gone_ = std::move(callback); }

  void leave() {
    left_ = true;
    if (on_gone_) on_gone_();
  }

 private:
  bool committed_ = false, left_ = false;
  std::function<void()> on_gone_;
};

struct Prober::Probe {
  std::shared_ptr<const Published> published;
  const exchange::ProviderSlot* slot = nullptr;
  routing::Route route;
  Lane* lane = nullptr;
  std::string body;
  std::shared_ptr<observe::Record> record = std::make_shared<observe::Record>();
  Writer writer;
};

Prober::Prober(const exchange::LoopContext& context)
    : context_(context), tick_(context.loop, [this] { look(); }) {}

Prober::~Prober() = default;

void Prober::publish(std::shared_ptr<const Published> published) {
  if (stopped_) return;
  published_ = std::move(published);
  const auto& providers = published_->snapshot->providers;
  const bool any = std::any_of(providers.begin(), providers.end(), [](const auto& slot) {
    return slot.config->probe.interval.count() > 0;
  });
  if (!any) return tick_.disarm();
  if (!tick_.armed()) tick_.expires_after(kTick);
}

void Prober::stop() {
  stopped_ = true;
  tick_.disarm();
  published_.reset();
  for (const auto& probe : running_) probe->writer.leave();
}

void Prober::look() {
  tick_.expires_after(kTick);
  for (const exchange::ProviderSlot& slot : published_->snapshot->providers) {
    if (slot.config->probe.interval.count() > 0 && slot.instance) look_at(slot);
  }
}

void Prober::look_at(const exchange::ProviderSlot& slot) {
  const config::ProbePolicy& policy = slot.config->probe;
  const auto interval_ns = static_cast<std::uint64_t>(policy.interval.count()) * 1'000'000;
  const std::uint64_t now_ns = mono_ns();
  for (const std::string& model : policy.models) {
    const std::string name = slot.config->id + '/' + model;
    const routing::Route route = published_->snapshot->routes->resolve(name);
    if (route.targets.empty() || route.targets.front().live == nullptr) continue;
    const routing::Live& live = *route.targets.front().live;
    for (std::size_t i = 0; i < live.size(); ++i) {
      Lane& lane = live.lane(i);
      if (!wants_probe(lane, policy, now_ns) || !lane.probed.begin(now_ns, interval_ns)) continue;
      auto probe = std::make_shared<Probe>();
      probe->published = published_;
      probe->slot = &slot;
      probe->route = route;
      probe->route.policy = &one_attempt();
      probe->lane = &lane;
      probe->body = with_model(policy.request, model);
      probe->record->model_asked = name;
      running_.push_back(probe);
      net::asio::co_spawn(context_.loop.context(), run(probe),
                          [this, probe](std::exception_ptr fault) {
                            std::erase(running_, probe);
                            if (fault) spdlog::error("probe_failed reason=internal");
                          });
    }
  }
}

net::Task<> Prober::run(std::shared_ptr<Probe> probe) {
  observe::Record& record = *probe->record;
  record.start_ns = record.body_ns = mono_ns();
  record.start_unix_ns = unix_ns();
  record.id = "probe_" + std::to_string(record.start_unix_ns);
  record.task = "chat";
  record.surface = "probe";
  JsonIndex index;
  (void)index.scan(probe->body).has_value();  // made of what was read
  exchange::Rare rare;
  rare.credential = probe->lane->access().name();
  exchange::Request request;
  request.task = record.task;
  request.dialect = "openai";
  request.body = probe->body;
  request.members = index.members();
  request.route = &probe->route;
  request.record = &record;
  request.prices = &probe->published->prices;
  request.rare = &rare;
  co_await exchange::run(context_, *probe->published->snapshot, request, probe->writer);
  const bool ok = record.final_status == observe::FinalStatus::kOk;
  if (!probe->writer.gone()) probe->lane->probed.end(ok, record.start_unix_ns / 1'000'000'000u);
  if (ok) book(*probe, exchange::billed(request, record.usage));
  record.end_ns = mono_ns();
  observe::cut_texts(record);
  const auto& loggers = probe->published->loggers;
  if (loggers && !loggers->empty()) loggers->publish(probe->record);
}

// What an answer cost the house. What failed was hardly billed.
void Prober::book(Probe& probe, const catalog::Quantities& used) const {
  observe::Record& record = *probe.record;
  const config::Provider& provider = *probe.slot->config;
  catalog::PriceContext context;
  context.unix_ns = record.start_unix_ns;
  context.prompt_tokens = exchange::prompt_tokens(used);
  context.service_tier = record.usage.service_tier;
  const auto rated = probe.published->prices.book->rate(
      {provider.id, provider.family, record.model_used}, used, context);
  account::CostLine line;
  line.provider = provider.id;
  line.model = record.model_used;
  line.outcome = "probe";
  line.estimated = !record.usage.reported;
  if (rated) {
    line.currency = rated->currency;
    line.amount = rated->total;
    line.price_version = rated->version;
    record.cost_nano = rated->total;
    record.cost_currency = rated->currency;
  }
  if (context_.ledger != nullptr) context_.ledger->note_cost({record.id, {}, {}, 0}, line);
}

}  // namespace switchyard::surface

#include "core/worker/breaker_report.hpp"

#include <spdlog/spdlog.h>
#include <switchyard/strategy.h>

#include <algorithm>
#include <functional>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"
#include "core/exchange/failure.hpp"
#include "core/observe/log.hpp"
#include "core/routing/live.hpp"

namespace switchyard {
namespace {

using routing::Breaker;
using routing::Lane;
using routing::Live;
constexpr std::uint64_t kMsNs = 1'000'000;

// One lane at one time.
struct View {
  const Live& live;
  Lane& lane;
  std::uint64_t now_ns;
  swy_cand measured{};
  routing::TargetStats::Classes classes{};

  View(const Live& of, Lane& at, std::uint64_t now) : live(of), lane(at), now_ns(now) {
    routing::TargetStats::Sum sum;
    sum.add(lane.stats, now_ns);
    sum.fill(measured);
    classes = sum.classes();
  }
  bool in_use() const {
    return measured.samples > 0 || lane.gate.inflight() > 0 || lane.breaker.opened() > 0 ||
           lane.barred(0, now_ns) != Lane::Barred::kNot ||
           lane.breaker.forced() != Breaker::Force::kNone;
  }
};

void each_lane(const routing::Table& routes, const std::function<void(const View&)>& call) {
  const std::uint64_t now_ns = mono_ns();
  routes.each_live([&](const Live& live) {
    for (std::size_t i = 0; i < live.size(); ++i) call(View(live, live.lane(i), now_ns));
  });
}

std::string id_text(const Lane& lane) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kHex[lane.id() >> shift & 15];
  return text;
}

const char* forced_name(Breaker::Force force) {
  return force == Breaker::Force::kOpen ? "open" : force == Breaker::Force::kClosed ? "closed" : "";
}

std::string failed_by_class(const View& view) {
  JsonObject json;
  for (std::size_t cls = 0; cls < view.classes.size(); ++cls) {
    if (view.classes[cls] == 0) continue;
    json.number(exchange::class_name(static_cast<int>(cls)), view.classes[cls]);
  }
  return json.take();
}

// Null where it is not known.
template <class Number>
void put_limit(JsonObject& json, std::string_view name, Number value, Number unknown) {
  if (value == unknown) {
    json.raw(name, "null");
  } else {
    json.number(name, value);
  }
}

std::string limits(const View& view) {
  const routing::Gate& gate = view.lane.gate;
  JsonObject json;
  put_limit(json, "concurrency", gate.inflight_max(), UINT32_MAX);
  put_limit<std::uint64_t>(json, "rpm", gate.limits().rpm, 0);
  put_limit<std::uint64_t>(json, "tpm", gate.limits().tpm, 0);
  put_limit(json, "requests_left", gate.requests_left(view.now_ns), UINT32_MAX);
  put_limit(json, "tokens_left", gate.tokens_left(view.now_ns), UINT64_MAX);
  put_limit<std::uint64_t>(json, "said_rpm", gate.learned_rpm(), 0);
  put_limit<std::uint64_t>(json, "said_tpm", gate.learned_tpm(), 0);
  return json.take();
}

std::uint64_t rests_ns(const View& view) {
  const std::uint64_t refused = view.lane.access().refused_until_ns();
  return std::max({view.lane.breaker.rests_ns(view.now_ns), view.lane.eases_ns(view.now_ns),
                   refused > view.now_ns ? refused - view.now_ns : 0});
}

// Null where none was made.
std::string last_probe(const Lane::Probed& probed) {
  if (probed.at_unix_s() == 0) return "null";
  return JsonObject().text("at", utc_text(probed.at_unix_s())).boolean("ok", probed.ok()).take();
}

std::string report(const View& view) {
  return JsonObject()
      .text("id", id_text(view.lane))
      .text("provider", view.live.provider())
      .text("model", view.live.model())
      .text_or_null("credential", view.lane.access().name())
      .text("state", routing::state_name(view.lane.breaker.state(view.now_ns)))
      .text_or_null("forced", forced_name(view.lane.breaker.forced()))
      .text("standing", routing::barred_name(view.lane.barred(0, view.now_ns)))
      .number("rests_ms", rests_ns(view) / kMsNs)
      .number("opened", view.lane.breaker.opened())
      .number("inflight", view.lane.gate.inflight())
      .number("samples", view.measured.samples)
      .number("failed_ppm", view.measured.err_ppm)
      .raw("failed", failed_by_class(view))
      .number("ttft_p95_us", view.measured.ttft_p95_us)
      .number("latency_p95_us", view.measured.latency_p95_us)
      .raw("limits", limits(view))
      .raw("probe", last_probe(view.lane.probed))
      .take();
}

}  // namespace

std::string report_breakers(const routing::Table& routes, bool all) {
  std::string data;
  each_lane(routes, [&](const View& view) {
    if (!all && !view.in_use()) return;
    if (!data.empty()) data += ',';
    data += report(view);
  });
  return JsonObject().raw("data", '[' + data + ']').raw("next", "null").take();
}

std::optional<std::string> force_breaker(const routing::Table& routes, const std::string& id,
                                         Breaker::Force force) {
  std::optional<std::string> found;
  each_lane(routes, [&](const View& view) {
    if (found || id_text(view.lane) != id) return;
    view.lane.breaker.force(force);
    spdlog::warn("breaker_forced provider={} model={} credential={} to={}", view.live.provider(),
                 observe::quote(view.live.model()), observe::quote(view.lane.access().name()),
                 force == Breaker::Force::kNone ? "auto" : forced_name(force));
    found = report(View(view.live, view.lane, view.now_ns));
  });
  return found;
}

std::vector<account::RefusedCredential> refused_credentials(const routing::Table& routes) {
  const std::uint64_t now_ns = mono_ns();
  std::vector<const routing::Access*> seen;
  std::vector<account::RefusedCredential> found;
  routes.each_live([&](const Live& live) {
    for (std::size_t i = 0; i < live.size(); ++i) {
      const routing::Access& access = live.lane(i).access();
      if (!access.rests(now_ns)) continue;
      if (std::find(seen.begin(), seen.end(), &access) != seen.end()) continue;
      seen.push_back(&access);
      found.push_back(
          {access.provider(), access.name(), exchange::class_name(access.refused_for())});
    }
  });
  return found;
}

void add_breaker_stats(std::vector<observe::Metrics::Extra>& extra, const routing::Table& routes) {
  each_lane(routes, [&](const View& view) {
    if (!view.in_use()) return;
    const std::string labels =
        observe::prometheus_labels({{"provider", view.live.provider()},
                                    {"model", view.live.model()},
                                    {"credential", view.lane.access().name()}});
    extra.push_back({"switchyard_breaker_state",
                     "How a credential fares at a model: 0 closed, 1 half open, 2 open", "gauge",
                     labels, static_cast<double>(view.lane.breaker.state(view.now_ns))});
    extra.push_back({"switchyard_breaker_opened_total", "How often it opened", "counter", labels,
                     static_cast<double>(view.lane.breaker.opened())});
    extra.push_back({"switchyard_upstream_inflight", "Attempts that run there", "gauge", labels,
                     static_cast<double>(view.lane.gate.inflight())});
    extra.push_back({"switchyard_credential_refused",
                     "1 while a credential is left alone that the upstream refused", "gauge",
                     labels, view.lane.access().rests(view.now_ns) ? 1.0 : 0.0});
  });
}

}  // namespace switchyard

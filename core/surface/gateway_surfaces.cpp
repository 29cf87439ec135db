// Requests in the dialects of surface.hpp: key, body, translation, route, exchange.
#include "core/base/clock.hpp"
#include "core/exchange/choice.hpp"
#include "core/exchange/loss.hpp"
#include "core/exchange/usage.hpp"
#include "core/net/offload.hpp"
#include "core/surface/dialect_writer.hpp"
#include "core/surface/endpoints.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/stored_responses.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {
namespace {

using net::Task;

// Of providers that count a prompt's tokens.
constexpr std::string_view kCountTask = "count_tokens";

exchange::Failure no_such_path(const net::RequestHead& head) {
  return bad_request(
      404, "unknown_url",
      "Unknown request URL: " + std::string(head.method) + " " + std::string(head.path) + ".");
}

bool allows(const Ask& ask, std::string_view method) {
  const std::size_t at = ask.allowed.find(method);
  if (at == std::string_view::npos) return false;
  const std::string_view behind = ask.allowed.substr(at + method.size());
  return (at == 0 || ask.allowed[at - 1] == ' ') && (behind.empty() || behind.front() == ',');
}

}  // namespace

Task<> Gateway::serve_surface(Call& call, const Surface& surface) {
  const net::RequestHead& head = call.head();
  observe::Record& record = *call.record;
  call.surface = &surface;
  call.headers += surface.headers(record.id);
  const Ask ask = surface.ask(head);
  if (ask.what == Ask::What::kUnknown) {
    co_await refuse(call, no_such_path(head));
    co_return;
  }
  if (!allows(ask, head.method)) {
    call.headers.append("allow: ").append(ask.allowed).append("\r\n");
    auto failure =
        bad_request(405, "method_not_allowed",
                    "Not allowed to " + std::string(head.method) + " on " + std::string(head.path) +
                        "; allowed: " + std::string(ask.allowed) + ".");
    co_await refuse(call, std::move(failure));
    co_return;
  }
  const bool task = ask.what == Ask::What::kTask;
  call.recorded = task;
  record.surface = surface.dialect();
  if (task) record.task = ask.task;

  if (!call.published.open_access) {
    const std::string given = surface.key(head);
    auto refused = admit(call, given, ask.task, surface.key_hint());
    if (refused) {
      co_await refuse(call, std::move(*refused));
      co_return;
    }
    begin_keeping(call);
  }

  if (task || ask.what == Ask::What::kCount) {
    auto full = shed(call);
    if (full) {
      co_await refuse(call, std::move(*full));
      co_return;
    }
  }

  if (ask.what == Ask::What::kStored) {
    co_await serve_stored(call);
  } else if (ask.what == Ask::What::kModels || ask.what == Ask::What::kModel) {
    co_await list_models(call, surface, ask);
  } else {
    co_await serve_canonical(call, surface, ask);
  }
}

// Only those that take the client's own dialect.
void Gateway::keep_native(const Call& call, const Surface& surface, const Canonical& canonical,
                          routing::Route& route) {
  std::erase_if(route.targets, [&](const routing::Target& target) {
    const auto& instance = call.snapshot().providers[target.provider].instance;
    return canonical.foreign || !instance || !instance->caps().takes_dialect(surface.dialect());
  });
}

// Only those that count by themselves, and in that dialect.
void Gateway::keep_counting(const Call& call, const Surface& surface, const Canonical& canonical,
                            routing::Route& route) {
  keep_native(call, surface, canonical, route);
  std::erase_if(route.targets, [&](const routing::Target& target) {
    return !call.snapshot().providers[target.provider].instance->caps().has_task(kCountTask);
  });
}

Task<> Gateway::list_models(Call& call, const Surface& surface, const Ask& ask) {
  std::vector<ListedModel> listed;
  for (const auto& model : call.snapshot().routes->models()) {
    const bool wanted = ask.what == Ask::What::kModels || model.name == ask.model;
    if (wanted && call.may_use(model.name)) listed.push_back({model.name, model.owned_by});
  }
  if (ask.what == Ask::What::kModel && listed.empty()) {
    co_await refuse(call, no_model(call, ask.model));
    co_return;
  }
  std::string body = surface.models(ask, call.head().query, listed);
  if (body.empty()) {
    auto failure = bad_request(400, "invalid_value", "The page asked for is not valid.");
    co_await refuse(call, std::move(failure));
    co_return;
  }
  co_await answer(call, 200, std::move(body));
}

Task<> Gateway::serve_canonical(Call& call, const Surface& surface, Ask ask) {
  observe::Record& record = *call.record;
  std::string_view text;
  const bool read = co_await read_text(call, text);
  if (!read) co_return;
  JsonIndex given, index;
  const bool scanned = co_await scan(call, text, given);
  if (!scanned) co_return;
  auto twice = check_duplicates(given);
  if (twice) {
    co_await refuse(call, std::move(*twice));
    co_return;
  }

  std::unique_ptr<StoredTurn> turn;
  if (surface.stores()) {
    const bool taken = co_await take_stored(call, ask, given, text, turn);
    if (!taken) co_return;
    if (turn) ask.stored = &turn->as;
  }

  Canonical canonical;
  auto translate = [&] {
    canonical = surface.to_canonical(ask, given);
    if (canonical.refusal) return;
    // Whatever a client wrapped up itself, no provider gets what is not sound.
    if (!index.scan(canonical.body, JsonIndex::kDepthCap)) {
      canonical.refusal =
          bad_request(400, "invalid_value", "The request holds a block that is broken.");
    } else {
      canonical.refusal = check_duplicates(index);
    }
    if (text.size() > kScanOnLoopMax && !canonical.refusal) {
      call.needs = routing::read_needs(ask.task, canonical.body, index.members());
    }
  };
  if (text.size() <= kScanOnLoopMax) {
    translate();
  } else {
    co_await net::offload(compute_, std::move(translate));
  }
  if (!canonical.refusal) canonical.refusal = check_model(canonical.model);
  record.model_asked = canonical.model;
  record.stream = canonical.stream;
  if (canonical.refusal) {
    co_await refuse(call, std::move(*canonical.refusal));
    co_return;
  }
  routing::Route route;
  const Asked asked{canonical.model, ask.task, canonical.body, index.members()};
  auto unroutable = find_route(call, asked, route);
  if (unroutable) {
    co_await refuse(call, std::move(*unroutable));
    co_return;
  }
  if (canonical.only_native) {
    keep_native(call, surface, canonical, route);
    if (route.targets.empty()) {
      co_await refuse(call, std::move(*canonical.only_native));
      co_return;
    }
  }
  const bool counts = ask.what == Ask::What::kCount;
  if (counts) keep_counting(call, surface, canonical, route);
  if (counts && route.targets.empty()) {
    call.headers += "x-switchyard-estimated: tokens\r\n";
    std::string count = surface.token_count(exchange::estimate_tokens(canonical.body.size()));
    co_await answer(call, 200, std::move(count));
    co_return;
  }

  std::string losses;
  (void)exchange::append_dropped(losses, canonical.losses.array());
  const std::vector<swy_kv> forwarded = forwarded_headers(call.head(), surface.forwarded());
  exchange::Native native;
  native.dialect = surface.dialect();
  native.body = text;
  native.members = given.members();
  const auto deadline = read_client_deadline(call.head());
  if (!deadline) {
    co_await refuse(call, bad_request(400, "invalid_header", deadline.error().message));
    co_return;
  }
  if (const std::string_view name = call.head().find("idempotency-key");
      !name.empty() && repeats_ != nullptr) {
    const bool fresh = co_await take_name(call, name, text);
    if (!fresh) co_return;
  }
  exchange::Request request;
  request.task = counts ? kCountTask : ask.task;
  request.dialect = "openai";
  request.stream = canonical.stream;
  request.want_usage = canonical.stream;
  request.body = canonical.body;
  request.members = index.members();
  request.headers = forwarded;
  request.route = &route;
  request.record = &record;
  call.charge(request);
  call.hurry(request, *deadline);
  call.take_wishes(request);
  if (!canonical.foreign) request.native = &native;
  request.losses = losses;
  request.refuse_loss = refuses_loss(call.head());
  if (is_limited(call, request)) {
    const bool admitted = co_await take_limits(call, request);
    if (!admitted) co_return;
  }
  if (turn && turn->as.background) {
    co_await begin_background(call, request, canonical, turn);
    co_return;
  }
  DialectWriter writer(context_.loop, call.http, call.headers, canonical.stream, surface,
                       std::move(canonical.answer), record.id);
  if (turn && !turn->as.id.empty()) {
    auto store = [this, &call, &turn](std::string response) {
      return store_response(call, *turn, std::move(response));
    };
    writer.store_with(std::move(store));
  }
  std::optional<Gauge> open;
  if (canonical.stream) open.emplace(context_.metrics.open_streams);
  co_await exchange::run(context_, call.snapshot(), request, writer);
  exchange::note_plan(call.snapshot(), request);
}

}  // namespace switchyard::surface

#include "core/surface/gateway.hpp"

#include <openssl/rand.h>

#include <boost/smart_ptr/make_local_shared.hpp>

#include "core/base/clock.hpp"
#include "core/exchange/choice.hpp"
#include "core/exchange/quantities.hpp"
#include "core/net/offload.hpp"
#include "core/net/text.hpp"
#include "core/observe/body_keeper.hpp"
#include "core/surface/admission.hpp"
#include "core/surface/endpoints.hpp"
#include "core/surface/form.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/openai_writer.hpp"
#include "core/surface/realtime.hpp"
#include "core/surface/self_service.hpp"
#include "core/surface/surface.hpp"
#include "core/surface/traceparent.hpp"
#include "core/surface/videos.hpp"

namespace switchyard::surface {
namespace {

using net::Task;

// What a client may tell the upstream besides the body.
constexpr std::string_view kForwarded[] = {"openai-beta", "traceparent", "tracestate"};

bool valid_request_id(std::string_view id) {
  if (id.empty() || id.size() > 128) return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

bool is_video_call(const net::RequestHead& head) {
  return read_video_call(head.method, head.path).kind != VideoCall::Kind::kUnknown;
}

bool known_path(std::string_view path) {
  return find_endpoint(path) != nullptr || path == "/v1/models" || path == kRealtimePath ||
         path.starts_with("/v1/models/") || path == "/healthz" || path == "/readyz";
}

}  // namespace

std::vector<swy_kv> forwarded_headers(const net::RequestHead& head,
                                      std::span<const std::string_view> more) {
  std::vector<swy_kv> forwarded;
  for (const auto names : {std::span<const std::string_view>(kForwarded), more}) {
    for (const std::string_view name : names) {
      const std::string_view value = head.find(name);
      if (!value.empty()) forwarded.push_back({to_swy(name), to_swy(value)});
    }
  }
  return forwarded;
}

bool refuses_loss(const net::RequestHead& head) {
  return head.find("x-switchyard-on-loss") == "refuse";
}

Gateway::Gateway(exchange::LoopContext context, net::asio::thread_pool& compute,
                 store::Store& store)
    : context_(context), compute_(compute), store_(&store) {
  RAND_bytes(reinterpret_cast<unsigned char*>(id_state_), sizeof id_state_);
}

void Gateway::publish(std::shared_ptr<const Published> published) {
  current_ = boost::make_local_shared<const std::shared_ptr<const Published>>(std::move(published));
}

// xoroshiro128+ (Blackman, Vigna): ids must not collide; they are no secret.
std::string Gateway::new_request_id() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id = "req_";
  for (int word = 0; word < 2; ++word) {
    std::uint64_t s0 = id_state_[0];
    std::uint64_t s1 = id_state_[1];
    std::uint64_t value = s0 + s1;
    s1 ^= s0;
    id_state_[0] = ((s0 << 24) | (s0 >> 40)) ^ s1 ^ (s1 << 16);
    id_state_[1] = (s1 << 37) | (s1 >> 27);
    for (int i = 0; i < 12; ++i, value >>= 4) id += kHex[value & 15];
  }
  return id;
}

Task<> Gateway::handle(net::HttpExchange& http) {
  Call call(http, current_);
  observe::Record& record = *call.record;
  record.start_ns = mono_ns();
  record.start_unix_ns = unix_ns();
  const std::string_view asked_id = call.head().find("x-request-id");
  if (valid_request_id(asked_id)) {
    record.id = asked_id;
  } else {
    record.id = new_request_id();
  }
  call.headers = "x-request-id: " + record.id + "\r\n";
  if (const auto trace = parse_traceparent(call.head().find("traceparent"))) {
    record.trace = trace->trace;
    record.parent_span = trace->parent;
    record.trace_flags = trace->flags;
  }

  const Gauge open(context_.metrics.open_requests);
  co_await serve(call);
  if (call.limited) call.limited->end(record.usage.tok_in + record.usage.tok_out, mono_ns());
  if (call.recorded) finish(call);
}

void Gateway::end_record(observe::Record& record, bool client_gone) {
  record.end_ns = mono_ns();
  observe::cut_texts(record);
  if (client_gone && record.final_status == observe::FinalStatus::kOk) {
    record.final_status = observe::FinalStatus::kClientLeft;
  }
}

void Gateway::finish(Call& call) {
  observe::Record& record = *call.record;
  end_record(record, call.http.client_gone());
  if (record.final_status == observe::FinalStatus::kOk) {
    if (call.repeat) store_answer(call);
    call.repeat.answered(record.start_unix_ns / 1'000'000'000u);
  }
  context_.metrics.add(record);
  if (call.answer && call.recorded) {
    keep_bodies(call.published, record, call.http.body(), *call.answer);
  }
  if (call.published.loggers && !call.published.loggers->empty()) {
    call.published.loggers->publish(std::move(call.record));
  }
}

void Gateway::begin_keeping(Call& call) const {
  const config::Records& records = call.snapshot().config->records;
  if (!stores_bodies(call)) return;
  call.answer = std::make_unique<std::string>();
  call.http.copy_answer(*call.answer, records.body_size_max);
}

void Gateway::keep_bodies(const Published& published, const observe::Record& record,
                          std::string_view request, std::string_view answer) const {
  const std::size_t most = published.snapshot->config->records.body_size_max;
  store::BodyRow row;
  row.record_id = record.id;
  row.key_id = record.key_id;
  row.at_unix_s = record.start_unix_ns / 1'000'000'000u;
  row.cut = request.size() > most || answer.size() > most;
  row.request = request.substr(0, most);
  row.answer = answer.substr(0, most);
  body_keeper_->put(std::move(row));
}

Task<> Gateway::answer(Call& call, unsigned status, std::string body) {
  std::string lines = "content-type: application/json\r\n" + call.headers;
  call.http.start(status, lines, body.size());
  call.http.write(body);
  co_await call.http.flush();
}

Task<> Gateway::refuse(Call& call, exchange::Failure failure) {
  observe::Record& record = *call.record;
  record.status = failure.status;
  record.error_code = failure.code;
  record.error_text = failure.message;
  record.final_status = failure.status >= 500 ? observe::FinalStatus::kGatewayError
                                              : observe::FinalStatus::kClientError;
  const std::string body =
      call.surface != nullptr ? call.surface->error(failure, record.id) : openai_error(failure);
  const std::string lines = openai_error_headers(failure) + call.headers;
  call.http.start(failure.status, lines, body.size());
  call.http.write(body);
  co_await call.http.flush();
}

Task<> Gateway::serve(Call& call) {
  const net::RequestHead& head = call.head();
  const auto& origins = call.snapshot().config->cors_origins;
  const std::string_view origin = head.find("origin");
  const bool cors =
      !origin.empty() && std::any_of(origins.begin(), origins.end(),
                                     [&](const auto& o) { return o == "*" || o == origin; });
  if (cors) {
    call.headers.append("access-control-allow-origin: ").append(origin);
    call.headers +=
        "\r\nvary: origin\r\naccess-control-expose-headers: x-request-id, retry-after, "
        "retry-after-ms, x-switchyard-dropped, x-switchyard-feature, x-switchyard-model, "
        "x-switchyard-route, "
        "x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "
        "x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens\r\n";
  }

  if (head.path == "/healthz" || head.path == "/readyz") {
    if (head.path == "/readyz" && draining_) {
      co_await answer(call, 503, R"({"status":"draining"})");
    } else {
      co_await answer(call, 200, R"({"status":"ok"})");
    }
    co_return;
  }
  if (head.path == kStripeWebhookPath && call.published.stripe_webhook) {
    co_await serve_stripe_webhook(call);
    co_return;
  }
  const Surface* const surface = find_surface(head);
  const bool videos = is_video_call(head);
  const auto self = self_service_ == nullptr ? std::nullopt : self_service_kind(head.path);
  const bool redeems = head.path == kRedeemPath && call.published.redeem;
  if (!known_path(head.path) && !videos && surface == nullptr && !self && !redeems) {
    co_await refuse(call, bad_request(404, "unknown_url",
                                      "Unknown request URL: " + std::string(head.method) + " " +
                                          std::string(head.path) + "."));
    co_return;
  }
  if (head.method == "OPTIONS" && cors) {
    call.headers +=
        "access-control-allow-methods: GET, POST, DELETE, OPTIONS\r\n"
        "access-control-allow-headers: authorization, content-type, idempotency-key, x-request-id, "
        "openai-beta, openai-organization, openai-project, x-api-key, anthropic-version, "
        "anthropic-beta, anthropic-dangerous-direct-browser-access, x-goog-api-key, "
        "x-goog-api-client, x-switchyard-on-loss, x-switchyard-feature, x-switchyard-timeout, "
        "x-switchyard-session, x-switchyard-explain, x-stainless-arch, "
        "x-stainless-lang, x-stainless-os, x-stainless-package-version, "
        "x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, "
        "x-stainless-timeout\r\naccess-control-max-age: 600\r\n";
    call.http.start(204, call.headers, 0);
    co_await call.http.flush();
    co_return;
  }

  if (surface != nullptr) {
    co_await serve_surface(call, *surface);
    co_return;
  }
  const Endpoint* const endpoint = videos ? nullptr : find_endpoint(head.path);
  const bool realtime = head.path == kRealtimePath;
  const bool get = head.method == "GET" || (head.method == "HEAD" && !realtime);
  const bool wrong_method =
      videos ? read_video_call(head.method, head.path).kind == VideoCall::Kind::kWrongMethod
             : (endpoint != nullptr || redeems ? head.method != "POST" : !get);
  if (wrong_method) {
    std::string allowed = endpoint != nullptr || redeems ? "POST" : realtime ? "GET" : "GET, HEAD";
    if (videos) allowed = read_video_call(head.method, head.path).allowed;
    call.headers += "allow: " + allowed + "\r\n";
    co_await refuse(call, bad_request(405, "method_not_allowed",
                                      "Not allowed to " + std::string(head.method) + " on " +
                                          std::string(head.path) + "; allowed: " + allowed + "."));
    co_return;
  }

  // The key comes before the body: who may not ask need not send.
  if (!call.published.open_access) {
    std::string_view task;  // empty: only models are listed
    if (endpoint != nullptr) task = endpoint->task;
    if (videos) task = read_video_call(head.method, head.path).task;
    if (realtime) task = kRealtimeTask;
    std::string_view given = bearer(head.find("authorization"));
    if (given.empty() && realtime) given = realtime_key(head);
    auto refused = admit(call, given, task, kKeyHint);
    if (refused) {
      call.recorded = !task.empty();
      call.record->task = task;
      call.record->surface = "openai";
      if (refused->status == 401) call.headers += "www-authenticate: Bearer\r\n";
      co_await refuse(call, std::move(*refused));
      co_return;
    }
    begin_keeping(call);
  }

  if (endpoint != nullptr || videos || realtime) {
    auto full = shed(call);
    if (full) {
      call.recorded = true;
      call.record->task = endpoint != nullptr ? endpoint->task
                          : videos            ? read_video_call(head.method, head.path).task
                                              : kRealtimeTask;
      call.record->surface = "openai";
      co_await refuse(call, std::move(*full));
      co_return;
    }
  }
  if (endpoint != nullptr) {
    call.recorded = true;
    call.record->task = endpoint->task;
    call.record->surface = "openai";
    co_await serve_task(call);
    co_return;
  }
  if (videos) {
    call.recorded = true;
    call.record->surface = "openai";
    co_await serve_video(call);
    co_return;
  }
  if (realtime) {
    call.recorded = true;
    call.record->task = kRealtimeTask;
    call.record->surface = "openai";
    co_await serve_realtime(call);
    co_return;
  }
  if (self) {
    co_await serve_self(call, *self);
    co_return;
  }
  if (redeems) {
    co_await serve_redeem(call);
    co_return;
  }
  std::string body;
  list_models(call, body);
  if (body.empty()) {
    const std::string name =
        net::percent_decode(head.path.substr(std::string_view("/v1/models/").size()));
    co_await refuse(call, no_model(call, name));
    co_return;
  }
  co_await answer(call, 200, std::move(body));
}

// Finds the key, and whether it lets this request in.
std::optional<exchange::Failure> Gateway::admit(Call& call, std::string_view given,
                                                std::string_view task, std::string_view key_hint) {
  account::Found found;
  if (!given.empty()) {
    found = call.published.directory->find(given, call.record->start_unix_ns / 1'000'000'000u);
  }
  if (found.key != nullptr) {
    call.record->key_id = found.key->id;
    call.record->account = found.account->id;
  }
  auto refused = refuse_key(found, given, key_hint);
  if (refused) return refused;
  call.key = found.key;
  call.account = found.account;
  return refuse_scope(*call.key, task, call.head(), call.http.peer(),
                      call.snapshot().config->trusted_proxies);
}

void Gateway::list_models(const Call& call, std::string& out) const {
  const std::string_view path = call.head().path;
  const bool all = path == "/v1/models";
  const std::string wanted =
      all ? std::string()
          : net::percent_decode(path.substr(std::string_view("/v1/models/").size()));
  if (all) out = R"({"object":"list","data":[)";
  bool first = true;
  for (const auto& listed : call.snapshot().routes->models()) {
    if (!call.may_use(listed.name) || (!all && listed.name != wanted)) continue;
    if (!first) out += ',';
    first = false;
    out += R"({"id":)";
    append_json_string(out, listed.name);
    out += R"(,"object":"model","created":0,"owned_by":)";
    append_json_string(out, listed.owned_by);
    out += '}';
    if (!all) return;
  }
  if (all) out += "]}";
}

Task<bool> Gateway::take_form(Call& call, const Endpoint& endpoint, std::string_view& body,
                              std::unique_ptr<Form>& form) {
  const auto boundary = net::multipart_boundary(call.head().find("content-type"));
  if (boundary && boundary->empty()) {
    if (endpoint.form != BodyForm::kForm) co_return true;
    co_await refuse(call, bad_request(415, "unsupported_media_type",
                                      "This endpoint takes multipart/form-data."));
    co_return false;
  }
  Result<Form> read = Error{boundary ? std::string() : boundary.error().message};
  if (boundary) {
    const bool heard = exchange::hears(endpoint.task);
    auto work = [&] {
      read = read_form(body, *boundary);
      if (read && heard) read->sound = measure_sound(*read);
    };
    // A sound that is made to be long to measure takes milliseconds.
    if (body.size() <= kScanOnLoopMax && !heard) {
      work();
    } else {
      co_await net::offload(compute_, std::move(work));
    }
  }
  if (!read) {
    const std::string message =
        "The request body is not valid form data: " + read.error().message + ".";
    co_await refuse(call, bad_request(400, "invalid_multipart", message));
    co_return false;
  }
  form = std::make_unique<Form>(std::move(*read));
  body = form->json;
  co_return true;
}

std::uint64_t Gateway::body_bytes_max(const Call& call) {
  if (call.key != nullptr && call.key->body_bytes_max > 0) return call.key->body_bytes_max;
  return call.snapshot().config->limits.body_bytes_max;
}

Task<bool> Gateway::read_text(Call& call, std::string_view& text) {
  observe::Record& record = *call.record;
  const std::uint64_t bytes_max = body_bytes_max(call);
  const auto body = co_await call.http.read_body(bytes_max);
  record.body_ns = mono_ns();
  if (body) {
    text = *body;
    co_return true;
  }
  const net::BodyFault& fault = body.error();
  if (fault.status == 0) {
    record.status = 499;
    record.final_status = observe::FinalStatus::kClientLeft;
    co_return false;
  }
  const char* const code = fault.status == 413   ? "request_too_large"
                           : fault.status == 408 ? "request_timeout"
                                                 : "malformed_http";
  std::string message = fault.reason;
  if (fault.status == 413) message += " of " + std::to_string(bytes_max) + " bytes";
  co_await refuse(call, bad_request(fault.status, code, message));
  co_return false;
}

Task<bool> Gateway::scan(Call& call, std::string_view text, JsonIndex& index) {
  const unsigned depth_max = call.snapshot().config->limits.json_depth_max;
  Result<void, JsonScanError> scanned;
  if (text.size() <= kScanOnLoopMax) {
    scanned = index.scan(text, depth_max);
  } else {
    auto work = [&] {
      scanned = index.scan(text, depth_max);
      if (scanned) call.needs = routing::read_needs(call.record->task, text, index.members());
    };
    co_await net::offload(compute_, std::move(work));
  }
  if (scanned) co_return true;
  const std::string message =
      "The request body is not a valid JSON object: " + std::string(scanned.error().what) +
      " at byte " + std::to_string(scanned.error().at) + ".";
  co_await refuse(call, bad_request(400, "invalid_json", message));
  co_return false;
}

Task<> Gateway::serve_task(Call& call) {
  const Endpoint& endpoint = *find_endpoint(call.head().path);
  observe::Record& record = *call.record;
  std::string_view text;
  const bool read = co_await read_text(call, text);
  if (!read) co_return;
  std::unique_ptr<Form> form;
  if (endpoint.form != BodyForm::kJson) {
    const bool taken = co_await take_form(call, endpoint, text, form);
    if (!taken) co_return;
  }
  JsonIndex index;
  const bool scanned = co_await scan(call, text, index);
  if (!scanned) co_return;
  BodyFacts facts;
  facts.model_optional = call.names_feature();
  auto wrong = check_body(endpoint, index, facts);
  record.model_asked = facts.model;
  record.stream = facts.stream;
  if (wrong) {
    co_await refuse(call, std::move(*wrong));
    co_return;
  }

  routing::Route route;
  const Asked asked{facts.model, endpoint.task, text, index.members()};
  auto unroutable = find_route(call, asked, route);
  if (unroutable) {
    co_await refuse(call, std::move(*unroutable));
    co_return;
  }

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
  const std::vector<swy_kv> forwarded = forwarded_headers(call.head());

  exchange::Request request;
  request.task = endpoint.task;
  request.dialect = "openai";
  request.stream = facts.stream;
  request.want_usage = facts.want_usage;
  request.body = text;
  request.members = index.members();
  request.headers = forwarded;
  request.route = &route;
  request.record = &record;
  call.charge(request);
  call.hurry(request, *deadline);
  call.take_wishes(request);
  request.refuse_loss = refuses_loss(call.head());
  if (is_limited(call, request)) {
    const bool admitted = co_await take_limits(call, request);
    if (!admitted) co_return;
  }
  if (form || endpoint.job) {
    co_await serve_rare(call, endpoint, request, form.get(), asked_state(index));
    exchange::note_plan(call.snapshot(), request);
    co_return;
  }
  OpenAiWriter writer(context_.loop, call.http, call.headers, facts.stream, facts.want_usage);
  std::optional<Gauge> open;
  if (facts.stream) open.emplace(context_.metrics.open_streams);
  co_await exchange::run(context_, call.snapshot(), request, writer);
  exchange::note_plan(call.snapshot(), request);
}

// Uploads and jobs, apart so that no other request's frame has room for them.
Task<> Gateway::serve_rare(Call& call, const Endpoint& endpoint, exchange::Request& request,
                           const Form* form, std::string asked) {
  exchange::Rare rare;
  if (form != nullptr) {
    rare.blobs = form->blobs;
    rare.sound = form->sound;
  }
  request.rare = &rare;
  if (endpoint.job) {
    co_await begin_job(call, request, rare, std::move(asked));
    co_return;
  }
  OpenAiWriter writer(context_.loop, call.http, call.headers, false, false);
  co_await exchange::run(context_, call.snapshot(), request, writer);
}

Task<> Gateway::serve_realtime(Call& call) {
  const config::Config& config = *call.snapshot().config;
  observe::Record& record = *call.record;
  // Without keys it is the page's origin that tells a program of this machine from a site that its
  // user looks at.
  if (call.published.open_access && !realtime_origin_allowed(call.head(), config.cors_origins)) {
    co_await refuse(call, bad_request(403, "origin_not_allowed",
                                      "Pages of this origin may not use the gateway: name it in "
                                      "'cors', or create a gateway key."));
    co_return;
  }
  auto ask = read_realtime(call.head());
  if (!ask) {
    if (ask.error().status == 426) call.headers += realtime_upgrade_headers();
    co_await refuse(call, std::move(ask.error()));
    co_return;
  }
  record.body_ns = record.start_ns;
  record.model_asked = ask->model;
  record.stream = true;
  routing::Route route;
  const Asked asked{ask->model, kRealtimeTask, {}, {}};
  auto unroutable = find_route(call, asked, route);
  if (unroutable) {
    co_await refuse(call, std::move(*unroutable));
    co_return;
  }

  std::vector<swy_kv> forwarded = forwarded_headers(call.head());
  if (!ask->beta.empty() && call.head().find("openai-beta").empty()) {
    forwarded.push_back({to_swy("openai-beta"), to_swy(ask->beta)});
  }
  JsonIndex index;
  (void)index.scan(ask->body).has_value();

  exchange::Request request;
  request.task = kRealtimeTask;
  request.dialect = "openai";
  request.stream = true;
  request.body = ask->body;
  request.members = index.members();
  request.headers = forwarded;
  request.route = &route;
  request.record = &record;
  call.charge(request);
  call.take_wishes(request);
  if (is_limited(call, request)) {
    const bool admitted = co_await take_limits(call, request);
    if (!admitted) co_return;
  }
  RealtimeWriter writer(context_.loop, call.http, call.headers, ask->accept, record.id,
                        config.limits.write_timeout);
  request.session = &writer;
  const Gauge open(context_.metrics.open_streams);
  co_await exchange::run(context_, call.snapshot(), request, writer);
  exchange::note_plan(call.snapshot(), request);
  co_await writer.end();
  if (!writer.committed()) co_return;
  record.status = 101;
  record.facts = std::make_shared<const observe::Facts>(writer.facts());
}

}  // namespace switchyard::surface

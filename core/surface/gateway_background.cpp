// Responses that run without their client: begun and answered at once, run to their end on the same
// loop, and stored. What is stored is the truth: whoever cancels or removes a response says so
// there first, and what runs for it then finds nothing to write to.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "core/base/clock.hpp"
#include "core/base/os_process.hpp"
#include "core/exchange/choice.hpp"
#include "core/net/await.hpp"
#include "core/net/offload.hpp"
#include "core/observe/body_keeper.hpp"
#include "core/surface/background.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/responses_answer.hpp"
#include "core/surface/stored_responses.hpp"

namespace switchyard::surface {
namespace {

using net::Task;
using Row = std::optional<store::BodyRow>;

constexpr unsigned kStoreTries = 10;
constexpr std::chrono::seconds kStoreAgain{2};

std::size_t bodies_kept_max(const Published& published) {
  return published.snapshot->config->records.body_size_max;
}

exchange::Failure not_begun() {
  exchange::Failure failure;
  failure.code = "store_failed";
  failure.message =
      "The response can't be stored now, so it can't run in the background: ask again later, or "
      "without 'background'.";
  return failure;
}

exchange::Failure broken() {
  exchange::Failure failure;
  failure.message = "The gateway could not complete the response.";
  return failure;
}

exchange::Failure too_many() {
  exchange::Failure failure;
  failure.status = 429;
  failure.type = failure.code = "rate_limit_exceeded";
  failure.message = "Too many responses run in the background: ask again when some are over.";
  return failure;
}

}  // namespace

// All that a run reads, for as long as it takes.
struct Gateway::Background {
  Pin pin;
  std::shared_ptr<observe::Record> record;
  std::unique_ptr<account::LimitedRequest> limited;
  std::unique_ptr<StoredTurn> turn;
  std::string canonical, client_body, losses, session;
  std::vector<std::pair<std::string, std::string>> header_texts;
  std::vector<swy_kv> headers;
  routing::Route route;
  JsonIndex index, native_index;
  exchange::Native native;
  exchange::Request request;
  BackgroundWriter writer;
  store::BodyRow row;
  bool keeps_bodies = false;

  // `asked` is the request as it would run at once; what it points into is copied, or taken.
  Background(Call& call, const exchange::Request& asked, Canonical& from,
             std::unique_ptr<StoredTurn>& stored)
      : pin(call.pin),
        record(call.record),
        limited(std::move(call.limited)),
        turn(std::move(stored)),
        canonical(std::move(from.body)),
        client_body(call.answer == nullptr
                        ? std::string_view()
                        : call.http.body().substr(0, bodies_kept_max(call.published))),
        losses(asked.losses),
        session(asked.session_id),
        route(std::move(*asked.route)),
        request(asked),
        writer(std::move(from.answer)),
        keeps_bodies(call.answer != nullptr) {
    for (const swy_kv& each : asked.headers) {
      header_texts.emplace_back(view(each.k), view(each.v));
    }
    for (const auto& [name, value] : header_texts) headers.push_back({to_swy(name), to_swy(value)});
    request.body = canonical;
    request.headers = headers;
    request.route = &route;
    request.record = record.get();
    request.limited = limited.get();
    request.losses = losses;
    request.session_id = session;
    if (asked.native != nullptr) {
      native = *asked.native;
      native.body = turn->body;
      request.native = &native;
    }
  }

  const Published& published() const { return **pin; }
  // They were sound where they lay before.
  void scan() {
    (void)index.scan(canonical, JsonIndex::kDepthCap).has_value();
    (void)native_index.scan(turn->body, JsonIndex::kDepthCap).has_value();
    request.members = index.members();
    native.members = native_index.members();
  }
  // What the response came to.
  std::string outcome() const {
    if (writer.committed()) return as_announced(row.answer, writer.said());
    return with_status(row.answer, "failed", response_error(writer.failure().value_or(cut_off())));
  }
};

Task<> Gateway::begin_background(Call& call, const exchange::Request& asked, Canonical& canonical,
                                 std::unique_ptr<StoredTurn>& turn) {
  store::BodyRow row = new_row(call, *turn, turn->as.id);
  row.answer = canonical.answer->pending(row.at_unix_s, canonical.model);
  row.runner = os::own_mark();
  const std::string pending = row.answer;
  auto run = std::make_shared<Background>(call, asked, canonical, turn);
  run->row = std::move(row);
  const std::size_t bytes =
      run->canonical.size() + run->turn->input.size() + run->turn->body.size();
  auto stop = [&loop = context_.loop, running = std::weak_ptr(run)] {
    net::asio::post(loop.context(), [running] {
      if (const auto alive = running.lock()) alive->writer.leave();
    });
  };
  auto place = background_->begin(run->row.record_id, bytes, std::move(stop));
  if (!place) {
    co_await refuse(call, too_many());
    co_return;
  }
  bool stored = !run->row.runner.empty();  // else nobody could tell that it runs
  if (stored) stored = co_await write_row(run->row);
  if (!stored) {
    co_await refuse(call, not_begun());
    co_return;
  }
  run->row.request = std::string();  // the turn has it
  call.recorded = false;             // it is the run that is recorded
  if (call.repeat) {
    repeats_->answers.put(call.repeat.name(), {"application/json", pending}, run->row.at_unix_s);
    call.repeat.answered(run->row.at_unix_s);
  }
  net::asio::co_spawn(context_.loop.context(), run_background(std::move(run), std::move(*place)),
                      net::asio::detached);
  co_await answer(call, 200, pending);
}

Task<> Gateway::run_background(std::shared_ptr<Background> run,
                               [[maybe_unused]] BackgroundRuns::Run place) {
  const Gauge open(context_.metrics.open_requests);
  const exchange::Snapshot& snapshot = *run->published().snapshot;
  observe::Record& record = *run->record;
  try {
    auto scan = [&run] { run->scan(); };
    co_await net::offload(compute_, std::move(scan));
    co_await exchange::run(context_, snapshot, run->request, run->writer);
    exchange::note_plan(snapshot, run->request);
  } catch (const std::exception& what) {
    run->writer.on_gone(nullptr);  // what would hear of it is gone
    spdlog::error("background_failed request={} reason={}", record.id, observe::quote(what.what()));
    run->writer.fail(broken());
  }
  if (run->limited) run->limited->end(record.usage.tok_in + record.usage.tok_out, mono_ns());
  end_record(record, run->writer.gone());
  context_.metrics.add(record);
  const auto& loggers = run->published().loggers;
  if (loggers && !loggers->empty()) loggers->publish(run->record);
  co_await end_background(*run);
  if (run->keeps_bodies) keep_bodies(run->published(), record, run->client_body, run->row.answer);
}

// An answer that is paid for is not lost to a database that is busy for a while.
Task<> Gateway::end_background(Background& run) {
  auto settle = [&run] {
    run.row.answer = run.outcome();
    run.row.items = item_ids(run.row.record_id, run.turn->input, run.row.answer);
  };
  co_await net::offload(compute_, std::move(settle));
  Result<bool> ended = false;
  for (unsigned tries = 1;; ++tries) {
    auto end = [&] { ended = end_row(run.row); };
    co_await net::offload(compute_, std::move(end));
    if (ended) co_return;
    spdlog::error("response_not_stored response={} try={} reason={}", run.row.record_id, tries,
                  observe::quote(ended.error().message));
    if (tries == kStoreTries || run.writer.gone()) co_return;
    net::Timer timer(context_.loop.executor());
    timer.expires_after(kStoreAgain);
    co_await timer.async_wait(net::kAwait);
  }
}

Task<> Gateway::cancel_response(Call& call, store::BodyRow row) {
  if (!swy::json::is_true(swy::json::find(row.answer, "background"))) {
    auto failure = bad_request(400, "not_in_background",
                               "Only a response that was made with 'background': true can be "
                               "cancelled. To end another one that runs, close its connection.",
                               "response_id");
    co_await refuse(call, std::move(failure));
    co_return;
  }
  if (row.runner.empty()) {
    co_await answer(call, 200, std::move(row.answer));
    co_return;
  }
  row.answer = with_status(row.answer, "cancelled", "null");
  Result<bool> ended = false;
  auto end = [&] { ended = end_row(row); };
  co_await net::offload(compute_, std::move(end));
  background_->stop(row.record_id);
  if (!ended) spdlog::error("response_not_stored reason={}", observe::quote(ended.error().message));
  // It may have come to its end since it was read.
  Row last = row;
  const bool found = co_await find_response(call, row.record_id, last);
  if (!found) co_return;
  if (last) {
    co_await answer(call, 200, std::move(last->answer));
  } else {
    co_await refuse(call, no_such_response(row.record_id));
  }
}

// Runs here, or in a worker that drains.
bool Gateway::is_running(const store::BodyRow& row) const {
  if (row.runner == os::own_mark()) return background_->contains(row.record_id);
  return os::is_alive(row.runner);
}

Result<bool> Gateway::end_row(const store::BodyRow& row) const {
  const auto bodies = body_keeper_->open(true);
  if (!bodies) return bodies.error();
  return (*bodies)->end_response(row);
}

}  // namespace switchyard::surface

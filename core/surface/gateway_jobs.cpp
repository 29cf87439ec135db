// Gateway's part that has to do with jobs: begun, asked after, fetched and removed.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/net/offload.hpp"
#include "core/observe/log.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/openai_writer.hpp"
#include "core/surface/videos.hpp"

namespace switchyard::surface {
namespace {

using net::Task;

std::uint64_t now_s() { return unix_ns() / 1'000'000'000u; }

exchange::Failure no_such_video(const std::string& id) {
  return bad_request(404, "video_not_found", "No video with the id '" + id + "'.", "video_id");
}

exchange::Failure broken_store() {
  exchange::Failure failure;
  failure.message = "The gateway's store failed.";
  failure.code = "store_failed";
  return failure;
}

// The provider that began a job, in the configuration that is in force; nothing where it is gone.
std::optional<std::size_t> find_provider(const exchange::Snapshot& snapshot,
                                         const std::string& id) {
  for (std::size_t i = 0; i < snapshot.providers.size(); ++i) {
    if (snapshot.providers[i].config->id == id) return i;
  }
  return std::nullopt;
}

// Its credential may be gone too: another one would not know the job.
bool does(const exchange::ProviderSlot& slot, std::string_view task) {
  return slot.instance && slot.instance->caps().has_task(task);
}

bool has_credential(const config::Provider& provider, const std::string& name) {
  return name.empty() || std::any_of(provider.credentials.begin(), provider.credentials.end(),
                                     [&](const auto& each) { return each.name == name; });
}

}  // namespace

// Runs `work` where it may block.
template <class Work>
Task<> Gateway::in_store(Work work) {
  auto guarded = [&work] { work(); };
  co_await net::offload(compute_, std::move(guarded));
}

Task<> Gateway::begin_job(Call& call, exchange::Request& request, exchange::Rare& rare,
                          std::string asked) {
  observe::Record& record = *call.record;
  exchange::JobReport report;
  rare.once = true;
  rare.job = &report;
  request.rare = &rare;
  OpenAiWriter writer(context_.loop, call.http, call.headers, false, false);
  co_await exchange::run(context_, call.snapshot(), request, writer);
  // Also one whose client has left: it is in that client's list.
  if (!report.kept || report.state.empty()) co_return;

  store::JobRow job;
  job.id = new_video_id();
  job.provider = std::move(report.provider);
  job.credential = std::move(report.credential);
  job.resume = std::move(report.resume);
  job.key_id = record.key_id;
  job.account = record.account;
  job.model = record.model_asked;
  job.upstream_model = record.model_used;
  job.task = request.task;
  job.state = merge_state(asked, report.state);
  job.created_unix_s = now_s();
  if (is_over(job.state)) job.completed_unix_s = job.created_unix_s;
  job.expires_unix_s = expiry_of(job.state, job.created_unix_s);
  Result<void> stored;
  auto store = [&] { stored = store_->add_job(job, job.created_unix_s); };
  co_await in_store(std::move(store));
  if (!stored) {
    // Its id would be worth nothing.
    spdlog::error("job_not_stored reason={}", observe::quote(stored.error().message));
    co_await refuse(call, broken_store());
    co_return;
  }
  if (!call.http.client_gone()) co_await answer(call, 200, video_object(job));
}

Task<> Gateway::serve_video(Call& call) {
  const VideoCall video = read_video_call(call.head().method, call.head().path);
  observe::Record& record = *call.record;
  record.task = video.task;
  record.body_ns = record.start_ns;
  if (video.kind == VideoCall::Kind::kList) {
    co_await list_videos(call);
    co_return;
  }
  Result<std::optional<store::JobRow>> found = std::optional<store::JobRow>();
  auto find = [&] { found = store_->job(video.id, record.key_id, now_s()); };
  co_await in_store(std::move(find));
  if (!found) {
    spdlog::error("job_not_read reason={}", observe::quote(found.error().message));
    co_await refuse(call, broken_store());
    co_return;
  }
  if (!*found) {
    co_await refuse(call, no_such_video(video.id));
    co_return;
  }
  store::JobRow job = std::move(**found);
  record.model_asked = job.model;
  const auto provider = find_provider(call.snapshot(), job.provider);
  const bool pinned =
      provider && has_credential(*call.snapshot().providers[*provider].config, job.credential);
  const bool asks = pinned && does(call.snapshot().providers[*provider], video.task);
  // What is over stays as it is; nobody need be asked.
  const bool stays = video.kind == VideoCall::Kind::kGet && is_over(job.state);
  const bool removes = video.kind == VideoCall::Kind::kDelete;
  if (stays || (pinned && !asks && video.kind == VideoCall::Kind::kGet)) {
    record.status = 200;
    co_await answer(call, 200, video_object(job));
    co_return;
  }
  if (!asks && !removes) {
    exchange::Failure failure = bad_request(
        pinned ? 400 : 503, pinned ? "not_offered" : "provider_gone",
        pinned ? "The provider of this video does not do that."
               : "The provider or the credential of this video is no longer configured.");
    co_await refuse(call, std::move(failure));
    co_return;
  }
  if (asks) {
    const bool went_well = co_await ask_job(call, video, *provider, job);
    if (!went_well) co_return;
  }
  if (video.kind == VideoCall::Kind::kContent) co_return;

  Result<void> written;
  auto write = [&] { written = removes ? store_->remove_job(job.id) : store_->update_job(job); };
  co_await in_store(std::move(write));
  if (!written) {
    spdlog::error("job_not_stored reason={}", observe::quote(written.error().message));
    co_await refuse(call, broken_store());
    co_return;
  }
  record.status = 200;
  if (call.http.client_gone()) co_return;
  std::string body = removes ? video_deleted(job.id) : video_object(job);
  co_await answer(call, 200, std::move(body));
}

// True: the state in `job` is the upstream's now, or its content was sent. False: the failure was
// answered.
Task<bool> Gateway::ask_job(Call& call, const VideoCall& video, std::size_t provider,
                            store::JobRow& job) {
  const bool content = video.kind == VideoCall::Kind::kContent;
  routing::Route route;
  route.name = job.model;
  route.targets.push_back({provider, job.upstream_model});
  route.reason = "job of " + job.provider;
  const std::string body = content ? content_body(call.head().query) : "{}";
  JsonIndex index;
  (void)index.scan(body).has_value();

  exchange::JobReport report;
  exchange::Rare rare;
  rare.resumes = true;
  rare.resume = job.resume;
  rare.credential = job.credential;
  if (!content) rare.job = &report;
  exchange::Request request;
  request.task = video.task;
  request.dialect = "openai";
  request.body = body;
  request.members = index.members();
  request.route = &route;
  request.record = call.record.get();
  request.rare = &rare;
  call.charge(request);
  if (is_limited(call, request)) {
    const bool admitted = co_await take_limits(call, request);
    if (!admitted) co_return false;
  }
  request.account = nullptr;  // asking after a job is free
  OpenAiWriter writer(context_.loop, call.http, call.headers, false, false);
  co_await exchange::run(context_, call.snapshot(), request, writer);
  if (call.record->final_status != observe::FinalStatus::kOk) co_return false;
  if (report.kept) job.resume = std::move(report.resume);
  if (!report.state.empty()) job.state = merge_state(job.state, report.state);
  if (is_over(job.state) && job.completed_unix_s == 0) job.completed_unix_s = now_s();
  job.expires_unix_s = std::max(expiry_of(job.state, job.created_unix_s), now_s() + 60);
  co_return true;
}

Task<> Gateway::list_videos(Call& call) {
  VideoPage page;
  auto wrong = read_page(call.head().query, page);
  if (wrong) {
    co_await refuse(call, std::move(*wrong));
    co_return;
  }
  const std::string& owner = call.record->key_id;
  Result<std::vector<store::JobRow>> found = std::vector<store::JobRow>();
  auto find = [&] {
    found = store_->jobs(owner, page.after, page.ascending, page.limit + 1, now_s());
  };
  co_await in_store(std::move(find));
  if (!found) {
    spdlog::error("jobs_not_read reason={}", observe::quote(found.error().message));
    co_await refuse(call, broken_store());
    co_return;
  }
  const bool more = found->size() > page.limit;
  if (more) found->pop_back();
  call.record->status = 200;
  std::string body = video_list(*found, more);
  co_await answer(call, 200, std::move(body));
}

}  // namespace switchyard::surface

#include "core/observe/record_keeper.hpp"

#include <spdlog/spdlog.h>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"

namespace switchyard::observe {
namespace {

constexpr std::uint64_t kTidyEveryNs = 60'000'000'000;
// Under load: the more are summed up at once the less each of them costs.
constexpr std::uint64_t kSumEveryNs = 1'000'000'000;

std::uint64_t us_since_start(const Record& record, std::uint64_t ns) {
  return ns > record.start_ns ? (ns - record.start_ns) / 1000 : 0;
}

// Appends a member; `value` is JSON.
void add_member(std::string& object, std::string_view name, std::string_view value) {
  object += object.empty() ? '{' : ',';
  append_json_string(object, name);
  (object += ':') += value;
}

// What has no column of its own.
std::string quantities_of(const Usage& usage) {
  const std::pair<const char*, std::uint64_t> counts[] = {
      {"cache_write_tokens", usage.tok_cache_write},
      {"audio_input_tokens", usage.tok_audio_in},
      {"audio_output_tokens", usage.tok_audio_out},
      {"image_input_tokens", usage.tok_image_in},
      {"image_output_tokens", usage.tok_image_out},
      {"images", usage.images},
      {"seconds", usage.seconds},
      {"characters", usage.characters},
      {"searches", usage.searches}};
  std::string object;
  for (const auto& [name, count] : counts) {
    if (count > 0) add_member(object, name, std::to_string(count));
  }
  return object.empty() ? object : object + '}';
}

std::string facts_of(const Record& record) {
  std::string object;
  if (!record.facts) return object;
  for (const swy_kv& fact : record.facts->kv) {
    std::string text;
    append_json_string(text, view(fact.v));
    add_member(object, view(fact.k), text);
  }
  return object.empty() ? object : object + '}';
}

}  // namespace

store::RecordRow to_row(const Record& record) {
  store::RecordRow row;
  row.start_ns = record.start_unix_ns;
  row.id = record.id;
  row.key_id = record.key_id;
  row.account = record.account;
  row.feature = record.feature;
  row.task = record.task;
  row.surface = record.surface;
  row.model_asked = record.model_asked;
  row.model_used = record.model_used;
  row.provider = record.provider;
  row.stream = record.stream;
  row.status = record.status;
  row.attempts = record.attempts;
  row.final_status = to_string(record.final_status);
  row.duration_us = us_since_start(record, record.end_ns);
  row.ttft_us = us_since_start(record, record.first_ns);
  row.upstream_us = record.upstream_ns / 1000;
  row.tok_in = record.usage.tok_in;
  row.tok_out = record.usage.tok_out;
  row.tok_cached = record.usage.tok_cached;
  row.tok_reasoning = record.usage.tok_reasoning;
  row.reported = record.usage.reported;
  row.quantities = quantities_of(record.usage);
  row.charge_nano = record.charge_nano;
  row.cost_nano = record.cost_nano;
  row.charge_currency = record.charge_currency;
  row.cost_currency = record.cost_currency;
  row.price_version = record.price_version;
  row.error_code = record.error_code;
  row.error_text = record.error_text;
  row.finish_reason = record.finish_reason;
  row.fallback_path = record.fallback_path;
  row.route_reason = record.route_reason;
  row.dropped = record.dropped;
  row.trace = record.trace;
  row.parent_span = record.parent_span;
  row.facts = facts_of(record);
  if (record.plan) row.plan = *record.plan;
  return row;
}

void RecordSettings::set(const store::RecordLimits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

store::RecordLimits RecordSettings::get() const {
  const std::lock_guard lock(mutex_);
  return limits_;
}

RecordKeeper::RecordKeeper(std::unique_ptr<store::Records> records,
                           std::shared_ptr<const RecordSettings> settings, Clock clock)
    : records_(std::move(records)), settings_(std::move(settings)), clock_(clock) {}

Result<std::uint32_t, plugin::LoggerFault> RecordKeeper::write(
    std::span<const std::shared_ptr<const Record>> records, std::uint64_t) {
  tidy();
  std::vector<store::RecordRow> rows;
  rows.reserve(records.size());
  for (const auto& record : records) rows.push_back(to_row(*record));
  const auto written = records_->write(rows);
  if (mono_ns() >= summed_ns_ + kSumEveryNs) sum_up();
  if (written.records == 0 && !written.result) {
    return plugin::LoggerFault{written.result.error().message, true, 0};
  }
  return static_cast<std::uint32_t>(written.records);
}

Result<void, plugin::LoggerFault> RecordKeeper::flush(std::uint64_t) {
  sum_up();
  tidy();
  return {};
}

// The records are what counts: where their sums fail they wait.
void RecordKeeper::sum_up() {
  summed_ns_ = mono_ns();
  const auto summed = records_->sum_up();
  if (summed) return;
  if (const auto held = sum_gate_.pass(summed_ns_)) {
    spdlog::error("usage_not_summed held_back={} reason={}", *held, quote(summed.error().message));
  }
}

void RecordKeeper::tidy() {
  const std::uint64_t now = mono_ns();
  if (tidied_ns_ != 0 && now < tidied_ns_ + kTidyEveryNs) return;
  tidied_ns_ = now;
  records_->set_limits(settings_->get());
  const auto done = records_->tidy(clock_());
  if (done) return;
  if (const auto held = tidy_gate_.pass(now)) {
    spdlog::error("records_not_tidied held_back={} reason={}", *held, quote(done.error().message));
  }
}

}  // namespace switchyard::observe

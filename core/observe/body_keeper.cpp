#include "core/observe/body_keeper.hpp"

#include <spdlog/spdlog.h>

#include "core/base/clock.hpp"
#include "core/base/os_thread.hpp"

namespace switchyard::observe {
namespace {

constexpr std::chrono::minutes kTidyEvery{1};

std::size_t size_of(const store::BodyRow& row) { return row.request.size() + row.answer.size(); }

}  // namespace

BodyKeeper::BodyKeeper(std::filesystem::path file, Secret secret, HasKey has_key,
                       const store::BodyLimits& limits)
    : file_(std::move(file)),
      secret_(std::move(secret)),
      has_key_(std::move(has_key)),
      limits_(limits),
      thread_([this] { run(); }) {}

BodyKeeper::~BodyKeeper() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BodyKeeper::put(store::BodyRow row) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_bytes_ + size_of(row) > kWaitingMax) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    waiting_bytes_ += size_of(row);
    waiting_.push_back(std::move(row));
  }
  changed_.notify_one();
}

void BodyKeeper::set_limits(const store::BodyLimits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

Result<std::optional<store::BodyRow>> BodyKeeper::find(const std::string& record_id,
                                                       const std::string& key_id) {
  const auto bodies = open(false);
  if (!bodies) return bodies.error();
  if (*bodies == nullptr) return std::optional<store::BodyRow>();
  return (*bodies)->find(record_id, key_id);
}

void BodyKeeper::run() {
  name_thread("bodies");
  auto tidy_at = std::chrono::steady_clock::now();
  bool ending = false;
  while (!ending) {
    std::vector<store::BodyRow> rows;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_until(lock, tidy_at, [this] { return ending_ || !waiting_.empty(); });
      rows.swap(waiting_);
      waiting_bytes_ = 0;
      ending = ending_;
    }
    if (!rows.empty()) write(rows);
    if (std::chrono::steady_clock::now() < tidy_at) continue;
    tidy();
    tidy_at = std::chrono::steady_clock::now() + kTidyEvery;
  }
}

Result<store::Bodies*> BodyKeeper::open(bool make) {
  const std::lock_guard lock(open_mutex_);
  std::error_code ignored;
  if (!bodies_ && (make || std::filesystem::exists(file_, ignored))) {
    auto opened = store::Bodies::open(file_, secret_);
    if (!opened) return opened.error();
    bodies_ = std::move(*opened);
  }
  return bodies_.get();
}

void BodyKeeper::write(const std::vector<store::BodyRow>& rows) {
  const auto bodies = open(true);
  const auto written = bodies ? (*bodies)->write(rows) : Result<void>(bodies.error());
  if (written) return;
  dropped_.fetch_add(rows.size(), std::memory_order_relaxed);
  report("bodies_not_kept", written.error());
}

void BodyKeeper::tidy() {
  const auto bodies = open(false);
  if (!bodies) return report("bodies_not_opened", bodies.error());
  if (*bodies == nullptr) return;
  store::BodyLimits limits;
  {
    const std::lock_guard lock(mutex_);
    limits = limits_;
  }
  if (const auto done = (*bodies)->tidy(limits, unix_ns() / 1'000'000'000u); !done) {
    report("bodies_not_tidied", done.error());
  }
  if (const auto done = forget_gone(**bodies); !done) report("bodies_not_tidied", done.error());
}

// What a key had kept goes with it.
Result<void> BodyKeeper::forget_gone(store::Bodies& bodies) {
  const auto keys = bodies.keys();
  if (!keys) return keys.error();
  for (const std::string& key : *keys) {
    const auto there = has_key_(key);
    if (!there) return there.error();
    if (*there) continue;
    if (auto gone = bodies.forget(key); !gone) return gone;
  }
  return {};
}

void BodyKeeper::report(const char* event, const Error& error) {
  if (const auto held = gate_.pass(mono_ns())) {
    spdlog::error("{} held_back={} reason={}", event, *held, quote(error.message));
  }
}

}  // namespace switchyard::observe

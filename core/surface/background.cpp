#include "core/surface/background.hpp"

#include "core/surface/dialect_writer.hpp"

namespace switchyard::surface {

void BackgroundWriter::leave() {
  gone_ = true;
  if (auto callback = std::exchange(on_gone_, nullptr)) callback();
}

void BackgroundWriter::whole(std::string_view json) {
  if (native_) {
    said_ = json;
  } else if (!answer_->whole(json, said_)) {
    said_.clear();
    fail(not_an_answer());
  }
}

void BackgroundWriter::discard() {
  answer_->reset();
  native_ = false;
  said_.clear();
  failure_.reset();
}

BackgroundRuns::Run::~Run() {
  if (runs_ == nullptr) return;
  const std::lock_guard lock(runs_->mutex_);
  runs_->stops_.erase(id_);
  runs_->bytes_ -= bytes_;
}

std::optional<BackgroundRuns::Run> BackgroundRuns::begin(const std::string& id, std::size_t bytes,
                                                         std::function<void()> stop) {
  const std::lock_guard lock(mutex_);
  if (stops_.size() >= kMost || bytes_ + bytes > kBytesMost) return std::nullopt;
  stops_.emplace(id, std::move(stop));
  bytes_ += bytes;
  return Run(*this, id, bytes);
}

void BackgroundRuns::stop(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = stops_.find(id);
  if (found != stops_.end()) found->second();
}

void BackgroundRuns::stop_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, stop] : stops_) stop();
}

bool BackgroundRuns::contains(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return stops_.contains(id);
}

std::size_t BackgroundRuns::count() const {
  const std::lock_guard lock(mutex_);
  return stops_.size();
}

}  // namespace switchyard::surface

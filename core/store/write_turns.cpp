#include "core/store/write_turns.hpp"

#include <map>
#include <string>

namespace switchyard::store {

std::shared_ptr<WriteTurns> WriteTurns::of(const std::filesystem::path& file) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<WriteTurns>> all;
  std::error_code error;
  std::filesystem::path name = std::filesystem::weakly_canonical(file, error);
  if (error) name = file;
  const std::lock_guard lock(mutex);
  std::erase_if(all, [](const auto& each) { return each.second.expired(); });
  std::weak_ptr<WriteTurns>& known = all[name.string()];
  auto turns = known.lock();
  if (!turns) known = turns = std::make_shared<WriteTurns>();
  return turns;
}

bool WriteTurns::take(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t own = ++last_;
  queue_.push_back(own);
  if (given_.wait_for(lock, timeout, [&] { return queue_.front() == own; })) return true;
  std::erase(queue_, own);
  return false;
}

void WriteTurns::give() {
  {
    const std::lock_guard lock(mutex_);
    queue_.pop_front();
  }
  given_.notify_all();
}

std::size_t WriteTurns::length() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

}  // namespace switchyard::store

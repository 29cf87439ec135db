#include "core/surface/stored_answers.hpp"

namespace switchyard::surface {

// What an entry takes beside its text, about.
std::size_t StoredAnswers::bytes_of(const Answer& answer) {
  return answer.body.size() + answer.content_type.size() + 256;
}

void StoredAnswers::put(const Name& name, Answer answer, std::uint64_t now_s) {
  const std::size_t bytes = bytes_of(answer);
  if (bytes > bytes_max_) return;
  const std::lock_guard lock(mutex_);
  Entry& entry = answers_[name];
  if (entry.answer) bytes_ -= bytes_of(*entry.answer);
  entry = {std::make_shared<const Answer>(std::move(answer)), now_s};
  order_.emplace_back(name, now_s);
  bytes_ += bytes;
  while (bytes_ > bytes_max_) drop_oldest();
}

void StoredAnswers::drop_oldest() {
  const auto [name, at_s] = order_.front();
  order_.pop_front();
  const auto found = answers_.find(name);
  if (found == answers_.end() || found->second.at_s != at_s) return;
  bytes_ -= bytes_of(*found->second.answer);
  answers_.erase(found);
}

std::shared_ptr<const StoredAnswers::Answer> StoredAnswers::find(const Name& name,
                                                                 std::uint64_t before_s) {
  const std::lock_guard lock(mutex_);
  while (!order_.empty() && order_.front().second <= before_s) drop_oldest();
  const auto found = answers_.find(name);
  return found == answers_.end() ? nullptr : found->second.answer;
}

}  // namespace switchyard::surface

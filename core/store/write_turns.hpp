// Who writes to a file next, among the connections of this process. SQLite lets who finds the file
// locked ask again now and then: beside a thread that writes batch after batch, one with a single
// change may ask for seconds and never come in between. Here they stand in a queue.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>

namespace switchyard::store {

class WriteTurns {
 public:
  // Those of a file: the same for every connection of this process. [any thread]
  static std::shared_ptr<WriteTurns> of(const std::filesystem::path& file);

  // Until all who came before have given theirs back. False: not in time. [any thread]
  bool take(std::chrono::milliseconds timeout);
  void give();
  // Who has one, and all who wait. [any thread]
  std::size_t length() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable given_;
  std::uint64_t last_ = 0;
  std::deque<std::uint64_t> queue_;  // the first one's turn it is
};

}  // namespace switchyard::store

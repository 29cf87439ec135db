// Answers of requests that their clients named, for those who ask again: of keys that have bodies
// kept, in memory, as long as there is room.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace switchyard::surface {

// [any thread]
class StoredAnswers {
 public:
  static constexpr std::size_t kBytesMax = 64u << 20;  // of all; the oldest give way

  struct Answer {
    std::string content_type, body;
  };
  // Digests of a holder's name for a request, and of its body.
  struct Name {
    std::uint64_t name = 0, body = 0;
    auto operator<=>(const Name&) const = default;
  };

  explicit StoredAnswers(std::size_t bytes_max = kBytesMax) : bytes_max_(bytes_max) {}

  void put(const Name& name, Answer answer, std::uint64_t now_s);
  // Null: there is none, or it was put at `before_s` or earlier.
  std::shared_ptr<const Answer> find(const Name& name, std::uint64_t before_s);

 private:
  struct Entry {
    std::shared_ptr<const Answer> answer;
    std::uint64_t at_s = 0;
  };
  static std::size_t bytes_of(const Answer& answer);
  void drop_oldest();

  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::map<Name, Entry> answers_;
  std::deque<std::pair<Name, std::uint64_t>> order_;  // by their time; stale where they differ
  std::size_t bytes_ = 0;
};

}  // namespace switchyard::surface

// Requests that a client names, so that one it sends again does not run twice: Idempotency-Key.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/surface/stored_answers.hpp"

namespace switchyard::surface {

// What of a process runs, or has been answered, under a name that a key's holder gave it. Who asks
// again gets the answer where it was stored, else hears that there was one. What failed may be
// asked again. A table of words that change by compare-and-swap; a name may lose its place to
// others in a process that sees very many. [any thread]
class Repeats {
 public:
  // How long an answered request is remembered.
  static constexpr std::uint64_t kKeptS = 86'400;

  enum class Found {
    kFresh,     // it may run
    kRunning,   // the same request runs
    kAnswered,  // it was answered
    kOther,     // the name was given to a request with another body
    kFull,      // nowhere to remember it
  };

  // A request that runs, until it is destroyed: forgotten then, or remembered as answered.
  class Run {
   public:
    Run() = default;
    Run(Run&& other) noexcept : slot_(other.slot_) { other.slot_ = nullptr; }
    Run& operator=(Run&&) = delete;
    ~Run() { forget(); }
    // It was answered.
    void answered(std::uint64_t now_s);
    void forget();
    StoredAnswers::Name name() const;
    explicit operator bool() const { return slot_ != nullptr; }

   private:
    friend class Repeats;
    std::atomic<std::uint64_t>* slot_ = nullptr;  // the name's, the body's, the state's
  };

  explicit Repeats(std::size_t slots = std::size_t{1} << 16);  // a power of two

  // `name` and `body` are digests. `run` is set where it may run.
  Found begin(std::uint64_t name, std::uint64_t body, std::uint64_t now_s, Run& run);
  // The same for one who has looked and found nobody of that name: another may have begun since.
  Found begin_unseen(std::uint64_t name, std::uint64_t body, std::uint64_t now_s, Run& run);

  // Of requests that were answered; begin() says whether one was.
  StoredAnswers answers;

  // The digest of a holder's name for a request, or of a body; never 0.
  static std::uint64_t digest(std::string_view holder, std::string_view text);

 private:
  static constexpr std::size_t kWindow = 8;     // slots that a name may be in
  static constexpr std::uint64_t kRunning = 1;  // a state; 0: free; else when it was answered
  struct alignas(32) Slot {
    std::array<std::atomic<std::uint64_t>, 3> words{};
  };

  Slot& at(std::uint64_t name, std::size_t step) {
    return slots_[(name + step) & (slots_.size() - 1)];
  }
  Slot* find(std::uint64_t name, std::uint64_t now_s, const Slot* but);
  Slot* claim(std::uint64_t name, std::uint64_t now_s);

  std::vector<Slot> slots_;
};

}  // namespace switchyard::surface

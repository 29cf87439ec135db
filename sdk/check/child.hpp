// One check in a process of its own: whatever the plugin does there, the checker lives and can say
// where it happened.
#pragma once

#include <switchyard/plugin.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <switchyard/check.hpp>
#include <vector>

namespace swy::check {

// A sanitizer maps what it likes, and its allocator can't be asked.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

struct Outcome {
  Verdict verdict = Verdict::kPassed;
  std::string text;

  static Outcome passed(std::string text = {}) { return {Verdict::kPassed, std::move(text)}; }
  static Outcome warned(std::string text) { return {Verdict::kWarned, std::move(text)}; }
  static Outcome failed(std::string text) { return {Verdict::kFailed, std::move(text)}; }
  static Outcome skipped(std::string text) { return {Verdict::kSkipped, std::move(text)}; }
};

// Runs `work` in a child whose directory is `directory`, and waits for it. What it leaves in `data`
// comes back. A crash, a hang and an early end are failures that name the call and the case.
Outcome in_child(const std::string& directory, std::uint32_t seconds_max, std::string& data,
                 const std::function<Outcome(std::string& data)>& work);

// ---- in the child ----

// Which call into the plugin comes next. `call` is a literal; `event` counts from 1, 0 where there
// is none; `kind` is its SWY_EV_*.
void entering(const char* call, std::uint32_t event = 0, std::uint32_t kind = 0);
// The call has returned: what goes wrong from here on is not the plugin's doing.
void left();
// What is being tried, for people: "chat, streamed; the answer ends at byte 17".
void trying(std::string_view what);
std::string tried();

const char* event_name(std::uint32_t kind);

// Lends copies of memory to the plugin for a call. Taken back they can't be read any more.
class Lender {
 public:
  enum class Mode {
    kPlain,    // the memory itself
    kHeap,     // a copy, overwritten and freed afterwards
    kGuarded,  // a copy that ends where unreadable memory begins, and is unreadable afterwards
  };

  explicit Lender(Mode mode) : mode_(mode) {}
  ~Lender();
  Lender(const Lender&) = delete;
  Lender& operator=(const Lender&) = delete;

  // `tail` further bytes of junk behind the n.
  void* lend(const void* memory, std::size_t n, const char* what, std::size_t tail = 0);
  swy_str lend(std::string_view text, const char* what) {
    return {static_cast<const char*>(lend(text.data(), text.size(), what)), text.size()};
  }
  template <class T>
  T* lend_struct(const T& value, const char* what, std::size_t tail = 0) {
    return static_cast<T*>(lend(&value, sizeof value, what, tail));
  }
  void take_back();
  Mode mode() const { return mode_; }

 private:
  struct Loan {
    char* begin;
    std::size_t n;
    std::size_t index = 0;  // of a mapping
  };
  Mode mode_;
  std::vector<Loan> loans_, mappings_;
  std::size_t unreadable_ = 0;  // how many of the mappings are it already
};

}  // namespace swy::check

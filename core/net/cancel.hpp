// Tells one operation that waits to give up.
#pragma once

#include <cassert>
#include <functional>
#include <utility>

namespace switchyard::net {

// Given to an operation by whoever may lose interest in it. Used on the operation's loop only. What
// was cancelled stays cancelled: an operation that is given it later gives up at once.
class Cancel {
 public:
  Cancel() = default;
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;

  void cancel() {
    cancelled_ = true;
    const auto interrupt = interrupt_;
    if (interrupt) interrupt();
  }
  bool cancelled() const { return cancelled_; }

  // What an operation does about it, for as long as the scope lives. One at a time.
  class Scope {
   public:
    Scope(Cancel& cancel, std::function<void()> interrupt) : cancel_(cancel) {
      assert(!cancel.interrupt_);
      cancel.interrupt_ = std::move(interrupt);
    }
    ~Scope() { cancel_.interrupt_ = nullptr; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Cancel& cancel_;
  };

 private:
  bool cancelled_ = false;
  std::function<void()> interrupt_;
};

}  // namespace switchyard::net

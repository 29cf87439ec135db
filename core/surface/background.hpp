// Responses that run without their client: where their answers go, and which ones run.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/exchange/exchange.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {

// Takes one whole answer, or why there is none. Used only on its loop.
class BackgroundWriter : public exchange::ClientWriter {
 public:
  explicit BackgroundWriter(std::unique_ptr<Answer> answer) : answer_(std::move(answer)) {}

  // Nobody wants the answer any more: what runs for it ends.
  void leave();

  void native(bool on) override { native_ = on; }
  void delta(std::string_view /*json*/, bool /*content*/) override {}
  void whole(std::string_view json) override;
  void end_stream(const observe::Usage& /*usage*/) override {}
  void fail(const exchange::Failure& failure) override { failure_ = failure; }
  void discard() override;
  bool started() const override { return committed(); }
  bool committed() const override { return !said_.empty(); }
  bool try_flush() override { return true; }
  net::Task<bool> flush() override { co_return !gone_; }
  bool gone() const override { return gone_; }
  void on_gone(std::function<void()> callback) override { on_gone_ = std::move(callback); }

  // The answer in its dialect; empty where there is none.
  const std::string& said() const { return said_; }
  const std::optional<exchange::Failure>& failure() const { return failure_; }

 private:
  std::unique_ptr<Answer> answer_;
  std::string said_;
  std::optional<exchange::Failure> failure_;
  std::function<void()> on_gone_;
  bool native_ = false, gone_ = false;
};

// What of a process runs in the background, by the ids of the responses. [any thread]
class BackgroundRuns {
 public:
  // Beyond them nothing more begins: each holds its request in memory.
  static constexpr std::size_t kMost = 1000, kBytesMost = std::size_t{512} << 20;

  // Until it is destroyed a response counts as running.
  class Run {
   public:
    Run(Run&& other) noexcept
        : runs_(std::exchange(other.runs_, nullptr)), id_(other.id_), bytes_(other.bytes_) {}
    Run& operator=(Run&&) = delete;
    ~Run();

   private:
    friend class BackgroundRuns;
    Run(BackgroundRuns& runs, std::string id, std::size_t bytes)
        : runs_(&runs), id_(std::move(id)), bytes_(bytes) {}
    BackgroundRuns* runs_;
    std::string id_;
    std::size_t bytes_;
  };

  // Nothing: there are too many, or they hold too much. `bytes`: that it holds. `stop` is called
  // from any thread, at most until the run is over.
  std::optional<Run> begin(const std::string& id, std::size_t bytes, std::function<void()> stop);
  void stop(const std::string& id);
  void stop_all();
  bool contains(const std::string& id) const;
  std::size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::function<void()>> stops_;
  std::size_t bytes_ = 0;
};

}  // namespace switchyard::surface

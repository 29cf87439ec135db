// Keeps what requests and answers said, of keys that have it kept, on a thread of its own. No
// logger and no plugin ever sees it. Responses that are stored lie in the same file.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/observe/log.hpp"
#include "core/store/bodies.hpp"

namespace switchyard::observe {

class BodyKeeper {
 public:
  // Bytes that wait to be written; what comes beyond them is dropped and counted.
  static constexpr std::size_t kWaitingMax = 64u << 20;

  // Whether there is a key of this id. [the keeper's thread]
  using HasKey = std::function<Result<bool>(const std::string& key_id)>;

  BodyKeeper(std::filesystem::path file, Secret secret, HasKey has_key,
             const store::BodyLimits& limits);
  // Writes what waits.
  ~BodyKeeper();
  BodyKeeper(const BodyKeeper&) = delete;
  BodyKeeper& operator=(const BodyKeeper&) = delete;

  void put(store::BodyRow row);                      // [any thread]
  void set_limits(const store::BodyLimits& limits);  // [any thread]
  // What is kept of a record; nothing: nothing is. Blocking. [any thread, not a loop]
  Result<std::optional<store::BodyRow>> find(const std::string& record_id,
                                             const std::string& key_id);
  // The file; null where there is none and none is to be made. Blocking. [any thread, not a loop]
  Result<store::Bodies*> open(bool make);
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void run();
  void write(const std::vector<store::BodyRow>& rows);
  void tidy();
  Result<void> forget_gone(store::Bodies& bodies);
  void report(const char* event, const Error& error);

  const std::filesystem::path file_;
  const Secret secret_;
  const HasKey has_key_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<store::BodyRow> waiting_;
  std::size_t waiting_bytes_ = 0;
  store::BodyLimits limits_;
  bool ending_ = false;
  std::atomic<std::uint64_t> dropped_{0};

  std::mutex open_mutex_;
  std::unique_ptr<store::Bodies> bodies_;  // once there is something to keep or to find
  LogGate gate_{std::chrono::minutes(1)};
  std::thread thread_;
};

}  // namespace switchyard::observe

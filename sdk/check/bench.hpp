// What the checks of all kinds use: the kind under test, opened, and measurements of this process.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <switchyard/check.hpp>
#include <vector>

#include "child.hpp"
#include "plugin.hpp"

namespace swy::check {

// One kind of a library, loaded and initialised in this child.
class Bench {
 public:
  Bench(const std::string& file, const Options& options, const std::string& title);

  const std::string& fault() const { return fault_; }  // why nothing can be tried; else empty
  const Options& options() const { return *options_; }
  const Plugin& plugin() const { return plugin_; }
  const Kind& kind() const { return *kind_; }
  template <class T>
  const T& table() const {
    return *static_cast<const T*>(kind_->vt);
  }

  // nullptr on failure, and why is in `why`.
  bool open(const std::string& config, void*& instance, std::string& why) const;
  swy_rc open(const std::string& config, void*& instance, swy_err& err) const;
  void close(void* instance) const;
  // With the configuration of the options. Throws where that does not open: other checks say so.
  void* open_own() const;

 private:
  const Options* options_;
  Plugin plugin_;
  const Kind* kind_ = nullptr;
  std::string fault_;
};

struct Check {
  const char* id;
  Outcome (*run)(Bench& bench);
};

extern const std::vector<Check> kKindChecks, kProviderChecks, kStrategyChecks, kLoggerChecks;
// Transcripts are checks of their own.
Outcome check_transcript(Bench& bench, const std::string& name);

// Runs the work again and again; says what of heap, descriptors and threads grew with it.
// `work(n)` does it n times.
Outcome growth(const char* what, const std::function<void(std::size_t)>& work);

struct Times {
  std::vector<std::uint32_t> wall_ns, cpu_ns;
  std::vector<std::uint64_t> instructions;
};
// Held against the contract's bound: the median by the clock, the longest by the processor's time,
// for other processes are not the plugin's doing.
Outcome judge_times(const char* call, Times times, std::uint64_t bound_ns);

int open_counter();  // of user instructions of this thread; -1 where there is none
std::uint64_t read_counter(int counter);

// A small generator, the same everywhere for the same seed.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }

 private:
  std::uint64_t state_;
};

}  // namespace swy::check

// strategy.hpp - C++20 comfort over strategy.h: a strategy is a class with score() and, where it
// learns, observe(), save() and load().
//
//   class Mine {
//    public:
//     // or a default constructor
//     static swy::Result<Mine> open(std::string_view config_json, swy::Host host);
//     // or swy::Result<>
//     void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
//                swy::Scores& scores) const;
//     void observe(const swy_outcome& outcome);           // optional
//     std::string save() const;                           // optional
//     swy::Result<> load(std::string_view state);         // optional
//   };
//   SWY_PLUGIN("vendor.mine", "1.0.0", swy::strategy<Mine>("mine", schema));
//
// score(), observe() and save() are called from many threads at once: what they share has to be
// atomic or guarded. What they throw is caught, logged and told to the host as the plugin's own
// fault.
#pragma once

#include <switchyard/strategy.h>

#include <memory>
#include <switchyard/plugin.hpp>

namespace swy {

// What is asked; the fields are those of swy_rreq.
class RouteRequest {
 public:
  explicit RouteRequest(const swy_rreq* raw) : raw_(raw) {}

  const swy_rreq& raw() const { return *raw_; }
  const swy_rreq* operator->() const { return raw_; }
  bool stream() const { return (raw_->flags & SWY_RREQ_STREAM) != 0; }
  // The affinity is of the prompt's start: no session is named.
  bool prefix() const { return (raw_->flags & SWY_RREQ_PREFIX) != 0; }
  std::string_view task() const { return view(raw_->task); }
  std::string_view model() const { return view(raw_->model); }
  std::string_view currency() const { return view(raw_->currency); }

  // A number that the seed and `salt` alone decide, every bit as good as any other: the same
  // decision can be made again.
  std::uint64_t chance(std::uint64_t salt) const { return mix(raw_->seed, salt); }
  // The same of the affinity, where there is one: a session has one answer.
  std::uint64_t sticky_chance(std::uint64_t salt) const {
    return mix(raw_->affinity != 0 ? raw_->affinity : raw_->seed, salt);
  }

 private:
  // The finaliser of splitmix64 (Steele, Lea, Flood 2014), over both words.
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  const swy_rreq* raw_;
};

// Who may be asked, in configuration order. Strings are read with swy::view(candidate.region).
class Candidates {
 public:
  Candidates(const swy_cand* first, std::uint32_t count, std::uint32_t stride)
      : first_(first), count_(count), stride_(stride) {}

  std::uint32_t size() const { return count_; }
  const swy_cand& operator[](std::uint32_t i) const {
    return *SWY_AT(swy_cand, first_, i, stride_);
  }
  // A tag of the configuration, empty where the candidate has none of that name.
  std::string_view tag(std::uint32_t i, std::string_view name) const {
    const swy_cand& candidate = (*this)[i];
    for (std::uint64_t t = 0; t < candidate.ntag; ++t) {
      if (view(candidate.tag[t].k) == name) return view(candidate.tag[t].v);
    }
    return {};
  }

 private:
  const swy_cand* first_;
  std::uint32_t count_, stride_;
};

// The answer: each candidate is set or excluded once, with a reason of a few words for people.
class Scores {
 public:
  Scores(swy_score* first, std::uint32_t stride) : first_(first), stride_(stride) {}

  // Higher is better; equal leaves the order to the next strategy.
  void set(std::uint32_t i, std::int64_t score, std::string_view reason) {
    swy_score& out = at(i);
    out.score = score;
    put_text(out.reason, reason);
  }
  void exclude(std::uint32_t i, std::string_view reason) { set(i, SWY_SCORE_EXCLUDE, reason); }
  // The rest of an answer, such as timeout_ms.
  swy_score& at(std::uint32_t i) {
    return *reinterpret_cast<swy_score*>(reinterpret_cast<char*>(first_) +
                                         std::size_t{i} * std::size_t{stride_});
  }

 private:
  template <std::size_t N>
  static void put_text(char (&to)[N], std::string_view text) {
    std::size_t n = text.size() < N ? text.size() : N - 1;
    // Not within a character.
    while (n < text.size() && n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0U) == 0x80U) --n;
    if (n > 0) std::memcpy(to, text.data(), n);
    to[n] = '\0';
  }

  swy_score* first_;
  std::uint32_t stride_;
};

namespace detail {

template <class S>
struct StrategyTable {
  struct Instance {
    std::unique_ptr<S> strategy;
    Host host;
  };

  static Result<std::unique_ptr<S>> make(std::string_view config, Host host) {
    if constexpr (requires { S::open(config, host); }) {
      auto opened = as_result(S::open(config, host));
      if (!opened) return opened.error();
      if constexpr (std::is_same_v<std::decay_t<decltype(*opened)>, std::unique_ptr<S>>) {
        return *std::move(opened);
      } else {
        return std::make_unique<S>(*std::move(opened));
      }
    } else {
      return std::make_unique<S>();
    }
  }

  static swy_rc SWY_CALL open(swy_str config, const swy_host* host, void* tag, void** instance,
                              swy_err* err) noexcept {
    const Host mine(host, tag);
    return guarded(mine, err, [&] {
      auto made = make(view(config), mine);
      if (!made) return put_error(err, made.error(), SWY_E_ARG);
      *instance = new Instance{*std::move(made), mine};
      return SWY_OK;
    });
  }

  static void SWY_CALL close(void* instance) noexcept {
    const Host host = static_cast<Instance*>(instance)->host;
    guarded(host, nullptr, [&] {
      delete static_cast<Instance*>(instance);
      return SWY_OK;
    });
  }

  static swy_rc SWY_CALL score(void* instance, const swy_rreq* req, const swy_cand* cand,
                               std::uint32_t n, std::uint32_t cand_stride, swy_score* out,
                               std::uint32_t out_stride, swy_err* err) noexcept {
    const auto& self = *static_cast<const Instance*>(instance);
    return guarded(self.host, err, [&] {
      const S& strategy = *self.strategy;
      const Candidates candidates(cand, n, cand_stride);
      Scores scores(out, out_stride);
      const RouteRequest request(req);
      if constexpr (std::is_void_v<decltype(strategy.score(request, candidates, scores))>) {
        strategy.score(request, candidates, scores);
      } else {
        const Result<> scored = strategy.score(request, candidates, scores);
        if (!scored) return put_error(err, scored.error(), SWY_E_DATA);
      }
      return SWY_OK;
    });
  }

  static void SWY_CALL observe(void* instance, const swy_outcome* outcome) noexcept {
    auto& self = *static_cast<Instance*>(instance);
    guarded(self.host, nullptr, [&] {
      if constexpr (kObserves) self.strategy->observe(*outcome);
      return SWY_OK;
    });
  }

  static swy_rc SWY_CALL save(void* instance, swy_rc(SWY_CALL* write)(void*, swy_str),
                              void* ctx) noexcept {
    const auto& self = *static_cast<const Instance*>(instance);
    return guarded(self.host, nullptr, [&] {
      if constexpr (kSaves) {
        const std::string state = std::as_const(*self.strategy).save();
        return write(ctx, str(state));
      } else {
        return swy_rc(SWY_E_UNSUP);
      }
    });
  }

  static swy_rc SWY_CALL load(void* instance, swy_str state) noexcept {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, nullptr, [&] {
      if constexpr (kLoads) {
        const Result<> loaded = self.strategy->load(view(state));
        return loaded ? SWY_OK : SWY_E_DATA;
      } else {
        return swy_rc(SWY_E_UNSUP);
      }
    });
  }

  static constexpr bool kObserves = requires(S& s, const swy_outcome& o) { s.observe(o); };
  static constexpr bool kSaves = requires(const S& s) { std::string(s.save()); };
  static constexpr bool kLoads = requires(S& s, std::string_view t) { Result<>(s.load(t)); };

  // What an author leaves out is NULL: the host need not call it.
  static constexpr swy_strategy table = {
      sizeof(swy_strategy),
      0,
      &open,
      &close,
      &score,
      kObserves ? &observe : nullptr,
      kSaves ? &save : nullptr,
      kLoads ? &load : nullptr,
  };
};

}  // namespace detail

// The kind to give to SWY_PLUGIN. schema: of the configuration, or nullptr.
template <class S>
constexpr swy_kind strategy(const char* name, const char* schema = nullptr) {
  return {sizeof(swy_kind),
          0,
          SWY_STRATEGY_IFACE,
          name,
          schema,
          "{}",
          &detail::StrategyTable<S>::table};
}

}  // namespace swy

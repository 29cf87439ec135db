// A strategy: prefers targets with the tag that the configuration names, and among them the one
// with fewer requests in flight. Put your own rule in score().
#pragma once

#include <string>
#include <switchyard/json.hpp>
#include <switchyard/strategy.hpp>

namespace mine {

class Strategy {
 public:
  // {"tag": "fast"}
  static swy::Result<Strategy> open(std::string_view config, swy::Host) {
    const auto tag = swy::json::to_text(swy::json::find(config, "tag"));
    if (!tag || tag->empty()) return swy::Error{SWY_CLS_PLUGIN, "tag: expected the name of a tag"};
    return Strategy(*tag);
  }

  // Called from many threads at once. The same request, candidates and seed give the same answer.
  void score(const swy::RouteRequest&, const swy::Candidates& candidates,
             swy::Scores& scores) const {
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
      const std::int64_t waiting = candidates[i].inflight;
      if (candidates.tag(i, tag_).empty()) {
        scores.set(i, -1'000'000 - waiting, "without the tag");
      } else {
        scores.set(i, -waiting, "has the tag");
      }
    }
  }

 private:
  explicit Strategy(std::string tag) : tag_(std::move(tag)) {}

  std::string tag_;
};

}  // namespace mine

// A first strategy: candidates in one region first, among these the ones with less to do.
#include <switchyard/json.hpp>
#include <switchyard/strategy.hpp>

class Home {
 public:
  static swy::Result<Home> open(std::string_view config_json, swy::Host) {
    Home made;
    made.region_ = swy::json::to_text(swy::json::find(config_json, "region")).value_or("");
    if (made.region_.empty()) return swy::Error{SWY_CLS_PLUGIN, "region: missing"};
    return made;
  }

  void score(const swy::RouteRequest&, const swy::Candidates& candidates,
             swy::Scores& scores) const {
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
      const swy_cand& candidate = candidates[i];
      const bool home = swy::view(candidate.region) == region_;
      scores.set(i, (home ? 1'000'000 : 0) - std::int64_t{candidate.inflight},
                 home ? "at home" : "abroad");
    }
  }

 private:
  std::string region_;
};

SWY_PLUGIN("example.home", "1.0.0",
           swy::strategy<Home>("home",
                               R"({"type":"object","properties":{"region":{"type":"string"}}})"));

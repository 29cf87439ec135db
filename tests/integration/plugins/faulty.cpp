// A strategy that fails as it is told: {"how":"refuse"}, "forget" or "throw".
#include <stdexcept>
#include <switchyard/json.hpp>
#include <switchyard/strategy.hpp>

namespace {

class Faulty {
 public:
  static swy::Result<Faulty> open(std::string_view config_json, swy::Host) {
    Faulty made;
    made.how_ = swy::json::to_text(swy::json::find(config_json, "how")).value_or("");
    if (made.how_ == "refuse") return swy::Error{SWY_CLS_PLUGIN, "refuses to open"};
    return made;
  }

  void score(const swy::RouteRequest&, const swy::Candidates&, swy::Scores& scores) const {
    if (how_ == "throw") throw std::runtime_error("lost its way");
    scores.set(0, 1, "the only one that is known here");
  }

 private:
  std::string how_;
};

constexpr char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {"how": {"enum": ["refuse", "forget", "throw"]}}
})";

}  // namespace

SWY_PLUGIN("test.faulty", "0.1.0", swy::strategy<Faulty>("faulty", kSchema));

// What the targets of the inbound dialects share: a body from anybody ends as a canonical request
// or as a refusal, and whatever an upstream says becomes an answer without a fault.
#pragma once

#include <string>
#include <switchyard/json.hpp>

#include "core/surface/surface.hpp"
#include "fuzz.hpp"

namespace fuzz {

inline void check_answer(switchyard::surface::Answer& answer, std::string_view said) {
  std::string out;
  answer.delta(said, out);
  answer.end({}, out);
  answer.reset();
  (void)answer.whole(said, out);
}

// translate: of a scanned body to a Canonical.
template <class Translate>
void check_surface(std::string_view input, const Translate& translate) {
  switchyard::JsonIndex index;
  if (!index.scan(input)) return;
  switchyard::surface::Canonical canonical = translate(index);
  require(swy::json::valid(canonical.losses.array()), "losses are a list");
  if (canonical.refusal) {
    require(canonical.refusal->status >= 400 && canonical.refusal->status < 500,
            "the client's fault");
    require(!canonical.refusal->message.empty(), "a refusal says why");
  } else {
    // Only what a client wrapped up itself can break it; the gateway scans every one once more.
    switchyard::JsonIndex out;
    if (!canonical.foreign) {
      require(out.scan(canonical.body, switchyard::JsonIndex::kDepthCap).has_value(),
              "a canonical request is JSON");
      require(out.find("model") != nullptr, "it has a model");
    }
  }
  if (canonical.answer) check_answer(*canonical.answer, input);
}

}  // namespace fuzz

// Which candidates a gateway key's requests may go to.
#pragma once

#include <string>
#include <vector>

namespace switchyard::config {

struct Reach {
  // Ids of providers, or patterns with '*'. Empty: any. What is denied is denied in any case.
  std::vector<std::string> providers, providers_denied;
  std::vector<std::string> regions;  // a candidate without one is in none of them; empty: any

  bool anywhere() const { return providers.empty() && providers_denied.empty() && regions.empty(); }
};

}  // namespace switchyard::config

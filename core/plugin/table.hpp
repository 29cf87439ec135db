// Negotiation with a mapped library and the check of all it offers.
#pragma once

#include <switchyard/plugin.h>

#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/plugin/library.hpp"

namespace switchyard::plugin {

struct Offer {
  const swy_lib* table = nullptr;
  std::string id, version, build;
  std::vector<Kind> kinds;  // those of interfaces that this host knows
};

// Makes the version offer and checks the answer, down to every mandatory slot. Everything is
// copied. The error is the refusal text.
Result<Offer> negotiate(swy_entry entry);

// Calls init or self_test (either may be absent). The error is the refusal text.
Result<void> call_init(const swy_lib& table);
Result<void> call_self_test(const swy_lib& table);
void call_fini(const swy_lib& table) noexcept;

// What the plugin wrote into err, or the return code by name where it wrote nothing.
std::string fault_text(swy_rc rc, const swy_err& err);

}  // namespace switchyard::plugin

// What a request needs of the model that serves it, and which targets of a route therefore can't.
#pragma once

#include <switchyard/plugin.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "core/catalog/capability.hpp"
#include "core/config/reach.hpp"
#include "core/routing/table.hpp"

namespace switchyard::routing {

struct Needs {
  catalog::Capabilities capabilities;
  // At least: of the text alone, as what is sparse of tokens has them. A target is left out only
  // for what it surely can't take; the rest is for the upstream to say.
  std::uint64_t tokens_in = 0;
  std::uint64_t tokens_out_max = 0;  // as the request says; 0 where it does not
  // The user's last words, or anybody's where no user spoke: as the body has them, of which it is a
  // view.
  std::string_view said;
};

// Of a canonical body that has passed a scan: one pass over its texts, no tree. Cheap, but as long
// as the body is.
Needs read_needs(std::string_view task, std::string_view body, std::span<const swy_member> members);

// "zh", "ja", "ko", "ru", "ar" or "latin", by the script of the end of a JSON string's inside;
// empty where it has no letters.
std::string_view language_of(std::string_view text);

// False where no target could be left out, and nobody asks for the language, whatever the needs
// are: then they need not be read.
bool needs_matter(const Route& route, std::string_view task, std::uint64_t body_bytes);

// Where no target is left but conditional ones, those that are meant for one of `classes` (a bit
// 1 << SWY_CLS_* for each) come first and for good, and the others go.
void fall_back(Route& route, std::uint32_t classes);

// These take targets out of a route, into route.left_out, and fall back; they may come to be none.
void leave_out_unfit(Route& route, const Needs& needs);
void leave_out_of_reach(Route& route, const config::Reach& reach, const config::Config& config);
// Models that the catalog has for tasks of another kind only; unless there is no other.
void leave_out_other_tasks(Route& route, std::string_view task);

}  // namespace switchyard::routing

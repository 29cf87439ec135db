// A body of OpenAI's Responses API as a canonical chat request.
#pragma once

#include <string>

#include "core/surface/surface.hpp"

namespace switchyard::surface {

// `echo` gets the members of the answer that repeat the request, each with a comma behind it. The
// answer is left out.
Canonical from_responses(const JsonIndex& body, std::string& echo);

// The refusal of what only a gateway that stores answers can do.
exchange::Failure not_stored(std::string param);

}  // namespace switchyard::surface

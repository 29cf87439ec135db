// A body of OpenAI's Responses API as a canonical chat request.
#pragma once

#include <string>

#include "core/surface/surface.hpp"

namespace switchyard::surface {

// `echo` gets the members of the answer that repeat the request, each with a comma behind it. The
// answer is left out. `stored` may be null. What goes on with a stored response has its input
// before it already, and no `previous_response_id`.
Canonical from_responses(const JsonIndex& body, const StoredAs* stored, std::string& echo);

}  // namespace switchyard::surface

// Bodies of Google's Gemini API as canonical requests.
#pragma once

#include <string>
#include <string_view>

#include "core/surface/surface.hpp"

namespace switchyard::surface {

// `model` is the path's. `shows_thoughts`: the client wants to see them. The answer is left out.
Canonical from_generate_content(const JsonIndex& body, const std::string& model, bool stream,
                                bool& shows_thoughts);

// embedContent, and batchEmbedContents with `batch`.
Canonical from_embed_content(const JsonIndex& body, const std::string& model, bool batch);

}  // namespace switchyard::surface

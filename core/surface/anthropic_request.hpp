// A body of Anthropic's Messages API as a canonical chat request.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>

#include "core/surface/surface.hpp"

namespace switchyard::surface {

// The format of reasoning blocks that Anthropic signed (CANONICAL.md, section 3).
inline constexpr std::string_view kAnthropicFormat = "anthropic-claude-v1";

// `count`: the body of count_tokens, which lacks what only an answer needs. The answer is left out.
// `shows_thinking`: the client wants to see it.
Canonical from_messages(const JsonIndex& body, bool count, bool& shows_thinking);

}  // namespace switchyard::surface

// What a request uses, by meter: at most, before it is sent; and as its answer reported it.
#pragma once

#include "core/catalog/price.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard::exchange {

// The most that a prompt comes to. Its sound is among the tokens, and beside them: some upstreams
// sell it at a price of its own, others as text.
struct PromptBound {
  std::uint64_t tokens = 0, sound = 0;
};
PromptBound prompt_bound(const Request& request);

// What the request may use of each meter, for an answer of at most so many tokens.
catalog::Quantities upper_bounds(const Request& request, const PromptBound& prompt,
                                 std::uint64_t answer_tokens);

// About as many as a picture has that is made.
inline constexpr std::uint64_t kPictureTokens = 1120;

// What a session that came so far may use until its hold is looked at again.
catalog::Quantities ahead_of(const Request& request, const observe::Usage& so_far);

// A usage that nobody reported, with what the request says of pictures, seconds and characters.
observe::Usage asked_usage(const Request& request, observe::Usage usage);

// Seconds that are out of all proportion to the sound that was sent, or to any film, become what
// the request itself says, marked as clamped.
void clamp_seconds(const Request& request, observe::Usage& usage);

// Usage without overlap, and what the request itself says: pictures, characters, seconds, the call;
// of sound that was heard its tokens, where none were told. counts.hpp says which of these count.
catalog::Quantities billed(const Request& request, const observe::Usage& usage);

// All that was read, from a cache or not: it decides the tier.
std::uint64_t prompt_tokens(const catalog::Quantities& quantities);

// A text among the body's members as it stands there, escapes and all; empty where there is none.
std::string_view text_member(const Request& request, std::string_view name);

// How many answers it asks for.
std::uint64_t answers_asked(const Request& request);

// Of as many answers as were asked for, each of so many tokens; UINT64_MAX where that is too many.
std::uint64_t of_all_answers(const Request& request, std::uint64_t tokens);

bool makes_text(std::string_view task);

// That a sound comes with it, and what is said there is the answer.
bool hears(std::string_view task);

// About how many tokens a request may come to; pictures and sound in it are not counted.
struct TokensAsked {
  std::uint64_t prompt = 0, answer = 0;
  bool limited =
      true;  // false: it does not say how long its answer may be, and `answer` is assumed
};
TokensAsked tokens_asked(const Request& request);

// Tokens of the prompt, where nobody counted them. Pictures, pages, sound and films that it holds
// as data are no text: what one is to a model has little to do with its size.
std::uint64_t estimated_prompt(const Request& request);

// The request's own limit of an answer; 0 where it sets none.
std::uint64_t tokens_max(const Request& request);

}  // namespace switchyard::exchange

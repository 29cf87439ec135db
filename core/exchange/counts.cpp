#include "core/exchange/counts.hpp"

#include "core/exchange/usage.hpp"

namespace switchyard::exchange {
namespace {

using catalog::at;
using catalog::Meter;
using catalog::Quantities;

// About 20 tokens of speech a second, in which 15 characters are spoken (OpenAI, November 2026).
constexpr std::uint64_t kSpokenTokens = 3, kSpokenCharacters = 2;

bool tells_tokens(const observe::Usage& usage) { return usage.tok_in != 0 || usage.tok_out != 0; }

// Sound that has no price of its own is read as text is.
Quantities as_text(Quantities tokens) {
  at(tokens, Meter::kInput) += at(tokens, Meter::kAudioIn);
  at(tokens, Meter::kCachedInput) += at(tokens, Meter::kCachedAudioIn);
  at(tokens, Meter::kAudioIn) = at(tokens, Meter::kCachedAudioIn) = 0;
  return tokens;
}

// By the seconds alone, by tokens of sound and text, by tokens alike.
Counts counts_heard(const Quantities& all, bool seconds_told, bool tokens_told) {
  Quantities seconds{}, tokens = all;
  at(seconds, Meter::kSecond) = at(all, Meter::kSecond);
  at(seconds, Meter::kCall) = at(all, Meter::kCall);
  at(tokens, Meter::kSecond) = 0;
  Counts counts;
  counts.add(seconds, !seconds_told);
  counts.add(tokens, !tokens_told);
  counts.add(as_text(tokens), !tokens_told);
  return counts;
}

}  // namespace

Counts counts_of(const Request& request, const observe::Usage& usage) {
  const Quantities used = billed(request, usage);
  if (hears(request.task)) return counts_heard(used, usage.seconds != 0, tells_tokens(usage));
  Counts counts;
  counts.add(used);
  if (request.task == "audio.speech" && !tells_tokens(usage)) {
    Quantities tokens = used;
    const std::uint64_t characters = at(used, Meter::kCharacter);
    at(tokens, Meter::kAudioOut) = (characters * kSpokenTokens + 1) / kSpokenCharacters;
    at(tokens, Meter::kInput) = estimate_tokens(characters);
    counts.add(tokens, true);
  }
  if (at(used, Meter::kImage) != 0 && !tells_tokens(usage)) {
    Quantities tokens = used;
    at(tokens, Meter::kImage) = 0;
    at(tokens, Meter::kImageOut) = kPictureTokens * at(used, Meter::kImage);
    counts.add(tokens, true);
  }
  return counts;
}

Counts counts_of(const Request& request, const Quantities& most) {
  if (hears(request.task)) return counts_heard(most, true, true);
  Counts counts;
  counts.add(most);
  return counts;
}

}  // namespace switchyard::exchange

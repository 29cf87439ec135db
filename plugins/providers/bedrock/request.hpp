// A canonical chat request as a Converse request. Source: Amazon Bedrock API reference, Converse,
// read 2026-11.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>
#include <switchyard/pictures.hpp>
#include <switchyard/provider.hpp>

namespace bedrock {

// How blocks of reasoning are marked that go back to Bedrock as they came.
constexpr std::string_view kFormat = "bedrock-converse-v1";

// How a model is told to think, and whether it wants its thoughts back.
enum class Family { kClaudeBudget, kClaudeAdaptive, kNova, kOther };
Family family_of(std::string_view model);
inline bool is_claude(Family family) {
  return family == Family::kClaudeBudget || family == Family::kClaudeAdaptive;
}

struct Upstream {
  swy::BodyWriter body;  // its long values are views into the request, or into strings
  swy::Losses losses;
  swy::PlainStrings strings;
  const swy::Pictures* pictures = nullptr;  // those that were fetched
};

// An error says what Converse can't take.
std::optional<swy::Error> to_upstream(const swy::Request& request, Upstream& upstream);

// "/model/ID/converse" or "/model/ID/converse-stream".
std::string path_of(std::string_view model, bool stream);

}  // namespace bedrock

// What providers are tried with: built-in requests with answers in the dialects that are most
// spoken, and transcripts of the author's own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "json.hpp"
#include "session.hpp"

namespace swy::check {

struct Case {
  std::string name;  // "chat, streamed, as openai"
  Ask ask;
  std::vector<Answer> answers;
  // Of a transcript: its configuration where it has one of its own, and what is expected.
  std::string file, config;
  std::optional<Value> document;
};

// For each task and each form of it one case for every built-in dialect. `native`: dialects of the
// kind's caps.
std::vector<Case> built_in_cases(const std::vector<std::string>& tasks,
                                 const std::vector<std::string>& native, const std::string& model);

// Every *.json of a directory, by name. `fault` names the file and the place that can't be used.
std::vector<Case> read_transcripts(const std::string& directory, std::string& fault);

// What was seen as the "expect" parts of the transcript.
Value with_seen(const Case& transcript, const Trace& trace);
// The first difference between what is expected and what was seen; empty where there is none.
std::string transcript_difference(const Case& transcript, const Trace& trace);

}  // namespace swy::check

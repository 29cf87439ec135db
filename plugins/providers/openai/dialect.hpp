// An accent of OpenAI's API, as data. The files are in dialects/, their schema is
// config/dialect.schema.json.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/plugin.hpp>
#include <vector>

#include "providers/openai/rules.hpp"

namespace openai {

// One way in which this upstream names a fault: everything that is given must fit.
struct ErrorRule {
  unsigned status = 0;
  std::string code, type;
  std::string text;  // part of the message, compared without case; in lower case here
  int cls = SWY_CLS_SERVER;
};

// A member of an answer that tells of a fault although the status is 200.
struct ErrorPlace {
  std::string path;     // of the fault's code
  std::string fine;     // its text where there is none
  std::string message;  // path of the words
};

// A member of a choice that says how it ended, whatever its finish_reason says.
struct FinishMember {
  std::string member, fine, finish;
};

// What differs in some models of the upstream.
struct ModelRules {
  std::vector<std::string> models;  // names; a * at the end stands for any rest
  Rules rules;                      // the dialect's own with the changes
};

// How a stream's usage is got.
enum class StreamUsage {
  kOnRequest,  // by stream_options.include_usage
  kAlways,     // it comes unasked
  kNone,
};

// The members' meaning is described in the schema. As constructed it is OpenAI's own.
struct Dialect {
  Dialect();

  std::string name = "openai";
  std::string auth_scheme = "bearer", auth_name;
  Pairs paths = {{"chat", "/chat/completions"},
                 {"completions", "/completions"},
                 {"embeddings", "/embeddings"},
                 {"moderations", "/moderations"},
                 {"models", "/models"},
                 {"images.generations", "/images/generations"},
                 {"images.edits", "/images/edits"},
                 {"images.variations", "/images/variations"},
                 {"audio.speech", "/audio/speech"},
                 {"audio.transcriptions", "/audio/transcriptions"},
                 {"audio.translations", "/audio/translations"},
                 {"realtime", "/realtime"}};
  Pairs headers;

  Pairs query;

  Rules request;
  std::vector<ModelRules> models;

  StreamUsage stream_usage = StreamUsage::kOnRequest;
  std::vector<std::string> usage_paths;  // besides the top-level "usage"
  std::string usage_cached_path, usage_cache_write_path;
  bool usage_reasoning_beside = false;
  Pairs finish_reasons;
  bool finish_tool_calls = false;
  std::vector<ErrorRule> errors;
  std::vector<ErrorPlace> error_places;
  std::vector<FinishMember> finish_members;
  std::string reasoning;        // member of messages with the thinking, besides reasoning_content
  bool content_chunks = false;  // content may be a list, with the thinking in it
  bool skip_bare = false;       // chunks of a stream without a delta are not for the client
  bool completes = false;       // answers lack id, object, model or finish_reason
  std::string id_path;          // where they have an id then
  std::vector<std::string> retry_after_headers = {"retry-after-ms", "retry-after"};

  const Rules& rules_for(std::string_view model) const;
};

// True where they are the same, or the pattern ends in a * behind which anything may come.
bool name_fits(std::string_view pattern, std::string_view name);

swy::Result<Dialect> parse_dialect(std::string_view json);

}  // namespace openai

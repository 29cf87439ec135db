// An accent of OpenAI's API, as data. The files are in dialects/, their schema is
// config/dialect.schema.json.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/plugin.hpp>
#include <utility>
#include <vector>

namespace openai {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// The second of the pair whose first is `key`, or nullptr.
const std::string* look_up(const Pairs& pairs, std::string_view key);

// One way in which this upstream names a fault: everything that is given must fit.
struct ErrorRule {
  unsigned status = 0;
  std::string code, type;
  std::string text;  // part of the message, compared without case; in lower case here
  int cls = SWY_CLS_SERVER;
};

// How a stream's usage is got.
enum class StreamUsage {
  kOnRequest,  // by stream_options.include_usage
  kAlways,     // it comes unasked
  kNone,
};

// The members' meaning is described in the schema. As constructed it is OpenAI's own.
struct Dialect {
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

  Pairs rename;
  std::vector<std::string> drop;
  std::vector<std::string> message_drop;
  Pairs roles;
  std::vector<std::pair<std::string, Pairs>> set_default;  // task -> member -> JSON
  std::vector<std::pair<std::string, Pairs>> values;       // member -> string -> string
  std::vector<std::pair<std::string, double>> maximum;

  StreamUsage stream_usage = StreamUsage::kOnRequest;
  std::vector<std::string> usage_paths;  // besides the top-level "usage"
  std::string usage_cached_path, usage_cache_write_path;
  bool usage_reasoning_beside = false;
  Pairs finish_reasons;
  bool finish_tool_calls = false;
  std::vector<ErrorRule> errors;
  std::vector<std::string> retry_after_headers = {"retry-after-ms", "retry-after"};
};

swy::Result<Dialect> parse_dialect(std::string_view json);

}  // namespace openai

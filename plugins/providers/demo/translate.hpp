// The demo provider: answers without any upstream, always the same to the same request. README.md
// has its rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/provider.hpp>
#include <vector>

namespace demo {

struct Settings {
  std::uint64_t delay_ns = 0;  // between two pieces of a stream
};

// What is wrong with a request, as OpenAI would put it.
struct Refusal {
  std::string message, param, code;
  int cls = SWY_CLS_BAD_REQUEST;
};

// What will be answered, before it takes a form.
struct Reply {
  std::string reasoning, text;
  std::string tool_name, tool_arguments;  // where a tool is called
  std::string finish = "stop";
  std::uint64_t prompt_tokens = 0, completion_tokens = 0, reasoning_tokens = 0;
};

// A JSON value that fits a schema, made without chance: the same schema gives the same value.
std::string value_of_schema(std::string_view schema);

// A text's vector of length 1; texts that share words lie near each other.
std::vector<float> embed(std::string_view text, std::size_t dimensions);

// Tokens are words: what white space separates.
std::uint64_t count_tokens(std::string_view text);

class Operation {
 public:
  // created: seconds since 1970 for the answers' "created".
  Operation(const Settings& settings, const swy::Request& request, std::int64_t created)
      : settings_(&settings), request_(request), created_(created) {}

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next answer_text(swy::Out& out);
  swy::Next answer_embeddings(swy::Out& out);
  swy::Next answer_moderations(swy::Out& out);
  swy::Next answer_models(swy::Out& out);
  swy::Next refuse(const Refusal& refusal, swy::Out& out);
  swy::Next whole(const std::string& document, swy::Out& out) const;

  bool compose(Refusal& refusal);
  bool compose_chat(Refusal& refusal);
  bool compose_completion(Refusal& refusal);
  bool limit(Refusal& refusal);
  std::string whole_text() const;
  std::string usage() const;

  void plan_stream();
  swy::Next go_on(swy::Out& out);
  struct Piece;
  std::string chunk(const Piece& piece, std::uint64_t choice) const;

  bool chat() const { return request_.task() == "chat"; }
  std::uint32_t flags() const { return request_.native() ? SWY_EMIT_NATIVE : 0; }

  // One chunk of a stream for each choice.
  struct Piece {
    enum Kind : std::uint8_t { kRole, kReasoning, kText, kToolName, kToolArguments, kFinish } kind;
    std::string_view bytes;
  };

  const Settings* settings_;
  swy::Request request_;
  std::int64_t created_;
  std::uint64_t choices_ = 1;
  std::string id_;
  Reply reply_;
  std::vector<Piece> pieces_;
  std::size_t next_piece_ = 0;
};

}  // namespace demo

// Google's generateContent for canonical chat and embeddings: requests out, answers and streams
// back. No sockets, no clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/chat_answer.hpp>
#include <switchyard/fault.hpp>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>
#include <switchyard/sign.hpp>
#include <unordered_set>

#include "providers/gemini/to_upstream.hpp"

namespace gemini {

inline constexpr std::string_view kDialect = "gemini";

// config_json: {"settings": {"safety_settings", "send_store", "vertex", "token_url"}}.
swy::Result<Settings> parse_settings(std::string_view config_json);

// What an error means; `body` is whatever came, `status` 200 for an error within an answer.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

// Google's reasons in OpenAI's words.
std::string_view finish_reason(std::string_view reason, bool called);

class Operation {
 public:
  // now: seconds since 1970, for the answer's `created` and a token's request.
  Operation(const Settings& settings, const swy::Request& request, std::int64_t now,
            swy::Signer signer = {});

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  static constexpr std::string_view kToken = "access";

  swy::Next start(swy::Out& out);
  swy::Next start_task(swy::Out& out);
  bool native() const { return request_.native() && request_.dialect() == kDialect; }
  swy::Next start_native(swy::Out& out);
  std::string own_members() const;
  swy::Next on_native(std::string_view data, swy::Out& out);
  bool read_native_candidate(std::string_view candidate, swy::Out& out);
  bool needs_token(const swy::Out& out) const;
  std::string_view account() const;
  swy::Next ask_for_token(swy::Out& out);
  swy::Next refused_token() const;
  swy::Next start_chat(swy::Out& out);
  swy::Next start_embeddings(swy::Out& out);
  swy::Next ask_for_models(swy::Out& out);
  void begin(swy::Out& out, std::string_view method, std::string_view path, std::uint32_t framing);
  std::string model_path(std::string_view call) const;
  swy::Next on_head(const swy::Event& event);
  swy::Next on_data(const swy::Event& event, swy::Out& out);
  swy::Next on_end(swy::Out& out);
  swy::Next on_broken(const swy::Event& event, swy::Out& out);
  // One response, which in a stream is a part of the whole.
  swy::Next on_response(std::string_view response, swy::Out& out);
  swy::Next on_embeddings(std::string_view body, swy::Out& out);
  swy::Next on_models(std::string_view body, swy::Out& out);
  bool on_candidate(std::string_view candidate, swy::Out& out);
  bool on_parts(std::string_view content, unsigned choice, swy::Out& out);
  bool on_part(std::string_view part, unsigned choice, swy::Out& out);
  void on_call(std::string_view call, std::string_view signature, unsigned choice, swy::Out& out);
  void on_finish(std::string_view reason, unsigned choice, swy::Out& out);
  void on_grounding(std::string_view grounding, unsigned choice, swy::Out& out);
  void on_logprobs(std::string_view result, unsigned choice, swy::Out& out);
  void note_usage(std::string_view usage);
  void note_searches(std::string_view queries);
  swy::Next refuse(std::string_view body, swy::Out& out);
  swy::Next blocked(std::string_view reason, std::string_view message, swy::Out& out);
  swy::Next bad_answer(std::string what) const;

  const Settings* settings_;
  swy::Request request_;
  swy::Signer signer_;
  std::int64_t now_;
  bool streaming_;
  bool exchanging_ = false;                        // the key for a token
  bool native_finished_ = false, called_ = false;  // what a native answer said so far
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;

  swy::ChatAnswer answer_;
  std::unordered_set<std::string> custom_tools_;
  swy::ChatUsage usage_;
  bool usage_told_ = false;
  std::string failed_;        // a finish reason that means that the model failed
  unsigned made_up_ids_ = 0;  // of calls that came without one
  std::string models_, page_;
  unsigned pages_ = 0;
};

}  // namespace gemini

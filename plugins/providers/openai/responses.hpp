// Requests in OpenAI's own Responses API to an upstream that speaks it: the client's bytes, but for
// the model's name. What the record wants to know is read on the way back.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/provider.hpp>

#include "providers/openai/translate.hpp"

namespace openai {

inline constexpr std::string_view kResponsesDialect = "openai-responses";

class ResponsesOperation {
 public:
  ResponsesOperation(const Settings& settings, const swy::Request& request)
      : settings_(&settings),
        request_(request),
        streaming_(request.stream() && request.task() == "chat") {}

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_data(std::string_view data, swy::Out& out);
  swy::Next on_event(std::string_view data, swy::Out& out);
  swy::Next on_whole(std::string_view body, swy::Out& out);
  // True where the response came to an end that is an answer.
  bool read_response(std::string_view response, swy::Out& out);
  swy::Next refuse(std::string_view body, swy::Out& out);
  swy::Next bad_answer(std::string what) const;

  const Settings* settings_;
  swy::Request request_;
  bool streaming_, document_ = false, finished_ = false;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
};

}  // namespace openai

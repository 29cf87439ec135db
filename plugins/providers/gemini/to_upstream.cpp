#include "providers/gemini/to_upstream.hpp"

namespace gemini {

namespace json = swy::json;

namespace {

bool is_read_member(std::string_view name) {
  return swy::is_one_of(name, {"model",
                               "messages",
                               "stream",
                               "stream_options",
                               "max_tokens",
                               "max_completion_tokens",
                               "temperature",
                               "top_p",
                               "top_k",
                               "stop",
                               "tools",
                               "tool_choice",
                               "response_format",
                               "reasoning_effort",
                               "reasoning",
                               "service_tier",
                               "web_search_options",
                               "n",
                               "modalities",
                               "seed",
                               "presence_penalty",
                               "frequency_penalty",
                               "logprobs",
                               "top_logprobs",
                               "store",
                               "safetySettings",
                               "safety_settings",
                               "cachedContent",
                               "cached_content",
                               "labels"});
}
}  // namespace

UpstreamBody::UpstreamBody(const Settings& settings, const swy::Request& request)
    : settings_(settings),
      request_(request),
      rules_(rules_of(request.model())),
      json_(writer_.json()) {
  std::string wrong;
  if (!swy::read_messages(request.value("messages"), messages_, losses_, wrong)) {
    refuse(SWY_CLS_BAD_REQUEST, "messages", std::move(wrong));
    return;
  }
  if (request_.value("modalities").find("\"audio\"") != std::string_view::npos) {
    refuse(SWY_CLS_NOT_OFFERED, "modalities", "modalities: audio is not offered here");
  }
  swy::refuse_old_tools(request_, refusal_);
  swy::refuse_impossible_choice(request_, refusal_);
  if (!refusal_) write();
}

void UpstreamBody::refuse(std::int32_t cls, std::string param, std::string message) {
  swy::refuse_request(refusal_, cls, std::move(param), std::move(message));
}

void UpstreamBody::write() {
  note_calls();
  json_.open_object();
  write_system();
  write_contents();
  write_tools();
  write_tool_config();
  write_own();
  write_generation();
  json_.close_object();
  note_unknown();
}

void UpstreamBody::note_unknown() {
  for (std::size_t i = 0; i < request_.member_count(); ++i) {
    const swy_member& member = request_.member(i);
    const std::string_view name = swy::view(member.name);
    const std::string_view value = request_.value(member);
    // Here false is what asks for something.
    const bool nothing = name == "parallel_tool_calls" ? value != "false" : swy::is_nothing(value);
    if (!is_read_member(name) && !nothing) losses_.add(name);
  }
}

}  // namespace gemini

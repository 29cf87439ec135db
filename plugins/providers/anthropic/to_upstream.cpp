#include "providers/anthropic/to_upstream.hpp"

namespace anthropic {

namespace json = swy::json;

namespace {

// What Anthropic takes as it stands where a client of ours knows to say it.
bool is_own_member(std::string_view name) {
  return swy::is_one_of(name, {"cache_control", "container", "context_management", "inference_geo",
                               "mcp_servers", "top_k", "thinking"});
}
bool is_read_member(std::string_view name) {
  return swy::is_one_of(name, {"model",
                               "messages",
                               "stream",
                               "stream_options",
                               "max_tokens",
                               "max_completion_tokens",
                               "temperature",
                               "top_p",
                               "stop",
                               "tools",
                               "tool_choice",
                               "parallel_tool_calls",
                               "response_format",
                               "reasoning_effort",
                               "reasoning",
                               "user",
                               "safety_identifier",
                               "service_tier",
                               "web_search_options",
                               "n",
                               "continue_final_message",
                               "modalities"});
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
  check_unsupported();
  if (!refusal_) write();
}

void UpstreamBody::refuse(std::int32_t cls, std::string param, std::string message) {
  swy::refuse_request(refusal_, cls, std::move(param), std::move(message));
}

// What would make the answer another one than was asked for.
void UpstreamBody::check_unsupported() {
  const std::string_view n = request_.value("n");
  if (!json::is_null(n) && n != "1") {
    refuse(SWY_CLS_NOT_OFFERED, "n", "n: Anthropic gives one choice");
  }
  if (request_.value("modalities").find("\"audio\"") != std::string_view::npos) {
    refuse(SWY_CLS_NOT_OFFERED, "modalities", "modalities: Anthropic gives no audio");
  }
  swy::refuse_old_tools(request_, refusal_);
  swy::refuse_impossible_choice(request_, refusal_);
  if (json::is_true(request_.value("continue_final_message"))) check_prefill();
}

// The last turn's end must be no white space, and what thinks does not go on with it.
void UpstreamBody::check_prefill() {
  constexpr const char* kMember = "continue_final_message";
  const std::string said =
      messages_.empty() ? "" : json::to_text(messages_.back().content).value_or("");
  const bool blank =
      said.empty() || std::string_view(" \t\r\n").find(said.back()) != std::string_view::npos;
  if (rules_.prefill && !blank) return;
  refuse(SWY_CLS_NOT_OFFERED, kMember,
         rules_.prefill
             ? "continue_final_message: Anthropic goes on with no text that ends in white space"
             : "continue_final_message: this model does not go on with an assistant's text");
}

void UpstreamBody::write() {
  choice_ = swy::read_choice(request_, losses_);
  reasoning_ = swy::read_reasoning(request_, losses_);
  read_thinking();

  json_.open_object();
  json_.key("model").text(request_.model());
  json_.key("max_tokens").integer(max_tokens());
  for (const std::string_view name : {"max_completion_tokens", "max_tokens"}) {
    const std::string_view value = request_.value(name);
    if (!json::to_integer(value)) losses_.add_unless_null(Place{}, name, value);
  }
  if (request_.stream()) json_.key("stream").boolean(true);
  write_system();
  write_messages();
  write_tools();
  write_choice();
  write_thinking();
  write_output_config();
  write_sampling();
  write_stop();
  write_user();
  write_tier();
  for (const std::string_view name :
       {"cache_control", "container", "context_management", "inference_geo", "mcp_servers"}) {
    const std::string_view value = request_.value(name);
    if (json::is_null(value)) continue;
    json_.key(name);
    writer_.value(value);
  }
  json_.close_object();
  note_unknown();
}

void UpstreamBody::note_unknown() {
  for (std::size_t i = 0; i < request_.member_count(); ++i) {
    const swy_member& member = request_.member(i);
    const std::string_view name = swy::view(member.name);
    if (is_read_member(name) || is_own_member(name) || swy::is_nothing(request_.value(member)))
      continue;
    losses_.add(name);
  }
}

}  // namespace anthropic

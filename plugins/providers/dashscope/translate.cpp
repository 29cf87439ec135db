#include "providers/dashscope/translate.hpp"

#include <algorithm>

#include "providers/dashscope/chat.hpp"
#include "providers/dashscope/lists.hpp"

namespace dashscope {

namespace json = swy::json;

namespace {

constexpr std::string_view kText = "/services/aigc/text-generation/generation";
constexpr std::string_view kMultimodal = "/services/aigc/multimodal-generation/generation";
constexpr std::string_view kEmbeddings = "/services/embeddings/text-embedding/text-embedding";
constexpr std::string_view kRerank = "/services/rerank/text-rerank/text-rerank";

struct CodeClass {
  std::string_view code;
  std::int32_t cls;
};
// What a status does not say, or says otherwise.
constexpr CodeClass kCodes[] = {
    {"InvalidApiKey", SWY_CLS_AUTH},
    {"AccessDenied", SWY_CLS_AUTH},
    {"AccessDenied.Unpurchased", SWY_CLS_AUTH},
    {"Arrearage", SWY_CLS_QUOTA},
    {"PrepaidBillOverdue", SWY_CLS_QUOTA},
    {"PostpaidBillOverdue", SWY_CLS_QUOTA},
    {"CommodityNotPurchased", SWY_CLS_QUOTA},
    {"FreeTierOnly", SWY_CLS_QUOTA},
    {"AllocationQuota.FreeTierOnly", SWY_CLS_QUOTA},
    {"DataInspectionFailed", SWY_CLS_FILTERED},
    {"data_inspection_failed", SWY_CLS_FILTERED},
    {"IPInfringementSuspect", SWY_CLS_FILTERED},
    {"ModelNotFound", SWY_CLS_NO_MODEL},
    {"ModelUnavailable", SWY_CLS_OVERLOADED},
    {"ModelServingError", SWY_CLS_OVERLOADED},
    {"RequestTimeOut", SWY_CLS_TIMEOUT},
    {"InternalError.Timeout", SWY_CLS_TIMEOUT},
    {"InvalidParameter", SWY_CLS_BAD_REQUEST},
    {"InternalError.Algo.InvalidParameter", SWY_CLS_BAD_REQUEST},
};

std::int32_t class_of(unsigned status, std::string_view code, std::string_view message) {
  if (message.find("Range of input length") != std::string_view::npos) return SWY_CLS_TOO_LONG;
  for (const CodeClass& each : kCodes) {
    if (each.code == code) return each.cls;
  }
  if (code.starts_with("Throttling") || code.starts_with("LimitRequests")) {
    return SWY_CLS_RATE_LIMIT;
  }
  return swy::class_of_status(status);
}

// Empty while it goes on: the word is "null" then.
std::string_view finish_of(std::string_view reason) {
  if (reason.empty() || reason == "null") return {};
  if (reason == "length" || reason == "tool_calls") return reason;
  return reason == "content_filter" || reason == "sensitive" ? "content_filter" : "stop";
}

}  // namespace

swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body) {
  swy::Refusal refusal;
  refusal.status = status;
  refusal.retry_after_ms = retry_after_ms;
  refusal.message = json::to_text(json::find(body, "message")).value_or("");
  refusal.code = json::to_text(json::find(body, "code")).value_or("");
  refusal.cls = class_of(status, refusal.code, refusal.message);
  // Tokens of a minute are there again after a minute.
  if (refusal.code == "Throttling.AllocationQuota" && retry_after_ms == 0) {
    refusal.retry_after_ms = 60'000;
  }
  // Words of OpenAI's for what clients look at.
  if (refusal.cls == SWY_CLS_TOO_LONG || refusal.cls == SWY_CLS_FILTERED) refusal.code.clear();
  return refusal;
}

Operation::Operation(const Settings& settings, const swy::Request& request, std::int64_t created)
    : TaskOperation(request, created, "dashscope"), settings_(&settings) {}

// ---- requests ----

swy::Next Operation::start(swy::Out& out) {
  if (chat_) return start_chat(out);
  if (request_.task() == "rerank") return start_rerank(out);
  if (request_.task() != "embeddings") return not_offered("dashscope");
  const auto refused = open_embeddings(std::make_unique<Embeddings>(request_), out);
  return refused ? *refused : send_batch(out);
}

// Whole answers are gathered from a stream too: some models think only in one.
swy::Next Operation::start_chat(swy::Out& out) {
  const bool multimodal = settings_->is_multimodal(request_.model());
  const ChatBody body(request_, multimodal);
  const auto refused = refused_body(body.refusal(), body.losses(), out);
  if (refused) return *refused;
  schema_ = body.schema();
  if (!schema_.empty()) answer_.keep_text();
  identify();
  return send(multimodal ? kMultimodal : kText, body.pieces(), true, out);
}

swy::Next Operation::start_rerank(swy::Out& out) {
  swy::RerankBody body;
  write_rerank(request_, body);
  const auto refused = refused_body(body.refusal, body.losses, out);
  return refused ? *refused : send(kRerank, body.writer.pieces(), false, out);
}

swy::Next Operation::send(std::string_view path, const swy::Gather& body, bool streams,
                          swy::Out& out) {
  swy::begin_post(out, path, streams);
  out.auth("bearer");
  if (streams) out.header("x-dashscope-sse", "enable");
  out.body(body);
  return swy::Next::send();
}

swy::Next Operation::send_batch(swy::Out& out) {
  swy::Gather body;
  body.add(embeddings_->next_body());
  return send(kEmbeddings, body, false, out);
}

// ---- answers ----

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  const std::string_view data = event.data();
  if (status_ >= 300) return swy::refuse(out, read_refusal(status_, retry_after_ms_, data));
  if (event.name() == "error" || !json::is_null(json::find(data, "code"))) {
    return swy::refuse(out, read_refusal(200, retry_after_ms_, data));
  }
  if (chat_) return on_frame(data, out);
  if (request_.task() != "rerank") return on_embeddings(data, out);
  return end_rerank(rerank_answer(request_, data), list_usage(data), out);
}

swy::Next Operation::on_frame(std::string_view data, swy::Out& out) {
  const std::string_view output = json::find(data, "output");
  json::Cursor choices(json::find(output, "choices"));
  if (!json::valid(data) || !choices.array()) {
    return bad_answer("a frame of the answer has no choices");
  }
  const std::string_view id = json::inside(json::find(data, "request_id"));
  if (!id.empty() && !answer_.any()) {
    identify("chatcmpl-" + std::string(id));
  }
  note_usage(json::find(data, "usage"));
  const std::string_view sources = json::find_path(output, "search_info.search_results");
  if (json::type_of(sources) == 'a') sources_ = sources;
  for (std::int64_t i = 0; choices.element(); ++i) {
    const std::string_view choice = choices.value();
    const std::int64_t number = json::to_integer(json::find(choice, "index")).value_or(i);
    if (number < 0 || number >= swy::ChatAnswer::kChoicesMax) {
      return bad_answer("a choice's index is out of range");
    }
    on_choice(static_cast<unsigned>(number), choice, out);
  }
  return swy::Next::feed();
}

void Operation::on_choice(unsigned number, std::string_view choice, swy::Out& out) {
  const std::string_view message = json::find(choice, "message");
  answer_.open(out, number);
  answer_.thought(out, number, json::inside(json::find(message, "reasoning_content")));
  on_content(number, json::find(message, "content"), out);
  json::Cursor calls(json::find(message, "tool_calls"));
  if (calls.array()) {
    for (std::int64_t i = 0; calls.element(); ++i) on_call(number, calls.value(), i, out);
  }
  const std::string_view tokens = json::find_path(choice, "logprobs.content");
  if (json::type_of(tokens) == 'a' && tokens.size() > 2) {
    answer_.logprobs(out, number, tokens.substr(1, tokens.size() - 2));
  }
  const std::string_view reason = json::inside(json::find(choice, "finish_reason"));
  const std::string_view ours = finish_of(reason);
  if (ours.empty()) return;
  const bool called = std::any_of(calls_.begin(), calls_.end(),
                                  [number](const Call& call) { return call.choice == number; });
  answer_.finish(out, number, called && ours == "stop" ? "tool_calls" : ours, reason);
}

void Operation::on_content(unsigned number, std::string_view content, swy::Out& out) {
  json::Cursor parts(content);
  if (!parts.array()) return answer_.text(out, number, json::inside(content));
  while (parts.element()) {
    answer_.text(out, number, json::inside(json::find(parts.value(), "text")));
  }
}

// Later pieces of a call have its index, and an empty id and name.
void Operation::on_call(unsigned number, std::string_view call, std::int64_t place, swy::Out& out) {
  const std::int64_t index = json::to_integer(json::find(call, "index")).value_or(place);
  const std::string_view arguments = json::inside(json::find_path(call, "function.arguments"));
  auto known = std::find_if(calls_.begin(), calls_.end(), [&](const Call& each) {
    return each.choice == number && each.index == index;
  });
  if (known == calls_.end()) {
    const std::string id = call_id(json::inside(json::find(call, "id")), calls_.size());
    const std::string_view name = json::inside(json::find_path(call, "function.name"));
    Call begun{number, index, 0, id, std::string(name), {}};
    if (request_.stream()) begun.number = answer_.begin_call(out, number, id, name);
    known = calls_.insert(calls_.end(), std::move(begun));
  }
  if (request_.stream()) return answer_.arguments(out, number, known->number, arguments);
  known->arguments += arguments;
}

std::string Operation::call_id(std::string_view id, std::size_t number) const {
  if (!id.empty()) return std::string(id);
  return "call_" + swy::escaped(request_.id()) + "_" + std::to_string(number);
}

void Operation::put_calls(swy::Out& out) {
  if (request_.stream()) return;
  for (const Call& call : calls_) {
    const std::string arguments = json::unescape("\"" + call.arguments + "\"");
    answer_.whole_call(out, call.choice, call.id, call.name, {},
                       arguments.empty() ? std::string_view("{}") : arguments);
  }
}

// Only that the answer as a whole comes from there is known.
void Operation::put_sources(swy::Out& out) {
  json::Cursor sources(sources_);
  if (!sources.array()) return;
  while (sources.element()) {
    const std::string_view source = sources.value();
    const std::string_view url = json::inside(json::find(source, "url"));
    if (url.empty()) continue;
    answer_.url_citation(out, 0, 0, answer_.characters(0), url,
                         json::inside(json::find(source, "title")));
  }
}

void Operation::note_usage(std::string_view usage) {
  if (json::type_of(usage) != 'o') return;
  const auto count = [usage](std::string_view path) {
    return swy::ChatUsage::count(json::find_path(usage, path));
  };
  usage_.prompt = count("input_tokens");
  usage_.completion = count("output_tokens");
  usage_.cached = count("prompt_tokens_details.cached_tokens");
  usage_.cache_write = count("prompt_tokens_details.cache_creation_input_tokens");
  usage_.reasoning = count("output_tokens_details.reasoning_tokens");
  usage_.image_in = count("input_tokens_details.image_tokens");
  usage_.audio_in = count("input_tokens_details.audio_tokens");
}

swy::Next Operation::on_end(swy::Out& out) {
  if (status_ >= 300) return swy::refuse(out, read_refusal(status_, retry_after_ms_, {}));
  if (!chat_) return bad_answer("the upstream's answer is empty");
  if (!answer_.all_finished()) return bad_answer("the stream ended without finish_reason");
  if (!schema_.empty() && answer_.finish_of(0) == "stop") {
    const auto fault = misfit(schema_);
    if (fault) return *fault;
  }
  put_calls(out);
  put_sources(out);
  answer_.end(out, usage_);
  return swy::Next::done();
}

}  // namespace dashscope

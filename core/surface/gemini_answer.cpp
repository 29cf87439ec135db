#include "core/surface/gemini_answer.hpp"

#include <algorithm>
#include <iterator>

#include "core/surface/carried.hpp"

namespace switchyard::surface {

namespace json = swy::json;

namespace {

std::string_view status_name(unsigned status) {
  switch (status) {
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 405:
      return "UNIMPLEMENTED";
    case 409:
      return "ABORTED";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 502:
    case 503:
      return "UNAVAILABLE";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
  }
}

std::string_view finish_name(std::string_view finish_reason) {
  if (finish_reason == "length") return "MAX_TOKENS";
  return finish_reason == "content_filter" ? "SAFETY" : "STOP";
}

void add_part(std::string& parts, std::string_view part) {
  if (!parts.empty()) parts += ',';
  parts += part;
}

// What waited for a call to be whole: its arguments as an object.
std::string args_of(const std::string& arguments) {
  const std::string text = json::unescape("\"" + arguments + "\"");
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "{}";
  if (text[first] == '{' && json::valid(text)) return text;
  return R"({"arguments":)" + json::quoted(text) + "}";
}

// inlineData of a picture that is a data: URL; empty for any other.
std::string picture_part(std::string_view image) {
  const std::string url = json::to_text(json::find_path(image, "image_url.url")).value_or("");
  swy::DataUrl data;
  if (!swy::parse_data_url(url, data) || !data.base64) return {};
  return R"({"inlineData":{"mimeType":)" + json::quoted(data.mime) + R"(,"data":)" +
         json::quoted(data.data) + "}}";
}

// {"token","logProbability"}; false where it tells of no token.
bool put_logprob(json::Writer& writer, std::string_view entry) {
  const std::string_view token = json::find(entry, "token");
  const std::string_view logprob = json::find(entry, "logprob");
  if (json::type_of(token) != 's' || json::type_of(logprob) != 'n') return false;
  writer.open_object().key("token").raw(token).key("logProbability").raw(logprob).close_object();
  return true;
}

// A choice's tokens as `logprobsResult`; empty where nothing is told of any.
std::string logprobs_of(std::string_view tokens) {
  json::Cursor cursor(tokens);
  if (!cursor.array() || !json::valid(tokens)) return {};
  std::string chosen, top;
  json::Writer chosen_list(chosen), top_list(top);
  chosen_list.open_array();
  top_list.open_array();
  bool any = false;
  while (cursor.element()) {
    const std::string_view entry = cursor.value();
    if (!put_logprob(chosen_list, entry)) continue;
    any = true;
    top_list.open_object().key("candidates").open_array();
    json::Cursor others(json::find(entry, "top_logprobs"));
    if (others.array()) {
      while (others.element()) put_logprob(top_list, others.value());
    }
    top_list.close_array().close_object();
  }
  if (!any) return {};
  chosen_list.close_array();
  top_list.close_array();
  return R"({"topCandidates":)" + top + R"(,"chosenCandidates":)" + chosen + "}";
}

}  // namespace

std::string gemini_error(const exchange::Failure& failure) {
  std::string message = failure.message, code = failure.code, param = failure.param;
  if (json::valid(failure.error_json)) {
    message = json::to_text(json::find(failure.error_json, "message")).value_or(message);
    code = json::to_text(json::find(failure.error_json, "code")).value_or(code);
    param = json::to_text(json::find(failure.error_json, "param")).value_or(param);
  }
  std::string out;
  json::Writer writer(out);
  writer.open_object().key("error").open_object().key("code").natural(failure.status);
  writer.key("message").text(message).key("status").text(status_name(failure.status));
  writer.key("details").open_array();
  writer.open_object().key("@type").text("type.googleapis.com/google.rpc.ErrorInfo");
  writer.key("reason").text(code).key("domain").text("switchyard").close_object();
  if (!param.empty()) {
    writer.open_object().key("@type").text("type.googleapis.com/google.rpc.BadRequest");
    writer.key("fieldViolations").open_array().open_object().key("field").text(param);
    writer.key("description").text(message).close_object().close_array().close_object();
  }
  if (failure.retry_after_ms > 0) {
    writer.open_object().key("@type").text("type.googleapis.com/google.rpc.RetryInfo");
    writer.key("retryDelay").text(std::to_string((failure.retry_after_ms + 999) / 1000) + "s");
    writer.close_object();
  }
  writer.close_array().close_object().close_object();
  return out;
}

void GeminiAnswer::reset() {
  counts_ = ChatCounts();
  id_.clear();
  model_.clear();
  choices_.clear();
  pieces_ = 0;
  native_ = false;
}

GeminiAnswer::Choice& GeminiAnswer::choice_of(std::uint64_t index) {
  for (Choice& choice : choices_) {
    if (choice.index == index) return choice;
  }
  choices_.emplace_back().index = index;
  return choices_.back();
}

// ---- pieces ----

void GeminiAnswer::begin_piece(std::string& out) {
  if (!array_) {
    out += "data: ";
  } else {
    out += pieces_ == 0 ? "[" : ",\r\n";
  }
  ++pieces_;
}

void GeminiAnswer::end_piece(std::string& out) {
  if (!array_) out += "\n\n";
}

void GeminiAnswer::put_candidate(std::string& out, std::uint64_t index, std::string_view parts,
                                 std::string_view finish, std::string_view tokens) const {
  out.append(R"({"content":{"parts":[)").append(parts).append(R"(],"role":"model"})");
  const std::string logprobs = logprobs_of(tokens);
  if (!logprobs.empty()) out.append(R"(,"logprobsResult":)").append(logprobs);
  if (!finish.empty()) out.append(R"(,"finishReason":")").append(finish).append("\"");
  out.append(R"(,"index":)").append(std::to_string(index)).append("}");
}

void GeminiAnswer::put_tail(std::string& out, bool usage) const {
  if (usage) {
    json::Writer writer(out);
    out += R"(,"usageMetadata":)";
    writer.open_object().key("promptTokenCount").natural(counts_.prompt);
    writer.key("candidatesTokenCount")
        .natural(counts_.completion - std::min(counts_.completion, counts_.reasoning));
    if (counts_.reasoning > 0) writer.key("thoughtsTokenCount").natural(counts_.reasoning);
    if (counts_.cached > 0) writer.key("cachedContentTokenCount").natural(counts_.cached);
    writer.key("totalTokenCount").natural(counts_.prompt + counts_.completion).close_object();
  }
  out.append(R"(,"modelVersion":")").append(model_);
  out.append(R"(","responseId":")").append(id_).append("\"}");
}

void GeminiAnswer::native(std::string_view piece, std::string& out) {
  native_ = true;
  begin_piece(out);
  // Between an event's lines; JSON has none within a string.
  std::replace_copy(piece.begin(), piece.end(), std::back_inserter(out), '\n', ' ');
  end_piece(out);
}

// ---- what an answer says ----

void GeminiAnswer::add_detail(std::string_view entry, Choice& choice) {
  if (!json::valid(entry) || json::type_of(entry) != 'o') return;
  const std::int64_t index = json::to_integer(json::find(entry, "index")).value_or(0);
  const bool first = json::type_of(json::find(entry, "type")) == 's';
  if (!first && (choice.details.empty() || choice.details.back().index != index)) return;
  if (first) {
    Detail& fresh = choice.details.emplace_back();
    fresh.index = index;
    fresh.head = "{";
    json::Cursor cursor(entry);
    std::string_view name;
    cursor.object();
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      if (json::is(name, "text") || json::is(name, "signature")) continue;
      fresh.head += fresh.head.size() > 1 ? ",\"" : "\"";
      fresh.head.append(name).append("\":").append(value);
    }
  }
  Detail& detail = choice.details.back();
  const std::string_view text = json::find(entry, "text");
  detail.has_text |= json::type_of(text) == 's';
  json::append_inside(detail.text, json::inside(text));
  json::append_inside(detail.signature, json::inside(json::find(entry, "signature")));
}

// The blocks that a vendor wants back, as a list's elements.
std::string GeminiAnswer::details_of(const Choice& choice) {
  std::string list;
  for (const Detail& detail : choice.details) {
    if (!list.empty()) list += ',';
    list += detail.head;
    if (detail.has_text) list.append(R"(,"text":")").append(detail.text).append("\"");
    if (!detail.signature.empty()) {
      list.append(R"(,"signature":")").append(detail.signature).append("\"");
    }
    list += '}';
  }
  return list;
}

// Text and thoughts as parts; calls and blocks are kept.
void GeminiAnswer::take(const ChatChoice& from, Choice& to, bool whole, std::string& parts) {
  json::Cursor details(from.details);
  if (details.array()) {
    while (details.element()) add_detail(details.value(), to);
  }
  const auto put_text = [&parts](std::string_view value, std::string_view head) {
    const std::string_view inside = json::inside(value);
    if (inside.empty()) return;
    add_part(parts, head);
    parts += R"("text":")";
    json::append_inside(parts, inside);
    parts += "\"}";
  };
  if (shows_thoughts_) put_text(from.reasoning, R"({"thought":true,)");
  put_text(from.content, "{");
  put_text(from.refusal, "{");
  json::Cursor images(from.images);
  if (images.array()) {
    while (images.element()) {
      const std::string part = picture_part(images.value());
      if (!part.empty()) add_part(parts, part);
    }
  }
  json::Cursor calls(from.calls);
  if (calls.array()) {
    while (calls.element()) {
      ChatCall piece;
      piece.read(calls.value());
      if (whole) piece.index = to.calls.size();
      Call* call = nullptr;
      for (Call& each : to.calls) {
        if (each.index == piece.index) call = &each;
      }
      if (call == nullptr) {
        call = &to.calls.emplace_back();
        call->index = piece.index;
      }
      if (call->id.empty()) json::append_inside(call->id, piece.id);
      if (call->name.empty()) json::append_inside(call->name, piece.name);
      json::append_inside(call->arguments, piece.arguments);
      if (!piece.extra.empty() && json::valid(piece.extra)) call->extra = piece.extra;
    }
  }
  if (!from.finish_reason.empty()) to.finish = finish_name(from.finish_reason);
}

// Calls, and what has to come back with them; without a call a part of its own carries it.
std::string GeminiAnswer::call_parts(const Choice& choice) {
  std::string parts, details = details_of(choice);
  for (const Call& call : choice.calls) {
    std::string part = R"({"functionCall":{"id":")" + call.id + R"(","name":")" + call.name +
                       R"(","args":)" + args_of(call.arguments) + "}";
    if (!details.empty() || !call.extra.empty()) {
      std::string sealed = "{";
      if (!details.empty()) sealed += R"("details":[)" + details + "]";
      if (!details.empty() && !call.extra.empty()) sealed += ',';
      if (!call.extra.empty()) sealed += R"("extra_content":)" + call.extra;
      part += R"(,"thoughtSignature":")" + carry(sealed + "}") + "\"";
      details.clear();
    }
    add_part(parts, part + "}");
  }
  if (!details.empty()) {
    add_part(parts, R"({"text":"","thoughtSignature":")" +
                        carry(R"({"details":[)" + details + "]}") + "\"}");
  }
  return parts;
}

void GeminiAnswer::delta(std::string_view text, std::string& out) {
  if (!chunk_.read(text)) return;
  if (id_.empty() && model_.empty()) {
    json::append_inside(id_, chunk_.id);
    json::append_inside(model_, chunk_.model);
  }
  counts_.read(chunk_.usage);
  for (const ChatChoice& each : chunk_.choices) {
    parts_.clear();
    take(each, choice_of(each.index), false, parts_);
    // Some upstreams tell of tokens behind the text that they make.
    if (parts_.empty() && json::type_of(each.logprobs) == 'a') parts_ = R"({"text":""})";
    if (parts_.empty()) continue;
    begin_piece(out);
    out += R"({"candidates":[)";
    put_candidate(out, each.index, parts_, {}, each.logprobs);
    out += ']';
    put_tail(out, false);
    end_piece(out);
  }
}

void GeminiAnswer::end(const observe::Usage& usage, std::string& out) {
  if (!native_) {
    counts_.otherwise(usage);
    if (choices_.empty()) choice_of(0);
    begin_piece(out);
    out += R"({"candidates":[)";
    bool first = true;
    for (const Choice& choice : choices_) {
      if (!first) out += ',';
      first = false;
      std::string parts = call_parts(choice);
      if (parts.empty()) parts = R"({"text":""})";
      put_candidate(out, choice.index, parts, choice.finish.empty() ? "STOP" : choice.finish, {});
    }
    out += ']';
    put_tail(out, true);
    end_piece(out);
  }
  if (array_) out += pieces_ == 0 ? "[]" : "]";
}

void GeminiAnswer::fail(const exchange::Failure& failure, std::string& out) {
  begin_piece(out);
  out += gemini_error(failure);
  end_piece(out);
  if (array_) out += ']';
}

bool GeminiAnswer::whole(std::string_view answer, std::string& out) {
  if (!chunk_.read(answer) || chunk_.choices.empty()) return false;
  json::append_inside(id_, chunk_.id);
  json::append_inside(model_, chunk_.model);
  counts_.read(chunk_.usage);
  out += R"({"candidates":[)";
  bool first = true;
  for (const ChatChoice& each : chunk_.choices) {
    Choice& choice = choice_of(each.index);
    std::string parts;
    take(each, choice, true, parts);
    const std::string calls = call_parts(choice);
    if (!calls.empty()) add_part(parts, calls);
    if (parts.empty()) parts = R"({"text":""})";
    if (!first) out += ',';
    first = false;
    put_candidate(out, each.index, parts, choice.finish.empty() ? "STOP" : choice.finish,
                  each.logprobs);
  }
  out += ']';
  put_tail(out, true);
  return true;
}

bool GeminiEmbeddings::whole(std::string_view answer, std::string& out) {
  json::Cursor data(json::find(answer, "data"));
  std::string values;
  if (!data.array() || !json::valid(answer)) return false;
  while (data.element()) {
    const std::string_view embedding = json::find(data.value(), "embedding");
    if (json::type_of(embedding) != 'a') return false;
    add_part(values, R"({"values":)" + std::string(embedding) + "}");
    if (!batch_) break;
  }
  if (values.empty()) return false;
  out = batch_ ? R"({"embeddings":[)" + values + "]}" : R"({"embedding":)" + values + "}";
  return true;
}

}  // namespace switchyard::surface

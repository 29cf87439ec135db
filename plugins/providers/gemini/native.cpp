// Requests in Google's own dialect: the client's bytes, but for models' names and what the operator
// set. What the record wants to know is read on the way back.
#include <algorithm>
#include <vector>

#include "providers/gemini/translate.hpp"

namespace gemini {

namespace json = swy::json;

namespace {

std::string_view call_of(std::string_view task, bool stream, bool batch) {
  if (task == "count_tokens") return ":countTokens";
  if (task == "embeddings") return batch ? ":batchEmbedContents" : ":embedContent";
  return stream ? ":streamGenerateContent?alt=sse" : ":generateContent";
}

// Copies a body with another name wherever the client named the model.
class Renamer {
 public:
  Renamer(std::string_view body, std::string name) : body_(body), name_(std::move(name)) {}

  void rename(std::string_view object) {
    const std::string_view value = json::find(object, "model");
    if (json::type_of(value) != 's') return;
    names_.push_back(value);
  }
  // Members that the client did not give stand before the last brace.
  swy::Gather finish(std::string_view members) {
    swy::Gather pieces;
    std::size_t done = 0;
    const auto until = [&](std::size_t end) {
      pieces.add(body_.substr(done, end - done));
      done = end;
    };
    std::sort(names_.begin(), names_.end(),
              [](std::string_view a, std::string_view b) { return a.data() < b.data(); });
    for (const std::string_view old : names_) {
      until(static_cast<std::size_t>(old.data() - body_.data()));
      pieces.add(name_);
      done += old.size();
    }
    until(body_.rfind('}'));
    pieces.add(members);
    until(body_.size());
    return pieces;
  }

 private:
  std::string_view body_;
  std::string name_;
  std::vector<std::string_view> names_;
};

}  // namespace

std::string Operation::own_members() const {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty() || request_.find(name) != nullptr) return;
    const bool first = out.empty() && request_.member_count() == 0;
    out.append(first ? "" : ",").append(json::quoted(name)).append(":").append(value);
  };
  add("safetySettings", settings_->safety_settings);
  add("store", settings_->send_store ? "false" : "");
  return out;
}

swy::Next Operation::start_native(swy::Out& out) {
  const std::string_view requests = request_.value("requests");
  const bool batch = json::type_of(requests) == 'a';
  if (batch && settings_->vertex) {
    return swy::Next::fail({SWY_CLS_NOT_OFFERED, "Vertex embeds one text at a time"});
  }
  Renamer renamer(request_.body(), json::quoted("models/" + std::string(request_.model())));
  renamer.rename(request_.body());
  renamer.rename(request_.value("generateContentRequest"));
  json::Cursor each(requests);
  if (batch && each.array()) {
    while (each.element()) renamer.rename(each.value());
  }
  const std::string more = request_.task() == "chat" ? own_members() : std::string();
  begin(out, "POST", model_path(call_of(request_.task(), streaming_, batch)),
        streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.header("content-type", "application/json");
  out.body(renamer.finish(more));
  return swy::Next::send();
}

// Notes how a candidate ended; true where it says something.
bool Operation::read_native_candidate(std::string_view candidate, swy::Out& out) {
  bool content = false;
  json::Cursor parts(json::find_path(candidate, "content.parts"));
  if (parts.array()) {
    while (parts.element()) {
      content = true;
      called_ |= !json::find(parts.value(), "functionCall").empty();
    }
  }
  const std::string_view reason = json::inside(json::find(candidate, "finishReason"));
  if (reason.empty() || reason == "FINISH_REASON_UNSPECIFIED") return content;
  native_finished_ = true;
  out.finish_reason(finish_reason(reason, called_));
  return content;
}

swy::Next Operation::on_native(std::string_view data, swy::Out& out) {
  if (!json::valid(data) || json::type_of(data) != 'o') {
    return bad_answer("the upstream's answer is not a JSON object");
  }
  if (!json::is_null(json::find(data, "error"))) return refuse(data, out);
  note_usage(json::find(data, "usageMetadata"));
  if (usage_.any()) out.usage(usage_.json());
  if (request_.task() != "chat") {
    out.whole(data, SWY_EMIT_NATIVE);
    return swy::Next::done();
  }
  bool content = false;
  json::Cursor candidates(json::find(data, "candidates"));
  if (candidates.array()) {
    while (candidates.element()) content |= read_native_candidate(candidates.value(), out);
  }
  // A prompt that is refused has no candidate, and is a whole answer.
  if (!json::find_path(data, "promptFeedback.blockReason").empty()) {
    native_finished_ = true;
    out.finish_reason("content_filter");
  }
  if (streaming_) {
    out.delta(data, SWY_EMIT_NATIVE | (content ? SWY_EMIT_CONTENT : 0U));
    return swy::Next::feed();
  }
  if (!native_finished_) return bad_answer("the answer ended without a finishReason");
  out.whole(data, SWY_EMIT_NATIVE);
  return swy::Next::done();
}

}  // namespace gemini

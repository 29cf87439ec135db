// task_operation.hpp - what operations have in common that ask an upstream of a form of its own for
// a chat, embeddings or a rerank, and read its answer: derive from TaskOperation, say what to send
// and what answers mean.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_answer.hpp>
#include <switchyard/fault.hpp>
#include <switchyard/json_schema.hpp>
#include <switchyard/lists.hpp>
#include <switchyard/provider.hpp>
#include <utility>

namespace swy {

// A text as it stands between the quotes of a JSON string.
inline std::string escaped(std::string_view text) {
  std::string out;
  json::append_escaped(out, text);
  return out;
}

// Begins a request that posts JSON; its answer is a stream of events or one document.
inline void begin_post(Out& out, std::string_view path, bool streams) {
  out.begin("POST", path, streams ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.header("accept", streams ? "text/event-stream" : "application/json");
  out.header("content-type", "application/json");
}

class TaskOperation {
 public:
  virtual ~TaskOperation() = default;

  Next step(const Event& event, Out& out) {
    switch (event.kind()) {
      case SWY_EV_START:
        return start(out);
      case SWY_EV_HEAD:
        status_ = event.status();
        retry_after_ms_ = swy::retry_after_ms(event);
        return Next::feed();
      case SWY_EV_DATA:
        return on_data(event, out);
      case SWY_EV_END:
        return on_end(out);
      case SWY_EV_IOERR:
        return Next::fail({static_cast<std::int32_t>(event.status()), std::string(event.data())});
      case SWY_EV_CANCEL:
        return Next::done();
      default:
        return Next::unknown_event();
    }
  }

 protected:
  // created: seconds since 1970, for a chat's answer. format: as of ChatAnswer.
  TaskOperation(const Request& request, std::int64_t created, std::string_view format)
      : request_(request),
        chat_(request.task() == "chat"),
        streaming_(chat_ && request.stream()),
        answer_(request, created, format) {}
  TaskOperation(TaskOperation&&) = default;
  TaskOperation& operator=(TaskOperation&&) = default;

  virtual Next start(Out& out) = 0;
  // A whole answer, or an event of a stream.
  virtual Next on_data(const Event& event, Out& out) = 0;
  virtual Next on_end(Out& out) = 0;
  // Sends embeddings_->next_body().
  virtual Next send_batch(Out& out) = 0;

  Next bad_answer(std::string what) const {
    return Next::fail({SWY_CLS_BAD_ANSWER, std::move(what), status_});
  }
  Next not_offered(std::string_view vendor) const {
    return Next::fail({SWY_CLS_NOT_OFFERED,
                       std::string(vendor) + " does not offer " + std::string(request_.task())});
  }
  // The end where a body can't be written; else tells what it loses.
  static std::optional<Next> refused_body(const std::optional<Refusal>& refusal,
                                          const Losses& losses, Out& out) {
    if (refusal) return refuse(out, *refusal);
    losses.emit(out);
    return std::nullopt;
  }

  // ---- chat ----

  // The answer has `id`, or one made of the request's.
  void identify(std::string_view id = {}) {
    const std::string own = "chatcmpl-" + escaped(request_.id());
    answer_.identify(id.empty() ? own : std::string(id), escaped(request_.model()));
  }
  // The end where the whole text does not fit the schema that the model was told in words.
  std::optional<Next> misfit(std::string_view schema) const {
    const std::string said = json::unescape("\"" + std::string(answer_.text_of(0)) + "\"");
    const std::string fault = schema_fault(schema, said);
    if (fault.empty()) return std::nullopt;
    return bad_answer("the answer does not fit the JSON schema that was asked for: " + fault);
  }

  // ---- embeddings and rerank ----

  std::optional<Next> open_embeddings(std::unique_ptr<EmbeddingTask> task, Out& out) {
    embeddings_ = std::move(task);
    return refused_body(embeddings_->refusal(), embeddings_->losses(), out);
  }
  Next on_embeddings(std::string_view body, Out& out) {
    if (!embeddings_ || !embeddings_->take(body)) {
      return bad_answer("the answer has not one embedding for each text");
    }
    if (!embeddings_->complete()) return send_batch(out);
    out.usage(embeddings_->usage());
    out.whole(embeddings_->answer(), 0);
    return Next::done();
  }
  // Both empty where there is none.
  Next end_rerank(const std::string& answer, const std::string& usage, Out& out) const {
    if (answer.empty()) return bad_answer("the answer has no results of a rerank");
    if (!usage.empty()) out.usage(usage);
    out.whole(answer, 0);
    return Next::done();
  }

  Request request_;
  bool chat_, streaming_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
  ChatAnswer answer_;
  std::unique_ptr<EmbeddingTask> embeddings_;  // of that task
};

}  // namespace swy

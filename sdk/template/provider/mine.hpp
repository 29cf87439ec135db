// A provider for an API that takes {"model","messages","stream"} at /generate, and answers
// {"text","tokens"}, or a stream of {"text"} events that ends with {"tokens"}. Put your own API's
// words in the places marked HERE.
#pragma once

#include <switchyard/fault.hpp>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>

namespace mine {

namespace json = swy::json;

// One request: the host tells what happened, step() answers what to do next. It does no I/O.
class Operation {
 public:
  explicit Operation(const swy::Request& request) : request_(request) {}

  swy::Next step(const swy::Event& event, swy::Out& out) {
    switch (event.kind()) {
      case SWY_EV_START:
        return send(out);
      case SWY_EV_HEAD:
        status_ = event.status();
        return swy::Next::feed();
      case SWY_EV_DATA:
        if (status_ >= 400) return swy::Next::fail(refusal(event.data()));
        return request_.stream() ? on_piece(event.data(), out) : on_answer(event.data(), out);
      case SWY_EV_END:
        // HERE: what must have come before the answer counts as whole.
        if (complete_) return swy::Next::done();
        return swy::Next::fail({SWY_CLS_BAD_ANSWER, "the answer ended before it was complete"});
      case SWY_EV_IOERR:
        return swy::Next::fail(
            {static_cast<std::int32_t>(event.status()), std::string(event.data())});
      case SWY_EV_CANCEL:  // the client left; HERE: send a last request where your API can stop
        return swy::Next::done();
      default:
        return swy::Next::unknown_event();
    }
  }

 private:
  // HERE: the request, below the base_url of the configuration.
  swy::Next send(swy::Out& out) {
    out.begin("POST", "/generate", request_.stream() ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
    out.header("content-type", "application/json");
    out.auth("bearer");  // the host puts the key in; it is never seen here
    out.body(R"({"model":)" + json::quoted(request_.model()) + R"(,"messages":)" +
             std::string(request_.value("messages")) + R"(,"stream":)" +
             (request_.stream() ? "true}" : "false}"));
    return swy::Next::send();
  }

  // HERE: one event of a stream.
  swy::Next on_piece(std::string_view data, swy::Out& out) {
    const std::string_view text = json::find(data, "text"), tokens = json::find(data, "tokens");
    if (!text.empty()) {
      out.delta(chunk(R"({"role":"assistant","content":)" + std::string(text) + "}", "null"),
                SWY_EMIT_CONTENT);
    }
    if (!tokens.empty()) {
      report(tokens, out);
      out.delta(chunk("{}", R"("stop")"), 0);
      complete_ = true;
    }
    return swy::Next::feed();
  }

  // HERE: a whole answer.
  swy::Next on_answer(std::string_view data, swy::Out& out) {
    const std::string_view text = json::find(data, "text");
    if (!json::valid(data) || json::type_of(text) != 's') {
      return swy::Next::fail({SWY_CLS_BAD_ANSWER, "the answer is cut off, or has no text"});
    }
    report(json::find(data, "tokens"), out);
    out.whole(head("chat.completion") +
                  R"("choices":[{"index":0,"message":{"role":"assistant","content":)" +
                  std::string(text) + R"(},"finish_reason":"stop"}]})",
              0);
    complete_ = true;
    return swy::Next::feed();
  }

  // HERE: what a refusal means decides whether the host tries again, and where.
  swy::Error refusal(std::string_view body) const {
    const std::string text = json::to_text(json::find(body, "error")).value_or("no reason given");
    return {swy::class_of_status(status_), text, status_};
  }

  void report(std::string_view tokens, swy::Out& out) {
    if (!tokens.empty()) out.usage(R"({"completion_tokens":)" + std::string(tokens) + "}");
    out.finish_reason("stop");
  }
  std::string head(const char* object) const {
    return R"({"id":)" + json::quoted(request_.id()) + R"(,"object":")" + object +
           R"(","created":0,"model":)" + json::quoted(request_.model()) + ",";
  }
  std::string chunk(const std::string& delta, const char* finish) const {
    return head("chat.completion.chunk") + R"("choices":[{"index":0,"delta":)" + delta +
           R"(,"finish_reason":)" + finish + "}]}";
  }

  swy::Request request_;
  std::uint32_t status_ = 0;
  bool complete_ = false;
};

// One entry of the configuration. Parse settings in a static open(); this one has none.
class Provider {
 public:
  Operation start(const swy::Request& request) const { return Operation(request); }
};

}  // namespace mine

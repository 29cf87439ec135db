// A first plugin: answers each chat request itself, with what the user said last.
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>
namespace json = swy::json;

// The last user message, as the JSON string that it is.
static std::string last_said(std::string_view messages) {
  std::string_view said = R"("")";
  json::Cursor cursor(messages);
  for (bool more = cursor.array() && cursor.element(); more; more = cursor.element()) {
    const std::string_view message = cursor.value(), text = json::find(message, "content");
    if (json::find(message, "role") == R"("user")" && json::type_of(text) == 's') said = text;
  }
  return std::string(said);
}

struct Echo {
  struct Operation {
    swy::Request request;
    swy::Next step(const swy::Event& event, swy::Out& out) {
      if (event.kind() != SWY_EV_START) return swy::Next::unknown_event();
      const std::string object = request.stream() ? "chat.completion.chunk" : "chat.completion";
      const std::string head = R"({"id":"echo","object":")" + object + R"(","created":0,"model":)" +
                               json::quoted(request.model()) + R"(,"choices":[{"index":0,)";
      const std::string message =
          R"({"role":"assistant","content":)" + last_said(request.value("messages")) + "}";
      if (request.stream()) {
        out.delta(head + R"("delta":)" + message + R"(,"finish_reason":null}]})", SWY_EMIT_CONTENT);
        out.delta(head + R"("delta":{},"finish_reason":"stop"}]})", 0);
      } else {
        out.whole(head + R"("message":)" + message + R"(,"finish_reason":"stop"}]})", 0);
      }
      out.finish_reason("stop");
      return swy::Next::done();
    }
  };
  Operation start(const swy::Request& request) const { return {request}; }
};
SWY_PLUGIN("example.echo", "1.0.0", swy::provider<Echo>("echo", R"({"tasks":["chat"]})"));

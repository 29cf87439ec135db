// What tests of the surfaces share: canonical chunks, and events as a client reads them.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <vector>

namespace switchyard::surface {

namespace json = swy::json;

inline std::string chunk(const std::string& delta, const std::string& finish = "") {
  return R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795132800,"model":"m",)"
         R"("choices":[{"index":0,"delta":)" +
         delta + R"(,"finish_reason":)" + (finish.empty() ? "null" : "\"" + finish + "\"") + "}]}";
}

// A piece of a call; `arguments` as it stands between quotes.
inline std::string call(int index, const std::string& id, const std::string& name,
                        const std::string& arguments) {
  std::string head;
  if (!id.empty()) head = R"("id":")" + id + R"(","type":"function",)";
  const std::string function =
      name.empty() ? R"({"arguments":")" : R"({"name":")" + name + R"(","arguments":")";
  return chunk(R"({"tool_calls":[{"index":)" + std::to_string(index) + "," + head +
               R"("function":)" + function + arguments + "\"}}]}");
}

struct Event {
  std::string name, data;
};

// Server-sent events; one without a name has "".
inline std::vector<Event> events_of(std::string_view text) {
  std::vector<Event> events;
  while (!text.empty()) {
    const std::size_t end = text.find("\n\n");
    std::string_view block = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    Event event;
    while (!block.empty()) {
      const std::size_t line_end = std::min(block.find('\n'), block.size());
      const std::string_view line = block.substr(0, line_end);
      if (line.starts_with("event: ")) event.name = line.substr(7);
      if (line.starts_with("data: ")) event.data += line.substr(6);
      block.remove_prefix(std::min(line_end + 1, block.size()));
    }
    events.push_back(std::move(event));
  }
  return events;
}

}  // namespace switchyard::surface

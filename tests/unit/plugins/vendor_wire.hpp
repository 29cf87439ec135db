// Drives a provider's operation with the bytes of an upstream's answer, cut into events as the host
// cuts them.
#pragma once

#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <switchyard/testing.hpp>

#include "core/net/sse_decoder.hpp"

namespace vendor_wire {

using namespace swy::testing;

constexpr std::int64_t kNow = 1795132800;

inline std::string golden(const std::string& name) {
  const std::string path = std::string(SWITCHYARD_SOURCE_DIR) + "/tests/golden/" + name;
  std::ifstream file(path, std::ios::binary);
  if (!file) FAIL("no file " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// JSON without the white space between its tokens.
inline std::string compact(std::string_view json) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\') out += json[i++];
    if (quoted || (c != ' ' && c != '\n')) out += json[i];
  }
  return out;
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// One exchange: all that came out, and how it ended.
struct Ran {
  Recorder recorder;
  swy::Next last;

  std::vector<std::string> deltas() const { return recorder.all(SWY_EMIT_DELTA); }
  std::string dropped() const { return recorder.last(SWY_EMIT_DROPPED); }
  // What a client that lays the deltas of the first choice end to end has of one member.
  std::string said(std::string_view member) const {
    std::string text;
    for (const std::string& chunk : deltas()) {
      const auto piece = swy::json::to_text(
          swy::json::find(swy::json::find_path(chunk, "choices.0.delta"), member));
      if (piece) text += *piece;
    }
    return text;
  }
};

// Starts the operation and has its answer begin.
template <class Operation>
bool begin(Operation& operation, Ran& ran, unsigned status, const Headers& headers) {
  swy::Out out = ran.recorder.out();
  ran.last = operation.step(FakeEvent(SWY_EV_START).get(), out);
  if (ran.last.act != SWY_ACT_SEND) return false;
  ran.last = operation.step(FakeEvent(SWY_EV_HEAD).status(status).headers(headers).get(), out);
  return ran.last.act == SWY_ACT_FEED;
}

// The answer's body comes as a stream in the given slices, then ends.
template <class Operation>
void stream(Operation& operation, Ran& ran, const std::vector<std::string_view>& slices) {
  if (!begin(operation, ran, 200, {{"content-type", "text/event-stream"}})) return;
  swy::Out out = ran.recorder.out();
  switchyard::net::SseDecoder decoder;
  switchyard::net::SseEvent event;
  const auto give = [&] {
    ran.last = operation.step(
        FakeEvent(SWY_EV_DATA, std::string(event.data), std::string(event.name)).get(), out);
  };
  for (std::string_view slice : slices) {
    while (ran.last.act == SWY_ACT_FEED &&
           decoder.next(slice, event) == switchyard::net::SseDecoder::State::kEvent) {
      give();
    }
  }
  if (ran.last.act == SWY_ACT_FEED &&
      decoder.finish(event) == switchyard::net::SseDecoder::State::kEvent) {
    give();
  }
  if (ran.last.act == SWY_ACT_FEED) {
    ran.last = operation.step(FakeEvent(SWY_EV_END).get(), out);
  }
}

// The answer comes whole.
template <class Operation>
void whole(Operation& operation, Ran& ran, unsigned status, const std::string& body,
           const Headers& headers = {}) {
  if (!begin(operation, ran, status, headers)) return;
  swy::Out out = ran.recorder.out();
  ran.last = operation.step(FakeEvent(SWY_EV_DATA, body).get(), out);
  if (ran.last.act == SWY_ACT_FEED) ran.last = operation.step(FakeEvent(SWY_EV_END).get(), out);
}

}  // namespace vendor_wire

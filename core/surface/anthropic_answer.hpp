// Canonical answers as Anthropic's Messages API gives them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/surface/chat_chunk.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {

// {"type":"error","error":{...},"request_id"}; without an id that member is null.
std::string anthropic_error(const exchange::Failure& failure, std::string_view request_id);

// Blocks come one after the other, never two at a time: what belongs to a later call waits until
// the one before it is whole.
class AnthropicAnswer : public Answer {
 public:
  // shows_thinking: the client asked for it; else thinking is left out.
  explicit AnthropicAnswer(bool shows_thinking) : shows_thinking_(shows_thinking) {}

  void delta(std::string_view chunk, std::string& out) override;
  void native(std::string_view piece, std::string& out) override;
  void end(const observe::Usage& usage, std::string& out) override;
  void fail(const exchange::Failure& failure, std::string& out) override;
  bool whole(std::string_view answer, std::string& out) override;
  void reset() override;
  std::string_view keep_alive() const override {
    return "event: ping\ndata: {\"type\": \"ping\"}\n\n";
  }

 private:
  enum class Block { kNone, kText, kThinking, kCall };
  struct Call {
    std::uint64_t index = 0;
    std::string id, name, arguments, extra;
    std::size_t sent = 0;  // of the arguments
    bool begun = false, ended = false;
  };

  void start(std::string& out);
  void open_block(Block block, std::string_view content, std::string& out);
  void close_block(std::string& out);
  void put_delta(std::string_view type, std::string_view member, std::string_view inside,
                 std::string& out);
  void add_text(std::string_view value, std::string& out);
  void add_thinking(std::string_view value, std::string& out);
  void add_detail(std::string_view detail, std::string& out);
  void add_sealed(std::string_view content, std::string& out);
  void add_call(std::string_view entry, std::string& out);
  Call& call_of(std::uint64_t index);
  void begin_call(Call& call, std::string& out);
  void send_arguments(Call& call, std::string& out);
  void flush_calls(std::string& out);

  const bool shows_thinking_;
  ChatChunk chunk_;
  ChatCounts counts_;
  bool started_ = false, native_ = false;
  Block block_ = Block::kNone;
  unsigned index_ = 0;  // of the next block
  std::vector<Call> calls_;
  std::size_t open_call_ = 0;
  std::string stop_reason_, refusal_;
  // The open block of thinking: its number, what it says of itself, and its signature, escaped.
  std::int64_t detail_ = -1;
  std::string detail_head_, signature_;
};

}  // namespace switchyard::surface

// Canonical answers as OpenAI's Responses API gives them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/surface/chat_chunk.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {

// A failure as the `error` of a response.
std::string response_error(const exchange::Failure& failure);

// Items of text and of reasoning are closed before the next item begins; calls may be open side by
// side.
class ResponsesAnswer : public Answer {
 public:
  // echo: members of the answer that repeat the request, each with a comma behind it.
  // stored_as: the id by which the answer is stored; empty: it is not.
  explicit ResponsesAnswer(std::string echo, std::string stored_as = {})
      : echo_(std::move(echo)), stored_as_(std::move(stored_as)) {}

  void delta(std::string_view chunk, std::string& out) override;
  void native(std::string_view piece, std::string& out) override;
  void end(const observe::Usage& usage, std::string& out) override;
  void fail(const exchange::Failure& failure, std::string& out) override;
  bool whole(std::string_view answer, std::string& out) override;
  std::string_view stored() const override { return stored_; }
  std::string pending(std::uint64_t created_unix_s, std::string_view model) override;
  void reset() override;

 private:
  enum class Kind { kMessage, kReasoning, kCall };
  // A block of reasoning that its vendor wants back.
  struct Detail {
    std::int64_t index = 0;
    std::string head, text, signature;  // head: its other members, an object without its end
    bool has_text = false;
  };
  struct Item {
    Kind kind = Kind::kMessage;
    bool open = true;
    std::string id;                                    // once it is announced
    std::string text, refusal, logprobs, annotations;  // between quotes; elements
    bool text_part = false, refusal_part = false;
    std::vector<Detail> details;
    std::string sealed;  // encrypted content that is whole
    std::uint64_t call = 0;
    std::string call_id, name;
    bool custom = false;
  };

  void take(const ChatChoice& choice, std::string& out);
  void add_reasoning(const ChatChoice& choice, std::string& out);
  void add_detail(std::string_view entry, std::string& out);
  void add_text(std::string_view value, std::string_view logprobs, std::string& out);
  void add_refusal(std::string_view value, std::string& out);
  void add_annotations(std::string_view list, std::string& out);
  void add_call(std::string_view entry, std::string& out);

  std::size_t open_item(Kind kind, std::string& out);
  std::size_t current(Kind kind, std::string& out);
  void announce(std::size_t at, std::string& out);
  void close_item(std::size_t at, std::string& out);
  void close_plain(std::string& out);
  void open_part(std::size_t at, bool refusal, std::string& out);

  void begin(std::string& out, std::string_view type);
  void begin_at(std::string& out, std::string_view type, std::size_t at);
  std::string make_id(std::size_t at) const;
  std::string item_of(std::size_t at, bool done) const;
  static std::string text_part_of(const Item& item);
  static std::string refusal_part_of(const Item& item);
  static std::string sealed_of(const Item& item);
  void write_response(std::string& out, std::string_view status, std::string_view error) const;
  void take_identity();
  void put_response(std::string_view type, std::string_view status, std::string_view error,
                    std::string& out);
  std::string_view final_status() const;

  const std::string echo_, stored_as_;
  std::string stored_;
  ChatChunk chunk_;
  ChatCounts counts_;
  std::string id_, model_, created_ = "0";
  bool started_ = false, silent_ = false;  // silent: a whole answer, no events
  bool native_ = false;
  std::uint64_t sequence_ = 0;
  std::vector<Item> items_;
  std::string finish_;
};

}  // namespace switchyard::surface

// A canonical chat request as DashScope's own API wants it.
#pragma once

#include <optional>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <vector>

namespace dashscope {

// Writes the body in its constructor; it holds views into the request.
class ChatBody {
 public:
  // multimodal: content is a list of parts for this model, and may be more than text.
  ChatBody(const swy::Request& request, bool multimodal);
  ChatBody(const ChatBody&) = delete;
  ChatBody& operator=(const ChatBody&) = delete;

  const std::optional<swy::Refusal>& refusal() const { return refusal_; }
  swy::Gather pieces() const { return writer_.pieces(); }
  const swy::Losses& losses() const { return losses_; }
  // The schema that the model was told of in words, which the answer is held against; or empty.
  std::string_view schema() const { return schema_; }

 private:
  using Message = swy::ChatMessage;
  using Place = swy::Place;

  void refuse(std::string_view param, std::string message);
  void check_choices();
  void write();
  void write_messages();
  void write_message(const Message& message);
  void write_calls(const Message& message, const Place& here);
  void write_content(const Message& message, const Place& here);
  void write_part(std::string_view part, const Place& place);
  void write_media(std::string_view name, std::string_view url);
  void write_tools();
  void write_choice();
  void write_thinking();
  void write_format();
  void write_search();
  void write_as(std::string_view name, std::string_view upstream_name);
  void note_unknown();

  const swy::Request request_;
  const bool multimodal_;
  swy::BodyWriter writer_;
  swy::json::Writer& json_;
  swy::Losses losses_;
  std::optional<swy::Refusal> refusal_;
  std::vector<Message> messages_;
  std::string_view schema_;
};

}  // namespace dashscope

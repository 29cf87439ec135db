// A canonical chat request as version 2 of Cohere's API wants it.
#pragma once

#include <optional>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <vector>

namespace cohere {

// Writes the body in its constructor; it holds views into the request.
class ChatBody {
 public:
  explicit ChatBody(const swy::Request& request);
  ChatBody(const ChatBody&) = delete;
  ChatBody& operator=(const ChatBody&) = delete;

  const std::optional<swy::Refusal>& refusal() const { return refusal_; }
  swy::Gather pieces() const { return writer_.pieces(); }
  const swy::Losses& losses() const { return losses_; }

 private:
  using Message = swy::ChatMessage;
  using Place = swy::Place;

  void write();
  void write_messages();
  void write_message(const Message& message);
  void write_content(const Message& message, const Place& here);
  void write_part(std::string_view part, const Place& place);
  void write_calls(const Message& message, const Place& here);
  void write_tools();
  void write_choice();
  void write_thinking();
  void write_format();
  void write_stop();
  void write_as(std::string_view name, std::string_view upstream_name);
  void write_limited(std::string_view name, std::string_view upstream_name, double least,
                     double most);
  void note_unknown();

  const swy::Request request_;
  swy::BodyWriter writer_;
  swy::json::Writer& json_;
  swy::Losses losses_;
  std::optional<swy::Refusal> refusal_;
  std::vector<Message> messages_;
};

}  // namespace cohere

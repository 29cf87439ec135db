// A canonical chat request as version 1 of Baidu's API wants it: a system prompt apart, an odd
// number of messages that alternate, and functions of the form before there were tools.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <vector>

namespace wenxinworkshop {

// Writes the body in its constructor; it holds views into the request.
class ChatBody {
 public:
  explicit ChatBody(const swy::Request& request);
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
  // A message as it goes out; text is between quotes.
  struct Turn {
    std::string_view role;  // user, assistant, function
    std::string text;
    std::string_view call;  // the function's name, or the call itself, as JSON
  };

  void refuse(std::int32_t cls, std::string_view param, std::string message);
  void write();
  void read_turns();
  void take_message(const Message& message);
  void take_calls(const Message& message, const Place& here);
  void take_result(const Message& message, const Place& here);
  void add_text(std::string_view role, std::string text);
  std::string text_of(std::string_view content, const Place& place);
  void lose_rest(const Message& message, const Place& here);
  void write_turns();
  void write_functions();
  void write_format();
  void write_stop();
  void write_temperature();
  void write_as(std::string_view name, std::string_view upstream_name);
  void note_unknown();

  const swy::Request request_;
  swy::BodyWriter writer_;
  swy::json::Writer& json_;
  swy::Losses losses_;
  std::optional<swy::Refusal> refusal_;
  std::vector<Message> messages_;
  std::string system_;  // between quotes
  std::vector<Turn> turns_;
  std::vector<std::string_view> calls_;  // that wait for their results
  std::string_view schema_;
};

}  // namespace wenxinworkshop

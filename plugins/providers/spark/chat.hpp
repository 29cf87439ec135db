// A canonical chat request as Spark's one message: texts with a role, and functions of the form
// before there were tools.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <vector>

#include "providers/spark/settings.hpp"

namespace spark {

// Writes the message in its constructor; it holds views into the request.
class ChatBody {
 public:
  ChatBody(const swy::Request& request, const Address& address);
  ChatBody(const ChatBody&) = delete;
  ChatBody& operator=(const ChatBody&) = delete;

  const std::optional<swy::Refusal>& refusal() const { return refusal_; }
  swy::Gather pieces() const { return writer_.pieces(); }
  const swy::Losses& losses() const { return losses_; }
  // The schema that the model was told of in words, which the answer is held against; or empty.
  std::string_view schema() const { return schema_; }
  // How many tokens the answer may have; 0: not said.
  std::int64_t tokens_max() const;

 private:
  using Message = swy::ChatMessage;
  using Place = swy::Place;
  struct Turn {
    std::string_view role;  // system, user, assistant
    std::string text;       // between quotes
  };

  void refuse(std::int32_t cls, std::string_view param, std::string message);
  void read_turns();
  void take_message(const Message& message);
  void take_calls(const Message& message, const Place& here);
  void take_result(const Message& message, const Place& here);
  std::string text_of(std::string_view content, const Place& place);
  void lose_rest(const Message& message, const Place& here);
  void ask_for_format();
  void instruct(std::string_view words);
  void fold_system();
  void write();
  void write_user();
  void write_settings();
  void write_temperature();
  void write_top_k();
  void write_as(std::string_view name, std::string_view upstream_name);
  void write_turns();
  void write_functions();
  void write_function(std::string_view tool, const Place& here);
  void note_unknown();

  const swy::Request request_;
  const Address address_;
  swy::BodyWriter writer_;
  swy::json::Writer& json_;
  swy::Losses losses_;
  std::optional<swy::Refusal> refusal_;
  std::vector<Message> messages_;
  std::vector<Turn> turns_;
  std::string folded_;  // the system prompt of a model that knows no such role, between quotes
  std::vector<std::string_view> calls_;  // so far
  std::string_view schema_;
};

}  // namespace spark

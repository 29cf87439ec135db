// A canonical chat request as DashScope's own API wants it.
#pragma once

#include <string_view>
#include <switchyard/chat_body.hpp>

namespace dashscope {

// Writes the body in its constructor.
class ChatBody : public swy::ChatBodyBase {
 public:
  // multimodal: content is a list of parts for this model, and may be more than text.
  ChatBody(const swy::Request& request, bool multimodal);
  // The schema that the model was told of in words, which the answer is held against; or empty.
  std::string_view schema() const { return schema_; }

 private:
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

  const bool multimodal_;
  std::string_view schema_;
};

}  // namespace dashscope

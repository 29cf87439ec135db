// A canonical chat request as version 2 of Cohere's API wants it.
#pragma once

#include <string_view>
#include <switchyard/chat_body.hpp>

namespace cohere {

// Writes the body in its constructor.
class ChatBody : public swy::ChatBodyBase {
 public:
  explicit ChatBody(const swy::Request& request);

 private:
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
  void write_limited(std::string_view name, std::string_view upstream_name, double least,
                     double most);
  void note_unknown();
};

}  // namespace cohere

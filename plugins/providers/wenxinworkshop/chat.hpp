// A canonical chat request as version 1 of Baidu's API wants it: a system prompt apart, an odd
// number of messages that alternate, and functions of the form before there were tools.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/chat_body.hpp>
#include <vector>

namespace wenxinworkshop {

// Writes the body in its constructor.
class ChatBody : public swy::ChatBodyBase {
 public:
  explicit ChatBody(const swy::Request& request);
  // The schema that the model was told of in words, which the answer is held against; or empty.
  std::string_view schema() const { return schema_; }

 private:
  // A message as it goes out; text is between quotes.
  struct Turn {
    std::string_view role;  // user, assistant, function
    std::string text;
    std::string_view call;  // the function's name, or the call itself, as JSON
  };

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
  void write_temperature();
  void note_unknown();

  std::string system_;  // between quotes
  std::vector<Turn> turns_;
  std::vector<std::string_view> calls_;  // that wait for their results
  std::string_view schema_;
};

}  // namespace wenxinworkshop

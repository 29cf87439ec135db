// The messages of a chat request with what a dialect changes in them.
#pragma once

#include <forward_list>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>
#include <switchyard/pictures.hpp>
#include <vector>

#include "providers/openai/edits.hpp"
#include "providers/openai/rules.hpp"

namespace openai {

class MessageEditor {
 public:
  // All that is given outlives the editor.
  MessageEditor(const Rules& rules, std::string_view messages, swy::Losses& losses,
                const swy::Pictures* pictures = nullptr)
      : rules_(rules), messages_(messages), losses_(losses), pictures_(pictures) {}

  // A system message of the gateway's own, before all others.
  void instruct(const std::string& words);
  void edit();

  const std::vector<Edit>& edits() const { return edits_; }  // in order
  const std::optional<swy::Error>& refusal() const { return refusal_; }
  std::forward_list<std::string>& texts() { return own_; }  // that the edits point to

 private:
  struct Message {
    std::string_view role, content, calls, reasoning, details;
  };

  bool has_work();
  bool mentions_extensions() const;
  void edit_message(std::string_view message, std::int64_t index);
  static Message read(std::string_view message);
  void put_between(std::string_view before, std::size_t at);
  void edit_member(std::string_view name, std::string_view value, const Message& message,
                   const swy::Place& place);
  void edit_content(std::string_view content, const Message& message, const swy::Place& place);
  void join_text(std::string_view parts, const swy::Place& place);
  bool edit_part(std::string_view part);
  void check_part(std::string_view part, const swy::Place& message);
  void refuse_part(std::string_view what, const swy::Place& message);
  void edit_calls(std::string_view calls, const swy::Place& place);
  void put_call_id(std::string_view id);
  std::string missing_members(std::string_view message, const Message& read) const;
  static bool makes_calls(const Message& message);

  void replace(std::string_view part, std::string with) {
    replace(at(part), part.size(), std::move(with));
  }
  void replace(std::size_t from, std::size_t size, std::string with);
  std::size_t at(std::string_view part) const {
    return static_cast<std::size_t>(part.data() - messages_.data());
  }

  const Rules& rules_;
  std::string_view messages_;
  swy::Losses& losses_;
  const swy::Pictures* pictures_;
  std::vector<Edit> edits_;
  std::forward_list<std::string> own_;
  std::optional<swy::Error> refusal_;
  std::string previous_;     // role of the message before
  bool extensions_ = false;  // some that this API does not know may be there
};

// Takes the members of `object` out that this API lacks of `some`, and tells of them. `text` is
// what the edits are of.
template <std::size_t n>
void leave_out_extensions(const Rules& rules, const std::string_view (&some)[n],
                          std::string_view text, std::string_view object, const swy::Place& place,
                          std::vector<Edit>& edits, swy::Losses& losses) {
  MemberRemoval removal(edits);
  const auto start = static_cast<std::size_t>(object.data() - text.data());
  swy::json::Cursor cursor(object);
  std::string_view name;
  if (!cursor.object()) return;
  while (cursor.member(name)) {
    removal.begin(start + cursor.name_offset());
    const std::string_view value = cursor.value();
    if (!rules.lacks(some, name)) {
      removal.keep(start + cursor.offset());
      continue;
    }
    losses.add_unless_null(place, name, value);
    removal.remove(start + cursor.name_offset(), start + cursor.offset());
  }
}

// The id in nine letters and digits: itself where it is so, else always the same nine.
std::string nine_characters(std::string_view id);

}  // namespace openai

// A strict JSON reader that builds a tree; texts of numbers stay as they were written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace swy::check {

struct Member;

struct Value {
  char type = '0';   // as in swy_member
  std::string text;  // of a string, unescaped; of a number, as written
  std::vector<Value> items;
  std::vector<Member> members;

  bool is(char wanted) const { return type == wanted; }
  const Value* find(std::string_view name) const;
  // Of a member, where it is a string; else what is given.
  std::string text_of(std::string_view name, std::string_view otherwise = {}) const;
  bool true_at(std::string_view name) const;
  std::optional<std::int64_t> integer() const;
  std::optional<std::int64_t> integer_at(std::string_view name) const;
};

struct Member {
  std::string name;
  Value value;
};

// One value by RFC 8259: UTF-8, no name twice, at most 256 deep. On failure `why` says what stands
// where.
std::optional<Value> parse(std::string_view text, std::string& why);
std::string to_json(const Value& value);

bool is_utf8(std::string_view text);
// As text for a report: control characters and broken bytes escaped, long ones cut.
std::string shown(std::string_view text, std::size_t bytes_max = 120);

// The first place where `seen` is not what `expected` asks for, in words; empty where there is
// none. The string "*" in `expected` stands for anything.
std::string difference(const std::string& at, const Value& expected, const Value& seen);

}  // namespace swy::check

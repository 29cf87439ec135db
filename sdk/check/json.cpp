#include "json.hpp"

#include <algorithm>
#include <charconv>
#include <switchyard/json.hpp>

namespace swy::check {
namespace {

constexpr unsigned kDepthMax = 256;

class Reader {
 public:
  Reader(std::string_view text, std::string& why) : text_(text), why_(why) {}

  bool document(Value& value) {
    space();
    if (!read(value, 0)) return false;
    space();
    return at_ == text_.size() || fault("more after the value");
  }

 private:
  bool fault(const char* what) {
    if (why_.empty()) why_ = "byte " + std::to_string(at_) + ": " + what;
    return false;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void space() {
    while (at_ < text_.size() && json::detail::is_space(text_[at_])) ++at_;
  }
  bool word(std::string_view word, char type, Value& value) {
    if (text_.substr(at_, word.size()) != word) return fault("no value");
    at_ += word.size();
    value.type = type;
    return true;
  }

  bool read(Value& value, unsigned depth) {
    if (depth > kDepthMax) return fault("nested too deeply");
    if (at_ == text_.size()) return fault("the text ends too early");
    switch (peek()) {
      case '{':
        return object(value, depth);
      case '[':
        return array(value, depth);
      case '"':
        value.type = 's';
        return string(value.text);
      case 't':
        return word("true", 't', value);
      case 'f':
        return word("false", 'f', value);
      case 'n':
        return word("null", '0', value);
      default:
        return number(value);
    }
  }

  bool object(Value& value, unsigned depth) {
    value.type = 'o';
    ++at_;
    space();
    if (peek() == '}') return ++at_, true;
    for (;;) {
      Member member;
      if (peek() != '"') return fault("expected a name");
      if (!string(member.name)) return false;
      if (value.find(member.name)) return fault("a name that was there before");
      space();
      if (peek() != ':') return fault("expected a colon");
      ++at_;
      space();
      if (!read(member.value, depth + 1)) return false;
      value.members.push_back(std::move(member));
      space();
      if (peek() == '}') return ++at_, true;
      if (peek() != ',') return fault("expected a comma or a brace");
      ++at_;
      space();
    }
  }

  bool array(Value& value, unsigned depth) {
    value.type = 'a';
    ++at_;
    space();
    if (peek() == ']') return ++at_, true;
    for (;;) {
      if (!read(value.items.emplace_back(), depth + 1)) return false;
      space();
      if (peek() == ']') return ++at_, true;
      if (peek() != ',') return fault("expected a comma or a bracket");
      ++at_;
      space();
    }
  }

  bool string(std::string& out) {
    const std::size_t begin = at_++;
    for (;;) {
      if (at_ >= text_.size()) return fault("a string without an end");
      const char c = text_[at_];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) return fault("a control character in a string");
      if (c == '\\') {
        if (!escape()) return false;
        continue;
      }
      const std::size_t n = json::detail::utf8_length(text_.substr(at_));
      if (n == 0) return fault("invalid UTF-8");
      at_ += n;
    }
    ++at_;
    out = json::unescape(text_.substr(begin, at_ - begin));
    return true;
  }

  bool escape() {
    const char kind = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (kind == 'u') {
      if (json::detail::hex4(text_.substr(at_ + 2)) < 0) return fault("a bad escape");
      at_ += 6;
      return true;
    }
    if (kind == '\0' || std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos) {
      return fault("a bad escape");
    }
    at_ += 2;
    return true;
  }

  bool digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin || fault("expected a digit");
  }

  bool number(Value& value) {
    const std::size_t begin = at_;
    value.type = 'n';
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
    } else if (!digits()) {
      return false;
    }
    if (peek() == '.') {
      ++at_;
      if (!digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return false;
    }
    value.text = text_.substr(begin, at_ - begin);
    return true;
  }

  std::string_view text_;
  std::string& why_;
  std::size_t at_ = 0;
};

void write(const Value& value, std::string& out) {
  switch (value.type) {
    case 'o': {
      char before = '{';
      for (const auto& [name, member] : value.members) {
        out += before;
        json::append_string(out, name);
        out += ':';
        write(member, out);
        before = ',';
      }
      out += value.members.empty() ? "{}" : "}";
      break;
    }
    case 'a': {
      char before = '[';
      for (const Value& item : value.items) {
        out += before;
        write(item, out);
        before = ',';
      }
      out += value.items.empty() ? "[]" : "]";
      break;
    }
    case 's':
      json::append_string(out, value.text);
      break;
    case 'n':
      out += value.text;
      break;
    default:
      out += value.type == 't' ? "true" : value.type == 'f' ? "false" : "null";
  }
}

std::string unlike(const std::string& at, const Value& expected, const Value& seen) {
  return at + ": expected " + shown(to_json(expected)) + ", seen " + shown(to_json(seen));
}

std::string members_differ(const std::string& at, const Value& expected, const Value& seen) {
  for (const auto& [name, value] : expected.members) {
    const Value* other = seen.find(name);
    if (!other) return at + ": \"" + name + "\" is missing, expected " + shown(to_json(value));
    std::string found = difference(at + "." + name, value, *other);
    if (!found.empty()) return found;
  }
  for (const auto& [name, value] : seen.members) {
    if (!expected.find(name)) {
      return at + ": \"" + name + "\" is not expected, seen " + shown(to_json(value));
    }
  }
  return {};
}

std::string items_differ(const std::string& at, const Value& expected, const Value& seen) {
  const std::size_t both = std::min(expected.items.size(), seen.items.size());
  for (std::size_t i = 0; i < both; ++i) {
    std::string found =
        difference(at + "[" + std::to_string(i) + "]", expected.items[i], seen.items[i]);
    if (!found.empty()) return found;
  }
  if (expected.items.size() > both) {
    return at + "[" + std::to_string(both) + "]: expected " + shown(to_json(expected.items[both])) +
           ", seen nothing";
  }
  if (seen.items.size() > both) {
    return at + "[" + std::to_string(both) + "]: expected nothing, seen " +
           shown(to_json(seen.items[both]));
  }
  return {};
}

}  // namespace

const Value* Value::find(std::string_view name) const {
  for (const auto& [key, value] : members) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string Value::text_of(std::string_view name, std::string_view otherwise) const {
  const Value* value = find(name);
  return value && value->is('s') ? value->text : std::string(otherwise);
}

bool Value::true_at(std::string_view name) const {
  const Value* value = find(name);
  return value && value->is('t');
}

std::optional<std::int64_t> Value::integer() const {
  return is('n') ? json::to_integer(text) : std::nullopt;
}

std::optional<std::int64_t> Value::integer_at(std::string_view name) const {
  const Value* value = find(name);
  return value ? value->integer() : std::nullopt;
}

std::optional<Value> parse(std::string_view text, std::string& why) {
  why.clear();
  Value value;
  if (!Reader(text, why).document(value)) return std::nullopt;
  return value;
}

std::string to_json(const Value& value) {
  std::string out;
  write(value, out);
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = json::detail::utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string shown(std::string_view text, std::size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= bytes_max) return out + "...";
    const std::size_t n = json::detail::utf8_length(text);
    const auto c = static_cast<unsigned char>(text.front());
    if (n == 0 || c < 0x20 || c == 0x7f) {
      constexpr char kHex[] = "0123456789abcdef";
      if (c == '\n') {
        out += "\\n";
      } else {
        out += "\\x";
        out += kHex[c >> 4];
        out += kHex[c & 15U];
      }
      text.remove_prefix(1);
      continue;
    }
    out += text.substr(0, n);
    text.remove_prefix(n);
  }
  return out;
}

std::string difference(const std::string& at, const Value& expected, const Value& seen) {
  if (expected.is('s') && expected.text == "*") return {};
  if (expected.type != seen.type) return unlike(at, expected, seen);
  if (expected.is('o')) return members_differ(at, expected, seen);
  if (expected.is('a')) return items_differ(at, expected, seen);
  return expected.text == seen.text ? std::string() : unlike(at, expected, seen);
}

}  // namespace swy::check

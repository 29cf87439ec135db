// json.hpp - the little JSON that a plugin needs on its hot path: find members as views into the
// text, unescape, write.
//
// A Cursor walks one text forwards without a tree and without allocating. It checks the structure
// it walks over (brackets, quotes, commas, colons) and never reads past the end; inside a value
// that it skips it looks at quotes and brackets only. So text of an upstream may be garbage, but
// what passed here is not proven to be valid JSON.
#pragma once

#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace swy::json {

// Types as in swy_member: 'o' object, 'a' array, 's' string, 'n' number, 't', 'f', '0' null; 0
// where there is no value.
inline char type_of(std::string_view value) {
  if (value.empty()) return 0;
  switch (value.front()) {
    case '{':
      return 'o';
    case '[':
      return 'a';
    case '"':
      return 's';
    case 't':
    case 'f':
      return value.front();
    case 'n':
      return '0';
    default:
      return value.front() == '-' || (value.front() >= '0' && value.front() <= '9') ? 'n' : '\0';
  }
}
inline bool is_null(std::string_view value) { return value.empty() || value.front() == 'n'; }

namespace detail {

inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// The first quote or backslash of [p, end), or end.
inline const char* find_string_end(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const int hits = _mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, escape)));
    if (hits != 0) return p + std::countr_zero(static_cast<unsigned>(hits));
  }
#endif
  while (p != end && *p != '"' && *p != '\\') ++p;
  return p;
}

// The first quote or bracket of [p, end), or end. Square brackets become curly ones with bit 5 set.
inline const char* find_structure(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"'), open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}'),
                bit = _mm_set1_epi8(0x20);
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i curly = _mm_or_si128(bytes, bit);
    const __m128i brackets =
        _mm_or_si128(_mm_cmpeq_epi8(curly, open), _mm_cmpeq_epi8(curly, close));
    const int hits = _mm_movemask_epi8(_mm_or_si128(brackets, _mm_cmpeq_epi8(bytes, quote)));
    if (hits != 0) return p + std::countr_zero(static_cast<unsigned>(hits));
  }
#endif
  while (p != end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}') ++p;
  return p;
}

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

inline std::int32_t hex4(std::string_view s) {
  if (s.size() < 4) return -1;
  std::int32_t unit = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const int digit = hex_digit(s[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

inline void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0U | point >> 6);
    put(0x80U | (point & 0x3FU));
  } else if (point < 0x10000) {
    put(0xE0U | point >> 12);
    put(0x80U | (point >> 6 & 0x3FU));
    put(0x80U | (point & 0x3FU));
  } else {
    put(0xF0U | point >> 18);
    put(0x80U | (point >> 12 & 0x3FU));
    put(0x80U | (point >> 6 & 0x3FU));
    put(0x80U | (point & 0x3FU));
  }
}

// The length of the well-formed UTF-8 sequence at the front of `s`, 0 where there is none.
inline std::size_t utf8_length(std::string_view s) {
  const auto byte = [&s](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  // Over-long forms, surrogates, and what lies above U+10FFFF.
  if (first == 0xE0 && byte(1) < 0xA0) return 0;
  if (first == 0xED && byte(1) > 0x9F) return 0;
  if (first == 0xF0 && byte(1) < 0x90) return 0;
  if (first == 0xF4 && byte(1) > 0x8F) return 0;
  return n;
}

}  // namespace detail

// The text of a JSON string value, given with its quotes. A lone surrogate or a bad escape becomes
// U+FFFD.
inline std::string unescape(std::string_view value) {
  if (value.size() < 2) return {};
  std::string_view s = value.substr(1, value.size() - 2);
  std::string out;
  out.reserve(s.size());
  while (!s.empty()) {
    const std::size_t plain = s.find('\\');
    out.append(s.substr(0, plain));
    if (plain == std::string_view::npos) break;
    s.remove_prefix(plain + 1);
    if (s.empty()) break;
    const char kind = s.front();
    s.remove_prefix(1);
    if (kind != 'u') {
      constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
      const std::size_t at = kFrom.find(kind);
      if (at == std::string_view::npos) {
        detail::append_utf8(out, 0xFFFD);
      } else {
        out += kTo[at];
      }
      continue;
    }
    const std::int32_t unit = detail::hex4(s);
    if (unit < 0) {
      detail::append_utf8(out, 0xFFFD);
      continue;
    }
    s.remove_prefix(4);
    std::uint32_t point = static_cast<std::uint32_t>(unit);
    if (point >= 0xD800 && point < 0xE000) {
      const std::int32_t low =
          point < 0xDC00 && s.substr(0, 2) == "\\u" ? detail::hex4(s.substr(2)) : -1;
      if (low >= 0xDC00 && low < 0xE000) {
        point = 0x10000 + ((point - 0xD800) << 10) + (static_cast<std::uint32_t>(low) - 0xDC00);
        s.remove_prefix(6);
      } else {
        point = 0xFFFD;
      }
    }
    detail::append_utf8(out, point);
  }
  return out;
}

// Appends the inside of a JSON string; invalid UTF-8 becomes U+FFFD.
inline void append_escaped(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size() && static_cast<unsigned char>(text[plain]) >= 0x20 &&
           static_cast<unsigned char>(text[plain]) < 0x80 && text[plain] != '"' &&
           text[plain] != '\\') {
      ++plain;
    }
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    const char c = text.front();
    if (static_cast<unsigned char>(c) >= 0x80) {
      const std::size_t n = detail::utf8_length(text);
      out.append(n == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, n));
      text.remove_prefix(n == 0 ? 1 : n);
      continue;
    }
    constexpr std::string_view kFrom = "\"\\\b\f\n\r\t", kTo = "\"\\bfnrt";
    const std::size_t at = kFrom.find(c);
    if (at != std::string_view::npos) {
      out += '\\';
      out += kTo[at];
    } else {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15U];
    }
    text.remove_prefix(1);
  }
}

inline void append_string(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}
inline std::string quoted(std::string_view text) {
  std::string out;
  append_string(out, text);
  return out;
}

// Equality with a literal, its length known to the compiler: names are compared often.
template <std::size_t N>
inline bool is(std::string_view text, const char (&literal)[N]) {
  return text.size() == N - 1 && std::memcmp(text.data(), literal, N - 1) == 0;
}

// True where a name as it stands in a text (without quotes, maybe with escapes) is `name`.
inline bool same(std::string_view raw, std::string_view name) {
  if (raw.size() <= name.size()) return raw == name;
  if (raw.find('\\') == std::string_view::npos) return false;
  std::string quoted_name;
  quoted_name.append("\"").append(raw).append("\"");
  return unescape(quoted_name) == name;
}

// Walks one JSON text. After a false answer of object() or array() the cursor stands before the
// value, untouched.
//
//   json::Cursor c(text);
//   std::string_view name;
//   if (c.object()) {
//     while (c.member(name)) {
//       if (json::same(name, "usage")) usage = c.value(); else c.skip();
//     }
//   }
//   if (!c.ok()) ...;  // the text is broken
class Cursor {
 public:
  explicit Cursor(std::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  bool ok() const { return ok_; }
  std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }

  // Enters the object, or array, that stands here.
  bool object() { return enter('{'); }
  bool array() { return enter('['); }

  // Goes to the value of the next member; false behind the last one, the object is left then.
  // `raw_name` is given as the text has it, without quotes.
  bool member(std::string_view& raw_name) {
    if (!next('}')) return false;
    if (at_ == end_ || *at_ != '"') return broken();
    name_at_ = at_;
    if (!skip_string()) return false;
    raw_name = {name_at_ + 1, static_cast<std::size_t>(at_ - name_at_ - 2)};
    space();
    if (at_ == end_ || *at_ != ':') return broken();
    ++at_;
    return true;
  }
  // Where the name of the last member() stands, at its opening quote.
  std::size_t name_offset() const { return static_cast<std::size_t>(name_at_ - begin_); }

  // Goes to the next element; false behind the last one, the array is left then.
  bool element() { return next(']'); }

  // The type of the value that stands here, 0 where none does.
  char type() {
    space();
    return type_of({at_, static_cast<std::size_t>(at_ != end_ ? 1 : 0)});
  }

  // The value that stands here, which is passed over. Empty where the text is broken.
  std::string_view value() {
    space();
    const char* const first = at_;
    if (!pass_value()) return {};
    after_ = true;
    return {first, static_cast<std::size_t>(at_ - first)};
  }
  void skip() { (void)value(); }

  // True where nothing but white space is left.
  bool at_end() {
    space();
    return ok_ && at_ == end_;
  }

 private:
  bool broken() {
    ok_ = false;
    at_ = end_;
    return false;
  }

  void space() {
    while (at_ != end_ && detail::is_space(*at_)) ++at_;
  }

  bool enter(char open) {
    space();
    if (at_ == end_ || *at_ != open) return false;
    ++at_;
    after_ = false;
    return true;
  }

  // After a value a comma or the end must come; after an opening bracket an item or the end.
  bool next(char close) {
    space();
    if (at_ == end_) return broken();
    if (*at_ == close) {
      ++at_;
      after_ = true;
      return false;
    }
    if (after_) {
      if (*at_ != ',') return broken();
      ++at_;
      after_ = false;
      space();
      if (at_ == end_ || *at_ == close) return broken();
    }
    return true;
  }

  bool skip_string() {
    const char* p = at_ + 1;
    for (;;) {
      p = detail::find_string_end(p, end_);
      if (p == end_) return broken();
      if (*p == '"') break;
      if (end_ - p < 2) return broken();
      p += 2;
    }
    at_ = p + 1;
    return true;
  }

  bool pass_value() {
    if (at_ == end_) return broken();
    switch (*at_) {
      case '"':
        return skip_string();
      case '{':
      case '[':
        return skip_nested();
      case 't':
        return skip_word("true");
      case 'f':
        return skip_word("false");
      case 'n':
        return skip_word("null");
      default:
        return skip_number();
    }
  }

  bool skip_word(std::string_view word) {
    if (static_cast<std::size_t>(end_ - at_) < word.size() ||
        std::memcmp(at_, word.data(), word.size()) != 0) {
      return broken();
    }
    at_ += word.size();
    return true;
  }

  bool skip_number() {
    const char* const first = at_;
    while (at_ != end_ && ((*at_ >= '0' && *at_ <= '9') || *at_ == '-' || *at_ == '+' ||
                           *at_ == '.' || *at_ == 'e' || *at_ == 'E')) {
      ++at_;
    }
    return at_ != first || broken();
  }

  // Brackets are counted by kind of direction only: a text that mixes them up is caught where it is
  // walked.
  bool skip_nested() {
    std::size_t depth = 0;
    for (;;) {
      at_ = detail::find_structure(at_, end_);
      if (at_ == end_) return broken();
      if (*at_ == '"') {
        if (!skip_string()) return false;
        continue;
      }
      const bool opens = (*at_ | 0x20) == '{';
      ++at_;
      if (opens) {
        ++depth;
      } else if (--depth == 0) {
        return true;
      }
    }
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* name_at_ = nullptr;
  bool after_ = false;  // a value has ended here: a comma must come before the next
  bool ok_ = true;
};

// The value of a member of an object; empty where there is no such member or `object` is none.
inline std::string_view find(std::string_view object, std::string_view name) {
  Cursor cursor(object);
  std::string_view raw;
  if (!cursor.object()) return {};
  while (cursor.member(raw)) {
    const std::string_view value = cursor.value();
    if (same(raw, name)) return value;
  }
  return {};
}

// The n-th element of an array; empty where there is none.
inline std::string_view at(std::string_view array, std::size_t n) {
  Cursor cursor(array);
  if (!cursor.array()) return {};
  while (cursor.element()) {
    const std::string_view value = cursor.value();
    if (n-- == 0) return value;
  }
  return {};
}

// The value at a path of member names and array indices: "choices.0.usage".
inline std::string_view find_path(std::string_view text, std::string_view path) {
  while (!path.empty() && !text.empty()) {
    const std::size_t dot = path.find('.');
    const std::string_view step = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    Cursor probe(text);
    if (probe.type() == 'a') {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (error != std::errc() || end != step.data() + step.size()) return {};
      text = at(text, index);
    } else {
      text = find(text, step);
    }
  }
  return text;
}

// What a value holds, where it holds that.
inline std::optional<std::string> to_text(std::string_view value) {
  if (type_of(value) != 's') return std::nullopt;
  return unescape(value);
}
inline std::optional<std::int64_t> to_integer(std::string_view value) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) return std::nullopt;
  return number;
}
inline bool is_true(std::string_view value) { return value == "true"; }

namespace detail {

// Length of the escape at the front of `s`, which begins with a backslash; 0 where it is none.
inline std::size_t escape_length(std::string_view s) {
  if (s.size() < 2) return 0;
  if (s[1] == 'u') return hex4(s.substr(2)) < 0 ? 0 : 6;
  return std::string_view("\"\\/bfnrt").find(s[1]) == std::string_view::npos ? 0 : 2;
}

// True where `s` may stand between the quotes of a JSON string as it is.
inline bool sound_inside(std::string_view s) {
  while (!s.empty()) {
    const auto c = static_cast<unsigned char>(s.front());
    std::size_t n = 1;
    if (c == '\\') {
      n = escape_length(s);
    } else if (c >= 0x80) {
      n = utf8_length(s);
    } else if (c < 0x20 || c == '"') {
      n = 0;
    }
    if (n == 0) return false;
    s.remove_prefix(n);
  }
  return true;
}

// Checks one JSON text by RFC 8259, to the letter.
class Checker {
 public:
  explicit Checker(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool document(unsigned depth_max) {
    if (!value(depth_max)) return false;
    space();
    return at_ == end_;
  }

 private:
  void space() {
    while (at_ != end_ && is_space(*at_)) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view word) {
    if (static_cast<std::size_t>(end_ - at_) < word.size()) return false;
    if (std::memcmp(at_, word.data(), word.size()) != 0) return false;
    at_ += word.size();
    return true;
  }
  bool digits() {
    const char* const first = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ != first;
  }
  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (at_ != end_ && (*at_ | 0x20) == 'e') {
      ++at_;
      if (!take('+')) take('-');
      if (!digits()) return false;
    }
    return true;
  }
  bool string() {
    if (!take('"')) return false;
    const char* const first = at_;
    for (;;) {
      at_ = find_string_end(at_, end_);
      if (at_ == end_) return false;
      if (*at_ == '"') break;
      if (end_ - at_ < 2) return false;
      at_ += 2;
    }
    const std::string_view inside(first, static_cast<std::size_t>(at_ - first));
    ++at_;
    return sound_inside(inside);
  }
  bool items(char close, bool named, unsigned depth) {
    ++at_;
    space();
    if (take(close)) return true;
    do {
      space();
      if (named) {
        if (!string()) return false;
        space();
        if (!take(':')) return false;
      }
      if (!value(depth)) return false;
      space();
    } while (take(','));
    return take(close);
  }
  bool value(unsigned depth) {
    space();
    if (at_ == end_) return false;
    switch (*at_) {
      case '{':
        return depth > 0 && items('}', true, depth - 1);
      case '[':
        return depth > 0 && items(']', false, depth - 1);
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  const char* at_;
  const char* end_;
};

}  // namespace detail

// True for one JSON value by RFC 8259 and nothing beside it. For what comes from outside and goes
// into a document as it stands.
inline bool valid(std::string_view text, unsigned depth_max = 64) {
  return detail::Checker(text).document(depth_max);
}

// The text between the quotes of a string value; empty for every other value.
inline std::string_view inside(std::string_view value) {
  return type_of(value) == 's' && value.size() >= 2 ? value.substr(1, value.size() - 2)
                                                    : std::string_view();
}

// Appends what stood between the quotes of a JSON string: as it is, or mended where it was garbage.
inline void append_inside(std::string& out, std::string_view inside) {
  if (detail::sound_inside(inside)) {
    out += inside;
    return;
  }
  std::string quoted_inside;
  quoted_inside.append("\"").append(inside).append("\"");
  append_escaped(out, unescape(quoted_inside));
}

namespace detail {

// The length of the character (code point) at the front of the inside of a JSON string; a pair of
// escaped surrogates is one.
inline std::size_t character_length(std::string_view s) {
  if (s.front() != '\\') {
    std::size_t n = 1;
    while (n < s.size() && (static_cast<unsigned char>(s[n]) & 0xC0U) == 0x80U) ++n;
    return n;
  }
  if (s.size() < 6 || s[1] != 'u') return s.size() < 2 ? 1 : 2;
  const std::int32_t unit = hex4(s.substr(2));
  if (unit < 0xD800 || unit >= 0xDC00 || s.size() < 12 || s.substr(6, 2) != "\\u") return 6;
  const std::int32_t low = hex4(s.substr(8));
  return low >= 0xDC00 && low < 0xE000 ? 12 : 6;
}

}  // namespace detail

// How many characters (code points) the inside of a JSON string stands for.
inline std::size_t count_characters(std::string_view inside) {
  std::size_t n = 0;
  for (; !inside.empty(); ++n) inside.remove_prefix(detail::character_length(inside));
  return n;
}
// Its first n characters, or all of it.
inline std::string_view first_characters(std::string_view inside, std::size_t n) {
  std::size_t at = 0;
  for (; n > 0 && at < inside.size(); --n) at += detail::character_length(inside.substr(at));
  return inside.substr(0, at);
}

// True where the inside of a JSON string is white space, or nothing.
inline bool is_blank(std::string_view inside) {
  while (!inside.empty()) {
    std::size_t n = 1;
    if (inside.front() == '\\') {
      if (inside.size() < 2 || std::string_view("nrt").find(inside[1]) == std::string_view::npos) {
        return false;
      }
      n = 2;
    } else if (!detail::is_space(inside.front())) {
      return false;
    }
    inside.remove_prefix(n);
  }
  return true;
}

// Appends JSON to a string; puts the commas, trusts its caller with the rest.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  Writer& open_object() { return open('{'); }
  Writer& close_object() { return close('}'); }
  Writer& open_array() { return open('['); }
  Writer& close_array() { return close(']'); }
  Writer& key(std::string_view name) {
    comma();
    append_string(out_, name);
    out_ += ':';
    first_ = true;
    return *this;
  }
  Writer& text(std::string_view value) {
    comma();
    append_string(out_, value);
    return *this;
  }
  // A value that is JSON already.
  Writer& raw(std::string_view json) {
    comma();
    out_ += json;
    return *this;
  }
  Writer& integer(std::int64_t value) { return number(value); }
  Writer& natural(std::uint64_t value) { return number(value); }
  Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
  Writer& null() { return raw("null"); }

 private:
  Writer& open(char bracket) {
    comma();
    out_ += bracket;
    first_ = true;
    return *this;
  }
  Writer& close(char bracket) {
    out_ += bracket;
    first_ = false;
    return *this;
  }
  void comma() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  template <class N>
  Writer& number(N value) {
    comma();
    char digits[24];
    const auto result = std::to_chars(digits, digits + sizeof digits, value);
    out_.append(digits, result.ptr);
    return *this;
  }

  std::string& out_;
  bool first_ = true;
};

}  // namespace swy::json

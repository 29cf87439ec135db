#include "core/base/json_scan.hpp"

#include <algorithm>
#include <bitset>
#include <cstdint>

#include "core/base/scan_bytes.hpp"

namespace switchyard {
namespace {

// Room for as many is taken at once.
constexpr std::size_t kMembersUsual = 12;

constexpr unsigned char byte(char c) { return static_cast<unsigned char>(c); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char folded = lower(c);
  return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
}

// Four hex digits at p, or -1.
int hex4(const char* p, const char* end) {
  if (end - p < 4) return -1;
  int unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_value(p[i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

constexpr bool is_high_surrogate(int unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
constexpr bool is_low_surrogate(int unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

constexpr bool is_trail(char c) { return (byte(c) & 0xC0) == 0x80; }

// How many bytes the well-formed UTF-8 sequence at p takes (Unicode table 3-7), 0 where there is
// none. p < end.
std::size_t utf8_size(const char* p, const char* end) {
  const unsigned char lead = byte(*p);
  const auto left = end - p;
  if (lead < 0x80) return 1;
  if (lead < 0xE0) return lead >= 0xC2 && left >= 2 && is_trail(p[1]) ? 2 : 0;
  if (lead < 0xF0) {
    if (left < 3 || !is_trail(p[1]) || !is_trail(p[2])) return 0;
    if (lead == 0xE0 && byte(p[1]) < 0xA0) return 0;  // overlong
    if (lead == 0xED && byte(p[1]) > 0x9F) return 0;  // a surrogate
    return 3;
  }
  if (lead > 0xF4 || left < 4 || !is_trail(p[1]) || !is_trail(p[2]) || !is_trail(p[3])) return 0;
  if (lead == 0xF0 && byte(p[1]) < 0x90) return 0;  // overlong
  if (lead == 0xF4 && byte(p[1]) > 0x8F) return 0;  // above U+10FFFF
  return 4;
}

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xC0 | code >> 6));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | code >> 12));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | code >> 18));
    out.push_back(static_cast<char>(0x80 | (code >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

// Walks the text; each step leaves `p` behind what it took, or at the byte that can't be there with
// `what` set.
struct Scanner {
  const char* p;
  const char* end;
  const char* what = nullptr;

  bool fail(const char* why) {
    what = why;
    return false;
  }
  bool fail_here(const char* why) { return fail(p == end ? "unexpected end" : why); }

  void skip_space() {
    while (p != end && byte(*p) <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
      ++p;
  }

  bool literal(std::string_view word) {
    for (const char c : word) {
      if (p == end || *p != c) return fail_here("unexpected byte");
      ++p;
    }
    return true;
  }

  bool digits() {
    if (p == end || !is_digit(*p)) return fail_here("bad number");
    while (p != end && is_digit(*p)) ++p;
    return true;
  }

  bool number() {
    if (*p == '-') ++p;
    if (p != end && *p == '0') {
      ++p;
      if (p != end && is_digit(*p)) return fail("number with a leading zero");
    } else if (!digits()) {
      return false;
    }
    if (p != end && *p == '.') {
      ++p;
      if (!digits()) return false;
    }
    if (p != end && (*p == 'e' || *p == 'E')) {
      ++p;
      if (p != end && (*p == '+' || *p == '-')) ++p;
      if (!digits()) return false;
    }
    return true;
  }

  // Behind the 'u' of an escape.
  bool unicode_escape() {
    const int unit = hex4(p, end);
    if (unit < 0) return fail(end - p < 4 ? "unexpected end" : "bad escape");
    if (is_low_surrogate(unit)) return fail("lone surrogate");
    p += 4;
    if (!is_high_surrogate(unit)) return true;
    if (end - p >= 2 && p[0] == '\\' && p[1] == 'u' && is_low_surrogate(hex4(p + 2, end))) {
      p += 6;
      return true;
    }
    return fail("lone surrogate");
  }

  bool escape() {
    ++p;  // the backslash
    if (p == end) return fail("unexpected end");
    switch (*p) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        ++p;
        return true;
      case 'u':
        ++p;
        return unicode_escape();
      default:
        return fail("bad escape");
    }
  }

  // From the opening quote to behind the closing one.
  bool string(bool& escaped) {
    escaped = false;
    ++p;
    for (;;) {
      p = find_string_special(p, end);
      if (p == end) return fail("unexpected end");
      if (*p == '"') {
        ++p;
        return true;
      }
      if (*p == '\\') {
        escaped = true;
        if (!escape()) return false;
        continue;
      }
      if (byte(*p) < 0x20) return fail("control byte in a string");
      // Text above ASCII comes in runs.
      do {
        const std::size_t size = utf8_size(p, end);
        if (size == 0) return fail("invalid UTF-8");
        p += size;
      } while (p != end && byte(*p) >= 0x80);
    }
  }

  // A value that holds no others; gives its type, or 0.
  char scalar() {
    bool escaped = false;
    switch (*p) {
      case '"':
        return string(escaped) ? 's' : '\0';
      case 't':
        return literal("true") ? 't' : '\0';
      case 'f':
        return literal("false") ? 'f' : '\0';
      case 'n':
        return literal("null") ? '0' : '\0';
      default:
        if (*p == '-' || is_digit(*p)) return number() ? 'n' : '\0';
        fail("unexpected byte");
        return '\0';
    }
  }
};

}  // namespace

void JsonIndex::begin_member(std::string_view quoted_name, bool escaped) {
  swy_member member{};
  member.at = static_cast<std::uint64_t>(quoted_name.data() - text_.data());
  if (escaped) {
    unescaped_.push_front(json_unescape(quoted_name));
    member.name = to_swy(unescaped_.front());
  } else {
    member.name = to_swy(quoted_name.substr(1, quoted_name.size() - 2));
  }
  members_.push_back(member);
}

void JsonIndex::end_member(std::size_t offset, char type) {
  members_.back().value_n = offset - members_.back().value_at;
  members_.back().type = byte(type);
}

Result<void, JsonScanError> JsonIndex::scan(std::string_view text, unsigned depth_max) {
  text_ = text;
  members_.clear();
  if (members_.capacity() == 0) members_.reserve(kMembersUsual);
  unescaped_.clear();
  depth_max = std::min(depth_max, kDepthCap);

  Scanner scanner{text.data(), text.data() + text.size()};
  const auto offset = [&] { return static_cast<std::size_t>(scanner.p - text.data()); };
  const auto error = [&](const char* what) {
    members_.clear();
    return JsonScanError{offset(), what};
  };

  enum class Expect { kValue, kFirst, kName, kAfter };
  Expect expect = Expect::kValue;
  std::bitset<kDepthCap + 1> objects;  // by depth: an object, else an array
  unsigned depth = 0;
  bool object = false;  // objects[depth]

  for (;;) {
    scanner.skip_space();
    if (scanner.p == scanner.end) return error("unexpected end");
    const char c = *scanner.p;
    switch (expect) {
      case Expect::kValue: {
        if (depth == 0 && c != '{') return error("not an object");
        if (depth == 1) members_.back().value_at = offset();
        if (c == '{' || c == '[') {
          if (depth == depth_max) return error("nested too deeply");
          object = c == '{';
          objects[++depth] = object;
          ++scanner.p;
          expect = Expect::kFirst;
          continue;
        }
        const char type = scanner.scalar();
        if (type == 0) return error(scanner.what);
        if (depth == 1) end_member(offset(), type);
        expect = Expect::kAfter;
        continue;
      }
      case Expect::kName: {
        if (c != '"') return error("expected a member name");
        const std::size_t at = offset();
        bool escaped = false;
        if (!scanner.string(escaped)) return error(scanner.what);
        if (depth == 1) {
          if (members_.size() == kMembersMax) return error("too many members");
          begin_member(text.substr(at, offset() - at), escaped);
        }
        scanner.skip_space();
        if (scanner.p == scanner.end) return error("unexpected end");
        if (*scanner.p != ':') return error("expected ':'");
        ++scanner.p;
        expect = Expect::kValue;
        continue;
      }
      case Expect::kFirst:
        if (c != (object ? '}' : ']')) {
          expect = object ? Expect::kName : Expect::kValue;
          continue;
        }
        break;
      case Expect::kAfter:
        if (c == ',') {
          ++scanner.p;
          expect = object ? Expect::kName : Expect::kValue;
          continue;
        }
        if (c != (object ? '}' : ']'))
          return error(object ? "expected ',' or '}'" : "expected ',' or ']'");
        break;
    }

    // A container ends, and so does the value that it is.
    ++scanner.p;
    const char type = object ? 'o' : 'a';
    --depth;
    if (depth == 0) break;
    if (depth == 1) end_member(offset(), type);
    object = objects[depth];
    expect = Expect::kAfter;
  }
  scanner.skip_space();
  if (scanner.p != scanner.end) return error("text behind the object");
  return {};
}

const swy_member* JsonIndex::find(std::string_view name) const {
  for (const swy_member& member : members_)
    if (view(member.name) == name) return &member;
  return nullptr;
}

std::string_view JsonIndex::duplicate(std::span<const std::string_view> guarded) const {
  const auto folds_to = [](std::string_view name, std::string_view lower_case) {
    if (name.size() != lower_case.size()) return false;
    return std::equal(name.begin(), name.end(), lower_case.begin(),
                      [](char a, char b) { return lower(a) == b; });
  };
  for (const std::string_view name : guarded) {
    bool seen = false;
    for (const swy_member& member : members_) {
      if (!folds_to(view(member.name), name)) continue;
      if (seen) return view(member.name);
      seen = true;
    }
  }
  return {};
}

std::string json_unescape(std::string_view value) {
  std::string out;
  if (value.size() < 2) return out;
  const char* p = value.data() + 1;
  const char* const end = value.data() + value.size() - 1;
  out.reserve(static_cast<std::size_t>(end - p));
  while (p != end) {
    const char* const stop = std::find(p, end, '\\');
    out.append(p, stop);
    p = stop;
    if (end - p < 2) break;
    ++p;
    switch (*p++) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        const int high = hex4(p, end);
        if (high < 0) return out;
        p += 4;
        if (!is_high_surrogate(high)) {
          append_utf8(out, static_cast<unsigned>(high));
          break;
        }
        const int low = end - p >= 6 ? hex4(p + 2, end) : -1;
        if (low < 0) return out;
        p += 6;
        append_utf8(out, 0x10000u + (static_cast<unsigned>(high - 0xD800) << 10) +
                             static_cast<unsigned>(low - 0xDC00));
        break;
      }
      default:  // a quote, a backslash or a slash
        out.push_back(p[-1]);
        break;
    }
  }
  return out;
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    const char* const stop = find_string_special(p, end);
    out.append(p, stop);
    p = stop;
    if (p == end) break;
    const unsigned char c = byte(*p);
    if (c >= 0x80) {
      const std::size_t size = utf8_size(p, end);
      out.append(size != 0 ? std::string_view(p, size) : std::string_view("\xEF\xBF\xBD"));
      p += std::max<std::size_t>(size, 1);
      continue;
    }
    ++p;
    switch (c) {
      case '"':
        out.append("\\\"");
        break;
      case '\\':
        out.append("\\\\");
        break;
      case '\n':
        out.append("\\n");
        break;
      case '\r':
        out.append("\\r");
        break;
      case '\t':
        out.append("\\t");
        break;
      default:
        out.append("\\u00");
        out.push_back(kHex[c >> 4]);
        out.push_back(kHex[c & 15]);
        break;
    }
  }
  out.push_back('"');
}

}  // namespace switchyard

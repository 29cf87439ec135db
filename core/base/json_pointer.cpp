#include "core/base/json_pointer.hpp"

#include <charconv>
#include <string>
#include <switchyard/json.hpp>

#include "core/base/json_scan.hpp"

namespace switchyard {
namespace {

std::string unescape_token(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size()) {
      out += token[++i] == '1' ? '/' : '~';
    } else {
      out += token[i];
    }
  }
  return out;
}

std::string_view element(std::string_view array, std::string_view token) {
  std::size_t index = 0;
  const auto [end, fault] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (fault != std::errc() || end != token.data() + token.size()) return {};
  return swy::json::at(array, index);
}

}  // namespace

std::string_view json_at(std::string_view text, std::string_view pointer) {
  JsonIndex whole;
  if (!whole.scan(text)) return {};
  if (!pointer.empty() && pointer.front() != '/') return {};
  std::string_view value = text;
  while (!pointer.empty() && !value.empty()) {
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    const std::string_view token = pointer.substr(0, end);
    pointer.remove_prefix(end);
    const char type = swy::json::Cursor(value).type();
    if (type == 'o') {
      value = swy::json::find(value, unescape_token(token));
    } else if (type == 'a') {
      value = element(value, token);
    } else {
      value = {};
    }
  }
  return value;
}

}  // namespace switchyard

#include "core/exchange/loss.hpp"

#include <switchyard/json.hpp>

namespace switchyard::exchange {
namespace {

constexpr std::size_t kListMax = 1024;

void append_encoded(std::string& out, std::string_view pointer) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : pointer) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7f && c != '%' && c != ',') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace

bool append_dropped(std::string& list, std::string_view report) {
  swy::json::Cursor cursor(report);
  if (!cursor.array()) return false;
  while (cursor.element()) {
    const auto pointer = swy::json::to_text(cursor.value());
    if (!pointer) return false;
    if (list.ends_with("...")) continue;
    std::string next = list.empty() ? "" : ", ";
    append_encoded(next, *pointer);
    list += list.size() + next.size() + 5 <= kListMax ? next : ", ...";
  }
  return cursor.at_end();
}

}  // namespace switchyard::exchange

#include "core/cli/terminal.hpp"

#include <algorithm>

namespace switchyard::cli {

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

int fail(const Streams& streams, const std::string& message) {
  streams.err << message << '\n';
  return 1;
}

int misuse(const Streams& streams, const std::string& message, const char* usage) {
  streams.err << message << '\n' << usage;
  return 2;
}

void print_table(const std::vector<std::vector<std::string>>& lines, std::ostream& out) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += line[i] + std::string(widths[i] - line[i].size() + 2, ' ');
    }
    out << printable(text.substr(0, text.find_last_not_of(' ') + 1)) << '\n';
  }
}

}  // namespace switchyard::cli

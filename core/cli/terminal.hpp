// What commands say: results for people and programs, and why something did not work.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace switchyard::cli {

struct Streams {
  std::ostream& out;
  std::ostream& err;
};

// Their answers are exit statuses: 1 where it failed, 2 where it was called wrongly.
int fail(const Streams& streams, const std::string& message);
int misuse(const Streams& streams, const std::string& message, const char* usage);

// Without control characters: what clients wrote must not move the terminal's cursor.
std::string printable(std::string text);
// Columns as wide as their widest cell; the first line is the head, and each has as many cells.
void print_table(const std::vector<std::vector<std::string>>& lines, std::ostream& out);

}  // namespace switchyard::cli

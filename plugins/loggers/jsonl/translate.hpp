// A finished request's record as one line of JSON. README.md lists the names.
#pragma once

#include <string>
#include <switchyard/logger.hpp>

namespace jsonl {

// Appends the line, with its line feed.
void append_line(std::string& out, const swy_rec& record);

}  // namespace jsonl

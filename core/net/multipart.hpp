// multipart/form-data (RFC 7578) as clients upload it: strict, over a body that is whole.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::net {

struct FormPart {
  std::string name;
  std::string filename;      // of a file; may be empty
  bool is_file = false;      // a filename was given
  std::string content_type;  // empty where none was given
  std::string_view data;     // a view into the body
};

// The boundary that a content-type names. Empty where it is not multipart/form-data at all; an
// error where it is, and not rightly.
Result<std::string> multipart_boundary(std::string_view content_type);

// The parts of a body in their order: at most 128, their heads at most 8 KiB each, names at most
// 256 and file names at most 1024 bytes. Any doubt is an error, which says what and at which part.
Result<std::vector<FormPart>> parse_multipart(std::string_view body, std::string_view boundary);

}  // namespace switchyard::net

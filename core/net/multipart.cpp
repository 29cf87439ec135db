#include "core/net/multipart.hpp"

#include <algorithm>
#include <optional>

#include "core/net/http1.hpp"
#include "core/net/text.hpp"

namespace switchyard::net {
namespace {

constexpr std::size_t kPartsMax = 128, kHeadMax = 8 * 1024, kNameMax = 256, kFilenameMax = 1024;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// One "; name=value" off the front; the value unquoted, a backslash standing before a quote or
// another backslash only (browsers write %22 and leave backslashes alone).
struct Parameter {
  std::string name, value;
};

std::optional<Parameter> take_parameter(std::string_view& text) {
  text = trim(text);
  if (text.empty() || text.front() != ';') return std::nullopt;
  text = trim(text.substr(1));
  const std::size_t equal = text.find('=');
  if (equal == text.npos || !valid_token(text.substr(0, equal))) return std::nullopt;
  Parameter parameter{to_lower(text.substr(0, equal)), {}};
  text.remove_prefix(equal + 1);
  if (text.empty() || text.front() != '"') {
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view value = trim(text.substr(0, end));
    if (!valid_token(value)) return std::nullopt;
    parameter.value = value;
    text.remove_prefix(end);
    return parameter;
  }
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return parameter;
    }
    const bool escaped =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\');
    if (escaped) ++i;
    parameter.value += text[i];
  }
  return std::nullopt;  // no closing quote
}

// RFC 8187, as some clients name files: UTF-8''a%20b.
bool decode_extended(std::string_view value, std::string& out) {
  const std::size_t first = value.find('\'');
  const std::size_t second = first == value.npos ? value.npos : value.find('\'', first + 1);
  if (second == value.npos || !equals_nocase(value.substr(0, first), "utf-8")) return false;
  out = percent_decode(value.substr(second + 1));
  return true;
}

const char* read_disposition(std::string_view value, FormPart& part) {
  const std::size_t end = std::min(value.find(';'), value.size());
  if (!equals_nocase(trim(value.substr(0, end)), "form-data")) {
    return "its content-disposition is not form-data";
  }
  value.remove_prefix(end);
  bool named = false, extended = false;
  while (!trim(value).empty()) {
    const auto parameter = take_parameter(value);
    if (!parameter) return "its content-disposition can't be read";
    if (parameter->name == "name") {
      if (named) return "its name is given twice";
      named = true;
      part.name = parameter->value;
    } else if (parameter->name == "filename") {
      if (part.is_file && !extended) return "its file name is given twice";
      part.is_file = true;
      if (!extended) part.filename = parameter->value;
    } else if (parameter->name == "filename*") {
      if (extended) return "its file name is given twice";
      if (!decode_extended(parameter->value, part.filename)) return "its filename* can't be read";
      part.is_file = extended = true;
    }
  }
  if (!named || part.name.empty()) return "it has no name";
  if (part.name.size() > kNameMax) return "its name is too long";
  if (part.filename.size() > kFilenameMax) return "its file name is too long";
  return nullptr;
}

const char* read_head(std::string_view head, FormPart& part) {
  bool disposed = false, typed = false;
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !valid_token(line.substr(0, colon))) {
      return "a line of its head is no header field";
    }
    const std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
    if (!valid_header_value(value)) return "a header field holds a control character";
    if (equals_nocase(name, "content-disposition")) {
      if (disposed) return "it has two content-dispositions";
      disposed = true;
      const char* const wrong = read_disposition(value, part);
      if (wrong != nullptr) return wrong;
    } else if (equals_nocase(name, "content-type")) {
      if (typed) return "it has two content-types";
      typed = true;
      part.content_type = value;
    } else if (equals_nocase(name, "content-transfer-encoding")) {
      if (!equals_nocase(value, "binary") && !equals_nocase(value, "8bit") &&
          !equals_nocase(value, "7bit")) {
        return "its content-transfer-encoding is not supported";
      }
    }
  }
  return disposed ? nullptr : "it has no content-disposition";
}

bool boundary_char(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
         std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
}

Error in_part(std::size_t index, const char* what) {
  return Error{"part " + std::to_string(index + 1) + ": " + what};
}

}  // namespace

Result<std::string> multipart_boundary(std::string_view content_type) {
  const std::size_t end = std::min(content_type.find(';'), content_type.size());
  if (!equals_nocase(trim(content_type.substr(0, end)), "multipart/form-data")) {
    return std::string();
  }
  content_type.remove_prefix(end);
  std::string boundary;
  while (!trim(content_type).empty()) {
    const auto parameter = take_parameter(content_type);
    if (!parameter) return Error{"the content-type can't be read"};
    if (parameter->name != "boundary") continue;
    if (!boundary.empty()) return Error{"the content-type names two boundaries"};
    boundary = parameter->value;
  }
  const bool valid = !boundary.empty() && boundary.size() <= 70 && boundary.back() != ' ' &&
                     std::all_of(boundary.begin(), boundary.end(), boundary_char);
  if (!valid) return Error{"the content-type names no boundary of 1 to 70 characters"};
  return boundary;
}

Result<std::vector<FormPart>> parse_multipart(std::string_view body, std::string_view boundary) {
  const std::string delimiter = "\r\n--" + std::string(boundary);
  std::vector<FormPart> parts;
  if (!body.starts_with(std::string_view(delimiter).substr(2))) {
    return Error{"the body does not begin with its boundary"};
  }
  body.remove_prefix(delimiter.size() - 2);
  for (;;) {
    // Behind a boundary: another part, or the end.
    if (body.starts_with("--")) {
      body.remove_prefix(2);
      if (!body.empty() && body != "\r\n") return Error{"there is something behind the last part"};
      return parts;
    }
    if (!body.starts_with("\r\n")) return Error{"a boundary's line does not end behind it"};
    body.remove_prefix(2);
    if (parts.size() == kPartsMax) return Error{"there are more than 128 parts"};
    // A head that is empty has its end right at the start.
    const std::size_t head_end = body.starts_with("\r\n") ? 0 : body.find("\r\n\r\n");
    if (head_end == body.npos) return in_part(parts.size(), "its head does not end");
    if (head_end > kHeadMax) return in_part(parts.size(), "its head is too long");
    FormPart part;
    const std::size_t lines = head_end == 0 ? 0 : head_end + 2;
    const char* const wrong = read_head(body.substr(0, lines), part);
    if (wrong != nullptr) return in_part(parts.size(), wrong);
    // The line break of an empty content may be the head's own.
    body.remove_prefix(lines);
    const std::size_t end = body.find(delimiter);
    if (end == body.npos) return in_part(parts.size(), "it does not end");
    if (end > 0) part.data = body.substr(2, end - 2);
    body.remove_prefix(end + delimiter.size());
    parts.push_back(std::move(part));
  }
}

}  // namespace switchyard::net

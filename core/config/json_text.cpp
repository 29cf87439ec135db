#include "core/config/json_text.hpp"

#include <fcntl.h>
#include <rapidjson/encodedstream.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

namespace switchyard::config {
namespace {

std::string place(std::string_view text, std::size_t at) {
  std::size_t line = 1, column = 1;
  for (std::size_t i = 0; i < at && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// Where the text first nests deeper than allowed, or npos. The parser recurses, so this comes
// before it.
std::size_t too_deep_at(std::string_view text) {
  unsigned depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
      }
    } else if (c == '/' && text.substr(i, 2) == "//") {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '/' && text.substr(i, 2) == "/*") {
      const std::size_t end = text.find("*/", i + 2);
      i = end == std::string_view::npos ? text.size() : end + 1;
    } else if (c == '{' || c == '[') {
      if (++depth > kTextDepthMax) return i;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return std::string_view::npos;
}

void find_odd_members(const Json& value, const std::string& pointer, Faults& faults) {
  if (value.IsString() && text_of(value).find('\0') != std::string_view::npos) {
    faults.push_back({pointer, "holds a NUL character"});
  } else if (value.IsArray()) {
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
      find_odd_members(value[i], child(pointer, i), faults);
    }
  } else if (value.IsObject()) {
    std::set<std::string_view> names;
    for (const auto& entry : value.GetObject()) {
      const std::string_view name = text_of(entry.name);
      const std::string at = child(pointer, name);
      if (name.find('\0') != std::string_view::npos) {
        faults.push_back({pointer, "a key holds a NUL character"});
      }
      if (!names.insert(name).second) faults.push_back({at, "given twice"});
      find_odd_members(entry.value, at, faults);
    }
  }
}

Fault whole_text(std::string message) { return {"", std::move(message)}; }

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

Error io_error(const std::filesystem::path& path) {
  return Error{path.string() + ": " + std::strerror(errno)};
}

}  // namespace

const Json* member(const Json& value, std::string_view name) {
  if (!value.IsObject()) return nullptr;
  for (const auto& entry : value.GetObject()) {
    if (text_of(entry.name) == name) return &entry.value;
  }
  return nullptr;
}

std::string child(std::string_view pointer, std::string_view name) {
  std::string joined(pointer);
  joined += '/';
  for (const char c : name) {
    if (c == '~') {
      joined += "~0";
    } else if (c == '/') {
      joined += "~1";
    } else {
      joined += c;
    }
  }
  return joined;
}

std::string child(std::string_view pointer, std::size_t index) {
  return child(pointer, std::to_string(index));
}

Result<rapidjson::Document, Faults> parse_text(std::string_view text) {
  if (text.size() > kTextBytesMax) return Faults{whole_text("longer than 16 MiB")};
  const std::size_t nul = text.find('\0');
  if (nul != std::string_view::npos) return Faults{whole_text(place(text, nul) + ": a NUL byte")};
  const std::size_t deep = too_deep_at(text);
  if (deep != std::string_view::npos) {
    return Faults{whole_text(place(text, deep) + ": nested deeper than " +
                             std::to_string(kTextDepthMax) + " levels")};
  }

  constexpr unsigned kFlags = rapidjson::kParseCommentsFlag | rapidjson::kParseTrailingCommasFlag |
                              rapidjson::kParseValidateEncodingFlag |
                              rapidjson::kParseFullPrecisionFlag;
  rapidjson::MemoryStream bytes(text.data(), text.size());
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream(bytes);
  rapidjson::Document document;
  document.ParseStream<kFlags, rapidjson::UTF8<>>(stream);
  if (document.HasParseError()) {
    return Faults{whole_text(place(text, document.GetErrorOffset()) + ": " +
                             rapidjson::GetParseError_En(document.GetParseError()))};
  }
  Faults faults;
  find_odd_members(document, "", faults);
  if (!faults.empty()) return faults;
  return document;
}

std::string to_json(const Json& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  // Non-blocking, for a FIFO put there would hold the opener until somebody writes.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return io_error(path);
  struct stat facts{};
  if (fstat(file.fd, &facts) != 0) return io_error(path);
  if (!S_ISREG(facts.st_mode)) return Error{path.string() + ": not a regular file"};

  std::string text;
  char chunk[16 * 1024];
  while (true) {
    const ssize_t got = read(file.fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path);
    if (got == 0) return text;
    text.append(chunk, static_cast<std::size_t>(got));
    if (text.size() > bytes_max) {
      return Error{path.string() + ": longer than " + std::to_string(bytes_max) + " bytes"};
    }
  }
}

}  // namespace switchyard::config

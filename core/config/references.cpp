#include "core/config/references.hpp"

#include <unistd.h>

namespace switchyard::config {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;
constexpr std::string_view kFilePrefix = "file:";

bool is_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_') return false;
  }
  return true;
}

void strip_newline(std::string& text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
}

using Path = std::vector<std::string>;

bool holds_secret(const Path& path) {
  if (!path.empty() && path.back() == "signing_secret") {
    return path[0] == "alerts" || path[0] == "payments";
  }
  if (path.size() == 3) return path[0] == "keys" && path[2] == "key";
  if (path.size() == 4) {
    return path[0] == "destinations" && path[2] == "credential" && path[3] == "value";
  }
  return path.size() == 5 && path[0] == "providers" && path[2] == "credentials" && path[4] == "key";
}

class Expander {
 public:
  Expander(rapidjson::Document::AllocatorType& allocator, const References& references,
           Written& written, Faults& faults)
      : allocator_(allocator), references_(references), written_(written), faults_(faults) {}

  void walk(Json& value, const std::string& pointer) {
    if (value.IsString()) {
      if (!holds_secret(path_)) expand(value, pointer);
    } else if (value.IsArray()) {
      for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
        step(value[i], pointer, std::to_string(i));
      }
    } else if (value.IsObject()) {
      for (auto& entry : value.GetObject()) {
        step(entry.value, pointer, std::string(text_of(entry.name)));
      }
    }
  }

 private:
  void step(Json& value, const std::string& pointer, std::string name) {
    const std::string at = child(pointer, name);
    path_.push_back(std::move(name));
    walk(value, at);
    path_.pop_back();
  }

  void expand(Json& value, const std::string& pointer) {
    auto expanded = references_.expand(text_of(value));
    if (!expanded) {
      faults_.push_back({pointer, expanded.error().message});
      return;
    }
    if (*expanded == text_of(value)) return;
    written_.emplace(pointer, text_of(value));
    value.SetString(expanded->data(), static_cast<rapidjson::SizeType>(expanded->size()),
                    allocator_);
  }

  rapidjson::Document::AllocatorType& allocator_;
  const References& references_;
  Written& written_;
  Faults& faults_;
  Path path_;
};

}  // namespace

Environment::Environment(const std::vector<std::string>& entries) {
  const auto add = [this](std::string_view entry) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) return;
    values_.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  };
  for (const std::string& entry : entries) add(entry);
  if (!entries.empty() || environ == nullptr) return;
  for (char** entry = environ; *entry != nullptr; ++entry) add(*entry);
}

std::optional<std::string_view> Environment::find(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

Result<std::string> References::expand(std::string_view text) const {
  if (!text.starts_with(kFilePrefix)) return expand_variables(text);
  const auto path = expand_variables(text.substr(kFilePrefix.size()));
  if (!path) return path;
  return read(*path);
}

Result<std::string> References::expand_variables(std::string_view text) const {
  std::string expanded;
  while (true) {
    const std::size_t at = text.find("${");
    if (at == std::string_view::npos) break;
    if (at > 0 && text[at - 1] == '$') {
      expanded.append(text.substr(0, at - 1)).append("${");
      text.remove_prefix(at + 2);
      continue;
    }
    const std::size_t end = text.find('}', at);
    if (end == std::string_view::npos) {
      return Error{"\"${\" without \"}\"; write \"$${\" for the characters themselves"};
    }
    auto value = expand_variable(text.substr(at + 2, end - at - 2));
    if (!value) return std::move(value).error();
    expanded.append(text.substr(0, at)).append(*value);
    text.remove_prefix(end + 1);
  }
  return expanded.append(text);
}

Result<Secret> References::secret(std::string_view text) const {
  const bool variable = text.starts_with("${") && text.find('}') == text.size() - 1;
  if (!variable && !text.starts_with(kFilePrefix)) {
    return Error{"a secret in clear; name where it is instead: \"${VARIABLE}\" or \"file:PATH\""};
  }
  if (variable && text.find(":-") != std::string_view::npos) {
    return Error{"a default would be a secret in clear; write \"${VARIABLE}\" or \"file:PATH\""};
  }
  auto value = expand(text);
  if (!value) return std::move(value).error();
  if (value->empty()) return Error{std::string(text) + " is empty"};
  // A JSON document or a PEM key is taken apart before any of it goes out.
  const bool lines = value->front() == '{' || value->starts_with("-----BEGIN ");
  for (const char c : *value) {
    if (lines && (c == '\n' || c == '\r' || c == '\t')) continue;
    // It goes into a header line, where these would end it.
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Error{std::string(text) + " holds a line break or another control character"};
    }
  }
  return Secret(std::move(value).value());
}

Result<std::string> References::expand_variable(std::string_view inside) const {
  const std::size_t dash = inside.find(":-");
  const std::string_view name = inside.substr(0, dash);
  if (!is_name(name)) {
    return Error{"\"${" + std::string(inside) +
                 "}\" is no reference; write ${NAME} or ${NAME:-default}"};
  }
  const auto value = environment_.find(name);
  if (dash != std::string_view::npos) {
    // As in a shell, ":-" stands in for an empty value too.
    if (!value || value->empty()) return std::string(inside.substr(dash + 2));
    return std::string(*value);
  }
  if (!value) return Error{"the environment variable " + std::string(name) + " is not set"};
  return std::string(*value);
}

Result<std::string> References::read(std::string_view path) const {
  if (path.empty()) return Error{"\"file:\" without a path"};
  auto text = read_file(directory_ / path, kFileBytesMax);
  if (text) strip_newline(*text);
  return text;
}

void expand_all(Json& value, rapidjson::Document::AllocatorType& allocator,
                const References& references, Written& written, Faults& faults) {
  Expander(allocator, references, written, faults).walk(value, "");
}

}  // namespace switchyard::config

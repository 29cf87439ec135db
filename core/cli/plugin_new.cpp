#include "core/cli/plugin_new.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "core/base/near.hpp"

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

constexpr char kUsage[] =
    "usage: switchyard plugin new provider|strategy|logger NAME [DIRECTORY]\n";
// What the templates call themselves.
constexpr std::string_view kPlaceholder = "mine";

const std::vector<std::string> kKinds = {"provider", "strategy", "logger"};

struct TemplateFile {
  std::string_view kind, name, text;
};

constexpr TemplateFile kTemplates[] = {
#include "switchyard_templates.inc"
};

// What the configuration calls the plugin and, with '_' for '-', a namespace of C++.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::islower(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::islower(c) || std::isdigit(c) || c == '-' || c == '_';
         });
}

std::string identifier(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Whole words only; a namespace takes an identifier, everything else the name itself.
std::string renamed(std::string_view text, const std::string& name) {
  std::string result;
  for (;;) {
    const std::size_t at = text.find(kPlaceholder);
    if (at == text.npos) return result.append(text);
    const std::size_t end = at + kPlaceholder.size();
    const char before = at > 0 ? text[at - 1] : (result.empty() ? ' ' : result.back());
    const char after = end < text.size() ? text[end] : ' ';
    const std::string_view head = text.substr(0, at);
    result += head;
    const bool whole =
        !is_word(before) && (!is_word(after) || text.substr(end).starts_with("_test"));
    const bool code = text.substr(end).starts_with("::") || head.ends_with("namespace ");
    result += !whole ? std::string(kPlaceholder) : code ? identifier(name) : name;
    text.remove_prefix(end);
  }
}

bool write_file(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  return static_cast<bool>(file.flush());
}

}  // namespace

int run_plugin_new(std::span<const std::string> words, std::ostream& out, std::ostream& err) {
  const auto is_kind = [&](const TemplateFile& file) { return file.kind == words[0]; };
  if (words.size() < 2 || words.size() > 3) {
    err << kUsage;
    return 2;
  }
  if (std::none_of(std::begin(kTemplates), std::end(kTemplates), is_kind)) {
    err << words[0] << ": no such kind" << did_you_mean(words[0], kKinds) << '\n' << kUsage;
    return 2;
  }
  const std::string& name = words[1];
  if (!is_name(name)) {
    err << "name \"" << name << "\": expected a small letter, then [a-z0-9_-], 63 at most\n";
    return 2;
  }
  const fs::path directory = words.size() == 3 ? words[2] : name;
  std::error_code failed;
  if (fs::exists(directory, failed)) {
    err << directory.string() << " is there already: name another directory\n";
    return 1;
  }
  fs::create_directories(directory, failed);
  for (const TemplateFile& file : kTemplates) {
    if (!is_kind(file)) continue;
    const fs::path path = directory / renamed(file.name, name);
    if (failed || !write_file(path, renamed(file.text, name))) {
      err << path.string() << " can't be written\n";
      return 1;
    }
  }
  out << "written to " << directory.string() << "; next:\n  cmake -S " << directory.string()
      << " -B " << (directory / "build").string()
      << " -DCMAKE_PREFIX_PATH=<where the SDK is installed>\n"
      << "  cmake --build " << (directory / "build").string() << '\n';
  return 0;
}

}  // namespace switchyard::cli

// The words behind a command's name: options with a value, flags, and the rest.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/near.hpp"
#include "core/base/result.hpp"

namespace switchyard::cli {

struct Arguments {
  std::map<std::string, std::string> options;  // "--name" -> value; a flag's value is empty
  std::vector<std::string> words;

  bool has(const std::string& name) const { return options.contains(name); }
  std::string value(const std::string& name) const {
    const auto found = options.find(name);
    return found == options.end() ? std::string() : found->second;
  }
};

// "--name VALUE" or "--name=VALUE" for those of `with_value`, "--name" for `flags`; no option
// twice.
inline Result<Arguments> parse_arguments(std::span<const std::string> args,
                                         const std::vector<std::string>& with_value,
                                         const std::vector<std::string>& flags) {
  const auto among = [](const std::vector<std::string>& names, const std::string& name) {
    for (const std::string& each : names) {
      if (each == name) return true;
    }
    return false;
  };
  Arguments found;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!args[i].starts_with("--")) {
      found.words.push_back(args[i]);
      continue;
    }
    const std::size_t equals = args[i].find('=');
    const std::string name = args[i].substr(0, equals);
    const bool inlined = equals != std::string::npos;
    const bool wants_value = among(with_value, name);
    if (!wants_value && !among(flags, name)) {
      std::vector<std::string> known = with_value;
      known.insert(known.end(), flags.begin(), flags.end());
      return Error{"unknown option " + name + did_you_mean(name, known)};
    }
    if (found.has(name)) return Error{name + " is given twice"};
    if (!wants_value && inlined) return Error{name + " takes no value"};
    if (wants_value && !inlined && i + 1 == args.size()) return Error{name + " needs a value"};
    std::string value;
    if (wants_value) value = inlined ? args[i].substr(equals + 1) : args[++i];
    if (wants_value && value.empty()) return Error{name + " needs a value"};
    found.options.emplace(name, value);
  }
  return found;
}

}  // namespace switchyard::cli

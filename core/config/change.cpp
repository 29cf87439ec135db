#include "core/config/change.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "core/config/json_text.hpp"

namespace switchyard::config {
namespace {

constexpr char kBySignal[] =
    "can't be changed by the admin API; write it into the file and send SIGHUP to the supervisor";

bool same_socket(const Listen& a, const Listen& b) {
  return a.address == b.address && a.port == b.port && a.tls.has_value() == b.tls.has_value();
}

bool same_code(const Plugins& a, const Plugins& b) {
  return a.directory == b.directory && a.pins == b.pins && a.require_pins == b.require_pins &&
         a.watch == b.watch;
}

using Visit = std::function<void(const std::string& pointer, std::string_view text)>;

void each_text(const Json& value, const std::string& pointer, const Visit& visit) {
  if (value.IsString()) {
    visit(pointer, text_of(value));
  } else if (value.IsArray()) {
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
      each_text(value[i], child(pointer, i), visit);
    }
  } else if (value.IsObject()) {
    for (const auto& member : value.GetObject()) {
      each_text(member.value, child(pointer, text_of(member.name)), visit);
    }
  }
}

void each_file(std::string_view text, const Visit& visit) {
  const auto document = parse_text(text);
  if (!document) return;
  each_text(*document, "", [&](const std::string& pointer, std::string_view found) {
    if (found.starts_with("file:")) visit(pointer, found);
  });
}

// As written: the worker has been told its directory, so that the configuration's own does not
// show.
std::string written_state(std::string_view text) {
  const auto document = parse_text(text);
  const Json* const state = document ? member(*document, "state") : nullptr;
  return state == nullptr ? std::string() : to_json(*state);
}

}  // namespace

bool same_listeners(const Config& now, const Config& next) {
  return std::equal(now.listen.begin(), now.listen.end(), next.listen.begin(), next.listen.end(),
                    same_socket) &&
         same_socket(now.admin, next.admin);
}

Faults unchangeable(const Config& now, std::string_view now_text, const Config& next,
                    std::string_view next_text) {
  Faults faults;
  if (!same_listeners(now, next)) faults.push_back({"/listen", kBySignal});
  if (now.workers != next.workers) faults.push_back({"/workers", kBySignal});
  if (written_state(now_text) != written_state(next_text)) faults.push_back({"/state", kBySignal});
  if (!same_code(now.plugins, next.plugins)) {
    faults.push_back({"/plugins", "says which code is loaded: it " + std::string(kBySignal)});
  }
  std::set<std::string, std::less<>> known;
  each_file(now_text, [&](const std::string&, std::string_view file) { known.emplace(file); });
  each_file(next_text, [&](const std::string& pointer, std::string_view file) {
    if (known.contains(file)) return;
    faults.push_back({pointer, std::string(file) +
                                   " is not in the file that is in force, so the admin API must "
                                   "not have it read; write it into the file and send SIGHUP"});
  });
  return faults;
}

}  // namespace switchyard::config

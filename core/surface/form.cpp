#include "core/surface/form.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

#include "core/base/json_scan.hpp"

namespace switchyard::surface {
namespace {

// Fields that are numbers or booleans in OpenAI's JSON; in a form all is text.
constexpr std::string_view kNumbers[] = {"n", "temperature", "output_compression", "partial_images",
                                         "speed"};
constexpr std::string_view kBooleans[] = {"stream"};

template <class Names>
bool is_one_of(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = swy::json::detail::utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

bool is_number(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  JsonIndex index;
  const std::string object = R"({"n":)" + std::string(text) + "}";
  return index.scan(object) && index.members().size() == 1 && index.members()[0].type == 'n';
}

std::string value_of(const net::FormPart& part, std::string_view name, std::size_t blob) {
  if (part.is_file) return R"({"$blob":)" + std::to_string(blob) + "}";
  if (is_one_of(kNumbers, name) && is_number(part.data)) return std::string(part.data);
  if (is_one_of(kBooleans, name) && (part.data == "true" || part.data == "false")) {
    return std::string(part.data);
  }
  std::string text;
  append_json_string(text, part.data);
  return text;
}

struct Member {
  std::string name, values;
  bool list = false, files = false;
};

}  // namespace

Result<Form> read_form(std::string_view body, std::string_view boundary) {
  auto parts = net::parse_multipart(body, boundary);
  if (!parts) return std::move(parts).error();
  Form form;
  form.parts = std::move(*parts);
  std::vector<Member> members;
  for (const net::FormPart& part : form.parts) {
    std::string_view name = part.name;
    const bool list = name.ends_with("[]") && name.size() > 2;
    if (list) name.remove_suffix(2);
    if (part.is_file) form.blobs.push_back({part.data, name, part.content_type, part.filename});
    if (!is_utf8(name) || !is_utf8(part.filename) || !(part.is_file || is_utf8(part.data))) {
      return Error{"part " + std::to_string(&part - form.parts.data() + 1) + " is not UTF-8"};
    }
    const std::string value = value_of(part, name, form.blobs.size());
    const auto known = std::find_if(members.begin(), members.end(),
                                    [&](const Member& each) { return each.name == name; });
    if (known == members.end()) {
      members.push_back({std::string(name), value, list, part.is_file});
      continue;
    }
    // Several files of one name are a list too, as some clients write it.
    if (known->files != part.is_file || (!list && !part.is_file) ||
        (known->list != list && !part.is_file)) {
      return Error{"the field '" + std::string(name) + "' occurs more than once"};
    }
    known->list = true;
    known->values += "," + value;
  }
  form.json = "{";
  for (const Member& member : members) {
    if (form.json.size() > 1) form.json += ',';
    append_json_string(form.json, member.name);
    form.json += ':';
    form.json += member.list ? "[" + member.values + "]" : member.values;
  }
  form.json += '}';
  return form;
}

exchange::Sound measure_sound(const Form& form) {
  // Under these names some servers take an address, and fetch the sound themselves.
  constexpr std::string_view kAddresses[] = {"url", "file_url", "file_id", "file"};
  exchange::Sound all;
  for (const exchange::Blob& blob : form.blobs) all += exchange::measure_sound(blob.bytes);
  const bool named =
      std::any_of(form.parts.begin(), form.parts.end(), [&](const net::FormPart& part) {
        return !part.is_file && !part.data.empty() && is_one_of(kAddresses, part.name);
      });
  if (named || form.blobs.empty()) all += exchange::unseen_sound();
  return all;
}

}  // namespace switchyard::surface

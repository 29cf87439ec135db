// Two parsers, one verdict: the scan against RapidJSON at its strictest.
#include <rapidjson/document.h>
#include <rapidjson/memorystream.h>

#include "core/base/json_scan.hpp"
#include "fuzz.hpp"

using namespace switchyard;

namespace {

constexpr unsigned kFlags =
    rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag |
    rapidjson::kParseNumbersAsStringsFlag;  // numbers beyond a double are JSON too

void check_members(const JsonIndex& index, const rapidjson::Document& document) {
  fuzz::require(index.members().size() == document.MemberCount(), "same members");
  std::size_t i = 0;
  for (const auto& member : document.GetObject()) {
    const swy_member& ours = index.members()[i++];
    const std::string_view name(member.name.GetString(), member.name.GetStringLength());
    fuzz::require(view(ours.name) == name, "same names");
    const std::string_view value = index.value(ours);
    fuzz::require(!value.empty(), "a value has bytes");
    switch (ours.type) {
      case 's':
        fuzz::require(json_unescape(value) == std::string_view(member.value.GetString(),
                                                               member.value.GetStringLength()),
                      "same strings");
        break;
      case 'n':  // a string, by kParseNumbersAsStringsFlag
        fuzz::require(member.value.IsString() && value == member.value.GetString(), "same numbers");
        break;
      case 'o':
        fuzz::require(member.value.IsObject() && value.back() == '}', "an object");
        break;
      case 'a':
        fuzz::require(member.value.IsArray() && value.back() == ']', "an array");
        break;
      case 't':
        fuzz::require(member.value.IsTrue() && value == "true", "true");
        break;
      case 'f':
        fuzz::require(member.value.IsFalse() && value == "false", "false");
        break;
      default:
        fuzz::require(ours.type == '0' && member.value.IsNull() && value == "null", "null");
        break;
    }
  }
}

// Whatever the bytes, quoting them gives a string that the scan takes.
void check_quoting(std::string_view input) {
  std::string quoted = "{\"v\":";
  append_json_string(quoted, input);
  quoted += '}';
  JsonIndex index;
  fuzz::require(index.scan(quoted).has_value(), "quoted text is JSON");
  JsonIndex again;
  std::string twice = "{\"v\":";
  append_json_string(twice, json_unescape(index.value(index.members()[0])));
  twice += '}';
  fuzz::require(twice == quoted, "unescaping gives back what was quoted");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  check_quoting(input);

  JsonIndex index;
  const auto result = index.scan(input);
  if (!result) fuzz::require(result.error().at <= size, "an error has its place");
  // RapidJSON takes NUL for the end of the text.
  if (input.find('\0') != std::string_view::npos) return 0;
  // It has no limits, and takes lone low surrogates.
  const std::string_view what = result ? "" : result.error().what;
  if (what == "nested too deeply" || what == "too many members" || what == "lone surrogate")
    return 0;

  rapidjson::MemoryStream stream(input.data(), input.size());
  rapidjson::Document document;
  document.ParseStream<kFlags>(stream);
  // A large exponent is JSON, and RapidJSON minds it even where it need not convert.
  if (document.GetParseError() == rapidjson::kParseErrorNumberTooBig) return 0;
  const bool theirs = !document.HasParseError() && document.IsObject();
  fuzz::require(result.has_value() == theirs, "same verdict");
  if (result) check_members(index, document);
  return 0;
}

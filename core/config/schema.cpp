#include "core/config/schema.hpp"

#include <rapidjson/internal/regex.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <array>

#include "core/base/near.hpp"

namespace switchyard::config {
namespace {

using Regex = rapidjson::internal::GenericRegex<rapidjson::UTF8<>>;

constexpr std::string_view kDefinitions = "#/definitions/";
constexpr unsigned kSchemaDepthMax = 32;

enum class Form {
  kText,
  kAny,
  kBool,
  kCount,
  kNumber,
  kType,
  kSchema,
  kSchemas,
  kSchemaMap,
  kBoolOrSchema,
  kNames,
  kValues,
  kPattern,
  kReference
};

struct Keyword {
  std::string_view name;
  Form form;
};

// patternProperties is left out on purpose: RapidJSON 1.1's validator writes past its buffers with
// it (seen with the address sanitizer).
constexpr std::array kKeywords{
    Keyword{"$schema", Form::kText},
    Keyword{"$ref", Form::kReference},
    Keyword{"title", Form::kText},
    Keyword{"description", Form::kText},
    Keyword{"default", Form::kAny},
    Keyword{"definitions", Form::kSchemaMap},
    Keyword{"type", Form::kType},
    Keyword{"enum", Form::kValues},
    Keyword{"allOf", Form::kSchemas},
    Keyword{"anyOf", Form::kSchemas},
    Keyword{"oneOf", Form::kSchemas},
    Keyword{"not", Form::kSchema},
    Keyword{"properties", Form::kSchemaMap},
    Keyword{"additionalProperties", Form::kBoolOrSchema},
    Keyword{"required", Form::kNames},
    Keyword{"minProperties", Form::kCount},
    Keyword{"maxProperties", Form::kCount},
    Keyword{"items", Form::kSchema},
    Keyword{"minItems", Form::kCount},
    Keyword{"maxItems", Form::kCount},
    Keyword{"uniqueItems", Form::kBool},
    Keyword{"minLength", Form::kCount},
    Keyword{"maxLength", Form::kCount},
    Keyword{"pattern", Form::kPattern},
    Keyword{"minimum", Form::kNumber},
    Keyword{"maximum", Form::kNumber},
    Keyword{"exclusiveMinimum", Form::kBool},
    Keyword{"exclusiveMaximum", Form::kBool},
};

constexpr std::array<std::string_view, 7> kTypes{"null",   "boolean", "object", "array",
                                                 "number", "string",  "integer"};

bool is_type(std::string_view type, const Json& value) {
  if (type == "null") return value.IsNull();
  if (type == "boolean") return value.IsBool();
  if (type == "object") return value.IsObject();
  if (type == "array") return value.IsArray();
  if (type == "number") return value.IsNumber();
  if (type == "integer") return value.IsInt64() || value.IsUint64();
  return type == "string" && value.IsString();
}

// Looks at a schema itself, before it is used.
class Lint {
 public:
  Lint(const Json& root, Faults& faults) : root_(root), faults_(faults) {}

  void schema(const Json& value, const std::string& pointer, unsigned depth = 0) {
    if (!value.IsObject()) return fault(pointer, "a schema has to be an object");
    if (depth > kSchemaDepthMax) return fault(pointer, "nested too deep");
    for (const auto& entry : value.GetObject()) {
      const std::string_view name = text_of(entry.name);
      const std::string at = child(pointer, name);
      const auto known = std::find_if(kKeywords.begin(), kKeywords.end(),
                                      [&](const Keyword& k) { return k.name == name; });
      if (known == kKeywords.end()) {
        fault(at, "the keyword \"" + std::string(name) +
                      "\" is not in the supported subset of draft 04");
      } else if (!has_form(known->form, entry.value, at, depth)) {
        fault(at, "has not the form that draft 04 gives it");
      }
    }
    if (member(value, "$ref") != nullptr && value.MemberCount() > 1) {
      fault(pointer, "members beside \"$ref\" are ignored in draft 04");
    }
  }

 private:
  void fault(std::string pointer, std::string message) {
    faults_.push_back({std::move(pointer), std::move(message)});
  }

  bool has_form(Form form, const Json& value, const std::string& at, unsigned depth) {
    switch (form) {
      case Form::kText:
        return value.IsString();
      case Form::kAny:
        return true;
      case Form::kBool:
        return value.IsBool();
      case Form::kCount:
        return value.IsUint();
      case Form::kNumber:
        return value.IsNumber();
      case Form::kType:
        return is_type_form(value);
      case Form::kNames:
        return is_names(value);
      case Form::kValues:
        return value.IsArray() && !value.Empty();
      case Form::kPattern:
        return is_pattern(value);
      case Form::kReference:
        return is_reference(value);
      case Form::kBoolOrSchema:
        if (value.IsBool()) return true;
        schema(value, at, depth + 1);
        return true;
      case Form::kSchema:
        schema(value, at, depth + 1);
        return true;
      case Form::kSchemas:
        return schemas(value, at, depth);
      case Form::kSchemaMap:
        return schema_map(value, at, depth);
    }
    return false;
  }

  bool schemas(const Json& value, const std::string& at, unsigned depth) {
    if (!value.IsArray() || value.Empty()) return false;
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
      schema(value[i], child(at, i), depth + 1);
    }
    return true;
  }

  bool schema_map(const Json& value, const std::string& at, unsigned depth) {
    if (!value.IsObject()) return false;
    for (const auto& entry : value.GetObject()) {
      schema(entry.value, child(at, text_of(entry.name)), depth + 1);
    }
    return true;
  }

  static bool is_type_form(const Json& value) {
    const auto known = [](const Json& v) {
      return v.IsString() && std::find(kTypes.begin(), kTypes.end(), text_of(v)) != kTypes.end();
    };
    if (!value.IsArray()) return known(value);
    return !value.Empty() && std::all_of(value.Begin(), value.End(), known);
  }

  static bool is_names(const Json& value) {
    return value.IsArray() && !value.Empty() &&
           std::all_of(value.Begin(), value.End(), [](const Json& v) { return v.IsString(); });
  }

  static bool is_pattern(const Json& value) {
    return value.IsString() && Regex(value.GetString()).IsValid();
  }

  bool is_reference(const Json& value) const {
    if (!value.IsString() || !text_of(value).starts_with(kDefinitions)) return false;
    const Json* definitions = member(root_, "definitions");
    if (definitions == nullptr) return false;
    const Json* target = member(*definitions, text_of(value).substr(kDefinitions.size()));
    // A chain of references could be a circle without any step into the value.
    return target != nullptr && member(*target, "$ref") == nullptr;
  }

  const Json& root_;
  Faults& faults_;
};

const char* type_of(const Json& value) {
  if (value.IsNull()) return "null";
  if (value.IsBool()) return "a boolean";
  if (value.IsObject()) return "an object";
  if (value.IsArray()) return "an array";
  if (value.IsString()) return "a string";
  return is_type("integer", value) ? "an integer" : "a number";
}

std::string with_article(std::string_view type) {
  const bool vowel = type == "object" || type == "array" || type == "integer";
  if (type == "null") return "null";
  return (vowel ? "an " : "a ") + std::string(type);
}

std::vector<std::string> types_of(const Json& schema) {
  const Json* type = member(schema, "type");
  std::vector<std::string> types;
  if (type == nullptr) return types;
  if (type->IsString()) {
    types.emplace_back(text_of(*type));
  } else {
    for (const Json& each : type->GetArray()) types.emplace_back(text_of(each));
  }
  return types;
}

bool admits(const Json& schema, const Json& value) {
  const std::vector<std::string> types = types_of(schema);
  return types.empty() || std::any_of(types.begin(), types.end(), [&](const std::string& type) {
           return is_type(type, value);
         });
}

bool matches(const Json& pattern, std::string_view text) {
  // RapidJSON's regular expressions are automata: linear time, no recursion, whatever the text.
  return Regex(pattern.GetString()).Search(std::string(text).c_str());
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

class Walk {
 public:
  Walk(const Json& root, const Schema::Show& show) : root_(root), show_(show) {}

  Faults take() { return std::move(faults_); }

  void check(const Json& schema_or_reference, const Json& value, const std::string& pointer) {
    const Json& schema = resolve(schema_or_reference);
    if (!admits(schema, value)) {
      std::string expected;
      for (const std::string& type : types_of(schema)) {
        expected += (expected.empty() ? "" : " or ") + with_article(type);
      }
      return fault(pointer, std::string("found ") + type_of(value) + ", expected " + expected);
    }
    check_enum(schema, value, pointer);
    if (value.IsString()) check_string(schema, value, pointer);
    if (value.IsNumber()) check_number(schema, value, pointer);
    if (value.IsArray()) check_array(schema, value, pointer);
    if (value.IsObject()) check_object(schema, value, pointer);
    check_combined(schema, value, pointer);
  }

 private:
  const Json& resolve(const Json& schema) const {
    const Json* reference = member(schema, "$ref");
    if (reference == nullptr) return schema;
    return *member(*member(root_, "definitions"), text_of(*reference).substr(kDefinitions.size()));
  }

  void fault(std::string pointer, std::string message) {
    faults_.push_back({std::move(pointer), std::move(message)});
  }

  std::string found(const Json& value, const std::string& pointer) const {
    return "found " + (value.IsString() ? show_(pointer, text_of(value)) : to_json(value));
  }

  void check_enum(const Json& schema, const Json& value, const std::string& pointer) {
    const Json* allowed = member(schema, "enum");
    if (allowed == nullptr) return;
    std::string list;
    for (const Json& each : allowed->GetArray()) {
      if (each == value) return;
      list += (list.empty() ? "" : ", ") + to_json(each);
    }
    fault(pointer, found(value, pointer) + ", expected one of " + list);
  }

  void check_string(const Json& schema, const Json& value, const std::string& pointer) {
    const std::string_view text = text_of(value);
    const std::size_t length = code_points(text);
    const Json* least = member(schema, "minLength");
    const Json* most = member(schema, "maxLength");
    if (least != nullptr && length < least->GetUint()) {
      return fault(pointer, length == 0 ? "is empty"
                                        : "has " + std::to_string(length) +
                                              " characters, expected at least " + to_json(*least));
    }
    if (most != nullptr && length > most->GetUint()) {
      return fault(pointer, "has " + std::to_string(length) + " characters, expected at most " +
                                to_json(*most));
    }
    const Json* pattern = member(schema, "pattern");
    if (pattern == nullptr || matches(*pattern, text)) return;
    const Json* title = member(schema, "title");
    fault(pointer, found(value, pointer) + ", expected " +
                       (title != nullptr ? std::string(text_of(*title))
                                         : "a text that matches " + to_json(*pattern)));
  }

  void check_number(const Json& schema, const Json& value, const std::string& pointer) {
    const auto excludes = [&](const char* name) {
      const Json* flag = member(schema, name);
      return flag != nullptr && flag->GetBool();
    };
    const double number = value.GetDouble();
    if (const Json* least = member(schema, "minimum")) {
      const bool exclusive = excludes("exclusiveMinimum");
      if (number < least->GetDouble() || (exclusive && number == least->GetDouble())) {
        fault(pointer, found(value, pointer) +
                           (exclusive ? ", expected more than " : ", expected at least ") +
                           to_json(*least));
      }
    }
    if (const Json* most = member(schema, "maximum")) {
      const bool exclusive = excludes("exclusiveMaximum");
      if (number > most->GetDouble() || (exclusive && number == most->GetDouble())) {
        fault(pointer, found(value, pointer) +
                           (exclusive ? ", expected less than " : ", expected at most ") +
                           to_json(*most));
      }
    }
  }

  void check_array(const Json& schema, const Json& value, const std::string& pointer) {
    const auto size = [&] { return std::to_string(value.Size()) + " elements, expected at "; };
    const Json* least = member(schema, "minItems");
    const Json* most = member(schema, "maxItems");
    if (least != nullptr && value.Size() < least->GetUint()) {
      fault(pointer, value.Empty() ? "is empty" : "has " + size() + "least " + to_json(*least));
    }
    if (most != nullptr && value.Size() > most->GetUint()) {
      fault(pointer, "has " + size() + "most " + to_json(*most));
    }
    if (const Json* items = member(schema, "items")) {
      for (rapidjson::SizeType i = 0; i < value.Size(); ++i) {
        check(*items, value[i], child(pointer, i));
      }
    }
    const Json* unique = member(schema, "uniqueItems");
    if (unique != nullptr && unique->GetBool()) check_unique(value, pointer);
  }

  void check_unique(const Json& value, const std::string& pointer) {
    std::vector<std::pair<std::string, rapidjson::SizeType>> texts;
    for (rapidjson::SizeType i = 0; i < value.Size(); ++i) texts.emplace_back(to_json(value[i]), i);
    std::sort(texts.begin(), texts.end());
    for (std::size_t i = 1; i < texts.size(); ++i) {
      if (texts[i].first == texts[i - 1].first) {
        fault(child(pointer, texts[i].second),
              "the same as element " + std::to_string(texts[i - 1].second));
      }
    }
  }

  void check_object(const Json& schema, const Json& value, const std::string& pointer) {
    const Json* least = member(schema, "minProperties");
    const Json* most = member(schema, "maxProperties");
    if (least != nullptr && value.MemberCount() < least->GetUint()) {
      fault(pointer, value.ObjectEmpty() ? "is empty" : "has too few members");
    }
    if (most != nullptr && value.MemberCount() > most->GetUint()) {
      fault(pointer, "has more than " + to_json(*most) + " members");
    }
    if (const Json* required = member(schema, "required")) {
      for (const Json& name : required->GetArray()) {
        if (member(value, text_of(name)) == nullptr) {
          fault(pointer, "\"" + std::string(text_of(name)) + "\" is missing");
        }
      }
    }
    for (const auto& entry : value.GetObject()) check_member(schema, entry, pointer);
  }

  void check_member(const Json& schema, const Json::Member& entry, const std::string& pointer) {
    const std::string_view name = text_of(entry.name);
    const std::string at = child(pointer, name);
    const Json* properties = member(schema, "properties");
    const Json* own = properties == nullptr ? nullptr : member(*properties, name);
    if (own != nullptr) return check(*own, entry.value, at);
    const Json* additional = member(schema, "additionalProperties");
    if (additional == nullptr) return;
    if (additional->IsObject()) return check(*additional, entry.value, at);
    if (additional->GetBool()) return;

    std::vector<std::string> names;
    if (properties != nullptr) {
      for (const auto& property : properties->GetObject()) {
        names.emplace_back(text_of(property.name));
      }
    }
    fault(at, "unknown key" + did_you_mean(name, names));
  }

  // The faults of `value` against one branch alone.
  Faults faults_of(const Json& schema, const Json& value, const std::string& pointer) const {
    Walk walk(root_, show_);
    walk.check(schema, value, pointer);
    return walk.take();
  }

  void check_combined(const Json& schema, const Json& value, const std::string& pointer) {
    if (const Json* all = member(schema, "allOf")) {
      for (const Json& each : all->GetArray()) check(each, value, pointer);
    }
    if (const Json* any = member(schema, "anyOf")) check_branches(*any, value, pointer, false);
    if (const Json* one = member(schema, "oneOf")) check_branches(*one, value, pointer, true);
    const Json* no = member(schema, "not");
    if (no != nullptr && faults_of(*no, value, pointer).empty()) {
      const Json* title = member(resolve(*no), "title");
      fault(pointer,
            title != nullptr ? std::string(text_of(*title)) : "has a form that is excluded");
    }
  }

  void check_branches(const Json& branches, const Json& value, const std::string& pointer,
                      bool only_one) {
    std::size_t fitting = 0, of_the_type = 0;
    Faults nearest;
    std::string expected;
    for (const Json& branch : branches.GetArray()) {
      Faults found = faults_of(branch, value, pointer);
      if (found.empty()) ++fitting;
      if (admits(resolve(branch), value)) {
        ++of_the_type;
        nearest = std::move(found);
      }
      for (const std::string& type : types_of(resolve(branch))) {
        expected += (expected.empty() ? "" : " or ") + with_article(type);
      }
    }
    if (fitting == 1 || (fitting > 1 && !only_one)) return;
    if (fitting > 1) return fault(pointer, "fits more than one of the forms allowed here");
    // One branch of the right type is the one that was meant: its faults say most.
    if (of_the_type == 1) {
      for (Fault& each : nearest) faults_.push_back(std::move(each));
    } else if (of_the_type == 0 && !expected.empty()) {
      fault(pointer, std::string("found ") + type_of(value) + ", expected " + expected);
    } else {
      fault(pointer, "fits none of the forms allowed here");
    }
  }

  const Json& root_;
  const Schema::Show& show_;
  Faults faults_;
};

}  // namespace

Schema::Schema(rapidjson::Document document)
    : document_(std::make_unique<rapidjson::Document>(std::move(document))),
      compiled_(std::make_unique<rapidjson::SchemaDocument>(*document_)) {}

Result<Schema, Faults> Schema::make(rapidjson::Document document) {
  Faults faults;
  Lint(document, faults).schema(document, "");
  if (!faults.empty()) return faults;
  return Schema(std::move(document));
}

Result<Schema, Faults> Schema::read(const std::filesystem::path& file) {
  auto text = read_file(file);
  if (!text) return Faults{{"", "the schema can't be read: " + text.error().message}};
  auto document = parse_text(*text);
  Result<Schema, Faults> schema =
      document ? make(std::move(document).value()) : Result<Schema, Faults>(document.error());
  if (schema) return schema;
  // The pointer is one into the schema, not into what was to be checked.
  Faults faults;
  for (const Fault& fault : schema.error()) {
    faults.push_back({"", file.string() + ": " + fault.pointer + ": " + fault.message});
  }
  return faults;
}

void Schema::check(const Json& value, const Show& show, Faults& faults) const {
  Walk walk(*document_, show);
  walk.check(*document_, value, "");
  Faults found = walk.take();
  if (found.empty()) {
    rapidjson::SchemaValidator validator(*compiled_);
    if (!value.Accept(validator)) {
      rapidjson::StringBuffer pointer;
      validator.GetInvalidDocumentPointer().Stringify(pointer);
      found.push_back(
          {std::string(pointer.GetString(), pointer.GetSize()),
           std::string("against the schema's \"") + validator.GetInvalidSchemaKeyword() + "\""});
    }
  }
  for (Fault& fault : found) faults.push_back(std::move(fault));
}

}  // namespace switchyard::config

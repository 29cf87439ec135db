// Our own JSON Schemas: draft 04, and of it only what is checked here.
#pragma once

#include <rapidjson/document.h>
#include <rapidjson/schema.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/config/config.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::config {

class Schema {
 public:
  // How a message shows a string of the document, by its pointer (which may hold what must not be
  // shown).
  using Show = std::function<std::string(const std::string& pointer, std::string_view text)>;

  // A keyword outside the supported subset is a fault: RapidJSON would silently ignore it (const,
  // $defs, if/then, numeric exclusiveMinimum ... measured with 1.1.0), and a rule that is not
  // applied is worse than none.
  static Result<Schema, Faults> make(rapidjson::Document document);
  static Result<Schema, Faults> read(const std::filesystem::path& file);

  // Adds every fault of `value`. Our walk finds them all and in words; RapidJSON's validator, which
  // stops at the first, has the last word where the walk found none.
  void check(const Json& value, const Show& show, Faults& faults) const;

 private:
  explicit Schema(rapidjson::Document document);

  std::unique_ptr<rapidjson::Document> document_;
  std::unique_ptr<rapidjson::SchemaDocument> compiled_;
};

}  // namespace switchyard::config

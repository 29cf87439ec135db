// What is known of models: capabilities, context, list prices. Loaded from config/models/*.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/catalog/capability.hpp"
#include "core/catalog/price.hpp"

namespace switchyard::catalog {

// What routing compares: nano-units of `currency` per million tokens, of the shortest prompts at
// the usual hours when the catalog was loaded. Nothing where unknown (never taken as zero).
struct Price {
  std::string currency = "USD";
  std::optional<Nano> input, cached_input, output;
};

struct Model {
  std::string provider;            // catalog family: "openai", "deepseek" ...
  std::string name;                // upstream name
  std::vector<std::string> tasks;  // "chat", "embeddings" ...
  Capabilities can, lacks;         // what is in neither is not known
  std::uint64_t context_tokens = 0, output_tokens_max = 0;  // 0: unknown
  Price price;
  std::shared_ptr<const Tariff> tariff;  // null: no price is known
};

class Catalog {
 public:
  // Reads every *.json of the directory; a fault names file and JSON pointer, one line each.
  static Result<Catalog> load(const std::filesystem::path& directory);
  const Model* find(std::string_view provider, std::string_view name) const;
  const std::vector<Model>& models() const { return models_; }

 private:
  std::vector<Model> models_;
};

}  // namespace switchyard::catalog

#include "core/catalog/catalog.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "core/base/clock.hpp"
#include "core/base/near.hpp"
#include "core/catalog/tariff_reader.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::catalog {
namespace fs = std::filesystem;
namespace {

using config::child;
using config::Faults;
using config::Json;
using config::member;
using config::text_of;

constexpr Capabilities kUsuallyListed = [] {
  Capabilities usual;
  usual.add(Capability::kTools);
  usual.add(Capability::kVision);
  usual.add(Capability::kJsonSchema);
  usual.add(Capability::kReasoning);
  return usual;
}();

// One file of one family.
class FileReader : JsonReader {
 public:
  FileReader(std::vector<Model>& models, Faults& faults)
      : JsonReader(faults), models_(models), tariffs_(faults) {}

  void read(const Json& root, const std::string& digest) {
    if (!root.IsObject()) return fault("", "not an object");
    only_known(root, "",
               {"family", "source", "currency", "holidays", "factors", "complete_for", "models"});
    family_ = text(root, "", "family", "");
    if (family_.empty()) fault("/family", "missing");
    currency_ = currency(root, "", "USD");
    version_ = "catalog/" + family_ + "@" + digest;
    if (const Json* found = member(root, "holidays")) tariffs_.read_holidays(*found, "/holidays");
    if (const Json* found = member(root, "factors")) {
      factors_ = tariffs_.read_factors(*found, "/factors");
    }
    if (member(root, "complete_for") != nullptr) {
      complete_for_ = capabilities(root, "", "complete_for");
    }
    const Json* models = member(root, "models");
    if (models == nullptr || !models->IsArray()) return fault("/models", "missing, or no array");
    for (rapidjson::SizeType i = 0; i < models->Size(); ++i) {
      read_model((*models)[i], child("/models", i));
    }
  }

 private:
  std::vector<std::string> texts(const Json& object, const std::string& pointer, const char* name) {
    std::vector<std::string> found;
    const Json* list = member(object, name);
    if (list == nullptr) return found;
    const bool right = list->IsArray() && std::all_of(list->Begin(), list->End(),
                                                      [](const Json& v) { return v.IsString(); });
    if (!right) {
      fault(child(pointer, name), "expected an array of texts");
      return found;
    }
    for (const Json& each : list->GetArray()) found.emplace_back(text_of(each));
    return found;
  }

  Capabilities capabilities(const Json& object, const std::string& pointer, const char* name) {
    const std::vector<std::string> all(kCapabilityNames.begin(), kCapabilityNames.end());
    const std::vector<std::string> names = texts(object, pointer, name);
    Capabilities found;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (const auto known = capability(names[i])) {
        found.add(*known);
      } else {
        fault(child(child(pointer, name), i),
              "there is no capability \"" + names[i] + "\"" + did_you_mean(names[i], all));
      }
    }
    return found;
  }

  std::uint64_t count(const Json& object, const std::string& pointer, const char* name) {
    const Json* found = member(object, name);
    if (found == nullptr) return 0;
    if (found->IsUint64()) return found->GetUint64();
    fault(child(pointer, name), "expected a whole number of tokens");
    return 0;
  }

  void read_price(const Json& value, const std::string& pointer, Model& model) {
    model.price.currency = currency_;
    const Json* const factors = member(value, "factors");
    TariffReader::Factors own =
        factors == nullptr ? factors_ : tariffs_.read_factors(*factors, child(pointer, "factors"));
    const Json* const price = member(value, "price");
    if (price == nullptr) return;
    auto tariff =
        tariffs_.read(*price, child(pointer, "price"), currency_, version_, std::move(own));
    if (!tariff) return;
    model.price.currency = tariff->currency;
    if (const Tariff::Period* const now = tariff->period(unix_ns())) {
      model.price.input = now->tiers.base.find(Meter::kInput);
      model.price.cached_input = now->tiers.base.find(Meter::kCachedInput);
      model.price.output = now->tiers.base.find(Meter::kOutput);
    }
    model.tariff = std::make_shared<const Tariff>(std::move(*tariff));
  }

  void read_model(const Json& value, const std::string& pointer) {
    if (!value.IsObject()) return fault(pointer, "not an object");
    only_known(value, pointer,
               {"name", "tasks", "capabilities", "context_tokens", "output_tokens_max", "price",
                "factors", "note"});
    Model model;
    model.provider = family_;
    model.name = text(value, pointer, "name", "");
    if (model.name.empty()) fault(child(pointer, "name"), "missing");
    model.tasks = texts(value, pointer, "tasks");
    model.can = capabilities(value, pointer, "capabilities");
    if (member(value, "capabilities") != nullptr) model.lacks = complete_for_ - model.can;
    model.context_tokens = count(value, pointer, "context_tokens");
    model.output_tokens_max = count(value, pointer, "output_tokens_max");
    read_price(value, pointer, model);
    const bool doubled = std::any_of(models_.begin(), models_.end(), [&](const Model& other) {
      return other.provider == model.provider && other.name == model.name;
    });
    if (doubled) fault(child(pointer, "name"), "\"" + model.name + "\" is given twice");
    models_.push_back(std::move(model));
  }

  std::vector<Model>& models_;
  TariffReader tariffs_;
  TariffReader::Factors factors_;
  // What each list of the file tells all about: that it is not there is known.
  Capabilities complete_for_ = kUsuallyListed;
  std::string family_, currency_, version_;
};

// Names a content, so that a bill tells which edition of the file it was made by.
std::string digest_of(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (std::size_t i = 0; i < 6; ++i) {
    hex += kHex[digest[i] >> 4];
    hex += kHex[digest[i] & 15];
  }
  return hex;
}

std::vector<fs::path> files_of(const fs::path& directory, std::error_code& error) {
  std::vector<fs::path> files;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".json") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Faults read_family(const fs::path& file, std::vector<Model>& models) {
  const auto text = config::read_file(file);
  if (!text) return {{"", text.error().message}};
  const auto document = config::parse_text(*text);
  if (!document) return document.error();
  Faults faults;
  FileReader(models, faults).read(*document, digest_of(*text));
  return faults;
}

}  // namespace

Result<Catalog> Catalog::load(const fs::path& directory) {
  std::error_code error;
  const std::vector<fs::path> files = files_of(directory, error);
  if (error) return Error{directory.string() + ": " + error.message()};
  Catalog catalog;
  std::string faults;
  for (const fs::path& file : files) {
    for (const config::Fault& fault : read_family(file, catalog.models_)) {
      if (!faults.empty()) faults += '\n';
      faults += file.string() + ": " + fault.pointer + ": " + fault.message;
    }
  }
  if (!faults.empty()) return Error{faults};
  return catalog;
}

const Model* Catalog::find(std::string_view provider, std::string_view name) const {
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const Model& model) {
    return model.provider == provider && model.name == name;
  });
  return found == models_.end() ? nullptr : &*found;
}

}  // namespace switchyard::catalog

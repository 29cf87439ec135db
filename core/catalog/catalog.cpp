#include "core/catalog/catalog.hpp"

#include <algorithm>
#include <limits>

#include "core/base/near.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::catalog {
namespace fs = std::filesystem;
namespace {

using config::child;
using config::Faults;
using config::Json;
using config::member;
using config::text_of;

// One file of one family.
class FileReader {
 public:
  explicit FileReader(std::vector<Model>& models) : models_(models) {}

  Faults read(const Json& root) {
    if (!root.IsObject()) {
      fault("", "not an object");
      return std::move(faults_);
    }
    only_known(root, "", {"family", "source", "currency", "models"});
    family_ = text(root, "", "family", "");
    if (family_.empty()) fault("/family", "missing");
    currency_ = currency(root, "", "USD");
    const Json* models = member(root, "models");
    if (models == nullptr || !models->IsArray()) {
      fault("/models", "missing, or no array");
    } else {
      for (rapidjson::SizeType i = 0; i < models->Size(); ++i) {
        read_model((*models)[i], child("/models", i));
      }
    }
    return std::move(faults_);
  }

 private:
  void fault(std::string pointer, std::string message) {
    faults_.push_back({std::move(pointer), std::move(message)});
  }

  void only_known(const Json& object, const std::string& pointer,
                  const std::vector<std::string>& known) {
    for (const auto& entry : object.GetObject()) {
      const std::string name(text_of(entry.name));
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      fault(child(pointer, name), "unknown key" + did_you_mean(name, known));
    }
  }

  std::string text(const Json& object, const std::string& pointer, const char* name,
                   const std::string& fallback) {
    const Json* found = member(object, name);
    if (found == nullptr) return fallback;
    if (found->IsString() && found->GetStringLength() > 0) return std::string(text_of(*found));
    fault(child(pointer, name), "expected a text");
    return fallback;
  }

  std::string currency(const Json& object, const std::string& pointer,
                       const std::string& fallback) {
    const std::string code = text(object, pointer, "currency", fallback);
    const bool right = code.size() == 3 && std::all_of(code.begin(), code.end(),
                                                       [](char c) { return c >= 'A' && c <= 'Z'; });
    if (right) return code;
    // What was inherited has been told of where it stands.
    if (member(object, "currency") != nullptr) {
      fault(child(pointer, "currency"), "expected three capitals such as USD (ISO 4217)");
    }
    return fallback;
  }

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

  std::uint64_t count(const Json& object, const std::string& pointer, const char* name) {
    const Json* found = member(object, name);
    if (found == nullptr) return 0;
    if (found->IsUint64()) return found->GetUint64();
    fault(child(pointer, name), "expected a whole number of tokens");
    return 0;
  }

  std::optional<std::int64_t> amount(const Json& object, const std::string& pointer,
                                     const char* name) {
    const Json* found = member(object, name);
    if (found == nullptr) return std::nullopt;
    // A JSON number would have been rounded to binary before we saw it.
    const auto nano =
        found->IsString() ? parse_nano(text_of(*found)) : std::optional<std::int64_t>();
    if (!nano) {
      fault(child(pointer, name),
            "expected a decimal in quotes such as \"2.5\", with at most 9 decimals");
    }
    return nano;
  }

  void read_price(const Json& model, const std::string& pointer, Price& price) {
    const Json* value = member(model, "price");
    price.currency = currency_;
    if (value == nullptr) return;
    const std::string at = child(pointer, "price");
    if (!value->IsObject()) return fault(at, "not an object");
    only_known(*value, at, {"currency", "input", "cached_input", "output"});
    price.currency = currency(*value, at, currency_);
    price.input = amount(*value, at, "input");
    price.cached_input = amount(*value, at, "cached_input");
    price.output = amount(*value, at, "output");
  }

  void read_model(const Json& value, const std::string& pointer) {
    if (!value.IsObject()) return fault(pointer, "not an object");
    only_known(
        value, pointer,
        {"name", "tasks", "capabilities", "context_tokens", "output_tokens_max", "price", "note"});
    Model model;
    model.provider = family_;
    model.name = text(value, pointer, "name", "");
    if (model.name.empty()) fault(child(pointer, "name"), "missing");
    model.tasks = texts(value, pointer, "tasks");
    model.capabilities = texts(value, pointer, "capabilities");
    model.context_tokens = count(value, pointer, "context_tokens");
    model.output_tokens_max = count(value, pointer, "output_tokens_max");
    read_price(value, pointer, model.price);
    const bool doubled = std::any_of(models_.begin(), models_.end(), [&](const Model& other) {
      return other.provider == model.provider && other.name == model.name;
    });
    if (doubled) fault(child(pointer, "name"), "\"" + model.name + "\" is given twice");
    models_.push_back(std::move(model));
  }

  std::vector<Model>& models_;
  Faults faults_;
  std::string family_, currency_;
};

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
  return FileReader(models).read(*document);
}

}  // namespace

std::optional<std::int64_t> parse_nano(std::string_view decimal) {
  constexpr std::size_t kDecimals = 9;
  const std::size_t point = decimal.find('.');
  const std::string_view whole = decimal.substr(0, point);
  std::string_view part =
      point == std::string_view::npos ? std::string_view() : decimal.substr(point + 1);
  if (whole.empty() || part.size() > kDecimals) return std::nullopt;
  if (point != std::string_view::npos && part.empty()) return std::nullopt;

  std::int64_t nano = 0;
  const auto add_digit = [&nano](char c) {
    if (c < '0' || c > '9') return false;
    const std::int64_t digit = c - '0';
    if (nano > (std::numeric_limits<std::int64_t>::max() - digit) / 10) return false;
    nano = nano * 10 + digit;
    return true;
  };
  if (!std::all_of(whole.begin(), whole.end(), add_digit)) return std::nullopt;
  for (std::size_t i = 0; i < kDecimals; ++i) {
    if (!add_digit(i < part.size() ? part[i] : '0')) return std::nullopt;
  }
  return nano;
}

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

#include "core/plugin/library.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <system_error>

#include "core/plugin/host.hpp"
#include "core/plugin/loading.hpp"
#include "core/plugin/table.hpp"
#include "core/plugin/trial.hpp"

namespace switchyard::plugin {
namespace {

// What this process has mapped, by content. It is the one thing here that is global, because
// mappings are.
struct Mapped {
  swy_entry entry = nullptr;
  std::weak_ptr<const Library> library;
};

struct Mappings {
  std::mutex mutex;
  std::map<std::string, Mapped> by_sha256;
  unsigned generation = 0;
};

Mappings& mappings() {
  static Mappings all;
  return all;
}

// Removes a private copy that was not mapped after all.
class CopyGuard {
 public:
  explicit CopyGuard(const std::filesystem::path& path) : path_(path) {}
  ~CopyGuard() {
    if (!kept_) ::unlink(path_.c_str());
  }
  CopyGuard(const CopyGuard&) = delete;
  CopyGuard& operator=(const CopyGuard&) = delete;
  void keep() { kept_ = true; }

 private:
  const std::filesystem::path& path_;
  bool kept_ = false;
};

bool same_hex(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

}  // namespace

Library::~Library() {
  if (table_) call_fini(*table_);
}

Libraries::Libraries(LibraryOptions options) : options_(std::move(options)) {
  remove_stale_copies(options_.private_directory);
}

Libraries::~Libraries() = default;

std::vector<Libraries::Refused> Libraries::load_all() {
  if (Result<Descriptor> directory = open_directory(options_.directory); !directory) {
    return {{options_.directory, directory.error().message}};
  }
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(options_.directory, failed)) {
    // A name with a leading dot is a copy under way.
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() == ".so" && !name.starts_with('.')) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());

  std::vector<Refused> refused;
  for (const std::filesystem::path& file : files) {
    if (auto loaded = load(file); !loaded) refused.push_back({file, loaded.error().message});
  }
  return refused;
}

Result<std::shared_ptr<const Library>> Libraries::load(const std::filesystem::path& file) {
  std::error_code failed;
  if (!std::filesystem::equivalent(file.parent_path(), options_.directory, failed)) {
    return Error{"is not in the plugin directory " + options_.directory.string()};
  }
  const std::string name = file.filename().string();
  Result<Descriptor> directory = open_directory(options_.directory);
  if (!directory) return std::move(directory).error();
  Result<Descriptor> source = open_file(*directory, name);
  if (!source) return std::move(source).error();

  unsigned generation = 0;
  {
    const std::lock_guard lock(mappings().mutex);
    generation = ++mappings().generation;
  }
  Result<Copy> copy = copy_private(*source, options_.private_directory, generation);
  if (!copy) return std::move(copy).error();
  CopyGuard guard(copy->path);
  if (Result<void> ok = check_pin(name, copy->sha256); !ok) return std::move(ok).error();

  // Content that is there already becomes the newest again: that is how a change is taken back.
  const auto known = std::find_if(libraries_.begin(), libraries_.end(), [&](const auto& library) {
    return library->sha256() == copy->sha256;
  });
  if (known != libraries_.end()) {
    std::rotate(known, known + 1, libraries_.end());
    return libraries_.back();
  }
  Result<std::shared_ptr<const Library>> loaded = load_copy(file, copy->path, copy->sha256);
  if (!loaded) return loaded;
  // Kept while this process lives, for debuggers and profilers that look up what is mapped.
  guard.keep();
  libraries_.push_back(*loaded);
  spdlog::info("plugin_loaded file={} id={} version={} sha256={}", name, (*loaded)->id(),
               (*loaded)->version(), (*loaded)->sha256());
  return loaded;
}

Result<void> Libraries::check_pin(const std::string& name, const std::string& sha256) const {
  if (options_.pins.empty()) return {};
  const auto pin = options_.pins.find(name);
  if (pin == options_.pins.end()) return Error{"is not pinned, and only pinned files are loaded"};
  if (!same_hex(pin->second, sha256)) {
    return Error{"is pinned to SHA-256 " + pin->second + ", it has " + sha256};
  }
  return {};
}

Result<void> Libraries::check_unique(const Library& incoming) const {
  for (const auto& other : libraries_) {
    if (other->source() == incoming.source()) continue;
    const std::string owner = other->source().filename().string();
    if (other->id() == incoming.id()) {
      return Error{"id \"" + incoming.id() + "\" is taken by " + owner};
    }
    for (const Kind& kind : incoming.kinds()) {
      for (const Kind& taken : other->kinds()) {
        if (kind.iface == taken.iface && kind.name == taken.name) {
          return Error{kind.iface + " \"" + kind.name + "\" is taken by " + owner};
        }
      }
    }
  }
  return {};
}

Result<std::shared_ptr<const Library>> Libraries::load_copy(const std::filesystem::path& source,
                                                            const std::filesystem::path& copy,
                                                            const std::string& sha256) {
  const std::lock_guard lock(mappings().mutex);
  Mapped& mapped = mappings().by_sha256[sha256];
  if (!mapped.entry && options_.trial) {
    if (Result<void> ok = try_in_child(options_.trial_program, copy, options_.trial_max); !ok) {
      return std::move(ok).error();
    }
  }
  // Another set of libraries in this process may have it alive: then its init has run.
  if (auto alive = mapped.library.lock()) {
    if (Result<void> ok = check_unique(*alive); !ok) return std::move(ok).error();
    return alive;
  }

  if (!mapped.entry) {
    Result<Entry> entry = map_library(copy);
    if (!entry) return std::move(entry).error();
    mapped.entry = entry->call;
  }
  Result<Offer> offer = negotiate(mapped.entry);
  if (!offer) return std::move(offer).error();

  const std::shared_ptr<Library> library(new Library);
  library->id_ = std::move(offer->id);
  library->version_ = std::move(offer->version);
  library->build_ = std::move(offer->build);
  library->sha256_ = sha256;
  library->source_ = source;
  library->kinds_ = std::move(offer->kinds);
  if (Result<void> ok = check_unique(*library); !ok) return std::move(ok).error();
  if (Result<void> ok = call_init(*offer->table); !ok) return std::move(ok).error();
  library->table_ = offer->table;
  mapped.library = library;
  return std::shared_ptr<const Library>(library);
}

Libraries::Found Libraries::find(std::string_view family, std::string_view name) const {
  const std::string prefix = "swy." + std::string(family) + "/";
  for (auto it = libraries_.rbegin(); it != libraries_.rend(); ++it) {
    for (const Kind& kind : (*it)->kinds()) {
      if (kind.name == name && kind.iface.starts_with(prefix)) return {*it, &kind};
    }
  }
  return {};
}

const swy_host* Libraries::host() { return host_table(); }

}  // namespace switchyard::plugin

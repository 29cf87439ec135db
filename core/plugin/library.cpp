#include "core/plugin/library.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <system_error>

#include "core/base/clock.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/loading.hpp"
#include "core/plugin/table.hpp"
#include "core/plugin/trial.hpp"
#include "core/store/call_note.hpp"

namespace switchyard::plugin {
namespace {

// What this process has mapped, by content. It is the one thing here that is global, because
// mappings are.
struct Mapped {
  swy_entry entry = nullptr;
  std::weak_ptr<const Library> library;
  std::filesystem::path copy;  // what is mapped
};

struct Mappings {
  std::mutex mutex;
  std::map<std::string, Mapped> by_sha256;
  unsigned copies = 0;
};

Mappings& mappings() {
  static Mappings all;
  return all;
}

// Removes a private copy that was not mapped after all.
class CopyGuard {
 public:
  explicit CopyGuard(std::filesystem::path path) : path_(std::move(path)) {}
  ~CopyGuard() {
    if (!kept_) ::unlink(path_.c_str());
  }
  CopyGuard(const CopyGuard&) = delete;
  CopyGuard& operator=(const CopyGuard&) = delete;
  const std::filesystem::path& path() const { return path_; }
  void keep() { kept_ = true; }

 private:
  const std::filesystem::path path_;
  bool kept_ = false;
};

constexpr char kLastGood[] = "good";        // below the private directory
constexpr unsigned kRefusalsMax = 3;        // of one content, then it is quarantined
constexpr std::size_t kFinishedMax = 16;    // generations of a file that are over, for people
constexpr std::size_t kRetainedStep = 200;  // each so many are worth a warning

std::uint64_t unix_ms() { return unix_ns() / 1'000'000u; }

bool is_over(State state) { return state != State::kServing && state != State::kDraining; }

bool was_refused(State state) { return state == State::kRefused || state == State::kQuarantined; }

bool has_kind(const Library& library, std::string_view family, std::string_view name) {
  const std::string prefix = "swy." + std::string(family) + "/";
  return std::any_of(library.kinds().begin(), library.kinds().end(), [&](const Kind& kind) {
    return kind.name == name && kind.iface.starts_with(prefix);
  });
}

// Those uses that concern the library, as one text.
std::string relevant(const Uses& uses, const Library& library) {
  Uses own;
  for (const Use& use : uses) {
    if (has_kind(library, use.family, use.kind)) own.push_back(use);
  }
  return to_json(own);
}

bool same_hex(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

}  // namespace

Library::~Library() {
  if (!table_) return;
  const store::CallNote note(note_, store::Call::kFini);
  call_fini(*table_);
}

const char* to_string(State state) {
  switch (state) {
    case State::kServing:
      return "serving";
    case State::kDraining:
      return "draining";
    case State::kRetired:
      return "retired";
    case State::kRefused:
      return "refused";
    case State::kQuarantined:
      return "quarantined";
  }
  return "?";
}

std::size_t Generation::instances() const {
  return static_cast<std::size_t>(std::count_if(
      shared.begin(), shared.end(), [](const Shared& entry) { return !entry.instance.expired(); }));
}

std::size_t Generation::pins() const {
  std::size_t all = 0;
  for (const Shared& entry : shared) {
    all += static_cast<std::size_t>(entry.instance.use_count()) - (entry.kept ? 1u : 0u);
  }
  return all;
}

Libraries::Libraries(LibraryOptions options) : options_(std::move(options)) {
  remove_stale_copies(options_.private_directory);
}

Libraries::Libraries(const Offer& offer) {
  // Without its table: fini is not this object's to call.
  const std::shared_ptr<Library> library(new Library);
  library->id_ = offer.id;
  library->version_ = offer.version;
  library->kinds_ = offer.kinds;
  auto generation = std::make_shared<Generation>();
  generation->library = library;
  serving_.emplace("", std::move(generation));
}

Libraries::~Libraries() = default;

// ---- proposals ----

std::vector<Libraries::Refused> Libraries::propose_all(const Uses& uses) {
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
    auto proposed = propose(file, uses, Intent::kReload);
    if (proposed) continue;
    refused.push_back(std::move(proposed).error());
    const bool nothing_serves = !serving_.contains(file.filename().string());
    if (nothing_serves && propose_last_good(file, uses)) {
      spdlog::warn("plugin_last_good_serves file={}", file.filename().string());
    }
  }
  return refused;
}

struct Libraries::LoadRequest {
  const std::filesystem::path& file;
  CopyGuard& copy;
  const std::string& sha256;
  const Uses& uses;
  Intent intent;
};

struct Libraries::LoadFailure {
  std::string reason;
  bool counts = true;  // false: the content is not to blame
};

Result<Libraries::Proposed, Libraries::Refused> Libraries::propose(
    const std::filesystem::path& file, const Uses& uses, Intent intent) {
  std::error_code failed;
  if (!std::filesystem::equivalent(file.parent_path(), options_.directory, failed)) {
    return Refused{file, "is not in the plugin directory " + options_.directory.string()};
  }
  return propose_from(file, options_.directory, uses, intent);
}

// What this file's content was before the one that is refused now.
bool Libraries::propose_last_good(const std::filesystem::path& file, const Uses& uses) {
  const auto kept = options_.private_directory / kLastGood;
  std::error_code failed;
  if (!std::filesystem::exists(kept / file.filename(), failed)) return false;
  return propose_from(file, kept, uses, Intent::kReload).has_value();
}

// A link, for the copy itself goes with this process.
void Libraries::keep_last_good(const Generation& served) const {
  const auto kept = options_.private_directory / kLastGood;
  std::error_code failed;
  std::filesystem::create_directory(kept, failed);
  std::filesystem::permissions(kept, std::filesystem::perms::owner_all, failed);
  const auto fresh = kept / ("." + served.file);
  std::filesystem::remove(fresh, failed);
  std::filesystem::create_hard_link(served.library->copy_, fresh, failed);
  if (!failed) std::filesystem::rename(fresh, kept / served.file, failed);
  if (failed) spdlog::warn("plugin_not_kept file={} reason=\"{}\"", served.file, failed.message());
}

Result<Libraries::Proposed, Libraries::Refused> Libraries::propose_from(
    const std::filesystem::path& file, const std::filesystem::path& from, const Uses& uses,
    Intent intent) {
  const std::string name = file.filename().string();
  Result<Descriptor> directory = open_directory(from);
  if (!directory) return refuse(file, "", directory.error().message, false);
  Result<Descriptor> source = open_file(*directory, name);
  if (!source) {
    // A name that is nowhere leaves no trace.
    std::error_code failed;
    if (!files_.contains(name) && !std::filesystem::exists(symlink_status(file, failed))) {
      return Refused{file, source.error().message};
    }
    return refuse(file, "", source.error().message, false);
  }

  unsigned copies = 0;
  {
    const std::lock_guard lock(mappings().mutex);
    copies = ++mappings().copies;
  }
  Result<Copy> copy = copy_private(*source, options_.private_directory, copies);
  if (!copy) return refuse(file, "", copy.error().message, false);
  CopyGuard guard(copy->path);
  const std::string& sha256 = copy->sha256;
  if (Result<void> ok = check_pin(name, sha256); !ok) {
    return refuse(file, sha256, ok.error().message, false);
  }

  const auto serving = serving_.find(name);
  const bool serves = serving != serving_.end() && serving->second->sha256 == sha256;
  const auto left = left_.find(name);
  const bool stays = serves || (left != left_.end() && left->second == sha256) ||
                     (intent == Intent::kWatch && refused_before(name, sha256));
  if (intent != Intent::kSwap && stays) {
    if (serves && intent == Intent::kReload) {
      const auto fits = try_again(*serving->second, copy->path, uses);
      if (!fits) return fits.error();
    }
    return Proposed{serving == serving_.end() ? nullptr : serving->second->library, false};
  }
  for (const auto& [other, generation] : serving_) {
    if (other == name || generation->sha256 != sha256) continue;
    if (intent != Intent::kSwap) return Proposed{generation->library, false};
    return refuse(file, sha256, "has the content of " + other + ", which serves", false);
  }
  if (Result<void> ok = check_quarantine(sha256); !ok) {
    return refuse(file, sha256, ok.error().message, false);
  }
  auto loaded = load_copy({file, guard, sha256, uses, intent});
  if (!loaded) return refuse(file, sha256, loaded.error().reason, loaded.error().counts);
  auto next = std::make_shared<Generation>();
  next->file = name;
  next->sha256 = sha256;
  next->id = (*loaded)->id();
  next->version = (*loaded)->version();
  next->library = *loaded;
  proposed_[name] = std::move(next);
  return Proposed{*loaded, true};
}

// What serves, tried with another configuration.
Result<void, Libraries::Refused> Libraries::try_again(const Generation& serving,
                                                      const std::filesystem::path& copy,
                                                      const Uses& uses) {
  const std::string own = relevant(uses, *serving.library);
  if (!options_.trial || passed_[serving.sha256] == own) return {};
  const auto tried = try_in_child(options_.trial_program, copy, uses, options_.trial_max);
  if (!tried && !tried.error().configuration) {
    return Refused{options_.directory / serving.file, tried.error().message, true};
  }
  if (tried) passed_[serving.sha256] = own;
  return {};
}

Result<Libraries::Proposed> Libraries::propose_previous(const std::string& name) {
  const auto found = files_.find(name);
  if (found == files_.end()) return Error{"there is no plugin " + name};
  bool drained = false;
  for (const auto& generation : found->second) {
    if (is_over(generation->state) && !was_refused(generation->state)) drained = true;
    if (generation->state != State::kDraining) continue;
    drained = true;
    if (generation->warm_until_ns <= mono_ns()) continue;
    proposed_[name] = generation;
    return Proposed{generation->library, true};
  }
  if (!drained) return Error{"no generation served before this one"};
  return Error{"the generation before is gone: it is kept for " +
               std::to_string(options_.warm.count() / 1000) + " s"};
}

void Libraries::publish() {
  for (auto& [name, next] : proposed_) put(std::move(next));
  proposed_.clear();
}

void Libraries::put(std::shared_ptr<Generation> next) {
  const std::string name = next->file;
  auto& history = files_[name];
  const bool back = next->state == State::kDraining;
  // Two at once are enough to go back and forth between.
  for (const auto& generation : history) {
    generation->warm_until_ns = 0;
    for (Generation::Shared& entry : generation->shared) entry.kept.reset();
  }
  left_.erase(name);
  if (const auto& before = serving_[name]) {
    if (back) left_[name] = before->sha256;
    before->state = State::kDraining;
    before->since_ms = unix_ms();
    keep_last_good(*before);
    before->warm_until_ns =
        mono_ns() + static_cast<std::uint64_t>(options_.warm.count()) * 1'000'000u;
    for (Generation::Shared& entry : before->shared) {
      if (entry.keep) entry.kept = entry.instance.lock();
    }
  }
  // What serves is not refused any more.
  std::erase_if(history, [&](const auto& generation) {
    return was_refused(generation->state) && generation->sha256 == next->sha256;
  });
  next->state = State::kServing;
  next->since_ms = unix_ms();
  if (!back) {
    next->number = next_number_++;
    history.push_back(next);
  }
  spdlog::info("plugin_serves file={} generation={} id={} version={} sha256={}", name, next->number,
               next->id, next->version, next->sha256);
  serving_[name] = std::move(next);
  prune(name);
}

std::shared_ptr<Generation> Libraries::set_aside(const std::string& name) {
  auto aside = std::move(proposed_.at(name));
  proposed_.erase(name);
  left_[name] = aside->sha256;
  if (const auto serving = serving_.find(name); serving != serving_.end()) {
    keep_last_good(*serving->second);
  }
  return aside;
}

void Libraries::propose_again(std::shared_ptr<Generation> aside) {
  const std::string name = aside->file;
  proposed_[name] = std::move(aside);
}

void Libraries::withdraw(const std::string& reason, Blame blame) {
  Current withdrawn;
  withdrawn.swap(proposed_);
  if (reason.empty()) return;
  for (const auto& [name, next] : withdrawn) {
    if (next->state == State::kDraining) continue;  // a rollback: it served well once
    passed_.erase(next->sha256);
    (void)refuse(options_.directory / name, next->sha256, reason, blame == Blame::kCounts);
  }
}

Result<std::shared_ptr<const Library>> Libraries::load(const std::filesystem::path& file) {
  auto proposed = propose(file, {}, Intent::kReload);
  if (!proposed) return Error{proposed.error().reason};
  publish();
  return proposed->library;
}

std::vector<Libraries::Refused> Libraries::load_all() {
  auto refused = propose_all({});
  publish();
  return refused;
}

// ---- refusals ----

Libraries::Refused Libraries::refuse(const std::filesystem::path& file, const std::string& sha256,
                                     const std::string& reason, bool counts) {
  const std::string name = file.filename().string();
  auto& history = files_[name];
  auto entry = std::find_if(history.begin(), history.end(), [&](const auto& generation) {
    return was_refused(generation->state) && generation->sha256 == sha256 &&
           (!sha256.empty() || generation->reason == reason);
  });
  if (entry == history.end()) {
    history.push_back(std::make_shared<Generation>());
    entry = std::prev(history.end());
    (*entry)->number = next_number_++;
    (*entry)->file = name;
    (*entry)->sha256 = sha256;
  }
  Generation& refused = **entry;
  refused.since_ms = unix_ms();
  // Of a quarantined content the reason stays that put it there.
  if (refused.state != State::kQuarantined) refused.reason = reason;
  const bool crashed = options_.quarantined.contains(sha256);
  if (crashed || (counts && ++refused.refusals >= kRefusalsMax))
    refused.state = State::kQuarantined;
  prune(name);
  return {file, reason};
}

bool Libraries::refused_before(const std::string& name, const std::string& sha256) const {
  const auto found = files_.find(name);
  return found != files_.end() &&
         std::any_of(found->second.begin(), found->second.end(), [&](const auto& generation) {
           return was_refused(generation->state) && generation->sha256 == sha256;
         });
}

bool Libraries::has_quarantined() const {
  if (!options_.quarantined.empty()) return true;
  return std::any_of(files_.begin(), files_.end(), [](const auto& file) {
    return std::any_of(file.second.begin(), file.second.end(), [](const auto& generation) {
      return generation->state == State::kQuarantined;
    });
  });
}

Result<void> Libraries::check_quarantine(const std::string& sha256) const {
  if (const auto why = options_.quarantined.find(sha256); why != options_.quarantined.end()) {
    return Error{"is quarantined: it " + why->second};
  }
  for (const auto& [name, history] : files_) {
    for (const auto& generation : history) {
      if (generation->state != State::kQuarantined || generation->sha256 != sha256) continue;
      return Error{"is quarantined: it was refused " + std::to_string(generation->refusals) +
                   " times, last because it " + generation->reason};
    }
  }
  return {};
}

bool Libraries::release(const std::string& sha256) {
  bool found = std::erase_if(options_.quarantined,
                             [&](const auto& entry) { return same_hex(entry.first, sha256); }) > 0;
  for (const auto& [name, history] : files_) {
    for (const auto& generation : history) {
      if (generation->state != State::kQuarantined || !same_hex(generation->sha256, sha256)) {
        continue;
      }
      generation->state = State::kRefused;
      generation->refusals = 0;
      found = true;
    }
  }
  return found;
}

Result<void> Libraries::check_pin(const std::string& name, const std::string& sha256) const {
  if (options_.pins.empty() && !options_.require_pins) return {};
  const auto pin = options_.pins.find(name);
  if (pin == options_.pins.end()) return Error{"is not pinned, and only pinned files are loaded"};
  if (!same_hex(pin->second, sha256)) {
    return Error{"is pinned to SHA-256 " + pin->second + ", it has " + sha256};
  }
  return {};
}

Result<void> Libraries::check_unique(const std::string& name, const Library& incoming) const {
  const auto check = [&](const Generation& other) -> Result<void> {
    if (other.library->id() == incoming.id()) {
      return Error{"id \"" + incoming.id() + "\" is taken by " + other.file};
    }
    for (const Kind& kind : incoming.kinds()) {
      for (const Kind& taken : other.library->kinds()) {
        if (kind.iface == taken.iface && kind.name == taken.name) {
          return Error{kind.iface + " \"" + kind.name + "\" is taken by " + other.file};
        }
      }
    }
    return {};
  };
  for (const Current* current : {&serving_, &proposed_}) {
    for (const auto& [other, generation] : *current) {
      if (other == name) continue;
      if (Result<void> ok = check(*generation); !ok) return ok;
    }
  }
  return {};
}

// ---- loading ----

Result<std::shared_ptr<const Library>, Libraries::LoadFailure> Libraries::load_copy(
    const LoadRequest& request) {
  bool passed = false;
  if (options_.trial) {
    const auto tried =
        try_in_child(options_.trial_program, request.copy.path(), request.uses, options_.trial_max);
    const bool left_to_opener =
        !tried && tried.error().configuration && request.intent == Intent::kReload;
    if (!tried && !left_to_opener) return LoadFailure{tried.error().message, tried.error().held};
    passed = tried.has_value();
  }
  const std::string name = request.file.filename().string();
  const std::lock_guard lock(mappings().mutex);
  const auto known = mappings().by_sha256.find(request.sha256);
  Mapped mapped = known == mappings().by_sha256.end() ? Mapped() : known->second;
  // Another set of libraries in this process may have it alive: then its init has run.
  auto library = mapped.library.lock();
  if (library) {
    if (Result<void> ok = check_unique(name, *library); !ok) return LoadFailure{ok.error().message};
  } else {
    if (!mapped.entry) {
      const std::size_t count = mappings().by_sha256.size();
      if (count >= options_.mapped_max) {
        return LoadFailure{
            "can't be mapped: " + std::to_string(count) +
                " libraries are, and none is ever unmapped; a hot restart begins anew",
            false};
      }
      Result<Entry> entry = map_library(request.copy.path());
      if (!entry) return LoadFailure{entry.error().message};
      // While this process lives, for debuggers and profilers that look up what is mapped.
      request.copy.keep();
      mapped.entry = entry->call;
      mapped.copy = request.copy.path();
      mappings().by_sha256[request.sha256] = mapped;
      if ((count + 1) % kRetainedStep == 0) {
        spdlog::warn("plugin_libraries_mapped count={} most={}", count + 1, options_.mapped_max);
      }
    }
    auto begun = begin(request.file, request.sha256, mapped.entry);
    if (!begun) return LoadFailure{begun.error().message};
    library = std::move(*begun);
    library->copy_ = mapped.copy;
    mappings().by_sha256[request.sha256].library = library;
  }
  if (passed) passed_[request.sha256] = relevant(request.uses, *library);
  return library;
}

// Negotiates with what is mapped and brings it to life.
Result<std::shared_ptr<const Library>> Libraries::begin(const std::filesystem::path& file,
                                                        const std::string& sha256,
                                                        swy_entry entry) const {
  Result<Offer> offer = negotiate(entry);
  if (!offer) return std::move(offer).error();
  const std::shared_ptr<Library> library(new Library);
  library->id_ = std::move(offer->id);
  library->version_ = std::move(offer->version);
  library->build_ = std::move(offer->build);
  library->sha256_ = sha256;
  library->source_ = file;
  library->kinds_ = std::move(offer->kinds);
  library->note_ = store::note_library(file.filename().string(), sha256);
  const store::CallNote note(library->note_, store::Call::kInit);
  if (Result<void> ok = check_unique(file.filename().string(), *library); !ok) {
    return std::move(ok).error();
  }
  if (Result<void> ok = call_init(*offer->table); !ok) return std::move(ok).error();
  library->table_ = offer->table;
  return std::shared_ptr<const Library>(library);
}

// ---- what is there ----

std::shared_ptr<Generation> Libraries::find_generation(std::string_view family,
                                                       std::string_view name) const {
  for (const auto& [file, generation] : proposed_) {
    if (has_kind(*generation->library, family, name)) return generation;
  }
  for (const auto& [file, generation] : serving_) {
    if (!proposed_.contains(file) && has_kind(*generation->library, family, name)) {
      return generation;
    }
  }
  return nullptr;
}

Libraries::Found Libraries::find(std::string_view family, std::string_view name) const {
  const auto generation = find_generation(family, name);
  if (!generation) return {};
  const std::string prefix = "swy." + std::string(family) + "/";
  for (const Kind& kind : generation->library->kinds()) {
    if (kind.name == name && kind.iface.starts_with(prefix)) return {generation->library, &kind};
  }
  return {};
}

std::vector<std::shared_ptr<const Library>> Libraries::all() const {
  std::vector<std::shared_ptr<const Library>> libraries;
  Current now = proposed_;
  now.insert(serving_.begin(), serving_.end());
  for (const auto& [file, generation] : now) libraries.push_back(generation->library);
  return libraries;
}

std::shared_ptr<void> Libraries::find_shared(const InstanceKey& key) const {
  const auto generation = find_generation(key.family, key.kind);
  if (!generation) return nullptr;
  for (const Generation::Shared& entry : generation->shared) {
    if (entry.key != key) continue;
    if (auto there = entry.instance.lock()) return there;
  }
  return nullptr;
}

std::shared_ptr<void> Libraries::find_predecessor(const InstanceKey& key) const {
  for (const auto& [file, generation] : serving_) {
    // The last opened comes last.
    for (auto entry = generation->shared.rbegin(); entry != generation->shared.rend(); ++entry) {
      if (!entry->key.same_place(key)) continue;
      if (auto there = entry->instance.lock()) return there;
    }
  }
  return nullptr;
}

void Libraries::remember(const InstanceKey& key, Keep keep, std::shared_ptr<void> instance) {
  if (const auto generation = find_generation(key.family, key.kind)) {
    generation->shared.push_back({key, keep == Keep::kWarm, std::move(instance), nullptr});
  }
}

void Libraries::settle() {
  const std::uint64_t now = mono_ns();
  for (const auto& [name, history] : files_) {
    for (const auto& generation : history) {
      std::erase_if(generation->shared, [](const auto& entry) { return entry.instance.expired(); });
      if (generation->state != State::kDraining) continue;
      if (now >= generation->warm_until_ns) {
        generation->warm_until_ns = 0;
        for (Generation::Shared& entry : generation->shared) entry.kept.reset();
        std::erase_if(generation->shared,
                      [](const auto& entry) { return entry.instance.expired(); });
      }
      if (generation->warm_until_ns != 0 || !generation->shared.empty()) continue;
      generation->state = State::kRetired;
      generation->since_ms = unix_ms();
      generation->library.reset();
      spdlog::info("plugin_retired file={} generation={}", name, generation->number);
    }
    prune(name);
  }
}

void Libraries::prune(const std::string& name) {
  auto& history = files_[name];
  auto over = static_cast<std::size_t>(
      std::count_if(history.begin(), history.end(),
                    [](const auto& generation) { return is_over(generation->state); }));
  std::erase_if(history, [&](const auto& generation) {
    return is_over(generation->state) && over > kFinishedMax && over-- > 0;
  });
}

std::size_t Libraries::mapped() const {
  const std::lock_guard lock(mappings().mutex);
  return mappings().by_sha256.size();
}

std::size_t Libraries::retained() const { return mapped() - std::min(mapped(), serving_.size()); }

const swy_host* Libraries::host() { return host_table(); }

}  // namespace switchyard::plugin

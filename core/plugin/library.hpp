// Plugin files: found, copied, audited in a child process, loaded, negotiated with. The one room
// that touches the C ABI.
#pragma once

#include <switchyard/logger.h>
#include <switchyard/plugin.h>
#include <switchyard/provider.h>
#include <switchyard/strategy.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/plugin/generation.hpp"
#include "core/plugin/health.hpp"
#include "core/plugin/use.hpp"

namespace switchyard::plugin {

struct Offer;

// What one kind of a library says of itself, copied at load.
struct Kind {
  std::string iface;   // "swy.provider/0"
  std::string name;    // "openai"
  std::string schema;  // JSON, or empty
  std::string caps;    // JSON object
  const void* vt = nullptr;
};

// A loaded library. Never unmapped: the object may go, the code stays. Its last reference goes on
// the control thread, after the last instance: that calls fini.
class Library {
 public:
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const std::string& id() const { return id_; }
  const std::string& version() const { return version_; }
  const std::string& build() const { return build_; }
  const std::string& sha256() const { return sha256_; }
  const std::filesystem::path& source() const { return source_; }
  const std::vector<Kind>& kinds() const { return kinds_; }
  Health& health() const { return health_; }
  std::uint32_t note() const { return note_; }  // its number in call notes

 private:
  friend class Libraries;
  Library() = default;
  const swy_lib* table_ = nullptr;
  std::uint32_t note_ = 0;
  mutable Health health_;
  mutable std::filesystem::path copy_;  // what is mapped
  std::string id_, version_, build_, sha256_;
  std::filesystem::path source_;
  std::vector<Kind> kinds_;
};

struct LibraryOptions {
  std::filesystem::path directory;  // where plugins are; refused where group or others may write
  std::filesystem::path private_directory;  // 0700, for the copies
  std::map<std::string, std::string> pins;  // file name -> SHA-256; where not empty only these load
  bool trial = true;  // audit and trial in a child (self-exec of `switchyard plugin-trial`)
  std::filesystem::path trial_program;  // empty: this binary (/proc/self/exe)
  std::chrono::milliseconds trial_max{
      10'000};                // a trial that takes longer is stopped and the file refused
  bool require_pins = false;  // only pinned files load, also where there is no pin
  std::chrono::milliseconds warm{600'000};  // how long a rollback can have the generation before
  unsigned mapped_max = 2000;               // libraries in one process; more are refused
  std::map<std::string, std::string>
      quarantined;  // SHA-256 -> why: contents that crashed in service
};

// Whether an instance outlives its last snapshot while its generation is kept warm.
enum class Keep { kWarm, kNot };

// All libraries of the process, by file name, each with the generations that it went through. One
// control thread at a time.
//
// A change of what serves is proposed, seen by find() and share() at once, and then published or
// withdrawn as a whole; in between, new instances are opened.
class Libraries {
 public:
  explicit Libraries(LibraryOptions options);
  // One library that is in the process already and stays its owner's, such as a trial's.
  explicit Libraries(const Offer& offer);
  ~Libraries();

  struct Refused {
    std::filesystem::path file;
    std::string reason;
    bool serving = false;  // the content serves: it is the new configuration that it can't take
  };
  struct Proposed {
    std::shared_ptr<const Library> library;
    bool changed = false;  // false: what serves stays
  };

  // One file: private copy under a never-used name, SHA-256, trial in a child with those of `uses`
  // that are of its kinds, dlopen, version offer, init. The same content is not mapped twice in a
  // process. A kind or id that another file offers is refused. The file must be in the plugin
  // directory. Refusal texts do not name the file; they are exact and stable: sdk/PLUGINS.md lists
  // them.
  //
  // kSwap: a new generation, also of the same content; refused where an open() says no.
  // kReload: none where the content serves already, or a rollback has just left it; an open() that
  // says no is left to whoever opens the instance, who knows its place.
  // kWatch: nor where the content was refused before; else as kSwap.
  enum class Intent { kSwap, kReload, kWatch };
  Result<Proposed, Refused> propose(const std::filesystem::path& file, const Uses& uses,
                                    Intent intent);
  // The same with every *.so of the directory, in name order. A bad file is refused with its
  // reason and the others go on. Where the directory itself is refused the one entry names it.
  std::vector<Refused> propose_all(const Uses& uses);
  // The generation before, while it is warm.
  Result<Proposed> propose_previous(const std::string& name);

  // What was proposed serves; what served before drains.
  void publish();
  // Nothing changes. Where a reason is given the proposed contents are refused for it; kCounts:
  // towards their quarantine.
  enum class Blame { kCounts, kNone };
  void withdraw(const std::string& reason = {}, Blame blame = Blame::kCounts);

  // Takes back what is proposed for the file, to be proposed again when it has shown itself. From
  // here on only a swap brings this content in, no reload and no watch; and what serves is kept as
  // the last good one.
  std::shared_ptr<Generation> set_aside(const std::string& name);
  void propose_again(std::shared_ptr<Generation> aside);

  // Propose and publish, without uses.
  Result<std::shared_ptr<const Library>> load(const std::filesystem::path& file);
  std::vector<Refused> load_all();

  // Contents that are not loaded: refused too often, or for what they did in service.
  bool has_quarantined() const;
  // The content is tried again. False where nothing with this hash is quarantined.
  bool release(const std::string& sha256);

  // Ends what is over: what is warm for long enough, what has drained.
  void settle();

  // The libraries that serve, in the order of their files' names.
  std::vector<std::shared_ptr<const Library>> all() const;
  // The kind of this interface family ("provider", "strategy", "logger") and name.
  struct Found {
    std::shared_ptr<const Library> library;
    const Kind* kind = nullptr;
  };
  Found find(std::string_view family, std::string_view name) const;

  // The instance that this key made in the generation that find() answers with, or a new one from
  // open(predecessor). The predecessor is what served the same place before, or null: a strategy
  // hands its state over there. Instance is a type of one family. The kind must be there.
  template <class Instance>
  using Open = std::function<Result<std::shared_ptr<Instance>>(Instance* predecessor)>;
  template <class Instance>
  Result<std::shared_ptr<Instance>> share(const InstanceKey& key, Keep keep,
                                          const Open<Instance>& open);

  // By file name, oldest first; the last few of each file.
  using Files = std::map<std::string, std::vector<std::shared_ptr<Generation>>>;
  const Files& files() const { return files_; }
  const LibraryOptions& options() const { return options_; }
  // Contents that this process has mapped, and those of them that serve nothing.
  std::size_t mapped() const;
  std::size_t retained() const;

  // The table that every plugin is given. Lives as long as the process.
  static const swy_host* host();

 private:
  using Current = std::map<std::string, std::shared_ptr<Generation>>;  // by file name

  Result<void> check_pin(const std::string& name, const std::string& sha256) const;
  Result<void> check_unique(const std::string& name, const Library& incoming) const;
  bool refused_before(const std::string& name, const std::string& sha256) const;
  Result<void> check_quarantine(const std::string& sha256) const;
  Result<Proposed, Refused> propose_from(const std::filesystem::path& file,
                                         const std::filesystem::path& directory, const Uses& uses,
                                         Intent intent);
  bool propose_last_good(const std::filesystem::path& file, const Uses& uses);
  void keep_last_good(const Generation& served) const;
  Result<void, Refused> try_again(const Generation& serving, const std::filesystem::path& copy,
                                  const Uses& uses);
  struct LoadRequest;
  struct LoadFailure;
  Result<std::shared_ptr<const Library>, LoadFailure> load_copy(const LoadRequest& request);
  Result<std::shared_ptr<const Library>> begin(const std::filesystem::path& file,
                                               const std::string& sha256, swy_entry entry) const;
  Refused refuse(const std::filesystem::path& file, const std::string& sha256,
                 const std::string& reason, bool counts);
  std::shared_ptr<Generation> find_generation(std::string_view family, std::string_view name) const;
  std::shared_ptr<void> find_shared(const InstanceKey& key) const;
  std::shared_ptr<void> find_predecessor(const InstanceKey& key) const;
  void remember(const InstanceKey& key, Keep keep, std::shared_ptr<void> instance);
  void put(std::shared_ptr<Generation> next);
  void prune(const std::string& name);

  LibraryOptions options_;
  unsigned next_number_ = 1;
  Files files_;
  Current serving_, proposed_;
  // File name -> SHA-256 that a rollback left, or that was set aside: a swap alone brings it in.
  std::map<std::string, std::string> left_;
  std::map<std::string, std::string> passed_;  // SHA-256 -> uses that its last good trial had
};

template <class Instance>
Result<std::shared_ptr<Instance>> Libraries::share(const InstanceKey& key, Keep keep,
                                                   const Open<Instance>& open) {
  if (auto there = find_shared(key)) return std::static_pointer_cast<Instance>(std::move(there));
  const auto before = std::static_pointer_cast<Instance>(find_predecessor(key));
  auto opened = open(before.get());
  if (opened) remember(key, keep, *opened);
  return opened;
}

// What `switchyard plugin-trial FILE` does in the child: static audit with libelf, dlopen,
// negotiate, init, self_test, the uses that standard input brings, fini. Prints each step and the
// refusal text to stdout; returns the exit code.
int run_trial(const std::filesystem::path& file, bool uses_on_stdin);

}  // namespace switchyard::plugin

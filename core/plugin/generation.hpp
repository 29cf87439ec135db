// One publication of a plugin file: the library, and the open instances that snapshots share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace switchyard::plugin {

class Library;

enum class State {
  kServing,      // new requests use it
  kDraining,     // another one serves; requests that began on this one go on, or it is kept warm
  kRetired,      // nothing uses it any more; its code stays mapped
  kRefused,      // never served
  kQuarantined,  // refused so often that this content is not tried again
};
const char* to_string(State state);

// What made an instance: where all is equal, snapshots share it.
struct InstanceKey {
  std::string family, kind, id, config;
  bool operator==(const InstanceKey&) const = default;
  // The same place of the configuration, whatever its settings.
  bool same_place(const InstanceKey& other) const {
    return family == other.family && kind == other.kind && id == other.id;
  }
};

// [control thread]
struct Generation {
  unsigned number = 0;  // counts within the process, over all files
  std::string file;
  State state = State::kRefused;
  std::string sha256;  // empty where the file could not be read
  std::string id, version;
  std::string reason;               // why it was refused
  unsigned refusals = 0;            // of this content
  std::uint64_t since_ms = 0;       // unix: when it came into this state
  std::uint64_t warm_until_ns = 0;  // monotonic: until then a rollback can have it again; 0: none
  std::shared_ptr<const Library> library;  // until it retires

  struct Shared {
    InstanceKey key;
    bool keep = false;  // may be kept warm
    std::weak_ptr<void> instance;
    std::shared_ptr<void> kept;  // while it is
  };
  std::vector<Shared> shared;  // destroyed before the library

  // Open instances, and the snapshots that hold them.
  std::size_t instances() const;
  std::size_t pins() const;
};

}  // namespace switchyard::plugin

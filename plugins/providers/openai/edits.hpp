// Changes of a JSON text that leave the rest of it byte for byte.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace openai {

// Bytes [from, to) of a text are replaced.
struct Edit {
  std::size_t from, to;
  std::string_view with;
};

// Collects the edits that take members out of one object, commas included.
class MemberRemoval {
 public:
  explicit MemberRemoval(std::vector<Edit>& edits) : edits_(edits) {}

  // Called for each member in order, before anything inside it is edited.
  void begin(std::size_t name_at) {
    if (pending_) edits_[last_].to = name_at;
    pending_ = false;
  }
  void keep(std::size_t value_end) {
    kept_ = true;
    last_end_ = value_end;
  }
  // With a member kept before it goes its comma, else the one behind it.
  void remove(std::size_t name_at, std::size_t value_end) {
    last_ = edits_.size();
    edits_.push_back({kept_ ? last_end_ : name_at, value_end, {}});
    pending_ = !kept_;
    last_end_ = value_end;
  }
  bool kept() const { return kept_; }

 private:
  std::vector<Edit>& edits_;
  std::size_t last_ = 0, last_end_ = 0;
  bool kept_ = false, pending_ = false;
};

}  // namespace openai

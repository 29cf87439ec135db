// Some of what requests ask for is sold in more than one way, and an upstream may tell of another
// one than the price list has, or of none: speech is sold by its characters or by tokens, and a
// transcription by the seconds that were heard or by tokens.
#pragma once

#include <array>
#include <cstddef>

#include "core/exchange/quantities.hpp"

namespace switchyard::exchange {

struct Count {
  catalog::Quantities quantities{};
  bool estimated = false;  // of this nobody told
};

// One request counted in each way, at least in one: the first that a list has prices for counts.
class Counts {
 public:
  // Nothing was used.
  static Counts none() {
    Counts counts;
    counts.add({});
    return counts;
  }
  void add(const catalog::Quantities& quantities, bool estimated = false) {
    all_[size_++] = {quantities, estimated};
  }
  const Count* begin() const { return all_.data(); }
  const Count* end() const { return all_.data() + size_; }
  const Count& front() const { return all_.front(); }
  std::size_t size() const { return size_; }

 private:
  std::array<Count, 3> all_;
  std::size_t size_ = 0;
};

// What was used; and what may be, of upper bounds.
Counts counts_of(const Request& request, const observe::Usage& usage);
Counts counts_of(const Request& request, const catalog::Quantities& most);

}  // namespace switchyard::exchange

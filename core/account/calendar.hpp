// The day and the month that a time is in, by zone, remembered until they are over.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "core/account/periods.hpp"

namespace switchyard::account {

// One thread's.
class Calendar {
 public:
  struct Dates {
    Period day, month;
  };
  // A zone that the system does not know counts as UTC.
  const Dates& at(const std::string& zone, std::int64_t unix_s);

 private:
  std::unordered_map<std::string, Dates> zones_;
};

}  // namespace switchyard::account

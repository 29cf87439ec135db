// A database of its own for a test, gone with it.
#pragma once

#include <memory>
#include <string>

#include "../scratch.hpp"
#include "core/account/keys.hpp"
#include "core/store/store.hpp"

namespace switchyard {

struct ScratchDatabase {
  Scratch scratch;
  std::unique_ptr<store::Database> database = std::move(*store::open_database(scratch.path()));
  account::Pepper pepper{Secret(std::string(32, 'p'))};
};

}  // namespace switchyard

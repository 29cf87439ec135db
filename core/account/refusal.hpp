// Why something is not as it was asked to be: an HTTP status, a stable code, words that say what
// would do, and the member they are about.
#pragma once

#include <string>
#include <utility>

#include "core/base/result.hpp"

namespace switchyard::account {

struct Refusal {
  Refusal(int http_status, std::string stable_code, std::string words, std::string member = {})
      : status(http_status),
        code(std::move(stable_code)),
        message(std::move(words)),
        param(std::move(member)) {}
  // A fault of the database or the ledger, which is nobody's question.
  Refusal(Error fault) : status(500), code("internal_error"), message(std::move(fault.message)) {}
  Refusal() = default;

  int status = 500;
  std::string code, message, param;
};

template <class T>
using Asked = Result<T, Refusal>;

}  // namespace switchyard::account

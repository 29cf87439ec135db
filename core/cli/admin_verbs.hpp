// Commands that are one call of the admin API each, told by a table: what is asked, and what of the
// answer people see.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace switchyard::cli {

struct ApiOption {
  enum class Kind { kText, kNumber, kFlag, kJson, kList };
  const char* name;    // "--account"
  const char* member;  // of the body; of the query where it is a GET
  Kind kind = Kind::kText;
};

struct ApiVerb {
  const char* name;
  const char* method;  // "GET", "POST", "PATCH"
  const char* path;    // "/admin/v1/orders/{}/pay": {} is the word behind the verb
  std::vector<ApiOption> options;
  std::vector<const char*> columns;   // of a list; empty: one object, a line for each member
  const char* text_member = nullptr;  // of a list of texts in the answer, a line for each
};

struct ApiNoun {
  const char* name;
  const char* usage;
  std::vector<ApiVerb> verbs;
};

int run_noun(const ApiNoun& noun, std::span<const std::string> args, std::ostream& out,
             std::ostream& err);

}  // namespace switchyard::cli

#include "core/account/registry.hpp"

#include <set>

#include "../scratch.hpp"
#include "core/account/loader.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

constexpr std::uint64_t kNow = 1'000'000;

struct Stage {
  Scratch scratch;
  std::unique_ptr<store::Database> database =
      std::move(store::open_database(scratch.path())).value();
  store::Accounts accounts{*database};
  Pepper pepper{Secret("pepper")};
  Registry registry{accounts, pepper};

  std::string account(const std::string& json, const std::string& scope = "") {
    const auto made = registry.create_account(scope, *parse_fields(json), kNow);
    return made ? made->id : made.error().code;
  }
  std::string key(const std::string& json, const std::string& scope = "") {
    const auto made = registry.create_key(scope, *parse_fields(json), kNow);
    return made ? made->row.id : made.error().code;
  }
};

template <class T>
std::string code_of(const Done<T>& done) {
  return done ? "done" : done.error().code;
}

// In alphabetical order.
template <class Row>
std::string names_of(const Done<std::vector<Row>>& rows) {
  REQUIRE(rows);
  std::set<std::string> names;
  for (const Row& row : *rows) names.insert(row.name);
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

}  // namespace

TEST_CASE("account: who is bound to an account finds no other one", "[unit][account]") {
  Stage stage;
  const std::string acme = stage.account(R"({"name":"acme"})");
  const std::string team = stage.account(R"({"name":"team","parent":")" + acme + R"("})");
  const std::string other = stage.account(R"({"name":"other"})");
  const std::string theirs = stage.key(R"({"name":"theirs","account":")" + other + R"("})");
  const std::string ours = stage.key(R"({"name":"ours","account":")" + team + R"("})");
  Registry& registry = stage.registry;
  const auto fields = *parse_fields(R"({"name":"x"})");

  for (const std::string& hidden : {other, std::string("default"), std::string("acc_none")}) {
    CAPTURE(hidden);
    CHECK(code_of(registry.account(acme, hidden)) == "account_not_found");
    CHECK(code_of(registry.change_account(acme, hidden, fields)) == "account_not_found");
    CHECK(code_of(registry.enable_account(acme, hidden, false, kNow)) == "account_not_found");
    CHECK(stage.key(R"({"name":"x","account":")" + hidden + R"("})", acme) == "account_not_found");
    CHECK(stage.account(R"({"name":"x","parent":")" + hidden + R"("})", acme) ==
          "account_not_found");
    CHECK(code_of(registry.keys(acme, {"", 9, hidden})) == "account_not_found");
    CHECK(code_of(registry.accounts(acme, {"", 9, hidden})) == "account_not_found");
  }
  CHECK(code_of(registry.account(team, acme)) == "account_not_found");
  CHECK(code_of(registry.key(acme, theirs)) == "key_not_found");
  CHECK(code_of(registry.change_key(acme, theirs, fields)) == "key_not_found");
  CHECK(code_of(registry.rotate_key(acme, theirs, 0, kNow)) == "key_not_found");
  CHECK(code_of(registry.set_key(acme, theirs, Registry::KeyChange::kDelete, kNow)) ==
        "key_not_found");

  CHECK(names_of(registry.keys(acme, {})) == "ours ");
  CHECK(names_of(registry.accounts(acme, {})) == "acme team ");
  CHECK(names_of(registry.keys("", {})) == "ours theirs ");
  CHECK(code_of(registry.key(acme, ours)) == "done");
  CHECK(code_of(registry.rotate_key(team, ours, 0, kNow)) == "done");
}

TEST_CASE("account: who is bound to an account gives no more than it has", "[unit][account]") {
  Stage stage;
  const std::string acme = stage.account(R"({"name":"acme","mode":"prepaid","currency":"EUR"})");
  Registry& registry = stage.registry;
  for (const char* money :
       {R"({"name":"x","mode":"unmetered"})", R"({"name":"x","payer":"self"})",
        R"({"name":"x","credit_limit":"1"})", R"({"name":"x","markup_ppm":-1000000})"}) {
    CAPTURE(money);
    CHECK(stage.account(money, acme) == "not_allowed");
    CHECK(code_of(registry.change_account(acme, acme, *parse_fields(money))) == "not_allowed");
  }
  CHECK(stage.key(R"({"name":"x","may_explain":true})", acme) == "not_allowed");
  CHECK(stage.key(R"({"name":"x","body_bytes_max":1})", acme) == "not_allowed");
  const std::string key = stage.key(R"({"name":"x"})", acme);
  CHECK((*registry.key("", key)).account == acme);
  CHECK(code_of(registry.change_key(acme, key, *parse_fields(R"({"may_explain":true})"))) ==
        "not_allowed");
  // Below it, and paid by it.
  const auto team = registry.account("", stage.account(R"({"name":"team"})", acme));
  CHECK(team->parent == acme);
  CHECK(team->parent_pays);
  CHECK(team->currency == "EUR");
  // What was disabled from above is not its own to enable; what is below it is.
  REQUIRE(registry.enable_account("", acme, false, kNow));
  CHECK(code_of(registry.enable_account(acme, acme, true, kNow)) == "not_allowed");
  CHECK(code_of(registry.enable_account(acme, team->id, false, kNow)) == "done");
}

TEST_CASE("account: parents end, and a payer's currency is its children's", "[unit][account]") {
  Stage stage;
  std::string parent = stage.account(R"({"name":"top","currency":"CNY"})");
  for (int depth = 2; depth <= 8; ++depth) {
    parent = stage.account(R"({"name":"x","payer":"parent","parent":")" + parent + R"("})");
    REQUIRE(parent.starts_with("acc_"));
  }
  CHECK(stage.account(R"({"name":"x","parent":")" + parent + R"("})") == "invalid_value");
  CHECK((*stage.registry.account("", parent)).currency == "CNY");
  CHECK(stage.account(R"({"name":"x","payer":"parent","currency":"USD","parent":")" + parent +
                      R"("})") == "invalid_value");
}

TEST_CASE("account: a rotation ends every secret before it in time", "[unit][account]") {
  Stage stage;
  Loader loader(stage.accounts, stage.pepper);
  const auto first = stage.registry.create_key("", *parse_fields(R"({"name":"x"})"), kNow);
  const std::string id = first->row.id;
  const auto second = stage.registry.rotate_key("", id, 3600, kNow);
  const auto third = stage.registry.rotate_key("", id, 60, kNow + 10);
  REQUIRE(*loader.refresh());
  const auto standing = [&](const Done<MintedKey>& key, std::uint64_t at) {
    return loader.current()->find(key->key.reveal(), kNow + at).standing;
  };
  CHECK(standing(first, 69) == Standing::kGood);
  CHECK(standing(second, 69) == Standing::kGood);
  CHECK(standing(first, 70) == Standing::kExpired);
  CHECK(standing(second, 70) == Standing::kExpired);
  CHECK(standing(third, 1'000'000) == Standing::kGood);

  // What is long over is forgotten where it is kept, and stays over where it is known.
  const auto fourth = stage.registry.rotate_key("", id, 0, kNow + 200'000);
  CHECK(fourth->row.old_macs.size() == 1);
  REQUIRE(*loader.refresh());
  CHECK(standing(first, 200'001) == Standing::kExpired);
  CHECK(standing(third, 200'001) == Standing::kExpired);
  CHECK(standing(fourth, 200'001) == Standing::kGood);
}

TEST_CASE("account: nothing that is shown of a key authenticates", "[unit][account]") {
  Stage stage;
  const auto made = stage.registry.create_key("", *parse_fields(R"({"name":"x"})"), kNow);
  const auto rotated = stage.registry.rotate_key("", made->row.id, 60, kNow);
  const std::string shown = to_json(*stage.registry.key("", made->row.id), kNow);
  for (const auto* key : {&*made, &*rotated}) {
    CHECK(shown.find(std::string(key->key.reveal())) == std::string::npos);
    CHECK(shown.find(key->row.mac_hex) == std::string::npos);
  }
  CHECK(to_json(*rotated, kNow).find(std::string(rotated->key.reveal())) != std::string::npos);
}

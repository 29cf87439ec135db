#include "core/account/directory.hpp"

#include "../scratch.hpp"
#include "core/account/loader.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

const Pepper kPepper{Secret("pepper")};

store::AccountRow account_row(const std::string& id, const std::string& parent = "") {
  store::AccountRow row;
  row.id = id;
  row.number = static_cast<std::int64_t>(id.size());
  row.parent = parent;
  return row;
}

store::KeyRow key_row(const std::string& id, const std::string& text,
                      const std::string& account = "default") {
  store::KeyRow row;
  row.id = id;
  row.name = id;
  row.account = account;
  row.mac_hex = to_hex(kPepper.mac(text));
  return row;
}

// The directory `from` with what `change` puts into it.
template <class Change>
std::shared_ptr<const Directory> next(const std::shared_ptr<const Directory>& from, Change change) {
  DirectoryEdit edit(*from);
  change(edit);
  return edit.finish();
}

std::shared_ptr<const Directory> with_default() {
  return next(std::make_shared<const Directory>(kPepper),
              [](DirectoryEdit& edit) { edit.put(account_row("default")); });
}

Standing standing(const std::shared_ptr<const Directory>& directory, std::string_view key,
                  std::uint64_t now = 1000) {
  return directory->find(key, now).standing;
}

GatewayKey key_for(std::vector<std::string> models) {
  GatewayKey key;
  key.models = std::move(models);
  return key;
}

}  // namespace

TEST_CASE("account: a key's models are names or patterns with stars", "[unit][account]") {
  CHECK(key_for({}).may_use("anything"));
  CHECK(key_for({"*"}).may_use("anything"));
  CHECK(key_for({"gpt-5"}).may_use("gpt-5"));
  CHECK_FALSE(key_for({"gpt-5"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({"gpt-5"}).may_use("my-gpt-5"));
  CHECK(key_for({"gpt-5*"}).may_use("gpt-5-mini"));
  CHECK(key_for({"*-mini"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({"*-mini"}).may_use("gpt-5-minimal"));
  CHECK(key_for({"a", "g*5*i"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({"g*5*x"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({""}).may_use("gpt-5"));
  CHECK_FALSE(key_for({"a*a*a*a*a*a*a*a*b"}).may_use(std::string(5000, 'a')));
}

TEST_CASE("account: a key that is bound to models has the features that it names",
          "[unit][account]") {
  CHECK(key_for({}).may_use_feature("coding"));
  CHECK_FALSE(key_for({"gpt-*"}).may_use_feature("coding"));
  CHECK(key_for({"gpt-*", "feature/cod*"}).may_use_feature("coding"));
  GatewayKey key = key_for({"gpt-*"});
  key.features = {"coding"};
  CHECK(key.may_use_feature("coding"));
  CHECK_FALSE(key.may_use_feature("support"));
}

TEST_CASE("account: an endpoint's name stands for those below it", "[unit][account]") {
  GatewayKey key;
  CHECK(key.may_do("chat"));
  key.endpoints = {"images", "audio.speech", "v*"};
  CHECK_FALSE(key.may_do("chat"));
  CHECK(key.may_do("images.edits"));
  CHECK(key.may_do("audio.speech"));
  CHECK_FALSE(key.may_do("audio.transcriptions"));
  CHECK_FALSE(key.may_do("audio"));
  CHECK_FALSE(key.may_do("images2"));
  CHECK(key.may_do("videos.get"));
}

TEST_CASE("account: only the exact key is found", "[unit][account]") {
  const auto directory = next(
      with_default(), [](DirectoryEdit& edit) { REQUIRE(edit.put(key_row("key_1", "sy-right"))); });
  for (const std::string_view wrong :
       {std::string_view(""), std::string_view("sy-righ"), std::string_view("sy-right "),
        std::string_view("SY-RIGHT"), std::string_view("sy-right\0", 9),
        std::string_view("' OR 1=1 --")}) {
    CAPTURE(wrong);
    CHECK(standing(directory, wrong) == Standing::kUnknown);
    CHECK(directory->find(wrong, 1).key == nullptr);
  }
  const Found found = directory->find("sy-right", 1);
  REQUIRE(found.standing == Standing::kGood);
  CHECK(found.key->id == "key_1");
  CHECK(found.account->id == "default");
}

TEST_CASE("account: a disabled or expired key is known, and good for nothing", "[unit][account]") {
  const auto directory = next(with_default(), [](DirectoryEdit& edit) {
    auto row = key_row("key_1", "disabled");
    row.disabled_unix_s = 1;
    edit.put(row);
    row = key_row("key_2", "deleted");
    row.deleted_unix_s = 1;
    edit.put(row);
    row = key_row("key_3", "expires");
    row.expires_unix_s = 1000;
    edit.put(row);
    row = key_row("key_4", "both");
    row.expires_unix_s = 1;
    row.disabled_unix_s = 1;
    edit.put(row);
  });
  CHECK(standing(directory, "disabled") == Standing::kDisabled);
  CHECK(directory->find("disabled", 1).key->id == "key_1");
  CHECK(standing(directory, "deleted") == Standing::kDisabled);
  CHECK(standing(directory, "expires", 999) == Standing::kGood);
  CHECK(standing(directory, "expires", 1000) == Standing::kExpired);
  CHECK(standing(directory, "both") == Standing::kDisabled);
  CHECK(directory->enabled() == 1);
}

TEST_CASE("account: what of a key can't be understood takes all of it away", "[unit][account]") {
  const auto directory = next(with_default(), [](DirectoryEdit& edit) {
    auto row = key_row("key_1", "range");
    row.ip_ranges = {"10.0.0.0/8", "nonsense"};
    CHECK_FALSE(edit.put(row));
    CHECK_FALSE(edit.put(key_row("key_2", "owner", "acc_none")));
    row = key_row("key_3", "mac");
    row.mac_hex = "no hex";
    CHECK_FALSE(edit.put(row));
  });
  CHECK(standing(directory, "range") == Standing::kDisabled);
  CHECK(standing(directory, "owner") == Standing::kDisabled);
  CHECK(standing(directory, "mac") == Standing::kUnknown);
}

TEST_CASE("account: a rotated key is found by what it was until its time", "[unit][account]") {
  auto row = key_row("key_1", "third");
  row.old_macs = {{to_hex(kPepper.mac("first")), 500}, {to_hex(kPepper.mac("second")), 2000}};
  auto directory =
      next(with_default(), [](DirectoryEdit& edit) { edit.put(key_row("key_1", "first")); });
  CHECK(standing(directory, "first") == Standing::kGood);
  directory = next(directory, [&](DirectoryEdit& edit) { edit.put(row); });
  CHECK(standing(directory, "first", 499) == Standing::kGood);
  CHECK(standing(directory, "first", 500) == Standing::kExpired);
  CHECK(standing(directory, "second", 1999) == Standing::kGood);
  CHECK(standing(directory, "second", 2000) == Standing::kExpired);
  CHECK(directory->find("third", 5000).key->id == "key_1");
  // Disabled is every form of it.
  row.disabled_unix_s = 1;
  directory = next(directory, [&](DirectoryEdit& edit) { edit.put(row); });
  for (const char* text : {"first", "second", "third"}) {
    CHECK(standing(directory, text, 1) == Standing::kDisabled);
  }
}

TEST_CASE("account: an account that is disabled takes those below it along", "[unit][account]") {
  auto directory = next(with_default(), [](DirectoryEdit& edit) {
    edit.put(account_row("acme"));
    auto team = account_row("team", "acme");
    team.parent_pays = true;
    edit.put(team);
    auto project = account_row("project", "team");
    project.parent_pays = true;
    edit.put(project);
    edit.put(key_row("key_1", "k", "project"));
    edit.put(key_row("key_2", "other"));
  });
  const Found before = directory->find("k", 1);
  REQUIRE(before.standing == Standing::kGood);
  CHECK(before.account->payer().id == "acme");

  auto acme = account_row("acme");
  acme.disabled_unix_s = 5;
  acme.markup_ppm = 7;
  const auto disabled = next(directory, [&](DirectoryEdit& edit) { edit.put(acme); });
  CHECK(standing(disabled, "k") == Standing::kAccountDisabled);
  CHECK(disabled->find("k", 1).account->payer().markup_ppm == 7);
  CHECK(standing(disabled, "other") == Standing::kGood);
  CHECK(disabled->find("k", 1).key == before.key);  // however many there are
  // The one before stays what it was, for requests that hold it.
  CHECK(before.account->enabled());
  CHECK(standing(directory, "k") == Standing::kGood);

  acme.disabled_unix_s = 0;
  directory = next(disabled, [&](DirectoryEdit& edit) { edit.put(acme); });
  CHECK(standing(directory, "k") == Standing::kGood);
  CHECK(directory->account("project")->parent->parent == directory->account("acme"));
  CHECK(directory->account("none") == nullptr);
}

TEST_CASE("account: an account whose parent is not there is no way in", "[unit][account]") {
  const auto directory = next(with_default(), [](DirectoryEdit& edit) {
    edit.put(account_row("lost", "acc_none"));
    edit.put(key_row("key_1", "k", "lost"));
  });
  CHECK(standing(directory, "k") == Standing::kAccountDisabled);
}

TEST_CASE("account: keys of the configuration hold where the store has the same",
          "[unit][account]") {
  config::Key clear;
  clear.name = "app";
  clear.key = Secret("sy-app");
  clear.body_bytes_max = 7;
  config::Key by_mac;
  by_mac.name = "ci";
  by_mac.mac = to_hex(kPepper.mac("sy-ci"));
  auto directory = next(with_default(), [&](DirectoryEdit& edit) {
    edit.put(key_row("key_1", "sy-app"));
    edit.configure({clear, by_mac});
  });
  CHECK(directory->find("sy-app", 1).key->id == "config:app");
  CHECK(directory->find("sy-app", 1).key->body_bytes_max == 7);
  CHECK(directory->find("sy-ci", 1).key->name == "ci");
  CHECK(directory->find("sy-ci", 1).account->id == "default");

  auto closed = account_row("default");
  closed.disabled_unix_s = 1;
  CHECK(standing(next(directory, [&](DirectoryEdit& edit) { edit.put(closed); }), "sy-ci") ==
        Standing::kAccountDisabled);
  directory = next(directory, [&](DirectoryEdit& edit) { edit.configure({by_mac}); });
  CHECK(directory->find("sy-app", 1).key->id == "key_1");
}

TEST_CASE("account: fifty thousand keys are told apart, and one changes alone", "[unit][account]") {
  constexpr int kCount = 50'000;
  const auto name = [](int i) { return "sy-" + std::to_string(i); };
  const auto directory = next(with_default(), [&](DirectoryEdit& edit) {
    for (int i = 0; i < kCount; ++i) edit.put(key_row("key_" + std::to_string(i), name(i)));
  });
  CHECK(directory->enabled() == kCount);
  int wrong = 0;
  for (int i = 0; i < kCount; ++i) {
    const Found found = directory->find(name(i), 1);
    wrong += found.key == nullptr || found.key->id != "key_" + std::to_string(i);
  }
  CHECK(wrong == 0);
  CHECK(standing(directory, name(kCount)) == Standing::kUnknown);

  auto row = key_row("key_7", name(7));
  row.disabled_unix_s = 1;
  const auto changed = next(directory, [&](DirectoryEdit& edit) { edit.put(row); });
  CHECK(standing(changed, name(7)) == Standing::kDisabled);
  CHECK(changed->enabled() == kCount - 1);
  // All that did not change is shared.
  int moved = 0;
  for (int i = 0; i < kCount; ++i) {
    moved += directory->find(name(i), 1).key != changed->find(name(i), 1).key;
  }
  CHECK(moved == 1);
}

TEST_CASE("account: a directory follows the store", "[unit][account]") {
  const Scratch scratch;
  const auto reading = std::move(store::open_database(scratch.path())).value();
  const auto writing = std::move(store::open_database(scratch.path())).value();
  store::Accounts reader(*reading), writer(*writing);
  config::Key configured;
  configured.name = "app";
  configured.key = Secret("sy-app");
  Loader loader(reader, kPepper);
  loader.configure({configured});
  REQUIRE(*loader.refresh());
  CHECK(standing(loader.current(), "sy-app") == Standing::kGood);
  CHECK_FALSE(*loader.refresh());

  auto owner = account_row("acme");
  REQUIRE(writer.add_account(owner));
  REQUIRE(writer.add_key(key_row("key_1", "k", "acme")));
  CHECK(standing(loader.current(), "k") == Standing::kUnknown);
  REQUIRE(*loader.refresh());
  CHECK(standing(loader.current(), "k") == Standing::kGood);
  CHECK(loader.current()->find("k", 1).account->number == 2);

  REQUIRE(*writer.change_key("key_1", [](store::KeyRow& row) {
    row.disabled_unix_s = 1;
    return true;
  }));
  REQUIRE(*loader.refresh());
  CHECK(standing(loader.current(), "k") == Standing::kDisabled);

  // Where it can't be read what was known stays, and the next time it is tried again.
  REQUIRE(writing->run("UPDATE keys SET ip_ranges = 'x'"));
  REQUIRE(writing->run("UPDATE changes SET n = n + 1"));
  REQUIRE(writing->run("UPDATE keys SET change = 1000"));
  CHECK_FALSE(loader.refresh());
  CHECK(standing(loader.current(), "k") == Standing::kDisabled);
  REQUIRE(writing->run("UPDATE keys SET ip_ranges = '[\"x\"]'"));
  REQUIRE(*loader.refresh());
  CHECK(loader.take_unreadable() == std::vector<std::string>{"key_1"});
}

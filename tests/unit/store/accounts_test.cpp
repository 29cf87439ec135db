#include "core/store/accounts.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../scratch.hpp"
#include "core/store/migrations.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using namespace switchyard::store;

namespace {

// A connection of its own.
struct Opened {
  explicit Opened(const Scratch& scratch)
      : database(std::move(open_database(scratch.path())).value()), accounts(*database) {}
  std::unique_ptr<Database> database;
  Accounts accounts;
};

void run_sql(const std::filesystem::path& file, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  const int code = sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
  CAPTURE(sqlite3_errmsg(database));
  CHECK(code == SQLITE_OK);
  sqlite3_close(database);
}

KeyRow key(const std::string& id, char digit, const std::string& account = "default") {
  KeyRow row;
  row.id = id;
  row.name = "name of " + id;
  row.account = account;
  row.mac_hex = std::string(64, digit);
  row.created_unix_s = 100;
  return row;
}

AccountRow account(const std::string& id, const std::string& parent = "") {
  AccountRow row;
  row.id = id;
  row.name = "name of " + id;
  row.parent = parent;
  return row;
}

std::string ids_of(const Result<std::vector<KeyRow>>& rows) {
  REQUIRE(rows);
  std::string text;
  for (const KeyRow& row : *rows) text += row.id + " ";
  return text;
}

std::string ids_of(const Result<std::vector<AccountRow>>& rows) {
  REQUIRE(rows);
  std::string text;
  for (const AccountRow& row : *rows) text += row.id + " ";
  return text;
}

}  // namespace

TEST_CASE("store: a key comes back as it was put in, over a restart", "[unit][store]") {
  const Scratch scratch;
  KeyRow put = key("key_1'; DROP TABLE keys; --", 'a');
  put.models = {"gpt-*", "o'3\"; --"};
  put.old_macs = {{std::string(64, 'b'), 7}, {std::string(64, 'c'), 9}};
  put.features = {"coding"};
  put.endpoints = {"chat", "images.*"};
  put.ip_ranges = {"10.0.0.0/8", "::1"};
  put.default_feature = "coding";
  put.may_explain = put.stores_bodies = true;
  put.body_bytes_max = std::uint64_t{1} << 40;
  put.expires_unix_s = 5;
  put.disabled_unix_s = 6;
  put.deleted_unix_s = 7;
  put.metadata = R"({"a":"ü"})";
  put.reach = {{"openai*"}, {"demo"}, {"eu"}};
  REQUIRE(Opened(scratch).accounts.add_key(put));

  Opened opened(scratch);
  const auto row = opened.accounts.key(put.id);
  REQUIRE(row);
  REQUIRE(*row);
  const KeyRow& got = **row;
  CHECK(got.name == put.name);
  CHECK(got.account == "default");
  CHECK(got.mac_hex == put.mac_hex);
  CHECK(got.models == put.models);
  CHECK(got.old_macs == put.old_macs);
  CHECK(got.features == put.features);
  CHECK(got.endpoints == put.endpoints);
  CHECK(got.ip_ranges == put.ip_ranges);
  CHECK(got.default_feature == "coding");
  CHECK(got.may_explain);
  CHECK(got.stores_bodies);
  CHECK(got.body_bytes_max == put.body_bytes_max);
  CHECK(got.created_unix_s == 100);
  CHECK(got.expires_unix_s == 5);
  CHECK(got.disabled_unix_s == 6);
  CHECK(got.deleted_unix_s == 7);
  CHECK(got.metadata == put.metadata);
  CHECK(got.reach.providers == put.reach.providers);
  CHECK(got.reach.providers_denied == put.reach.providers_denied);
  CHECK(got.reach.regions == put.reach.regions);
  CHECK_FALSE(*opened.accounts.key("key_1"));
}

TEST_CASE("store: a second key with the same id or MAC, or of no account, is refused",
          "[unit][store]") {
  const Scratch scratch;
  Opened opened(scratch);
  REQUIRE(opened.accounts.add_key(key("key_1", 'a')));
  const auto same_mac = opened.accounts.add_key(key("key_2", 'a'));
  REQUIRE_FALSE(same_mac);
  CHECK(same_mac.error().message ==
        (scratch.path() / "switchyard.db").string() + ": UNIQUE constraint failed: keys.mac");
  CHECK_FALSE(opened.accounts.add_key(key("key_1", 'b')));
  CHECK_FALSE(opened.accounts.add_key(key("key_3", 'c', "acc_none")));
  CHECK(opened.accounts.keys({})->size() == 1);
}

TEST_CASE("store: a restriction that can't be read does not become none", "[unit][store]") {
  const Scratch scratch;
  Opened opened(scratch);
  REQUIRE(opened.accounts.add_key(key("key_1", 'a')));
  for (const char* column : {"models", "features", "endpoints", "ip_ranges"}) {
    CAPTURE(column);
    const std::string set = std::string("UPDATE keys SET ") + column;
    run_sql(scratch.path() / "switchyard.db", (set + " = 'gpt'").c_str());
    CHECK_FALSE(opened.accounts.key("key_1"));
    CHECK_FALSE(opened.accounts.keys_since(0, [](const KeyRow&) {}));
    run_sql(scratch.path() / "switchyard.db", (set + " = '[]'").c_str());
    CHECK(opened.accounts.key("key_1"));
  }
}

TEST_CASE("store: the account of every key is there from the first", "[unit][store]") {
  const Scratch scratch;
  Opened opened(scratch);
  const auto row = opened.accounts.account("default");
  REQUIRE(*row);
  CHECK((*row)->number == 1);
  CHECK((*row)->mode == AccountMode::kUnmetered);
}

TEST_CASE("store: keys of before there were accounts are the default account's", "[unit][store]") {
  const Scratch scratch;
  const auto file = scratch.path() / "switchyard.db";
  {
    const std::array before{kMigrations[0], kMigrations[1]};
    const auto old = Database::open_sqlite(file, before);
    REQUIRE(old);
    REQUIRE((*old)->run("INSERT INTO keys VALUES ('key_1', 'first', '', '" + std::string(64, 'a') +
                        "', '[\"m*\"]', 5, 0)"));
  }
  Opened opened(scratch);
  const auto row = opened.accounts.key("key_1");
  REQUIRE(*row);
  CHECK((*row)->account == "default");
  CHECK((*row)->models == std::vector<std::string>{"m*"});
  std::string seen;
  REQUIRE(opened.accounts.accounts_since(0, [&](const AccountRow& each) { seen += each.id; }));
  REQUIRE(opened.accounts.keys_since(0, [&](const KeyRow& each) { seen += " " + each.id; }));
  CHECK(seen == "default key_1");
}

TEST_CASE("store: an account comes back as it was put in, with a number of its own",
          "[unit][store]") {
  const Scratch scratch;
  Opened opened(scratch);
  AccountRow put = account("acc_1");
  put.mode = AccountMode::kPostpaid;
  put.currency = "EUR";
  put.credit_limit_nano = 12'500'000'000;
  put.markup_ppm = -50'000;
  put.zone = "Europe/Berlin";
  put.metadata = R"({"x":1})";
  put.created_unix_s = 3;
  put.disabled_unix_s = 4;
  REQUIRE(opened.accounts.add_account(put));
  AccountRow child = account("acc_2", "acc_1");
  child.parent_pays = true;
  REQUIRE(opened.accounts.add_account(child));
  CHECK(put.number == 2);
  CHECK(child.number == 3);
  AccountRow again = account("acc_1");
  CHECK_FALSE(opened.accounts.add_account(again));

  const AccountRow got = **opened.accounts.account("acc_1");
  CHECK(got.number == 2);
  CHECK(got.name == put.name);
  CHECK(got.mode == AccountMode::kPostpaid);
  CHECK(got.currency == "EUR");
  CHECK(got.credit_limit_nano == 12'500'000'000);
  CHECK(got.markup_ppm == -50'000);
  CHECK(got.zone == "Europe/Berlin");
  CHECK(got.metadata == put.metadata);
  CHECK(got.created_unix_s == 3);
  CHECK(got.disabled_unix_s == 4);
  CHECK((*opened.accounts.account("acc_2"))->parent_pays);
  CHECK(ids_of(opened.accounts.lineage("acc_2")) == "acc_2 acc_1 ");
  CHECK(opened.accounts.lineage("acc_9")->empty());
}

TEST_CASE("store: lists go on behind an id, and stay below an account", "[unit][store]") {
  const Scratch scratch;
  Opened opened(scratch);
  for (const auto& [id, parent] : std::vector<std::pair<const char*, const char*>>{
           {"acc_b", ""}, {"acc_a", "acc_b"}, {"acc_c", ""}, {"acc_d", "acc_a"}}) {
    AccountRow row = account(id, parent);
    REQUIRE(opened.accounts.add_account(row));
  }
  CHECK(ids_of(opened.accounts.accounts({})) == "default acc_b acc_a acc_c acc_d ");
  CHECK(ids_of(opened.accounts.accounts({"acc_b", 2, ""})) == "acc_a acc_c ");
  CHECK(ids_of(opened.accounts.accounts({"", 9, "acc_b"})) == "acc_b acc_a acc_d ");
  CHECK(ids_of(opened.accounts.accounts({"acc_a", 9, "acc_b"})) == "acc_d ");
  CHECK(ids_of(opened.accounts.accounts({"", 9, "acc_none"})).empty());
  CHECK(ids_of(opened.accounts.accounts({"acc_none", 9, ""})).empty());

  for (const auto& [id, digit, owner] : std::vector<std::tuple<const char*, char, const char*>>{
           {"key_z", '1', "acc_a"}, {"key_y", '2', "acc_c"}, {"key_x", '3', "acc_d"}}) {
    KeyRow row = key(id, digit, owner);
    row.created_unix_s = id == std::string("key_z") ? 1 : 2;
    REQUIRE(opened.accounts.add_key(row));
  }
  CHECK(ids_of(opened.accounts.keys({})) == "key_z key_x key_y ");
  CHECK(ids_of(opened.accounts.keys({"key_z", 1, ""})) == "key_x ");
  CHECK(ids_of(opened.accounts.keys({"key_x", 9, ""})) == "key_y ");
  CHECK(ids_of(opened.accounts.keys({"", 9, "acc_b"})) == "key_z key_x ");
  CHECK(ids_of(opened.accounts.keys({"key_none", 9, ""})).empty());
}

TEST_CASE("store: only what changed since is told, by any connection, in its newest form",
          "[unit][store]") {
  const Scratch scratch;
  Opened reader(scratch), writer(scratch);
  const auto seen_since = [&](std::uint64_t version) {
    std::string seen;
    REQUIRE(reader.accounts.accounts_since(
        version, [&](const AccountRow& row) { seen += row.id + "=" + row.name + " "; }));
    REQUIRE(reader.accounts.keys_since(
        version, [&](const KeyRow& row) { seen += row.id + "=" + row.name + " "; }));
    return seen;
  };
  auto version = *reader.accounts.version();
  CHECK(seen_since(version).empty());
  AccountRow added = account("acc_1");
  REQUIRE(writer.accounts.add_account(added));
  REQUIRE(writer.accounts.add_key(key("key_1", 'a')));
  REQUIRE(writer.accounts.add_key(key("key_2", 'b', "acc_1")));
  CHECK(seen_since(version) == "acc_1=name of acc_1 key_1=name of key_1 key_2=name of key_2 ");

  version = *reader.accounts.version();
  CHECK(seen_since(version).empty());
  for (const char* name : {"one", "two"}) {
    REQUIRE(*writer.accounts.change_key("key_1", [&](KeyRow& row) {
      row.name = name;
      return true;
    }));
  }
  REQUIRE(*writer.accounts.change_account("acc_1", [](AccountRow& row) {
    row.name = "new";
    return true;
  }));
  CHECK(*reader.accounts.version() > version);
  CHECK(seen_since(version) == "acc_1=new key_1=two ");

  version = *reader.accounts.version();
  CHECK(*writer.accounts.change_key("key_1", [](KeyRow&) { return false; }));
  CHECK_FALSE(*writer.accounts.change_key("key_9", [](KeyRow&) { return true; }));
  CHECK_FALSE(*writer.accounts.change_account("acc_9", [](AccountRow&) { return true; }));
  CHECK(*reader.accounts.version() == version);
}

// Whether another process finds a lock on the file.
bool locked_for_others(const std::filesystem::path& file) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int fd = open(file.c_str(), O_RDWR | O_CLOEXEC);
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    const bool asked = fd >= 0 && fcntl(fd, F_GETLK, &whole) == 0;
    _exit(asked && whole.l_type != F_UNLCK ? 0 : 1);
  }
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status == 0;
}

// Without it another process that closes takes itself for the last, and removes the WAL.
TEST_CASE("store: a second connection leaves the first its locks", "[unit][store]") {
  const Scratch scratch;
  Opened first(scratch);
  REQUIRE(locked_for_others(scratch.path() / "switchyard.db"));
  Opened second(scratch);
  CHECK(locked_for_others(scratch.path() / "switchyard.db"));
}

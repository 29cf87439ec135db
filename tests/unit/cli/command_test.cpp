#include "core/cli/command.hpp"

#include <rapidjson/document.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "../scratch.hpp"
#include "core/account/loader.hpp"
#include "core/cli/plugin_file.hpp"
#include "core/store/store.hpp"

using namespace switchyard;

namespace {

struct Ran {
  int status;
  std::string out, err;
};

Ran run(const std::vector<std::string>& args,
        int (*command)(std::span<const std::string>, std::ostream&, std::ostream&)) {
  std::ostringstream out, err;
  const int status = command(args, out, err);
  return {status, out.str(), err.str()};
}

Ran key(const std::vector<std::string>& args) { return run(args, cli::run_key); }
Ran account_command(const std::vector<std::string>& args) { return run(args, cli::run_account); }
Ran check(const std::vector<std::string>& args) { return run(args, cli::run_check); }

std::string member(const std::string& json, const char* name) {
  rapidjson::Document document;
  document.Parse(json);
  REQUIRE(document.IsObject());
  REQUIRE(document.HasMember(name));
  return document[name].GetString();
}

}  // namespace

TEST_CASE("cli: a key that was made works, once its row is in the store", "[unit][cli]") {
  const Scratch scratch;
  const std::string state = (scratch.path() / "state").string();
  const Ran made =
      key({"create", "--name", "app", "--models=gpt-*,fast", "--state", state, "--json"});
  REQUIRE(made.status == 0);
  CHECK(made.err.empty());
  const std::string text = member(made.out, "key");

  const auto opened = store::open_state(state);
  REQUIRE(opened);
  const auto database = store::open_database(state);
  REQUIRE(database);
  store::Accounts accounts(**database);
  const account::Pepper pepper(Secret(opened->pepper));
  account::Loader loader(accounts, pepper);
  REQUIRE(*loader.refresh());
  const account::Found found = loader.current()->find(text, 1);
  REQUIRE(found.standing == account::Standing::kGood);
  CHECK(found.key->name == "app");
  CHECK(found.key->id == member(made.out, "id"));
  CHECK(found.key->may_use("gpt-5"));
  CHECK_FALSE(found.key->may_use("slow"));
  CHECK(account::to_hex(pepper.mac(text)) == member(made.out, "mac"));
}

TEST_CASE("cli: keys are listed without what authenticates, and disabled by id", "[unit][cli]") {
  const Scratch scratch;
  const std::string state = (scratch.path() / "state").string();
  const Ran made = key({"create", "--name", "app", "--state", state});
  REQUIRE(made.status == 0);
  const std::size_t at = made.out.find("  sy-");
  REQUIRE(at != std::string::npos);
  const std::string text = made.out.substr(at + 2, 52);
  const std::string id = made.out.substr(made.out.find("key_"), 20);

  Ran listed = key({"list", "--state", state});
  CHECK(listed.status == 0);
  CHECK(listed.out.find(id) != std::string::npos);
  CHECK(listed.out.find("enabled") != std::string::npos);
  CHECK(listed.out.find(text) == std::string::npos);
  listed = key({"list", "--state", state, "--json"});
  CHECK(listed.out.find("\"name\": \"app\"") != std::string::npos);
  CHECK(listed.out.find("mac") == std::string::npos);

  CHECK(key({"disable", "key_none", "--state", state}).err ==
        "there is no key key_none; `switchyard key list` shows them\n");
  CHECK(key({"disable", id, "--state", state}).status == 0);
  CHECK(key({"list", "--state", state}).out.find("disabled 2") != std::string::npos);
}

TEST_CASE("cli: what is called wrongly changes nothing", "[unit][cli]") {
  const Scratch scratch;
  const std::string state = (scratch.path() / "state").string();
  CHECK(key({}).status == 2);
  CHECK(key({"make"}).err.find("key: there is no \"make\"\n") == 0);
  CHECK(key({"create", "--state", state}).status == 2);
  CHECK(key({"create", "--name", "two words", "--state", state}).status == 2);
  CHECK(key({"create", "--name", "a", "--models", "a,,b", "--state", state}).status == 2);
  CHECK(key({"create", "--name", "a", "--state"}).err.find("--state needs a value\n") == 0);
  CHECK(key({"create", "--nam", "a"}).err.find("unknown option --nam; did you mean \"--name\"") ==
        0);
  CHECK(key({"create", "--name", "a", "--name", "b"}).err.find("--name is given twice\n") == 0);
  CHECK(key({"list", "--name", "a", "--state", state}).status == 2);
  CHECK(key({"disable", "--state", state}).status == 2);
  CHECK(key({"list", "--state", state, "--config", "x"}).status == 2);
  CHECK(key({"list", "--state", state}).err ==
        state + ": there is no state directory; --state or --config says where it is\n");
  CHECK_FALSE(std::filesystem::exists(state));
}

TEST_CASE("cli: every scope of a key is said by an option, and taken back", "[unit][cli]") {
  const Scratch scratch;
  const std::string state = (scratch.path() / "state").string();
  const Ran made = key({"create",
                        "--name",
                        "app",
                        "--endpoints",
                        "chat,images",
                        "--features",
                        "f",
                        "--ip-ranges",
                        "10.0.0.0/8,::1",
                        "--expires",
                        "2035-01-02T03:04:05Z",
                        "--default-feature",
                        "f",
                        "--body-bytes-max",
                        "7",
                        "--may-explain",
                        "yes",
                        "--stores-bodies",
                        "yes",
                        "--metadata",
                        R"({"team":"x"})",
                        "--state",
                        state,
                        "--json"});
  REQUIRE(made.err.empty());
  rapidjson::Document row;
  row.Parse(made.out);
  CHECK(row["endpoints"][1] == "images");
  CHECK(row["features"][0] == "f");
  CHECK(row["ip_ranges"][1] == "::1");
  CHECK(row["expires"] == "2035-01-02T03:04:05Z");
  CHECK(row["default_feature"] == "f");
  CHECK(row["body_bytes_max"].GetInt() == 7);
  CHECK(row["may_explain"].GetBool());
  CHECK(row["stores_bodies"].GetBool());
  CHECK(row["metadata"]["team"] == "x");
  CHECK(row["account"] == "default");

  const std::string id = row["id"].GetString();
  const Ran set =
      key({"set", id, "--endpoints", "*", "--ip-ranges", "*", "--features=*", "--expires", "never",
           "--default-feature", "none", "--may-explain", "no", "--state", state, "--json"});
  REQUIRE(set.err.empty());
  row.Parse(set.out);
  CHECK(row["endpoints"].Empty());
  CHECK(row["ip_ranges"].Empty());
  CHECK(row["features"].Empty());
  CHECK(row["expires"].IsNull());
  CHECK(row["default_feature"].IsNull());
  CHECK_FALSE(row["may_explain"].GetBool());
  CHECK(row["stores_bodies"].GetBool());
  CHECK_FALSE(row.HasMember("key"));

  const auto refused = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"set", id, "--state", state});
    const Ran ran = key(more);
    CHECK(ran.status == 2);
    return ran.err.substr(0, ran.err.find('\n'));
  };
  CHECK(refused({"--ip-ranges", "10.0.0.1/8"}) ==
        "ip_ranges: \"10.0.0.1/8\": bits are set behind the prefix; expected an address or a range "
        "such as 10.0.0.0/8 or 2001:db8::/32");
  CHECK(refused({"--expires", "soon"}) ==
        "--expires: expected a time such as 2027-01-31T00:00:00Z, 30d or never");
  CHECK(refused({"--may-explain", "maybe"}) == "--may-explain: expected yes or no");
  CHECK(refused({"--body-bytes-max", "-1"}) ==
        "body_bytes_max: expected a number of bytes, or 0 for the gateway's limit");
  CHECK(refused({"--metadata", "[]"}) == "--metadata: expected a JSON object");
}

TEST_CASE("cli: a rotated key has a new secret, and says how long the old one is good",
          "[unit][cli]") {
  const Scratch scratch;
  const std::string state = (scratch.path() / "state").string();
  const Ran made = key({"create", "--name", "app", "--state", state, "--json"});
  const std::string id = member(made.out, "id");
  const Ran rotated = key({"rotate", id, "--grace", "24h", "--state", state, "--json"});
  REQUIRE(rotated.status == 0);
  CHECK(member(rotated.out, "id") == id);
  CHECK(member(rotated.out, "key") != member(made.out, "key"));
  CHECK(member(rotated.out, "grace_until").size() == 20);
  CHECK(key({"rotate", id, "--grace", "31d", "--state", state})
            .err.find("grace: expected at most 30 days") == 0);
  CHECK(key({"delete", id, "--state", state}).status == 0);
  CHECK(key({"enable", id, "--state", state}).err ==
        "The key " + id + " is deleted; make a new one.\n");
  CHECK(key({"rotate", id, "--state", state}).status == 1);
}

TEST_CASE("cli: accounts are made, changed and shown", "[unit][cli]") {
  const Scratch scratch;
  const std::string state = (scratch.path() / "state").string();
  const auto run_on = [&](std::vector<std::string> args) {
    args.insert(args.end(), {"--state", state, "--json"});
    return account_command(args);
  };
  CHECK(run_on({"create"}).status == 2);
  CHECK(run_on({"create", "--name", "a", "--credit-limit", "5"})
            .err.find("credit_limit: expected 0, for only a postpaid account has one\n") == 0);
  CHECK_FALSE(std::filesystem::exists(state));
  const Ran made =
      run_on({"create", "--name", "Acme & Söhne", "--mode", "postpaid", "--credit-limit", "12.5",
              "--markup-ppm", "-20000", "--currency", "EUR", "--zone", "Europe/Berlin"});
  REQUIRE(made.err.empty());
  const std::string id = member(made.out, "id");
  CHECK(member(made.out, "credit_limit") == "12.5");
  const Ran team = run_on({"create", "--name", "team", "--parent", id, "--payer", "parent"});
  CHECK(member(team.out, "currency") == "EUR");
  CHECK(member(run_on({"set", id, "--credit-limit", "0.000000001"}).out, "credit_limit") ==
        "0.000000001");
  CHECK(run_on({"set", id, "--currency", "USD"}).err.find("unknown option --currency") == 0);
  CHECK(member(run_on({"disable", id}).out, "disabled").size() == 20);
  CHECK(run_on({"show", "acc_none"}).err == "There is no account acc_none.\n");
  const Ran below = run_on({"list", "--below", id});
  CHECK(below.out.find("\"default\"") == std::string::npos);
  CHECK(below.out.find("\"team\"") != std::string::npos);
  CHECK(run_on({"list"}).out.find("\"default\"") != std::string::npos);
}

TEST_CASE("cli: key takes the state directory from a configuration", "[unit][cli]") {
  const Scratch scratch;
  const auto file =
      scratch.write("c.json", R"({"state":"here","providers":{"d":{"plugin":"demo"}}})");
  REQUIRE(key({"create", "--name", "app", "--config", file.string()}).status == 0);
  CHECK(std::filesystem::exists(scratch.path() / "here" / "switchyard.db"));
  const auto broken = scratch.write("b.json", R"({"stat":"here"})");
  const Ran ran = key({"list", "--config", broken.string()});
  CHECK(ran.status == 1);
  CHECK(ran.err.find(broken.string() + ": /stat: unknown key; did you mean \"state\"?\n") == 0);
}

TEST_CASE("cli: check names file, pointer and fault, a line each", "[unit][cli]") {
  const Scratch scratch;
  const auto file = scratch.write("c.json", R"({"lisen":[],"workers":"x","providers":{}})");
  const Ran ran = check({"--config", file.string()});
  CHECK(ran.status == 1);
  CHECK(ran.out.empty());
  CHECK(ran.err == file.string() + ": /lisen: unknown key; did you mean \"listen\"?\n" +
                       file.string() + ": /workers: found a string, expected an integer\n");
  const Ran json = check({"--config", file.string(), "--json"});
  CHECK(json.status == 1);
  CHECK(json.out.find("\"pointer\": \"/lisen\"") != std::string::npos);
  CHECK(check({"file"}).status == 2);
}

TEST_CASE("cli: check says what a configuration means and what is odd about it", "[unit][cli]") {
  const Scratch scratch;
  const auto file = scratch.write(
      "c.json",
      R"({"state":"s","providers":{"d":{"plugin":"demo"}},"models":{"a":"d/demo-resoning"}})");
  const Ran ran = check({"--config", file.string()});
  CHECK(ran.err.empty());
  REQUIRE(ran.status == 0);
  CHECK(ran.out.find("a           -> d/demo-resoning\n") != std::string::npos);
  CHECK(ran.out.find("warning: alias a: d is not known to serve \"demo-resoning\"; did you mean "
                     "\"demo-reasoning\" or \"demo\"?\n") != std::string::npos);
  const Ran json = check({"--config", file.string(), "--json"});
  CHECK(json.status == 0);
  CHECK(member(json.out, "source") == file.string());
}

TEST_CASE("cli: plugin needs a gateway, and looking for one makes no state", "[unit][cli]") {
  const Scratch scratch;
  const auto plugin = [](const std::vector<std::string>& args) {
    return run(args, cli::run_plugin);
  };
  const std::string state = (scratch.path() / "state").string();
  const Ran none = plugin({"list", "--state", state});
  CHECK(none.status == 1);
  CHECK(none.err ==
        state + "/admin.url: not there: no gateway has served with this state directory\n");
  CHECK_FALSE(std::filesystem::exists(state));

  REQUIRE(store::open_state(state));
  REQUIRE(store::write_admin_url(state, "http://127.0.0.1:1"));
  const Ran gone = plugin({"swap", "x.so", "--state", state});
  CHECK(gone.status == 1);
  CHECK(gone.err.starts_with("no gateway answers at http://127.0.0.1:1 ("));

  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"drop"},
                                                {"list", "x"},
                                                {"swap"},
                                                {"swap", "a.so", "b.so"},
                                                {"rollback", "a.so", "--name", "x"},
                                                {"list", "--state", state, "--config", "x.json"}}) {
    CHECK(plugin(words).status == 2);
  }
}

TEST_CASE("cli: an installed plugin file is whole, and what was there comes back", "[unit][cli]") {
  const Scratch scratch;
  const auto names = [&] {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(scratch.path() / "plugins")) {
      all.push_back(entry.path().filename().string());
    }
    return all;
  };
  const auto text = [&] {
    std::ifstream file(scratch.path() / "plugins" / "x.so");
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };
  scratch.write("plugins/other", "");
  std::filesystem::remove(scratch.path() / "plugins" / "other");
  scratch.write("x.so", "new");
  const auto install = [&] {
    return cli::InstalledFile::install(scratch.path() / "x.so", scratch.path() / "plugins");
  };
  {
    const auto installed = install();
    REQUIRE(installed);
    CHECK(installed->name() == "x.so");
    CHECK(text() == "new");
  }
  CHECK(names().empty());

  scratch.write("plugins/x.so", "old");
  {
    const auto installed = install();
    REQUIRE(installed);
    CHECK(text() == "new");
  }
  CHECK(text() == "old");
  {
    auto installed = install();
    REQUIRE(installed);
    installed->keep();
  }
  CHECK(text() == "new");
  CHECK(names() == std::vector<std::string>{"x.so"});

  std::filesystem::remove(scratch.path() / "x.so");
  CHECK_FALSE(install());
  CHECK(text() == "new");
}

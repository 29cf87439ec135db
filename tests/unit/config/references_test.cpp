#include "core/config/references.hpp"

#include "loaded.hpp"

using namespace switchyard;
using config::Environment;
using config::References;

namespace {

struct Fixture {
  Fixture() {
    scratch.write("secret.txt", "from a file\r\n");
    scratch.write("two.txt", "two\n\n");
    scratch.write("empty.txt", "\n");
  }
  std::string expand(std::string_view text) const {
    const auto expanded = references.expand(text);
    return expanded ? *expanded : "fault: " + expanded.error().message;
  }
  std::string secret(std::string_view text) const {
    const auto found = references.secret(text);
    return found ? std::string(found->reveal()) : "fault: " + found.error().message;
  }
  Scratch scratch;
  Environment environment{{"A=alpha", "EMPTY=", "EQ=a=b", "SELF=${A}", "FILE=file:secret.txt",
                           "DIR=" + scratch.path().string()}};
  References references{environment, scratch.path()};
};

}  // namespace

TEST_CASE("config: variables are put in where they stand", "[unit][config]") {
  const Fixture in;
  CHECK(in.expand("plain") == "plain");
  CHECK(in.expand("${A}") == "alpha");
  CHECK(in.expand("<${A}${A}>") == "<alphaalpha>");
  CHECK(in.expand("${EQ}") == "a=b");
  CHECK(in.expand("${EMPTY}").empty());
  CHECK(in.expand("${NONE:-b}") == "b");
  CHECK(in.expand("${EMPTY:-b}") == "b");
  CHECK(in.expand("${NONE:-}").empty());
  CHECK(in.expand("${A:-b}") == "alpha");
  CHECK(in.expand("$A $ {A}") == "$A $ {A}");
  CHECK(in.expand("$${A} and ${A}") == "${A} and alpha");
  // What a variable holds is text, not another reference.
  CHECK(in.expand("${SELF}") == "${A}");
  CHECK(in.expand("${FILE}") == "file:secret.txt");
}

TEST_CASE("config: a reference that leads nowhere says so", "[unit][config]") {
  const Fixture in;
  CHECK(in.expand("${NONE}") == "fault: the environment variable NONE is not set");
  CHECK(in.expand("${A") ==
        "fault: \"${\" without \"}\"; write \"$${\" for the characters themselves");
  CHECK(in.expand("${}") == "fault: \"${}\" is no reference; write ${NAME} or ${NAME:-default}");
  CHECK(in.expand("${1A}") ==
        "fault: \"${1A}\" is no reference; write ${NAME} or ${NAME:-default}");
  CHECK(in.expand("${A-b}") ==
        "fault: \"${A-b}\" is no reference; write ${NAME} or ${NAME:-default}");
  CHECK(in.expand("file:") == "fault: \"file:\" without a path");
  CHECK(in.expand("file:none") ==
        "fault: " + (in.scratch.path() / "none").string() + ": No such file or directory");
  CHECK(in.expand("file:/dev/zero") == "fault: /dev/zero: not a regular file");
  CHECK(in.expand("file:.").find("not a regular file") != std::string::npos);
}

TEST_CASE("config: a file loses one newline at its end", "[unit][config]") {
  const Fixture in;
  CHECK(in.expand("file:secret.txt") == "from a file");
  CHECK(in.expand("file:two.txt") == "two\n");
  CHECK(in.expand("file:" + (in.scratch.path() / "secret.txt").string()) == "from a file");
  CHECK(in.expand("file:${DIR}/secret.txt") == "from a file");
  in.scratch.write("large.txt", std::string(1024 * 1024 + 1, 'x'));
  CHECK(in.expand("file:large.txt").find("longer than 1048576 bytes") != std::string::npos);
}

TEST_CASE("config: a secret is a whole reference, never a text", "[unit][config]") {
  const Fixture in;
  CHECK(in.secret("${A}") == "alpha");
  CHECK(in.secret("file:secret.txt") == "from a file");
  const std::string clear =
      "fault: a secret in clear; name where it is instead: \"${VARIABLE}\" or \"file:PATH\"";
  CHECK(in.secret("sk-in-clear") == clear);
  CHECK(in.secret("sk-${A}") == clear);
  CHECK(in.secret("${A}x") == clear);
  CHECK(in.secret("${A}${A}") == clear);
  CHECK(in.secret("$${A}") == clear);
  CHECK(in.secret("${A:-sk-in-clear}") ==
        "fault: a default would be a secret in clear; write \"${VARIABLE}\" or \"file:PATH\"");
  CHECK(in.secret("${EMPTY}") == "fault: ${EMPTY} is empty");
  CHECK(in.secret("file:empty.txt") == "fault: file:empty.txt is empty");
  CHECK(in.secret("file:two.txt") ==
        "fault: file:two.txt holds a line break or another control character");
}

TEST_CASE("config: faults of references carry their pointers", "[unit][config]") {
  const World world;
  CHECK(world.faults(R"({"state":"${NONE}","providers":{"p":{
      "headers":{"x-a":"${ALSO}"},"settings":{"deep":["${DEEP}"]},
      "credentials":[{"key":"${KEY}"},{"name":"2","key":"sk-in-clear"}]}},
      "keys":[{"name":"a","key":"sy-in-clear"}]})") ==
        R"(/keys/0/key: a secret in clear; name where it is instead: "${VARIABLE}" or "file:PATH"
/providers/p/credentials/0/key: the environment variable KEY is not set
/providers/p/credentials/1/key: a secret in clear; name where it is instead: "${VARIABLE}" or "file:PATH"
/providers/p/headers/x-a: the environment variable ALSO is not set
/providers/p/settings/deep/0: the environment variable DEEP is not set
/state: the environment variable NONE is not set)");
}

TEST_CASE("config: no message, description or plugin text shows a secret", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "CANARY=sk-canary-1234"};
  world.scratch().write("canary", "sk-canary-1234\n");
  // Put by mistake where a message would quote it.
  const std::string faults = world.faults(R"({"listen":["${CANARY}"],"log":{"level":"${CANARY}"},
    "providers":{"p":{"base_url":"file:canary","plugin":"${CANARY}!","proxy":"${CANARY}"},
                 "q":{"timeouts":{"connect":"${CANARY}"}}},
    "models":{"m":"${CANARY}"},"cors":{"origins":["${CANARY}"]}})");
  CHECK(faults.find("\"${CANARY}\"") != std::string::npos);
  CHECK(faults.find("canary-1234") == std::string::npos);

  const auto config = world.config(R"({"providers":{"p":{"credentials":[{"key":"${CANARY}"}],
    "headers":{"x-token":"${CANARY}"}}},"keys":[{"name":"a","key":"file:canary"}]})");
  CHECK(config.providers[0].credentials[0].key.reveal() == "sk-canary-1234");
  CHECK(config.keys[0].key.reveal() == "sk-canary-1234");
  CHECK(config::describe(config).find("canary-1234") == std::string::npos);
  CHECK(config.providers[0].plugin_json.find("canary-1234") == std::string::npos);
}

TEST_CASE("config: only a key that is a document may have several lines", "[unit][config]") {
  const Fixture in;
  in.scratch.write("key.json", "{\n\t\"a\": \"b\"\n}\n");
  in.scratch.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n");
  in.scratch.write("bell.json", "{\a}");
  CHECK(in.secret("file:key.json") == "{\n\t\"a\": \"b\"\n}");
  CHECK(in.secret("file:key.pem").starts_with("-----BEGIN"));
  CHECK(in.secret("file:bell.json").starts_with("fault: "));
  CHECK(in.secret("file:two.txt").starts_with("fault: "));
}

#include <rapidjson/document.h>

#include <sstream>

#include "../scratch.hpp"
#include "core/cli/command.hpp"

using namespace switchyard;

namespace {

struct Ran {
  int status;
  std::string out, err;
};

struct Till {
  Ran run(std::vector<std::string> args) const {
    args.push_back("--state");
    args.push_back((scratch.path() / "state").string());
    std::ostringstream out, err;
    const int status = cli::run_price(args, out, err);
    return {status, out.str(), err.str()};
  }
  Ran import(const std::string& text) const {
    return run({"import", scratch.write("list.json", text).string()});
  }

  Scratch scratch;
};

constexpr char kRetail[] =
    R"({"name":"retail","book":"sale","currency":"EUR","prices":[
        {"model":"fast","price":{"input":"1.2","output":"4","image":"0.04",
         "tiers":[{"above":1000,"input":"2","output":"5","image":"0.04"}],
         "windows":[{"zone":"UTC","weekdays":["sat","sun"],"hours":"22:00-06:00","input":"1",
                     "output":"3","image":"0.04"}]}}]})";

}  // namespace

TEST_CASE("cli: a price list is imported, told and kept as a version", "[unit][cli][prices]") {
  const Till till;
  // Looking makes no state.
  CHECK(till.run({"list"}).status == 1);
  CHECK_FALSE(std::filesystem::exists(till.scratch.path() / "state"));

  CHECK(till.import(kRetail).out == "retail#1 is in force.\n");
  CHECK(till.import(kRetail).out == "retail#1 says the same and stays in force.\n");
  CHECK(till.import(R"({"name":"retail","book":"sale","prices":[]})").out ==
        "retail#2 is in force.\n");
  CHECK(till.import(kRetail).out == "retail#3 is in force.\n");

  const Ran history = till.run({"history", "retail", "--json"});
  rapidjson::Document versions;
  versions.Parse(history.out);
  REQUIRE(versions.IsArray());
  REQUIRE(versions.Size() == 3);
  CHECK(versions[0]["version"].GetInt() == 3);
  CHECK(till.run({"history", "wholesale"}).err.find("there is no price list \"wholesale\"") == 0);

  const std::string list = till.run({"list"}).out;
  CHECK(list.find("NAME    BOOK  VERSION  CREATED") == 0);
  CHECK(list.find("\nretail  sale  3 ") != std::string::npos);
}

TEST_CASE("cli: a wrong price list is refused with each fault, and changes nothing",
          "[unit][cli][prices]") {
  const Till till;
  const Ran wrong = till.import(
      R"({"name":"retail","book":"sale","prices":[{"model":"m","price":{"input":1}},{}]})");
  CHECK(wrong.status == 1);
  CHECK(wrong.err.find("list.json: /prices/0/price/input: expected a decimal in quotes") !=
        std::string::npos);
  CHECK(wrong.err.find("list.json: /prices/1/model: missing") != std::string::npos);
  CHECK(till.run({"import", "/nowhere/list.json"}).status == 1);
  CHECK(till.run({"import"}).status == 2);
  CHECK(till.run({"list", "more"}).status == 2);
  CHECK(till.run({"raise"}).err.find("there is no \"raise\"") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(till.scratch.path() / "state"));
}

TEST_CASE("cli: what a model costs is shown by meter, prompt and hour", "[unit][cli][prices]") {
  const Till till;
  REQUIRE(till.import(kRetail).status == 0);
  const Ran shown = till.run({"show", "fast", "--json"});
  rapidjson::Document lines;
  lines.Parse(shown.out);
  REQUIRE(lines.IsArray());
  REQUIRE(lines.Size() == 9);
  CHECK(lines[0]["price"] == "1.2 per million");
  CHECK(lines[0]["version"] == "retail#1");
  CHECK(lines[2]["price"] == "0.04 each");
  CHECK(lines[3]["when"] == "prompts above 1000 tokens");
  CHECK(lines[6]["when"] == "22:00-06:00 UTC sat sun");
  // The catalog's own.
  CHECK(till.run({"show", "deepseek-v4-pro"})
            .out.find("09:00-12:00 Asia/Shanghai mon tue wed thu "
                      "fri but holidays") != std::string::npos);
  const Ran unknown = till.run({"show", "nobody-knows"});
  CHECK(unknown.status == 1);
  CHECK(unknown.err.find("no price is known of \"nobody-knows\"") == 0);
}

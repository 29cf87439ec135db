#include "core/store/bodies.hpp"

#include <fstream>

#include "../scratch.hpp"

using namespace switchyard;
using namespace switchyard::store;

namespace {

const Secret kSecret(std::string(32, 'p'));

BodyRow row(const std::string& record, const std::string& key, std::uint64_t at_unix_s = 1000) {
  return {record, key, "asked by " + record, "answered to " + record, at_unix_s, false};
}

struct World {
  Scratch scratch;
  std::filesystem::path file = bodies_file(scratch.path());
  std::unique_ptr<Bodies> bodies = std::move(*Bodies::open(file, kSecret));

  std::string request(const std::string& record, const std::string& key) const {
    const auto found = bodies->find(record, key);
    REQUIRE(found);
    return *found ? (*found)->request : "";
  }
};

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("store: bodies are found by record and key, and can't be read in their file",
          "[unit][store][bodies]") {
  World world;
  REQUIRE(world.bodies->write(std::vector{row("r1", "k1"), row("r2", "k1"), row("r1", "k2")}));
  CHECK(world.request("r1", "k1") == "asked by r1");
  CHECK((*world.bodies->find("r2", "k1"))->answer == "answered to r2");
  CHECK(world.request("r2", "k2").empty());
  for (const char* beside : {"", "-wal"}) {
    CHECK(content(world.file.string() + beside).find("asked by") == std::string::npos);
  }
}

TEST_CASE("store: a stored response is its account's, and no record's bodies",
          "[unit][store][bodies]") {
  World world;
  BodyRow stored = row("resp_1", "k1");
  stored.account_id = "one";
  REQUIRE(world.bodies->write(std::vector{stored, row("r1", "k1")}));
  CHECK((*world.bodies->find_response("resp_1", "one"))->answer == "answered to resp_1");
  CHECK_FALSE(*world.bodies->find_response("resp_1", "two"));
  CHECK_FALSE(*world.bodies->find_response("r1", ""));
  CHECK(world.request("resp_1", "k1").empty());
  CHECK_FALSE(*world.bodies->forget_response("resp_1", "two"));
  CHECK_FALSE(*world.bodies->forget_response("r1", ""));
  CHECK(*world.bodies->forget_response("resp_1", "one"));
  CHECK_FALSE(*world.bodies->find_response("resp_1", "one"));
  CHECK(world.request("r1", "k1") == "asked by r1");
}

TEST_CASE("store: bodies that were kept under another pepper are not read",
          "[unit][store][bodies]") {
  World world;
  REQUIRE(world.bodies->write(std::vector{row("r1", "k1")}));
  world.bodies = std::move(*Bodies::open(world.file, Secret(std::string(32, 'q'))));
  const auto found = world.bodies->find("r1", "k1");
  REQUIRE_FALSE(found);
  CHECK(found.error().message.find("another pepper") != std::string::npos);
}

TEST_CASE("store: of one record's bodies the newest count", "[unit][store][bodies]") {
  World world;
  BodyRow second = row("r1", "k1");
  second.request = "asked again";
  REQUIRE(world.bodies->write(std::vector{row("r1", "k1"), second}));
  CHECK(world.request("r1", "k1") == "asked again");
}

TEST_CASE("store: old bodies go, and the oldest where there is too much", "[unit][store][bodies]") {
  World world;
  std::vector<BodyRow> rows{row("old", "k1", 1000)};
  for (int i = 0; i < 1000; ++i) rows.push_back(row("r" + std::to_string(i), "k1", 10'000));
  REQUIRE(world.bodies->write(rows));
  BodyLimits limits;
  limits.keep = std::chrono::hours(1);
  REQUIRE(world.bodies->tidy(limits, 1000 + 3600));
  CHECK(world.request("old", "k1") == "asked by old");
  REQUIRE(world.bodies->tidy(limits, 1000 + 3601));
  CHECK(world.request("old", "k1").empty());
  CHECK(world.request("r0", "k1") == "asked by r0");
  limits.size_max = 60'000;
  REQUIRE(world.bodies->tidy(limits, 10'000));
  CHECK(world.request("r0", "k1").empty());
  CHECK(world.request("r999", "k1") == "asked by r999");
}

TEST_CASE("store: a key's bodies can be forgotten", "[unit][store][bodies]") {
  World world;
  REQUIRE(world.bodies->write(std::vector{row("r1", "k1"), row("r2", "k2")}));
  CHECK(*world.bodies->keys() == std::vector<std::string>{"k1", "k2"});
  REQUIRE(world.bodies->forget("k1"));
  CHECK(world.request("r1", "k1").empty());
  CHECK(world.request("r2", "k2") == "asked by r2");
}

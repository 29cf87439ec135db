#include "loaded.hpp"

TEST_CASE("config: the ledger's durability, and what a faulty disk means", "[unit][config]") {
  World world;
  const auto usual = world.load("{}");
  REQUIRE(usual);
  CHECK_FALSE((*usual)->ledger.durable);
  CHECK_FALSE((*usual)->ledger.serve_without_disk);
  const auto given = world.load(R"({"ledger":{"durability":"disk","on_journal_fault":"serve"}})");
  REQUIRE(given);
  CHECK((*given)->ledger.durable);
  CHECK((*given)->ledger.serve_without_disk);
  CHECK(world.faults(R"({"ledger":{"durability":"ram"}})").find("/ledger/durability: ") == 0);
}

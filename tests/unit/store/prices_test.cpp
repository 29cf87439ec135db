#include "core/store/prices.hpp"

#include "../scratch.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using store::PriceListRow;
using store::Prices;

namespace {

std::unique_ptr<store::Database> open(const Scratch& scratch) {
  auto opened = store::open_database(scratch.path());
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

PriceListRow row(const char* name, const char* body, const char* book = "sale") {
  return {0, book, name, 0, body, 100, "ada"};
}

}  // namespace

TEST_CASE("store: each import of a price list is a version, and the newest are in force",
          "[unit][store][prices]") {
  const Scratch scratch;
  const auto database = open(scratch);
  Prices prices(*database);
  CHECK(*prices.version() == 0);
  CHECK(prices.in_force()->empty());

  CHECK(prices.add(row("retail", "one"))->version == 1);
  CHECK(prices.add(row("bank", "rates", "fx"))->version == 1);
  const auto second = prices.add(row("retail", "two"));
  REQUIRE(second);
  CHECK(second->version == 2);
  CHECK(*prices.version() == second->seq);
  // What is in force already is not imported again; what was in force before is.
  CHECK(prices.add(row("retail", "two"))->seq == second->seq);
  CHECK(prices.add(row("retail", "one"))->version == 3);

  const auto lists = prices.in_force();
  REQUIRE(lists);
  REQUIRE(lists->size() == 2);
  CHECK((*lists)[0].name == "bank");
  CHECK((*lists)[1].name == "retail");
  CHECK((*lists)[1].body == "one");
  CHECK((*lists)[1].created_by == "ada");

  CHECK((*prices.find("retail", 2))->body == "two");
  CHECK((*prices.find("retail", std::nullopt))->version == 3);
  CHECK_FALSE(prices.find("retail", 4)->has_value());
  CHECK_FALSE(prices.find("nobody", std::nullopt)->has_value());

  auto page = prices.history("retail", 0, 2);
  REQUIRE(page->size() == 2);
  CHECK(page->front().version == 3);
  CHECK(page->front().body.empty());
  page = prices.history("retail", page->back().version, 2);
  REQUIRE(page->size() == 1);
  CHECK(page->front().version == 1);
}

TEST_CASE("store: a price list stays in its book, and no version of it changes or goes",
          "[unit][store][prices]") {
  const Scratch scratch;
  const auto database = open(scratch);
  Prices prices(*database);
  REQUIRE(prices.add(row("retail", "one")));
  const auto other = prices.add(row("retail", "two", "purchase"));
  REQUIRE_FALSE(other);
  CHECK(other.error().message ==
        "\"retail\" is a list of the book \"sale\"; give this one another name");
  CHECK_FALSE(prices.add(row("x", "two", "no such book")));
  CHECK_FALSE(database->run("UPDATE price_lists SET body = 'cheaper'"));
  CHECK_FALSE(database->run("DELETE FROM price_lists"));
  CHECK(prices.in_force()->front().body == "one");
}

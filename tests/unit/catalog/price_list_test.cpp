#include "core/catalog/price_list.hpp"

#include "core/catalog/catalog.hpp"

using namespace switchyard;
using namespace switchyard::catalog;

namespace {

std::string faults_of(const char* text) {
  const auto list = read_price_list(text, 0);
  CHECK_FALSE(list);
  std::string all;
  if (list) return all;
  for (const auto& fault : list.error()) all += fault.pointer + ": " + fault.message + "\n";
  return all;
}

store::PriceListRow row(const char* name, const char* book, const char* body,
                        std::int64_t version = 1) {
  return {0, book, name, version, body, 0, ""};
}

Quantities input(std::uint64_t tokens) {
  Quantities quantities{};
  at(quantities, Meter::kInput) = tokens;
  return quantities;
}

}  // namespace

TEST_CASE("prices: of two lists that name the same the later one counts",
          "[unit][catalog][prices]") {
  const auto prices = prices_in_force(
      Catalog(), {row("old", "sale",
                      R"({"name":"old","book":"sale","currency":"EUR",
               "prices":[{"model":"a","price":{"input":"1"}},{"model":"b","price":{"input":"5"}}]})"),
                  row("new", "sale",
                      R"({"name":"new","book":"sale","currency":"EUR","factors":{"batch":"0.5"},
               "prices":[{"model":"a","price":{"input":"2"}}]})",
                      7),
                  row("buy", "purchase",
                      R"({"name":"buy","book":"purchase","prices":[
               {"model":"a","provider":"eu","price":{"currency":"CNY","input":"3"}}]})")});
  if (!prices) FAIL(prices.error().message);
  const Sold sold{"eu", "f", "a"};
  PriceContext context;
  const auto million = input(1'000'000);
  const auto sale = prices->book->rate_sale("a", sold, 0, million, context);
  REQUIRE(sale);
  CHECK(sale->total == 2'000'000'000);
  CHECK(sale->currency == "EUR");
  CHECK(sale->version == "new#7");
  context.batch = true;
  CHECK(prices->book->rate_sale("a", sold, 0, million, context)->total == 1'000'000'000);
  context.batch = false;
  CHECK(prices->book->rate_sale("b", sold, 0, million, context)->total == 5'000'000'000);
  CHECK(prices->book->rate(sold, million, context)->currency == "CNY");
  CHECK_FALSE(prices->book->rate({"us", "f", "a"}, million, context));
}

TEST_CASE("prices: amounts are exchanged through the base, rounded once, or not at all",
          "[unit][catalog][prices]") {
  const auto prices = prices_in_force(Catalog(), {row("bank", "fx",
                                                      R"({"name":"bank","book":"fx","base":"USD",
                          "rates":{"EUR":"0.8","CNY":"7.2"}})",
                                                      3)});
  REQUIRE(prices);
  const FxTable& fx = *prices->fx;
  const auto exchanged = [&](Nano amount, const char* from, const char* to) {
    const auto made = fx.exchange(amount, from, to);
    return made ? format_nano(made->amount) + " " + made->version : "unknown";
  };
  CHECK(exchanged(10'000'000'000, "USD", "EUR") == "8 bank#3");
  CHECK(exchanged(8'000'000'000, "EUR", "USD") == "10 bank#3");
  // 1 CNY is 0.8 / 7.2 EUR: 0.111111111.
  CHECK(exchanged(1'000'000'000, "CNY", "EUR") == "0.111111111 bank#3");
  CHECK(exchanged(-1'000'000'000, "CNY", "EUR") == "-0.111111111 bank#3");
  CHECK(exchanged(5, "GBP", "GBP") == "0.000000005 ");
  CHECK(exchanged(5, "GBP", "EUR") == "unknown");
  CHECK(exchanged(INT64_MAX, "EUR", "CNY") == "unknown");
  CHECK_FALSE(FxTable().exchange(1, "USD", "EUR"));
}

TEST_CASE("prices: every fault of a list is told with its pointer", "[unit][catalog][prices]") {
  CHECK(faults_of("{") == ": line 1, column 2: Missing a name for object member.\n");
  CHECK(faults_of("[]") == ": not an object\n");
  CHECK(faults_of(R"({"name":"A b","book":"stock"})") ==
        "/name: expected 1 to 64 characters of a-z, 0-9, - and _\n"
        "/book: expected purchase, sale or fx\n");
  CHECK(faults_of(R"({"name":"a","book":"sale","prices":[{"price":{"input":"1"}},
          {"model":"m"},{"model":"x","price":{"input":1}},7,
          {"model":"y","price":{"input":"1"}},{"model":"y","price":{"input":"2"}}]})") ==
        "/prices/0/model: missing\n"
        "/prices/1/price: missing\n"
        "/prices/2/price/input: expected a decimal in quotes such as \"2.5\", with at most 9 "
        "decimals\n"
        "/prices/3: not an object\n"
        "/prices/5/model: \"y\" is given twice\n");
  CHECK(faults_of(R"({"name":"a","book":"fx","base":"usd","rates":{"EUR":"0","eur":"1"}})") ==
        "/base: expected three capitals such as USD (ISO 4217)\n"
        "/rates/EUR: expected another currency, and a decimal in quotes above 0: \"EUR\": "
        "\"0.861\"\n"
        "/rates/eur: expected another currency, and a decimal in quotes above 0: \"EUR\": "
        "\"0.861\"\n");
}

TEST_CASE("prices: a stored list that can't be read is told by name and version",
          "[unit][catalog][prices]") {
  const auto prices = prices_in_force(Catalog(), {row("retail", "sale", "{}", 4)});
  REQUIRE_FALSE(prices);
  CHECK(prices.error().message ==
        "price list retail#4: /name: expected 1 to 64 characters of a-z, 0-9, - and _");
}

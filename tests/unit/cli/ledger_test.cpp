#include <rapidjson/document.h>

#include <sstream>

#include "../scratch.hpp"
#include "core/cli/command.hpp"
#include "core/store/books.hpp"
#include "core/store/store.hpp"

using namespace switchyard;

namespace {

struct Ran {
  int status;
  std::string out, err;
};

Ran ledger(std::vector<std::string> args, const Scratch& scratch) {
  args.insert(args.end(), {"--state", scratch.path().string()});
  std::ostringstream out, err;
  const int status = cli::run_ledger(args, out, err);
  return {status, out.str(), err.str()};
}

// 2026-11-21T00:00:00Z
constexpr std::uint64_t kDay = 1'795'219'200'000'000'000u;

std::unique_ptr<store::Database> with_books(const Scratch& scratch) {
  auto database = store::open_database(scratch.path());
  if (!database) FAIL(database.error().message);
  store::Books books(**database);
  REQUIRE(*books.post(
      {"t1",
       "topup",
       "a \"note\", quoted",
       "",
       kDay,
       {{"house:cash", "USD", -12'500'000'000}, {"account:acc_1", "USD", 12'500'000'000}}}));
  REQUIRE(*books.post({"t2",
                       "topup",
                       "",
                       "",
                       kDay + 86'400'000'000'000u,
                       {{"house:cash", "EUR", -1}, {"account:acc_2", "EUR", 1}}}));
  return std::move(*database);
}

}  // namespace

TEST_CASE("cli: ledger verify is 0 where all is proven, and 1 with each violation", "[unit][cli]") {
  const Scratch scratch;
  const auto database = with_books(scratch);
  CHECK(ledger({"verify"}, scratch).status == 0);
  CHECK(ledger({"verify", "--json"}, scratch).out == "{\"proven\":true,\"violations\":[]}\n");
  REQUIRE(database->run("UPDATE balances SET amount = 2 WHERE account = 'account:acc_2'"));
  const Ran damaged = ledger({"verify"}, scratch);
  CHECK(damaged.status == 1);
  CHECK(damaged.out ==
        "balance is not the sum of its entries: account:acc_2 EUR: 0.000000002, expected "
        "0.000000001\n"
        "currency does not balance: all accounts EUR: 0.000000001, expected 0\n");
  CHECK(ledger({"verify", "--json"}, scratch).status == 1);
}

TEST_CASE("cli: ledger balance shows all, or one account's", "[unit][cli]") {
  const Scratch scratch;
  const auto database = with_books(scratch);
  CHECK(ledger({"balance"}, scratch).out ==
        "ACCOUNT             BALANCE  CURRENCY\n"
        "account:acc_1          12.5  USD\n"
        "account:acc_2   0.000000001  EUR\n"
        "house:cash     -0.000000001  EUR\n"
        "house:cash            -12.5  USD\n");
  CHECK(ledger({"balance", "acc_1", "--json"}, scratch).out ==
        "[{\"account\":\"account:acc_1\",\"currency\":\"USD\",\"balance\":\"12.5\"}]\n");
  CHECK(ledger({"balance", "house:cash"}, scratch).out.find("-12.5") != std::string::npos);
  const Ran absent = ledger({"balance", "acc"}, scratch);
  CHECK(absent.status == 1);
  CHECK(absent.err ==
        "no money of account:acc ever moved; `switchyard ledger balance` shows all that did\n");
}

TEST_CASE("cli: ledger export writes what a span of time has, as CSV or JSON", "[unit][cli]") {
  const Scratch scratch;
  const auto database = with_books(scratch);
  CHECK(ledger({"export", "--to", "2026-11-22"}, scratch).out ==
        "seq,time,transaction,kind,note,account,currency,amount\r\n"
        "1,2026-11-21T00:00:00Z,t1,topup,\"a \"\"note\"\", quoted\",house:cash,USD,-12.5\r\n"
        "2,2026-11-21T00:00:00Z,t1,topup,\"a \"\"note\"\", quoted\",account:acc_1,USD,12.5\r\n");
  const Ran json = ledger({"export", "--from=2026-11-22T00:00:00Z", "--format", "json"}, scratch);
  rapidjson::Document document;
  document.Parse(json.out);
  REQUIRE(document.IsArray());
  REQUIRE(document.Size() == 2);
  CHECK(document[1]["account"] == "account:acc_2");
  CHECK(document[1]["amount"] == "0.000000001");
  CHECK(document[1]["time"] == "2026-11-22T00:00:00Z");
  CHECK(ledger({"export", "--from", "2027-01-01", "--format", "json"}, scratch).out == "[\n]\n");
}

TEST_CASE("cli: ledger called wrongly says how it is called", "[unit][cli]") {
  const Scratch scratch;
  CHECK(ledger({}, scratch).status == 2);
  CHECK(ledger({"prove"}, scratch).status == 2);
  CHECK(ledger({"export", "--format", "xml"}, scratch).status == 2);
  CHECK(ledger({"export", "--from", "yesterday"}, scratch)
            .err.find("--from: yesterday: expected 2026-11-21 or 2026-11-21T19:30:00Z") == 0);
  CHECK(ledger({"verify", "--from", "2026-11-21"}, scratch).status == 2);
  const Ran absent = ledger({"verify"}, scratch);
  CHECK(absent.status == 1);
  CHECK(absent.err.find("no gateway ever ran with this state") != std::string::npos);
}

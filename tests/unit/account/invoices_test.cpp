#include "core/account/invoices.hpp"

#include "../store/booking.hpp"
#include "core/catalog/price.hpp"
#include "shop.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

struct Office {
  Office() : books(*shop.database), rows(*shop.database) {
    const FindHolder find = [](const std::string& id) -> Result<std::optional<Holder>> {
      if (id == "child") {
        return std::optional<Holder>(
            Holder{"a", "USD", "UTC", [](std::int64_t) -> std::int64_t { return 0; }, 0});
      }
      if (id != "a" && id != "b") return std::optional<Holder>();
      // An hour ahead of UTC.
      return std::optional<Holder>(
          Holder{id, "USD", "Etc/Test", [](std::int64_t) -> std::int64_t { return 3600; }, 0});
    };
    invoices.emplace(rows, find, [this] {
      ++flushes;
      return Result<void>();
    });
  }

  void post(const std::string& id, const std::string& kind, std::int64_t amount, std::int64_t at,
            const std::string& other = "house:cash") {
    const store::Transaction transaction{id,
                                         kind,
                                         "note of " + id,
                                         "",
                                         static_cast<std::uint64_t>(at) * 1'000'000'000,
                                         {{"account:a", "USD", amount}, {other, "USD", -amount}}};
    const auto posted = books.post(transaction);
    if (!posted) FAIL(posted.error().message);
  }
  void charge(const std::string& id, const std::string& model, std::uint64_t input,
              std::int64_t amount, std::int64_t at) {
    store::Receipt receipt;
    receipt.account = "a";
    receipt.model_used = model;
    receipt.price_version = "list#1";
    receipt.currency = "USD";
    receipt.charge = amount;
    receipt.quantities[static_cast<std::size_t>(catalog::Meter::kInput)] = input;
    receipt.settled_unix_ns = static_cast<std::uint64_t>(at) * 1'000'000'000;
    book(books, receipt, id);
  }

  Shop shop;
  store::Books books;
  store::Invoices rows;
  std::optional<Invoices> invoices;
  int flushes = 0;
};

const std::int64_t kStart = utc_day(2026, 10, 1) - 3600;
const std::int64_t kEnd = utc_day(2026, 11, 1) - 3600;
const std::int64_t kIn = utc_day(2026, 10, 15);

}  // namespace

TEST_CASE("account: an invoice is the month's entries to the nano-unit", "[unit][invoices]") {
  Office office;
  office.post("t1", "top_up", 10 * kUnit, kStart - 1);
  office.post("t2", "top_up", 5 * kUnit, kStart);
  office.charge("c1", "gpt-5", 100, 3, kStart + 5);
  office.charge("c2", "gpt-5", 50, 4, kEnd - 1);
  office.charge("c3", "o3", 7, kUnit, kStart + 6);
  office.charge("c4", "gpt-5", 1, 9, kEnd);
  const auto issued = office.invoices->issue("a", kIn, kEnd + 60);
  REQUIRE(issued);
  CHECK(issued->number == 1);
  CHECK(office.flushes == 1);
  CHECK(issued->document ==
        R"({"number":1,"issued":"2026-10-31T23:01:00Z","account":"a","currency":"USD",)"
        R"("start":"2026-09-30T23:00:00Z","end":"2026-10-31T23:00:00Z","opening_balance":"10",)"
        R"("lines":[{"kind":"charge","model":"gpt-5","price_version":"list#1","requests":2,)"
        R"("quantities":{"input":150},"amount":"-0.000000007"},)"
        R"({"kind":"charge","model":"o3","price_version":"list#1","requests":1,)"
        R"("quantities":{"input":7},"amount":"-1"},)"
        R"({"kind":"top_up","id":"t2","note":"note of t2","at":"2026-09-30T23:00:00Z",)"
        R"("amount":"5"}],"closing_balance":"13.999999993"})");
}

TEST_CASE("account: an invoice stays as it was issued, and each month has one",
          "[unit][invoices]") {
  Office office;
  office.post("t1", "top_up", 10 * kUnit, kStart);
  const auto first = office.invoices->issue("a", kIn, kEnd + 60);
  REQUIRE(first);
  office.post("late", "top_up", kUnit, kStart + 1);
  const auto again = office.invoices->issue("a", kIn, kEnd + 999);
  REQUIRE(again);
  CHECK(again->number == 1);
  CHECK(again->document == first->document);
  CHECK(office.invoices->issue("a", utc_day(2026, 11, 15), utc_day(2026, 12, 2))->number == 2);
  CHECK(office.invoices->issue("b", kIn, kEnd + 60)->number == 3);
  CHECK(office.rows.list("a", 0, 10)->size() == 2);
}

TEST_CASE("account: no invoice before the month is over, nor for whom another pays",
          "[unit][invoices]") {
  Office office;
  CHECK(office.invoices->issue("a", kIn, kEnd + 59).error().code == "period_not_over");
  CHECK(office.invoices->issue("child", kIn, kEnd + 60).error().code == "other_payer");
  CHECK(office.invoices->issue("none", kIn, kEnd + 60).error().status == 404);
  CHECK(office.invoices->preview("a", kIn));
  CHECK(office.rows.list("", 0, 10)->empty());
  // The numbers have no gap behind what was refused.
  CHECK(office.invoices->issue("a", kIn, kEnd + 60)->number == 1);
}

TEST_CASE("account: an invoice as CSV, with nothing that a spreadsheet would run",
          "[unit][invoices]") {
  Office office;
  office.charge("c1", "=cmd|' /C calc'!A0", 2, 5, kStart);
  office.charge("c2", "a,\"b\"", 0, 5, kStart);
  const auto document = office.invoices->preview("a", kIn);
  REQUIRE(document);
  const auto csv = invoice_csv(*document);
  REQUIRE(csv);
  CHECK(csv->find("charge,'=cmd|' /C calc'!A0,list#1,1,2,") != std::string::npos);
  CHECK(csv->find("charge,\"a,\"\"b\"\"\",list#1,1,,") != std::string::npos);
  CHECK(csv->find(",-0.000000005,USD\r\n") != std::string::npos);
  // Each line has as many fields as the first.
  const std::string balance = csv->substr(csv->rfind("closing_balance"));
  const std::string names = csv->substr(0, csv->find("\r\n"));
  CHECK(std::count(balance.begin(), balance.end(), ',') ==
        std::count(names.begin(), names.end(), ','));
  CHECK_FALSE(invoice_csv("[]"));
}

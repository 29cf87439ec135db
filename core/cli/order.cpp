#include <iostream>

#include "core/cli/admin_verbs.hpp"
#include "core/cli/command.hpp"

namespace switchyard::cli {
namespace {

using Kind = ApiOption::Kind;

const ApiOption kAccount{"--account", "account"};
const ApiOption kAmount{"--amount", "amount"};
const ApiOption kCurrency{"--currency", "currency"};
const ApiOption kReference{"--reference", "reference"};
const ApiOption kAfter{"--after", "after"};
const ApiOption kLimit{"--limit", "limit"};

#define EACH_WITH "each with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n"

const ApiNoun kOrder{
    "order",
    "usage: switchyard order create --account ID --amount 25 --currency USD [--provider NAME]\n"
    "           [--reference TEXT]\n"
    "       switchyard order create --account ID --kind plan --plan ID [--provider NAME]\n"
    "       switchyard order list [--account ID] [--status STATE] [--after ID] [--limit N]\n"
    "       switchyard order show ID\n"
    "       switchyard order pay ID [--payment TEXT]      the money came\n"
    "       switchyard order cancel ID\n"
    "       switchyard order refund ID --amount 25 [--reference TEXT]\n" EACH_WITH,
    {
        {"create",
         "POST",
         "/admin/v1/orders",
         {kAccount,
          kAmount,
          kCurrency,
          kReference,
          {"--kind", "kind"},
          {"--plan", "plan"},
          {"--provider", "provider"}},
         {}},
        {"list",
         "GET",
         "/admin/v1/orders",
         {kAccount, {"--status", "state"}, kAfter, kLimit},
         {"id", "account", "kind", "provider", "reference", "amount", "currency", "state",
          "alarm"}},
        {"show", "GET", "/admin/v1/orders/{}", {}, {}},
        {"pay", "POST", "/admin/v1/orders/{}/pay", {{"--payment", "payment"}}, {}},
        {"cancel", "POST", "/admin/v1/orders/{}/cancel", {}, {}},
        {"refund", "POST", "/admin/v1/orders/{}/refund", {kAmount, kReference}, {}},
    }};

const ApiNoun kCode{
    "code",
    "usage: switchyard code create --name NAME --amount 5 --currency USD [--count N] [--uses N]\n"
    "           [--expires 2030-01-31T00:00:00Z]          the codes are shown once\n"
    "       switchyard code list [--after ID] [--limit N]\n"
    "       switchyard code disable BATCH\n"
    "       switchyard code redeem --account ID --code CODE\n" EACH_WITH,
    {
        {"create",
         "POST",
         "/admin/v1/codes",
         {{"--name", "name"},
          kAmount,
          kCurrency,
          {"--count", "count", Kind::kNumber},
          {"--uses", "uses", Kind::kNumber},
          {"--expires", "expires"}},
         {},
         "codes"},
        {"list",
         "GET",
         "/admin/v1/codes",
         {kAfter, kLimit},
         {"id", "name", "amount", "currency", "count", "uses", "used", "expires", "disabled"}},
        {"disable", "POST", "/admin/v1/codes/{}/disable", {}, {}},
        {"redeem", "POST", "/admin/v1/redemptions", {kAccount, {"--code", "code"}}, {}},
    }};

const ApiNoun kInvoice{
    "invoice",
    "usage: switchyard invoice issue --account ID --month 2026-10\n"
    "       switchyard invoice preview --account ID --month 2026-11 [--format json|csv]\n"
    "       switchyard invoice list [--account ID] [--after NUMBER] [--limit N]\n"
    "       switchyard invoice show NUMBER [--format json|csv]\n" EACH_WITH,
    {
        {"issue", "POST", "/admin/v1/invoices", {kAccount, {"--month", "month"}}, {}},
        {"preview",
         "GET",
         "/admin/v1/invoices/preview",
         {kAccount, {"--month", "month"}, {"--format", "format"}},
         {}},
        {"list",
         "GET",
         "/admin/v1/invoices",
         {kAccount, kAfter, kLimit},
         {"number", "account", "start", "end", "opening_balance", "closing_balance", "currency"}},
        {"show", "GET", "/admin/v1/invoices/{}", {{"--format", "format"}}, {}},
    }};

#undef EACH_WITH

}  // namespace

int run_order(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  return run_noun(kOrder, args, out, err);
}
int run_code(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  return run_noun(kCode, args, out, err);
}
int run_invoice(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  return run_noun(kInvoice, args, out, err);
}

int run_order(std::span<const std::string> args) { return run_order(args, std::cout, std::cerr); }
int run_code(std::span<const std::string> args) { return run_code(args, std::cout, std::cerr); }
int run_invoice(std::span<const std::string> args) {
  return run_invoice(args, std::cout, std::cerr);
}

}  // namespace switchyard::cli

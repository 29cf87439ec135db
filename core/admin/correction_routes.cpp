#include "core/admin/correction_routes.hpp"

#include "core/admin/fields.hpp"
#include "core/base/nano.hpp"

namespace switchyard::admin {
namespace {

std::string correction_json(const account::Correction& made) {
  return JsonObject()
      .text("id", made.id)
      .text("account", made.account)
      .text("amount", format_nano(made.amount))
      .text("currency", made.currency)
      .text("reason", made.reason)
      .take();
}

Answer correct(account::Purse& purse, const account::FindHolder& find, const Request& request) {
  Fields fields(request.body, {"account", "amount", "currency", "reason"});
  account::Correction wanted;
  wanted.account = fields.text("account");
  wanted.amount = fields.signed_amount("amount");
  wanted.currency = fields.text("currency");
  wanted.reason = fields.text("reason");
  if (fields.fault()) return *fields.fault();
  return row_answer(account::correct(purse, find, std::move(wanted)), correction_json, 201);
}

}  // namespace

std::vector<Route> correction_routes(account::Purse& purse, account::FindHolder find) {
  return {made_once({"POST", "/admin/v1/ledger/corrections", Access::kToken,
                     [&purse, find = std::move(find)](const Request& request) {
                       return correct(purse, find, request);
                     },
                     Role::kOperator})};
}

}  // namespace switchyard::admin

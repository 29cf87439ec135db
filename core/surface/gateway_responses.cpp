// Responses that their key has stored: asked for, removed, gone on with. They lie, sealed, where
// the bodies lie that keys have kept, for as long as these.
#include "core/base/clock.hpp"
#include "core/net/offload.hpp"
#include "core/observe/body_keeper.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/stored_responses.hpp"

namespace switchyard::surface {
namespace {

using net::Task;
using Row = std::optional<store::BodyRow>;

exchange::Failure not_stored(std::string param) {
  return bad_request(
      400, "not_stored",
      "Responses of this gateway key are not stored. Have them stored with 'switchyard key set "
      "KEY_ID --stores-bodies yes', or send the whole conversation in 'input', with the output "
      "items "
      "of earlier answers, and 'store': false.",
      std::move(param));
}

exchange::Failure unreadable() {
  exchange::Failure failure;
  failure.code = "store_failed";
  failure.message = "What is stored of responses can't be read now.";
  return failure;
}

exchange::Failure no_such_response(const std::string& id) {
  return bad_request(404, "response_not_found",
                     "No stored response with the id '" + id +
                         "': it was made with another account's key, with 'store': false, or is "
                         "older than responses are kept.",
                     "response_id");
}

exchange::Failure no_such_previous(const std::string& id) {
  return bad_request(400, "previous_response_not_found",
                     "No stored response with the id '" + id + "' to go on from.",
                     "previous_response_id");
}

}  // namespace

bool Gateway::stores_bodies(const Call& call) const {
  return call.key != nullptr && call.key->stores_bodies && body_keeper_ != nullptr &&
         call.snapshot().config->records.enabled;
}

Task<bool> Gateway::find_response(Call& call, const std::string& id, Row& row) {
  Result<Row> found = Row();
  auto find = [&] {
    const auto bodies = body_keeper_->open(false);
    if (!bodies) {
      found = bodies.error();
    } else if (*bodies != nullptr) {
      found = (*bodies)->find_response(id, call.account->id);
    }
  };
  co_await net::offload(compute_, std::move(find));
  if (!found) {
    spdlog::error("response_not_read reason={}", observe::quote(found.error().message));
    co_await refuse(call, unreadable());
    co_return false;
  }
  row = std::move(*found);
  co_return true;
}

Task<bool> Gateway::take_stored(Call& call, const Ask& ask, JsonIndex& given,
                                std::string_view& text, std::unique_ptr<StoredTurn>& turn) {
  const swy_member* const input = given.find("input");
  const swy_member* const previous = given.find("previous_response_id");
  const swy_member* const store = given.find("store");
  // What is of another type is the surface's to refuse.
  const bool readable = input != nullptr && (input->type == 's' || input->type == 'a');
  const bool goes_on = previous != nullptr && previous->type == 's';
  const bool keeps = ask.what == Ask::What::kTask && stores_bodies(call) &&
                     (store == nullptr || store->type != 'f');
  if (goes_on && !stores_bodies(call)) {
    co_await refuse(call, not_stored("previous_response_id"));
    co_return false;
  }
  if (!readable || (!goes_on && !keeps)) co_return true;

  turn = std::make_unique<StoredTurn>();
  if (keeps) turn->as.id = "resp_" + new_request_id().substr(4);
  Row row;
  if (goes_on) {
    turn->as.previous = json_unescape(given.value(*previous));
    const bool found = co_await find_response(call, turn->as.previous, row);
    if (!found) co_return false;
    if (!row) {
      co_await refuse(call, no_such_previous(turn->as.previous));
      co_return false;
    }
  }
  auto join = [&] {
    if (!row) row.emplace();
    turn->input = join_input(row->request, row->answer, given.value(*input));
    turn->body = with_input(given, turn->input, keeps);
  };
  co_await net::offload(compute_, std::move(join));
  const std::uint64_t most = body_bytes_max(call);
  if (goes_on && turn->body.size() > most) {
    auto failure = bad_request(413, "request_too_large",
                               "With what came before it the request is longer than the limit of " +
                                   std::to_string(most) + " bytes.",
                               "previous_response_id");
    co_await refuse(call, std::move(failure));
    co_return false;
  }
  text = turn->body;
  const bool scanned = co_await scan(call, text, given);
  co_return scanned;
}

// One that can't be stored is answered all the same: it is paid for.
Task<> Gateway::store_response(Call& call, const StoredTurn& turn, std::string response) {
  store::BodyRow row;
  row.record_id = swy::json::to_text(swy::json::find(response, "id")).value_or(turn.as.id);
  row.key_id = call.record->key_id;
  row.account_id = call.account->id;
  row.at_unix_s = unix_ns() / 1'000'000'000u;
  row.request = turn.input;
  row.answer = std::move(response);
  Result<void> written;
  auto write = [&] {
    const auto bodies = body_keeper_->open(true);
    written = bodies ? (*bodies)->write({&row, 1}) : Result<void>(bodies.error());
  };
  co_await net::offload(compute_, std::move(write));
  if (!written) {
    spdlog::error("response_not_stored request={} reason={}", call.record->id,
                  observe::quote(written.error().message));
  }
}

Task<> Gateway::serve_stored(Call& call) {
  using Kind = StoredCall::Kind;
  const StoredCall asked = read_stored_call(call.head());
  if (!stores_bodies(call)) {
    co_await refuse(call, not_stored("response_id"));
    co_return;
  }
  Row row;
  const bool found = co_await find_response(call, asked.id, row);
  if (!found) co_return;
  if (!row) {
    co_await refuse(call, no_such_response(asked.id));
    co_return;
  }
  if (asked.kind == Kind::kInputItems) {
    auto page = list_input(asked.id, row->request, call.head().query);
    if (page) {
      co_await answer(call, 200, std::move(*page));
    } else {
      co_await refuse(call, std::move(page.error()));
    }
  } else if (asked.kind == Kind::kDelete) {
    co_await forget_response(call, asked.id);
  } else if (asked.kind == Kind::kCancel) {
    auto failure = bad_request(400, "not_in_background",
                               "Only a response that runs in the background can be cancelled, and "
                               "this one is complete. To end one that runs, close its connection.",
                               "response_id");
    co_await refuse(call, std::move(failure));
  } else if (query_parameter(call.head().query, "stream") == "true") {
    auto failure = bad_request(400, "unsupported_parameter",
                               "Only a response that runs in the background can be streamed again: "
                               "leave 'stream' out.",
                               "stream");
    co_await refuse(call, std::move(failure));
  } else {
    co_await answer(call, 200, std::move(row->answer));
  }
}

Task<> Gateway::forget_response(Call& call, const std::string& id) {
  Result<bool> gone = false;
  auto forget = [&] {
    const auto bodies = body_keeper_->open(true);
    gone = bodies ? (*bodies)->forget_response(id, call.account->id) : Result<bool>(bodies.error());
  };
  co_await net::offload(compute_, std::move(forget));
  if (!gone) {
    spdlog::error("response_not_removed reason={}", observe::quote(gone.error().message));
    co_await refuse(call, unreadable());
  } else if (!*gone) {
    co_await refuse(call, no_such_response(id));
  } else {
    co_await answer(call, 200, response_deleted(id));
  }
}

}  // namespace switchyard::surface

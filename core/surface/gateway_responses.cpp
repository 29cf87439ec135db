// Responses that their key has stored: asked for, removed, gone on with. They lie, sealed, where
// the bodies lie that keys have kept, for as long as these.
#include "core/base/clock.hpp"
#include "core/net/offload.hpp"
#include "core/observe/body_keeper.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/responses_answer.hpp"
#include "core/surface/stored_responses.hpp"

namespace switchyard::surface {
namespace {

using net::Task;
using Row = std::optional<store::BodyRow>;

// Each is looked for in the store.
constexpr std::size_t kReferencesMax = 200;
// What is read for them, in times of the longest body.
constexpr std::size_t kReadTimes = 4;

exchange::Failure not_stored(std::string param) {
  return bad_request(
      400, "not_stored",
      "Responses of this gateway key are not stored. Have them stored with 'switchyard key set "
      "KEY_ID --stores-bodies yes', or send the whole conversation in 'input', with the output "
      "items of earlier answers, 'store': false, and without 'background'.",
      std::move(param));
}

exchange::Failure unreadable() {
  exchange::Failure failure;
  failure.code = "store_failed";
  failure.message = "What is stored of responses can't be read now.";
  return failure;
}

exchange::Failure no_such_previous(const std::string& id) {
  return bad_request(400, "previous_response_not_found",
                     "No stored response with the id '" + id + "' to go on from.",
                     "previous_response_id");
}

exchange::Failure too_long(std::uint64_t most, std::string param) {
  return bad_request(413, "request_too_large",
                     "With what is stored of it the request is longer than the limit of " +
                         std::to_string(most) + " bytes.",
                     std::move(param));
}

exchange::Failure not_complete(const std::string& id) {
  return bad_request(400, "previous_response_not_complete",
                     "The response '" + id +
                         "' still runs in the background: go on from it once its status is another "
                         "than 'in_progress'.",
                     "previous_response_id");
}

// What does not go together with running in the background.
std::optional<exchange::Failure> refuse_background(const JsonIndex& given) {
  const swy_member* const stream = given.find("stream");
  const swy_member* const store = given.find("store");
  if (stream != nullptr && stream->type == 't') {
    return bad_request(400, "unsupported_parameter",
                       "A response in the background is not streamed: leave 'stream' out and ask "
                       "for it by its id, or leave 'background' out.",
                       "stream");
  }
  if (store != nullptr && store->type == 'f') {
    return bad_request(400, "invalid_value",
                       "A response in the background has to be stored: leave 'store' out, or "
                       "'background'.",
                       "store");
  }
  return std::nullopt;
}

}  // namespace

exchange::Failure no_such_response(const std::string& id) {
  return bad_request(404, "response_not_found",
                     "No stored response with the id '" + id +
                         "': it was made with another account's key, with 'store': false, or is "
                         "older than responses are kept.",
                     "response_id");
}

exchange::Failure cut_off() {
  exchange::Failure failure;
  failure.message = "The gateway was stopped before the response was complete: ask again.";
  return failure;
}

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
      // What runs no more and did not say so, as of a worker that was killed, has failed.
      const bool orphan = found && *found && !(*found)->runner.empty() && !is_running(**found);
      if (!orphan) return;
      (*found)->answer = with_status((*found)->answer, "failed", response_error(cut_off()));
      const auto ended = end_row(**found);
      (*found)->runner.clear();
      if (ended && !*ended) found = (*bodies)->find_response(id, call.account->id);
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
  const swy_member* const behind = given.find("background");
  const bool background = ask.what == Ask::What::kTask && behind != nullptr && behind->type == 't';
  if ((goes_on || background) && !stores_bodies(call)) {
    auto refused = not_stored(goes_on ? "previous_response_id" : "background");
    co_await refuse(call, std::move(refused));
    co_return false;
  }
  if (background) {
    auto refused = refuse_background(given);
    if (refused) {
      co_await refuse(call, std::move(*refused));
      co_return false;
    }
  }
  if (!readable) co_return true;
  bool names = false;
  auto look = [&] { names = !read_references(given.value(*input)).empty(); };
  if (text.size() <= kScanOnLoopMax) {
    look();
  } else {
    co_await net::offload(compute_, std::move(look));
  }
  if (!goes_on && !keeps && !names) co_return true;

  turn = std::make_unique<StoredTurn>();
  turn->as.background = background;
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
    if (!row->runner.empty()) {
      co_await refuse(call, not_complete(turn->as.previous));
      co_return false;
    }
  }
  std::string_view own_input = given.value(*input);
  std::string whole_input;
  if (names) {
    whole_input = own_input;
    const bool taken = co_await take_items(call, whole_input);
    if (!taken) co_return false;
    own_input = whole_input;
  }
  auto join = [&] {
    if (!row) row.emplace();
    turn->input = join_input(row->request, row->answer, own_input);
    turn->body = with_input(given, turn->input, keeps);
  };
  co_await net::offload(compute_, std::move(join));
  const std::uint64_t most = body_bytes_max(call);
  if ((goes_on || names) && turn->body.size() > most) {
    auto failure = too_long(most, goes_on ? "previous_response_id" : "input");
    co_await refuse(call, std::move(failure));
    co_return false;
  }
  text = turn->body;
  const bool scanned = co_await scan(call, text, given);
  co_return scanned;
}

Task<bool> Gateway::take_items(Call& call, std::string& input) {
  const std::vector<ItemReference> named = read_references(input);
  const auto place_of = [](const ItemReference& each) {
    return "input[" + std::to_string(each.at) + "].id";
  };
  if (!stores_bodies(call)) {
    co_await refuse(call, not_stored(place_of(named.front())));
    co_return false;
  }
  if (named.size() > kReferencesMax) {
    auto failure = bad_request(400, "invalid_value",
                               "At most " + std::to_string(kReferencesMax) +
                                   " items can be named by their ids: go on from a response with "
                                   "'previous_response_id'.",
                               place_of(named[kReferencesMax]));
    co_await refuse(call, std::move(failure));
    co_return false;
  }
  std::vector<std::string> items;
  Result<bool> found = true;
  auto find = [&] { found = find_items(call, named, items); };
  co_await net::offload(compute_, std::move(find));
  if (!found) {
    spdlog::error("response_not_read reason={}", observe::quote(found.error().message));
    co_await refuse(call, unreadable());
    co_return false;
  }
  if (!*found) {
    co_await refuse(call, too_long(body_bytes_max(call), "input"));
    co_return false;
  }
  if (items.size() < named.size()) {
    const ItemReference& missing = named[items.size()];
    auto failure =
        bad_request(400, "item_not_found", "No item with the id '" + missing.id + "' is stored.",
                    place_of(missing));
    co_await refuse(call, std::move(failure));
    co_return false;
  }
  input = with_items(input, items);
  co_return true;
}

// As many as are found before one is not. False: they are longer than a request may be, or too much
// has to be read for them. Each response is read once.
Result<bool> Gateway::find_items(const Call& call, std::span<const ItemReference> named,
                                 std::vector<std::string>& items) const {
  const auto bodies = body_keeper_->open(false);
  if (!bodies) return bodies.error();
  items.resize(named.size());
  const std::uint64_t most = body_bytes_max(call);
  std::size_t room = most, read = 0, at = 0;
  for (; at < named.size() && *bodies != nullptr; ++at) {
    if (!items[at].empty()) continue;
    const auto id = (*bodies)->response_of_item(named[at].id, call.account->id);
    if (!id) return id.error();
    const auto row = (*bodies)->find_response(*id, call.account->id);
    if (!row) return row.error();
    if (!*row) break;
    read += (*row)->request.size() + (*row)->answer.size();
    if (read > kReadTimes * most || !find_named(named, **row, room, items)) return false;
    if (items[at].empty()) break;
  }
  items.resize(at);
  return true;
}

// One that can't be stored is answered all the same: it is paid for.
Task<> Gateway::store_response(Call& call, const StoredTurn& turn, std::string response) {
  const auto id = swy::json::to_text(swy::json::find(response, "id"));
  store::BodyRow row = new_row(call, turn, id.value_or(turn.as.id));
  row.answer = std::move(response);
  auto name = [&row] { row.items = item_ids(row.record_id, row.request, row.answer); };
  co_await net::offload(compute_, std::move(name));
  (void)co_await write_row(row);
}

store::BodyRow Gateway::new_row(const Call& call, const StoredTurn& turn, std::string id) {
  store::BodyRow row;
  row.record_id = std::move(id);
  row.key_id = call.record->key_id;
  row.account_id = call.account->id;
  row.at_unix_s = unix_ns() / 1'000'000'000u;
  row.request = turn.input;
  return row;
}

Task<bool> Gateway::write_row(const store::BodyRow& row) {
  Result<void> written;
  auto write = [&] {
    const auto bodies = body_keeper_->open(true);
    written = bodies ? (*bodies)->write({&row, 1}) : Result<void>(bodies.error());
  };
  co_await net::offload(compute_, std::move(write));
  if (!written) {
    spdlog::error("response_not_stored response={} reason={}", row.record_id,
                  observe::quote(written.error().message));
  }
  co_return written.has_value();
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
    co_await cancel_response(call, std::move(*row));
  } else if (query_parameter(call.head().query, "stream") == "true") {
    auto failure = bad_request(400, "unsupported_parameter",
                               "A response can't be streamed again: leave 'stream' out, and ask "
                               "until its status is another than 'in_progress'.",
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
    background_->stop(id);
    co_await answer(call, 200, response_deleted(id));
  }
}

}  // namespace switchyard::surface

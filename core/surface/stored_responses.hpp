// Responses that are stored: what paths ask of them, how a request goes on with one, and the list
// of what one was asked with. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json_scan.hpp"
#include "core/base/result.hpp"
#include "core/net/http1.hpp"
#include "core/store/bodies.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {

// What a path and method below /v1/responses/ID ask for.
struct StoredCall {
  enum class Kind { kUnknown, kGet, kDelete, kCancel, kInputItems };
  Kind kind = Kind::kUnknown;  // of the path alone where the method is not `allowed`
  std::string id;
  std::string_view allowed;  // methods
};
StoredCall read_stored_call(const net::RequestHead& head);

// A request that is to be stored, or that goes on with what was.
struct StoredTurn {
  StoredAs as;
  std::string input;  // all of it: an array of items
  std::string body;   // the client's with this as its input
};

// A body's `input` behind what was asked and answered before: an array of items. `before` is an
// array, `response` a response, or both are empty.
std::string join_input(std::string_view before, std::string_view response, std::string_view input);
// The body with `input` in the place of its own, without `previous_response_id` and `background`,
// which are the gateway's to do. One that is to be
// stored asks for its reasoning sealed, so that what is stored is all there is.
std::string with_input(const JsonIndex& body, std::string_view input, bool to_store);

// An item that an input names by its id instead of saying it.
struct ItemReference {
  std::size_t at = 0;  // in the input
  std::string id;
};
std::vector<ItemReference> read_references(std::string_view input);
// Puts those of the named items that a response was asked with, or answered, into their places in
// `found`; places that are taken stay. False: together they have more bytes than `room`, which is
// less by what was put.
bool find_named(std::span<const ItemReference> named, const store::BodyRow& row, std::size_t& room,
                std::span<std::string> found);
// The input with `items` in the places of its references, one for each.
std::string with_items(std::string_view input, std::span<const std::string> items);
// The ids of all that a response was asked with, and answered.
std::vector<std::string> item_ids(std::string_view response_id, std::string_view input,
                                  std::string_view response);

// The page of `input` that ?after=ID&limit=N&order=asc|desc asks for, the newest item first where
// it does not say.
Result<std::string, exchange::Failure> list_input(std::string_view id, std::string_view input,
                                                  std::string_view query);
// A response without an answer, with another status and an error, which is JSON or null.
std::string with_status(std::string_view response, std::string_view status, std::string_view error);
// What came of a response that runs in the background: `pending` is what its client was told of.
std::string as_announced(std::string_view pending, std::string_view response);
std::string response_deleted(std::string_view id);

}  // namespace switchyard::surface

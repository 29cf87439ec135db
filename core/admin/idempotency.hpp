// Calls that are made once, however often they are asked for: the header Idempotency-Key.
//
// The first answer to a key is kept from the moment that its call begins, and given again to each
// further call with the same key and parameters, also where it was a 5xx. Kept for 48 h, by caller.
//   400 bad_idempotency_key        empty or longer than 255 characters
//   409 idempotency_in_progress    the first call has not ended
//   422 idempotency_key_reused     the same key with another route, query or body
//   500 idempotency_interrupted    the gateway ended while the first call ran: the audit log and
//   the
//                                  books tell whether it took effect
// A 400 is not kept: such a call has changed nothing.
#pragma once

#include <vector>

#include "core/account/keys.hpp"
#include "core/admin/server.hpp"
#include "core/admin/tokens.hpp"
#include "core/store/replays.hpp"

namespace switchyard::admin {

// Those routes that say idempotent_by_key; a call without a key is made as it comes. `replays`
// outlives them.
std::vector<Route> once_by_key(std::vector<Route> routes, store::Replays& replays,
                               const account::Pepper& pepper, UnixSeconds now = now_unix_s);

}  // namespace switchyard::admin

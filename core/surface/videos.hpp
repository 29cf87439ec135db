// Jobs as OpenAI's Videos API shows them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/exchange/exchange.hpp"
#include "core/store/store.hpp"

namespace switchyard::surface {

inline constexpr std::string_view kVideosPath = "/v1/videos";

// What a path and method below /v1/videos ask for.
struct VideoCall {
  enum class Kind { kUnknown, kList, kGet, kContent, kDelete, kWrongMethod };
  Kind kind = Kind::kUnknown;
  std::string id;
  std::string_view task;     // for the provider and the record
  std::string_view allowed;  // kWrongMethod: the methods
};

// kUnknown also for what begins a job, which is an endpoint.
VideoCall read_video_call(std::string_view method, std::string_view path);

// Which page of the list: ?after=ID&limit=N&order=asc|desc.
struct VideoPage {
  std::string after;
  std::uint64_t limit = 20;
  bool ascending = false;
};
std::optional<exchange::Failure> read_page(std::string_view query, VideoPage& page);
// The body that a provider gets for ?variant=NAME.
std::string content_body(std::string_view query);

// "video_" and 128 random bits.
std::string new_video_id();

// The members of `now` (as SWY_EMIT_JOB had them), and those of `before` that it lacks.
std::string merge_state(std::string_view before, std::string_view now);
// What the client asked for, in the words of the state.
std::string asked_state(const JsonIndex& body);

// completed, failed, cancelled: nothing more will happen.
bool is_over(std::string_view state);
// When a job of this state is to be forgotten.
std::uint64_t expiry_of(std::string_view state, std::uint64_t created_unix_s);

std::string video_object(const store::JobRow& job);
std::string video_list(const std::vector<store::JobRow>& jobs, bool more);
std::string video_deleted(const std::string& id);

}  // namespace switchyard::surface

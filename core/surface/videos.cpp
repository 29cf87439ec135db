#include "core/surface/videos.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <charconv>

#include "core/base/json_scan.hpp"
#include "core/net/text.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

constexpr std::uint64_t kDayS = 86'400, kKeptS = 7 * kDayS, kKeptMaxS = 30 * kDayS;

bool valid_id(std::string_view id) {
  return id.size() <= 128 && !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (net::lower(c) >= 'a' && net::lower(c) <= 'z') ||
                  c == '_' || c == '-';
         });
}

std::string text_of(const JsonIndex& object, std::string_view name) {
  const swy_member* const member = object.find(name);
  return member != nullptr && member->type == 's' ? json_unescape(object.value(*member))
                                                  : std::string();
}

// A member's number, whole or not, as an integer; nothing where there is none in `least` to `most`.
std::optional<std::uint64_t> count_of(const JsonIndex& object, std::string_view name,
                                      std::uint64_t most) {
  const swy_member* const member = object.find(name);
  if (member == nullptr || member->type != 'n') return std::nullopt;
  const std::string_view digits = object.value(*member);
  std::uint64_t number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (read.ec != std::errc() || number > most) return std::nullopt;
  return number;
}

// OpenAI's four; a provider's job that was cancelled has failed for its client.
std::string_view shown_status(std::string_view status) {
  for (const std::string_view known : {"queued", "in_progress", "completed", "failed"}) {
    if (status == known) return known;
  }
  return status == "cancelled" ? "failed" : "in_progress";
}

// seconds and size are strings there, whatever the provider writes.
std::string as_text(const JsonIndex& state, std::string_view name) {
  const swy_member* const member = state.find(name);
  if (member == nullptr || (member->type != 's' && member->type != 'n')) return {};
  return member->type == 's' ? text_of(state, name) : std::string(state.value(*member));
}

void append_member(std::string& out, std::string_view name, std::string_view json) {
  if (out.size() > 1) out += ',';
  append_json_string(out, name);
  out += ':';
  out += json;
}

void append_text(std::string& out, std::string_view name, std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  append_member(out, name, quoted);
}

std::string error_of(const JsonIndex& state, std::string_view status) {
  const swy_member* const error = state.find("error");
  JsonIndex given;
  std::string code, message;
  if (error != nullptr && error->type == 'o' && given.scan(state.value(*error))) {
    code = text_of(given, "code");
    message = text_of(given, "message");
  } else if (status != "failed" && status != "cancelled") {
    return "null";
  }
  if (code.empty()) code = status == "cancelled" ? "cancelled" : "generation_failed";
  if (message.empty())
    message = status == "cancelled" ? "The job was cancelled." : "The job failed.";
  std::string out = "{";
  append_text(out, "code", code);
  append_text(out, "message", message);
  return out + "}";
}

// name=value pairs, decoded; each is given to `visit`, which says false to end.
template <class Visit>
void each_parameter(std::string_view query, Visit visit) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equal = std::min(pair.find('='), pair.size());
    visit(net::percent_decode(pair.substr(0, equal), true),
          net::percent_decode(pair.substr(std::min(equal + 1, pair.size())), true));
  }
}

}  // namespace

VideoCall read_video_call(std::string_view method, std::string_view path) {
  using Kind = VideoCall::Kind;
  VideoCall call;
  if (!path.starts_with(kVideosPath)) return call;
  path.remove_prefix(kVideosPath.size());
  if (path.empty()) {
    call.allowed = "GET, POST";
    call.task = "videos.list";
    if (method == "GET") call.kind = Kind::kList;
    if (method != "GET" && method != "POST") call.kind = Kind::kWrongMethod;
    return call;
  }
  if (path.front() != '/') return call;
  path.remove_prefix(1);
  const std::size_t slash = std::min(path.find('/'), path.size());
  const std::string_view behind = path.substr(slash);
  if (!valid_id(path.substr(0, slash)) || (!behind.empty() && behind != "/content")) return call;
  call.id = path.substr(0, slash);
  call.kind = Kind::kWrongMethod;
  if (behind.empty()) {
    call.allowed = "GET, DELETE";
    call.task = method == "DELETE" ? "videos.delete" : "videos.get";
    if (method == "GET") call.kind = Kind::kGet;
    if (method == "DELETE") call.kind = Kind::kDelete;
  } else {
    call.allowed = "GET";
    call.task = "videos.content";
    if (method == "GET") call.kind = Kind::kContent;
  }
  return call;
}

std::optional<exchange::Failure> read_page(std::string_view query, VideoPage& page) {
  std::optional<exchange::Failure> wrong;
  each_parameter(query, [&](const std::string& name, const std::string& value) {
    if (name == "after") {
      page.after = value;
    } else if (name == "limit") {
      const auto read = std::from_chars(value.data(), value.data() + value.size(), page.limit);
      if (read.ec != std::errc() || read.ptr != value.data() + value.size() || page.limit < 1 ||
          page.limit > 100) {
        wrong = bad_request(400, "invalid_value", "Invalid 'limit': expected 1 to 100.", "limit");
      }
    } else if (name == "order") {
      page.ascending = value == "asc";
      if (value != "asc" && value != "desc") {
        wrong =
            bad_request(400, "invalid_value", "Invalid 'order': expected asc or desc.", "order");
      }
    }
  });
  return wrong;
}

std::string content_body(std::string_view query) {
  std::string body = "{";
  each_parameter(query, [&](const std::string& name, const std::string& value) {
    if (name == "variant" && body.size() == 1) append_text(body, name, value);
  });
  return body + "}";
}

std::string new_video_id() {
  static constexpr char kHex[] = "0123456789abcdef";
  unsigned char random[16];
  RAND_bytes(random, sizeof random);
  std::string id = "video_";
  for (const unsigned char byte : random) {
    id += kHex[byte >> 4];
    id += kHex[byte & 15];
  }
  return id;
}

std::string merge_state(std::string_view before, std::string_view now) {
  JsonIndex older, newer;
  if (!newer.scan(now)) return std::string(before);
  std::string out = "{";
  for (const swy_member& member : newer.members()) {
    append_member(out, view(member.name), newer.value(member));
  }
  if (older.scan(before)) {
    for (const swy_member& member : older.members()) {
      if (newer.find(view(member.name)) == nullptr) {
        append_member(out, view(member.name), older.value(member));
      }
    }
  }
  return out + "}";
}

std::string asked_state(const JsonIndex& body) {
  std::string out = "{";
  for (const char* name : {"seconds", "size"}) {
    const std::string text = as_text(body, name);
    if (!text.empty() && text.size() <= 64) append_text(out, name, text);
  }
  return out + "}";
}

bool is_over(std::string_view state) {
  JsonIndex object;
  if (!object.scan(state)) return false;
  const std::string status = text_of(object, "status");
  return status == "completed" || status == "failed" || status == "cancelled";
}

std::uint64_t expiry_of(std::string_view state, std::uint64_t created_unix_s) {
  JsonIndex object;
  std::optional<std::uint64_t> said;
  if (object.scan(state)) said = count_of(object, "expires_at", std::uint64_t{1} << 40);
  return std::min(said.value_or(created_unix_s + kKeptS), created_unix_s + kKeptMaxS);
}

std::string video_object(const store::JobRow& job) {
  JsonIndex state;
  (void)state.scan(job.state).has_value();
  const std::string status = text_of(state, "status");
  const std::string_view shown = shown_status(status);
  std::string out = "{";
  append_text(out, "id", job.id);
  append_text(out, "object", "video");
  append_member(out, "created_at", std::to_string(job.created_unix_s));
  append_text(out, "status", shown);
  append_member(out, "completed_at",
                job.completed_unix_s > 0 ? std::to_string(job.completed_unix_s) : "null");
  const auto expires = count_of(state, "expires_at", std::uint64_t{1} << 40);
  append_member(out, "expires_at", expires ? std::to_string(*expires) : "null");
  append_text(out, "model", job.model);
  const auto progress = shown == "completed" ? 100 : count_of(state, "progress", 100).value_or(0);
  append_member(out, "progress", std::to_string(progress));
  for (const char* name : {"seconds", "size"}) {
    const std::string text = as_text(state, name);
    if (!text.empty()) append_text(out, name, text);
  }
  append_member(out, "remixed_from_video_id", "null");
  append_member(out, "error", error_of(state, status));
  return out + "}";
}

std::string video_list(const std::vector<store::JobRow>& jobs, bool more) {
  std::string out = R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (i > 0) out += ',';
    out += video_object(jobs[i]);
  }
  out += ']';
  const auto id_or_null = [](const store::JobRow* job) {
    return job != nullptr ? "\"" + job->id + "\"" : std::string("null");
  };
  append_member(out, "first_id", id_or_null(jobs.empty() ? nullptr : &jobs.front()));
  append_member(out, "last_id", id_or_null(jobs.empty() ? nullptr : &jobs.back()));
  append_member(out, "has_more", more ? "true" : "false");
  return out + "}";
}

std::string video_deleted(const std::string& id) {
  return R"({"id":")" + id + R"(","object":"video.deleted","deleted":true})";
}

}  // namespace switchyard::surface

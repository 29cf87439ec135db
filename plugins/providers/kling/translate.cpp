#include "providers/kling/translate.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <switchyard/chat_request.hpp>
#include <switchyard/json.hpp>
#include <utility>

namespace kling {

namespace json = swy::json;

namespace {

constexpr std::int64_t kTokenSeconds = 1800, kSkewSeconds = 5;
constexpr std::int64_t kResultSeconds = 30LL * 24 * 3600;  // how long a result's address is good

bool is_any(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

// A number or a string as text.
std::string text_of(std::string_view value) {
  if (auto text = json::to_text(value)) return *std::move(text);
  return json::type_of(value) == 'n' ? std::string(value) : std::string();
}

struct Size {
  unsigned width = 0, height = 0;
};

bool parse_size(std::string_view text, Size& size) {
  const std::size_t x = text.find('x');
  if (x == std::string_view::npos) return false;
  const auto number = [](std::string_view digits, unsigned& value) {
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    return error == std::errc() && stop == end && value > 0 && value <= 16384;
  };
  return number(text.substr(0, x), size.width) && number(text.substr(x + 1), size.height);
}

// The nearest of the three that there are.
struct Aspect {
  std::string_view name;
  unsigned width, height;
  bool is(const Size& size) const { return size.width * height == size.height * width; }
};
Aspect aspect_of(const Size& size) {
  if (size.width * 4 >= size.height * 5) return {"16:9", 16, 9};
  if (size.height * 4 >= size.width * 5) return {"9:16", 9, 16};
  return {"1:1", 1, 1};
}

std::int32_t class_of(std::int64_t code, unsigned status) {
  switch (code) {
    case 1000:
    case 1001:
    case 1002:
    case 1003:
    case 1004:
    case 1103:
    case 1304:
      return SWY_CLS_AUTH;
    case 1100:
    case 1101:
    case 1102:
      return SWY_CLS_QUOTA;
    case 1200:
    case 1201:
      return SWY_CLS_BAD_REQUEST;
    case 1202:
    case 1203:
      return SWY_CLS_NO_MODEL;
    case 1300:
    case 1301:
      return SWY_CLS_FILTERED;
    case 1302:
    case 1303:
      return SWY_CLS_RATE_LIMIT;
    case 5001:
      return SWY_CLS_OVERLOADED;
    case 5002:
      return SWY_CLS_TIMEOUT;
    default:
      return code >= 5000 ? SWY_CLS_SERVER : swy::class_of_status(status);
  }
}

// Where the picture to begin with is: an upload, or a value in the body. Base64 goes without a
// data: prefix, which Kling refuses.
struct Picture {
  const swy_blob* blob = nullptr;
  std::string_view inside;  // of a JSON string: an address, or base64
  bool any() const { return blob != nullptr || !inside.empty(); }
};

Picture picture_of(const swy::Request& request) {
  Picture picture;
  std::string_view value = request.value("input_reference");
  if (const auto id = json::to_integer(json::find(value, "$blob"))) {
    picture.blob = request.find_blob(static_cast<std::uint64_t>(*id));
    return picture;
  }
  if (json::type_of(value) == 'o') value = json::find(value, "image_url");
  if (json::is_null(value)) value = request.value("image");
  picture.inside = json::inside(value);
  if (swy::DataUrl url; swy::parse_data_url(picture.inside, url)) picture.inside = url.data;
  return picture;
}

// Members that are put by another name, or that only the gateway knows. `model_name` would run
// another model than the one that was routed and priced.
bool is_mapped(std::string_view name) {
  return is_any(name, {"model", "model_name", "seconds", "size", "input_reference", "image", "user",
                       "n", "stream"});
}

// more: members beside these, or empty. Kling tells no percentage.
void put_job(std::string_view status, std::string_view more, swy::Out& out) {
  std::string job = R"({"status":")" + std::string(status) + R"(","progress":)";
  job += status == "completed" ? "100" : "0";
  job.append(more.empty() ? "" : ",").append(more).append("}");
  out.job(job);
}

}  // namespace

std::string Job::to_token() const {
  std::string token;
  json::Writer writer(token);
  writer.open_object().key("path").text(path).key("id").text(id);
  writer.close_object();
  return token;
}

swy::Result<Job> parse_token(std::string_view token) {
  const auto text = [token](std::string_view name) {
    return json::to_text(json::find(token, name)).value_or("");
  };
  Job job{text("path"), text("id")};
  const bool plain = !job.id.empty() && std::all_of(job.id.begin(), job.id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
  });
  if (!plain || !is_any(job.path, {"text2video", "image2video"})) {
    return swy::Error{SWY_CLS_PLUGIN, "the job was not kept by this plugin"};
  }
  return job;
}

swy::Refusal read_refusal(unsigned status, std::string_view body) {
  const std::int64_t code = json::to_integer(json::find(body, "code")).value_or(0);
  swy::Refusal refusal;
  refusal.cls = class_of(code, status);
  refusal.status = status;
  refusal.message = json::to_text(json::find(body, "message")).value_or("");
  return refusal;
}

Operation::Operation(swy::Signer signer, const swy::Request& request)
    : signer_(signer), request_(request), signs_(request.credential("auth") != "bearer") {}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_START:
      return start(out);
    case SWY_EV_SIGN:
      return sign(event, out);
    case SWY_EV_HEAD:
      return on_head(event, out);
    case SWY_EV_DATA:
      return on_data(event, out);
    case SWY_EV_END:
      // A document is judged when it comes, so that none came, or the video is complete.
      if (event.exchange() == kFetch && status_ < 300) return swy::Next::done();
      return status_ >= 300 ? swy::refuse(out, read_refusal(status_, {}))
                            : fail(SWY_CLS_BAD_ANSWER, "Kling gave an empty answer", out);
    case SWY_EV_IOERR:
      return swy::Next::fail(
          {static_cast<std::int32_t>(event.status()), std::string(event.data())});
    case SWY_EV_CANCEL:
      return swy::Next::done();  // a task can't be cancelled
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next Operation::start(swy::Out& out) {
  if (request_.task() == "videos") return submit(out);
  if (!is_any(request_.task(), {"videos.get", "videos.content"})) {
    return fail(SWY_CLS_NOT_OFFERED, "Kling has no " + std::string(request_.task()), out);
  }
  const std::string variant = text_of(request_.value("variant"));
  if (!variant.empty() && variant != "video") {
    return fail(SWY_CLS_NOT_OFFERED, "variant: Kling has the video alone", out);
  }
  auto job = parse_token(request_.resume());
  if (!job) return swy::Next::fail(job.error());
  job_ = *std::move(job);
  return poll(out);
}

swy::Next Operation::sign(const swy::Event& event, swy::Out& out) {
  const std::string_view access_key = request_.credential("access_key");
  if (access_key.empty()) {
    return swy::Next::fail({SWY_CLS_AUTH,
                            "the credential has no part \"access_key\", which Kling's tokens need; "
                            "an API key has \"auth\": \"bearer\""});
  }
  const auto now = static_cast<std::int64_t>(event.sign().unix_ms() / 1000);
  std::string claims;
  json::Writer writer(claims);
  writer.open_object().key("iss").text(access_key).key("exp").integer(now + kTokenSeconds);
  writer.key("nbf").integer(now - kSkewSeconds).close_object();
  const auto token = signer_.jwt(out, {.alg = "HS256"}, claims);
  if (!token) return swy::Next::fail(token.error());
  out.header("authorization", "Bearer " + *token);
  return swy::Next::feed();
}

void Operation::begin(std::string_view method, const std::string& path, Exchange exchange,
                      swy::Out& out) {
  out.begin(method, path, SWY_FRAME_WHOLE, exchange);
  out.auth(signs_ ? "sign" : "bearer");
}

// ---- submit ----

// Kling makes five seconds where nobody asks for more.
std::int64_t seconds_asked(const swy::Request& request) {
  for (const char* const name : {"seconds", "duration"}) {
    const std::string text = text_of(request.value(name));
    std::int64_t seconds = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (fault == std::errc() && end == text.data() + text.size() && seconds > 0) return seconds;
  }
  return 5;
}

swy::Next Operation::submit(swy::Out& out) {
  const Picture picture = picture_of(request_);
  job_.path = picture.any() ? "image2video" : "text2video";
  const std::string seconds = text_of(request_.value("seconds"));
  const std::string asked_size = text_of(request_.value("size"));
  Size size;
  if (!asked_size.empty() && !parse_size(asked_size, size)) {
    return fail(SWY_CLS_BAD_REQUEST, "size: expected WIDTHxHEIGHT", out);
  }
  const std::string_view n = request_.value("n");
  if (!json::is_null(n) && text_of(n) != "1") {
    return fail(SWY_CLS_NOT_OFFERED, "n: Kling makes one video", out);
  }

  swy::BodyWriter body;
  json::Writer& writer = body.json();
  writer.open_object();
  // Not "model", which Kling ignores and then runs its oldest.
  writer.key("model_name").text(request_.model());
  for (std::size_t i = 0; i < request_.member_count(); ++i) {
    const swy_member& member = request_.member(i);
    const std::string_view name = swy::view(member.name);
    const bool twice =
        (name == "duration" && !seconds.empty()) || (name == "aspect_ratio" && size.width > 0);
    if (is_mapped(name) || twice || member.type == '0') continue;
    writer.key(name);
    body.value(request_.value(member));
  }
  if (!seconds.empty()) writer.key("duration").text(seconds);  // a string, not a number
  if (size.width > 0) {
    // With a picture the video is as the picture is.
    if (!picture.any()) writer.key("aspect_ratio").text(aspect_of(size).name);
    if (std::min(size.width, size.height) >= 1080 && request_.find("mode") == nullptr) {
      writer.key("mode").text("pro");
    }
  }
  if (!picture.any()) {
    writer.close_object();
  } else if (picture.blob == nullptr) {
    writer.key("image");
    body.string_of(picture.inside);
    writer.close_object();
  } else {
    writer.key("image").raw("\"");
  }

  swy::Losses losses;
  for (const char* name : {"user", "model_name"}) {
    if (!json::is_null(request_.value(name))) losses.add(name);
  }
  if (size.width > 0 && (picture.any() || !aspect_of(size).is(size))) losses.add("size");
  losses.emit(out);

  begin("POST", "/v1/videos/" + job_.path, kSubmit, out);
  out.header("content-type", "application/json");
  swy::Gather gather = body.pieces();
  if (picture.blob != nullptr) {
    gather.add_blob(*picture.blob, SWY_ENC_BASE64);
    gather.add("\"}");
  }
  out.body(gather);
  return swy::Next::send();
}

swy::Next Operation::on_submitted(std::string_view data, swy::Out& out) {
  job_.id = text_of(json::find(data, "task_id"));
  const std::string token = job_.to_token();
  if (!parse_token(token)) return fail(SWY_CLS_BAD_ANSWER, "Kling gave no task_id", out);
  const swy_rc kept = out.keep(token);
  if (kept < 0) {
    return swy::Next::fail({SWY_CLS_PLUGIN, "keep answered " + std::to_string(kept)});
  }
  put_job("queued", {}, out);
  out.usage(R"({"seconds":)" + std::to_string(seconds_asked(request_)) + "}");
  return swy::Next::done();
}

// ---- poll and fetch ----

swy::Next Operation::poll(swy::Out& out) {
  begin("GET", "/v1/videos/" + job_.path + "/" + job_.id, kPoll, out);
  return swy::Next::send();
}

swy::Next Operation::on_polled(std::string_view data, swy::Out& out) {
  const std::string status = text_of(json::find(data, "task_status"));
  const bool wants_content = request_.task() == "videos.content";
  if (is_any(status, {"succeed", "succeeded"})) {
    const std::string_view video = json::find_path(data, "task_result.videos.0");
    const std::string url = text_of(json::find(video, "url"));
    if (url.empty()) return fail(SWY_CLS_BAD_ANSWER, "Kling gave no address of the video", out);
    if (wants_content) return fetch(url, out);
    std::string more;
    if (const std::string_view made = json::find(video, "duration"); json::type_of(made) == 's') {
      more = "\"seconds\":" + json::quoted(json::unescape(made));
    }
    if (const auto updated_ms = json::to_integer(json::find(data, "updated_at"))) {
      more += (more.empty() ? "" : ",") + std::string("\"expires_at\":") +
              std::to_string(*updated_ms / 1000 + kResultSeconds);
    }
    put_job("completed", more, out);
    return swy::Next::done();
  }
  if (wants_content) {
    return fail(SWY_CLS_BAD_REQUEST, "the video is not ready: its task is " + status, out);
  }
  if (status == "failed") {
    // Content review after the generation ends this way too; the text is all that tells.
    std::string why;
    json::Writer(why)
        .open_object()
        .key("code")
        .text("generation_failed")
        .key("message")
        .text(text_of(json::find(data, "task_status_msg")))
        .close_object();
    put_job("failed", "\"error\":" + why, out);
  } else if (is_any(status, {"submitted", "processing"})) {
    put_job(status == "submitted" ? "queued" : "in_progress", {}, out);
  } else {
    return fail(SWY_CLS_BAD_ANSWER, "a task_status that is not known: " + status, out);
  }
  return swy::Next::done();
}

swy::Next Operation::fetch(std::string_view url, swy::Out& out) {
  // An unauthenticated link of a storage of Kling's.
  if (out.begin("GET", url, SWY_FRAME_RAW, kFetch) < 0) {
    return fail(SWY_CLS_BAD_ANSWER, "the address of the video is none", out);
  }
  out.auth("none");
  return swy::Next::send();
}

// ---- answers ----

swy::Next Operation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  retry_after_ms_ = swy::retry_after_ms(event);
  if (event.exchange() != kFetch) return swy::Next::feed();
  if (status_ != 200) {
    return fail(SWY_CLS_SERVER, "the video can't be fetched: status " + std::to_string(status_),
                out);
  }
  std::string head;
  json::Writer writer(head);
  const std::string_view type = event.header("content-type");
  writer.open_object().key("content_type").text(type.empty() ? "video/mp4" : type);
  if (const auto length = json::to_integer(event.header("content-length"))) {
    writer.key("content_length").integer(*length);
  }
  writer.close_object();
  out.head(head);
  return swy::Next::feed();
}

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  if (event.exchange() == kFetch) {
    out.raw(event.data());
    return swy::Next::feed();
  }
  const std::string_view body = event.data();
  const auto code = json::to_integer(json::find(body, "code"));
  // A fault may come with status 200.
  if (status_ >= 300 || (code && *code != 0)) {
    swy::Refusal refusal = read_refusal(status_, body);
    refusal.retry_after_ms = retry_after_ms_;
    return swy::refuse(out, std::move(refusal));
  }
  const std::string_view data = json::find(body, "data");
  if (!code || json::type_of(data) != 'o') {
    return fail(SWY_CLS_BAD_ANSWER, "the answer is none of Kling's", out);
  }
  return event.exchange() == kSubmit ? on_submitted(data, out) : on_polled(data, out);
}

swy::Next Operation::fail(std::int32_t cls, std::string message, swy::Out& out) const {
  return swy::refuse(out, {.cls = cls, .status = status_, .message = std::move(message)});
}

}  // namespace kling

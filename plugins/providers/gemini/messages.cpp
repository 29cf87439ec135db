// The system instruction and the turns of a conversation.
#include <algorithm>

#include "providers/gemini/to_upstream.hpp"

namespace gemini {

namespace json = swy::json;

namespace {

// Google's own word for "this call has no signature, let it pass".
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

// The media type that a URL's ending tells.
std::string_view mime_of_url(std::string_view url, std::string_view otherwise) {
  url = url.substr(0, url.find_first_of("?#"));
  const auto ends = [url](std::string_view end) {
    if (url.size() < end.size()) return false;
    return std::equal(end.begin(), end.end(), url.end() - static_cast<std::ptrdiff_t>(end.size()),
                      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
  };
  constexpr std::pair<std::string_view, std::string_view> kEndings[] = {
      {".png", "image/png"},       {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"},
      {".webp", "image/webp"},     {".gif", "image/gif"},  {".heic", "image/heic"},
      {".pdf", "application/pdf"}, {".mp4", "video/mp4"},  {".mov", "video/quicktime"},
      {".webm", "video/webm"},     {".mp3", "audio/mp3"},  {".wav", "audio/wav"},
      {".txt", "text/plain"}};
  for (const auto& [ending, mime] : kEndings) {
    if (ends(ending)) return mime;
  }
  return otherwise;
}

}  // namespace

// A result has to name its function; a canonical one has the call's id alone.
void UpstreamBody::note_calls() {
  for (const Message& message : messages_) {
    json::Cursor calls(message.tool_calls);
    if (!calls.array()) continue;
    while (calls.element()) {
      const std::string_view call = calls.value();
      call_names_[json::find(call, "id")] = json::find(swy::function_of(call), "name");
    }
  }
}

// ---- system instruction ----

void UpstreamBody::write_system() {
  first_turn_ = swy::leading_system(messages_, losses_);
  const Place list{nullptr, "messages"};
  if (first_turn_ == 0) return;
  json_.key("systemInstruction").open_object().key("parts").open_array();
  any_part_ = false;
  for (std::size_t i = 0; i < first_turn_; ++i) {
    const Place here{&list, {}, static_cast<std::int64_t>(i)};
    write_content(messages_[i], here);
  }
  end_turn();
}

// ---- contents ----

void UpstreamBody::write_contents() {
  json_.key("contents").open_array();
  for (std::size_t at = first_turn_; at < messages_.size();) {
    at = messages_[at].role == swy::ChatRole::kAssistant ? write_model_turn(at)
                                                         : write_user_turn(at);
  }
  json_.close_array();
}

// Parts may not be none.
void UpstreamBody::end_turn() {
  if (!any_part_) json_.open_object().key("text").text(" ").close_object();
  json_.close_array().close_object();
}

// Results of functions and what the user says, up to the model's next turn: one turn, the results
// first.
std::size_t UpstreamBody::write_user_turn(std::size_t first) {
  std::size_t last = first;
  while (last < messages_.size() && messages_[last].role != swy::ChatRole::kAssistant) ++last;
  json_.open_object().key("role").text("user").key("parts").open_array();
  any_part_ = false;
  for (std::size_t i = first; i < last; ++i) {
    if (messages_[i].role == swy::ChatRole::kTool) write_result(messages_[i]);
  }
  const Place list{nullptr, "messages"};
  for (std::size_t i = first; i < last; ++i) {
    const Message& message = messages_[i];
    const Place here{&list, {}, message.index};
    if (message.role == swy::ChatRole::kTool) {
      // What a result can't hold stands beside the results.
      if (json::type_of(message.content) == 'a') {
        write_parts(message.content, Place{&here, "content"}, true);
      }
      continue;
    }
    if (message.role == swy::ChatRole::kSystem) losses_.add(here, "role");
    write_content(message, here);
  }
  end_turn();
  return last;
}

std::size_t UpstreamBody::write_model_turn(std::size_t first) {
  json_.open_object().key("role").text("model").key("parts").open_array();
  any_part_ = call_signed_ = false;
  std::size_t at = first;
  for (; at < messages_.size() && messages_[at].role == swy::ChatRole::kAssistant; ++at) {
    write_model(messages_[at]);
  }
  end_turn();
  return at;
}

void UpstreamBody::write_content(const Message& message, const Place& here) {
  swy::lose_strays(message, here, losses_);
  losses_.add_unless_null(here, "cache_control", message.cache_control);
  if (json::type_of(message.content) == 's') {
    write_text(json::inside(message.content));
  } else {
    write_parts(message.content, Place{&here, "content"}, false);
  }
}

void UpstreamBody::write_text(std::string_view inside, std::string_view signature) {
  if (inside.empty() && signature.empty()) return;
  any_part_ = true;
  json_.open_object().key("text");
  writer_.string_of(inside);
  if (!signature.empty()) {
    json_.key("thoughtSignature");
    writer_.string_of(signature);
  }
  json_.close_object();
}

void UpstreamBody::write_parts(std::string_view parts, const Place& place, bool media_only) {
  swy::each_part(parts, place, losses_, [&](std::string_view part, const Place& here) {
    write_part(part, here, media_only);
  });
}

void UpstreamBody::write_part(std::string_view part, const Place& place, bool media_only) {
  swy::ChatPart read;
  if (!swy::read_part(part, read, place, losses_)) return losses_.add(place);
  for (const std::string_view name : {"cache_control", "prompt_cache_breakpoint"}) {
    losses_.add_unless_null(place, name, json::find(part, name));
  }
  const std::string_view type = read.type;
  if (type == "text" || type == "refusal") {
    if (!media_only) write_text(json::inside(type == "text" ? read.text : read.refusal));
  } else if (type == "image_url" || type == "video_url") {
    const std::string_view media = type == "image_url" ? read.image : read.video;
    const std::string_view detail = json::inside(json::find(media, "detail"));
    write_media(strings_.plain(json::find(media, "url")),
                type == "image_url" ? "image/jpeg" : "video/mp4", detail, place);
  } else if (type == "input_audio") {
    const std::string_view format = json::inside(json::find(read.audio, "format"));
    write_inline("audio/" + std::string(format.substr(0, 20)),
                 strings_.plain(json::find(read.audio, "data")));
  } else if (type == "file") {
    write_file(read.file);
  } else {
    losses_.add(place);
  }
}

void UpstreamBody::write_inline(std::string_view mime, std::string_view data) {
  any_part_ = true;
  json_.open_object().key("inlineData").open_object().key("mimeType").text(mime).key("data");
  writer_.string_of(data);
  json_.close_object().close_object();
}

void UpstreamBody::write_media(std::string_view url, std::string_view mime, std::string_view detail,
                               const Place& place) {
  swy::DataUrl data;
  const std::optional<bool> inline_data = swy::read_media(url, data);
  if (!inline_data) {
    return refuse(SWY_CLS_BAD_REQUEST, "messages",
                  "image_url.url: expected an https URL or data:image/...;base64,...");
  }
  any_part_ = true;
  json_.open_object();
  if (*inline_data) {
    const std::string_view seen = swy::image_mime(data.data);
    json_.key("inlineData").open_object().key("mimeType");
    json_.text(!seen.empty() ? seen : data.mime.empty() ? mime : data.mime).key("data");
    writer_.string_of(data.data);
  } else {
    json_.key("fileData").open_object().key("mimeType").text(mime_of_url(url, mime));
    json_.key("fileUri").text(url);
  }
  json_.close_object();
  if (rules_.part_resolution && (detail == "low" || detail == "high")) {
    json_.key("mediaResolution").open_object().key("level");
    json_.text(detail == "low" ? "MEDIA_RESOLUTION_LOW" : "MEDIA_RESOLUTION_HIGH").close_object();
  } else if (!detail.empty() && detail != "auto") {
    const Place here{&place, "image_url"};
    losses_.add(here, "detail");
  }
  json_.close_object();
}

void UpstreamBody::write_file(std::string_view file) {
  const std::string_view id = strings_.plain(json::find(file, "file_id"));
  const std::string_view given = strings_.plain(json::find(file, "file_data"));
  const std::string_view name = strings_.plain(json::find(file, "filename"));
  if (!given.empty()) {
    swy::DataUrl data = swy::read_file_data(given);
    if (!data.base64) {
      return refuse(SWY_CLS_BAD_REQUEST, "messages", "file.file_data: expected base64");
    }
    if (data.mime.empty()) data.mime = mime_of_url(name, "application/pdf");
    write_inline(data.mime, data.data);
    return;
  }
  const bool theirs =
      id.starts_with("files/") || id.starts_with("https://") || id.starts_with("gs://");
  if (!theirs) {
    return refuse(SWY_CLS_NOT_OFFERED, "messages",
                  "file.file_id: not a file of Google's; send file_data");
  }
  any_part_ = true;
  json_.open_object().key("fileData").open_object();
  json_.key("mimeType").text(mime_of_url(name.empty() ? id : name, "application/pdf"));
  json_.key("fileUri").text(id).close_object().close_object();
}

// ---- the model's turns ----

// Signatures of this model's own text; what else reasoned is not wanted back.
std::vector<UpstreamBody::Seal> UpstreamBody::read_seals(const Message& message) {
  std::vector<Seal> seals;
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  losses_.add_unless_null(here, "reasoning_content", message.reasoning_content);
  const Place details{&here, "reasoning_details"};
  json::Cursor cursor(message.reasoning_details);
  if (!cursor.array()) {
    losses_.add_unless_null(here, "reasoning_details", message.reasoning_details);
    return seals;
  }
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view entry = cursor.value();
    const std::string_view model = strings_.plain(json::find(entry, "model"));
    const std::string_view data = json::inside(json::find(entry, "data"));
    const bool ours = json::inside(json::find(entry, "format")) == kFormat &&
                      (model.empty() || model == request_.model()) && !data.empty();
    if (ours) {
      const auto after = json::to_integer(json::find(entry, "after_text"));
      seals.push_back({data, static_cast<std::uint64_t>(after && *after > 0 ? *after : 0)});
    } else {
      losses_.add(Place{&details, {}, i});
    }
  }
  return seals;
}

void UpstreamBody::write_model(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  losses_.add_unless_null(here, "name", message.name);
  losses_.add_unless_null(here, "cache_control", message.cache_control);
  const std::vector<Seal> seals = read_seals(message);
  if (json::type_of(message.content) == 's') {
    std::string_view left = json::inside(message.content);
    std::uint64_t said = 0;
    for (const Seal& seal : seals) {
      const std::string_view part =
          json::first_characters(left, seal.after_text > said ? seal.after_text - said : 0);
      write_text(part, seal.data);
      left.remove_prefix(part.size());
      said = std::max(said, seal.after_text);
    }
    write_text(left);
  } else {
    write_parts(message.content, Place{&here, "content"}, false);
    for (const Seal& seal : seals) write_text({}, seal.data);
  }
  write_text(json::inside(message.refusal));

  json::Cursor calls(message.tool_calls);
  const Place call_list{&here, "tool_calls"};
  if (!calls.array()) {
    losses_.add_unless_null(here, "tool_calls", message.tool_calls);
    return;
  }
  for (std::int64_t i = 0; calls.element(); ++i) {
    const Place call{&call_list, {}, i};
    write_call(calls.value(), call);
  }
}

void UpstreamBody::write_call(std::string_view call, const Place& place) {
  any_part_ = true;
  const std::string_view name = json::find(swy::function_of(call), "name");
  const std::string_view id = json::find(call, "id");
  if (json::type_of(name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "messages", "tool_calls[].function.name: expected a string");
  }
  json_.open_object().key("functionCall").open_object();
  if (json::type_of(id) == 's') json_.key("id").raw(id);
  json_.key("name");
  writer_.string_of(json::inside(name));
  json_.key("args");
  swy::write_call_input(writer_, call, place, losses_);
  json_.close_object();
  write_signature(call, place);
  json_.close_object();
}

// The first call of a turn has to have one; it is good for the model that made it.
void UpstreamBody::write_signature(std::string_view call, const Place& place) {
  const std::string_view google = json::find_path(call, "extra_content.google");
  std::string_view signature = json::inside(json::find(google, "thought_signature"));
  const std::string_view model = strings_.plain(json::find(google, "model"));
  if (!signature.empty() && !model.empty() && model != request_.model()) {
    losses_.add(place, "extra_content");
    signature = {};
  }
  if (signature.empty() && !call_signed_ && rules_.signed_calls) signature = kNoSignature;
  call_signed_ = true;
  if (signature.empty()) return;
  json_.key("thoughtSignature");
  writer_.string_of(signature);
}

void UpstreamBody::write_result(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  losses_.add_unless_null(here, "cache_control", message.cache_control);
  const auto call = call_names_.find(message.tool_call_id);
  std::string_view name = call != call_names_.end() ? call->second : message.name;
  if (json::type_of(name) != 's') name = message.tool_call_id;
  if (json::type_of(name) != 's') {
    return refuse(SWY_CLS_BAD_REQUEST, "messages", "tool_call_id: expected a string");
  }
  any_part_ = true;
  json_.open_object().key("functionResponse").open_object();
  if (json::type_of(message.tool_call_id) == 's') json_.key("id").raw(message.tool_call_id);
  json_.key("name").raw(name).key("response").open_object();
  json_.key(json::is_true(message.is_error) ? "error" : "output");
  write_output(message);
  json_.close_object().close_object().close_object();
}

// JSON where it is some, else text; of parts the text.
void UpstreamBody::write_output(const Message& message) {
  std::string text;
  if (json::type_of(message.content) == 's') {
    text = json::unescape(message.content);
  } else {
    json::Cursor parts(message.content);
    if (parts.array()) {
      while (parts.element()) {
        const auto part = json::to_text(json::find(parts.value(), "text"));
        if (!part) continue;
        if (!text.empty()) text += '\n';
        text += *part;
      }
    }
  }
  json::Cursor cursor(text);
  const char type = cursor.type();
  if ((type == 'o' || type == 'a') && json::valid(text)) {
    json_.raw(text);
  } else if (json::type_of(message.content) == 's') {
    writer_.string_of(json::inside(message.content));
  } else {
    json_.text(text);
  }
}

}  // namespace gemini

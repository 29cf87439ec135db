#include "providers/gemini/to_upstream.hpp"

#include <algorithm>

namespace gemini {

namespace json = swy::json;

namespace {

// Google's own word for "this call has no signature, let it pass".
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

bool any_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

bool is_read_member(std::string_view name) {
  return any_of(name, {"model",
                       "messages",
                       "stream",
                       "stream_options",
                       "max_tokens",
                       "max_completion_tokens",
                       "temperature",
                       "top_p",
                       "top_k",
                       "stop",
                       "tools",
                       "tool_choice",
                       "response_format",
                       "reasoning_effort",
                       "reasoning",
                       "service_tier",
                       "web_search_options",
                       "n",
                       "modalities",
                       "seed",
                       "presence_penalty",
                       "frequency_penalty",
                       "logprobs",
                       "top_logprobs",
                       "store",
                       "safetySettings",
                       "safety_settings",
                       "cachedContent",
                       "cached_content",
                       "labels"});
}
// A value that asks for nothing.
bool is_nothing(std::string_view value) {
  return json::is_null(value) || any_of(value, {"false", "0", "0.0", "{}", "[]", "\"\""});
}

// Only what names functions of JSON Schema that Google does not know.
constexpr swy::SchemaRules kSchema{nullptr, false, true};

std::string_view function_of(std::string_view tool) {
  const std::string_view custom = json::find(tool, "custom");
  return custom.empty() ? json::find(tool, "function") : custom;
}

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

UpstreamBody::UpstreamBody(const Settings& settings, const swy::Request& request)
    : settings_(settings),
      request_(request),
      rules_(rules_of(request.model())),
      json_(writer_.json()) {
  std::string wrong;
  if (!swy::read_messages(request.value("messages"), messages_, losses_, wrong)) {
    refuse(SWY_CLS_BAD_REQUEST, "messages", std::move(wrong));
    return;
  }
  if (request_.value("modalities").find("\"audio\"") != std::string_view::npos) {
    refuse(SWY_CLS_NOT_OFFERED, "modalities", "modalities: audio is not offered here");
  }
  for (const std::string_view name : {"functions", "function_call"}) {
    if (is_nothing(request_.value(name))) continue;
    refuse(SWY_CLS_NOT_OFFERED, std::string(name),
           std::string(name) + ": the old form of tools; send tools and tool_choice");
  }
  if (!refusal_) write();
}

void UpstreamBody::refuse(std::int32_t cls, std::string param, std::string message) {
  if (refusal_) return;
  refusal_.emplace();
  refusal_->cls = cls;
  refusal_->status = 400;
  refusal_->param = std::move(param);
  refusal_->message = std::move(message);
}

void UpstreamBody::write() {
  note_calls();
  json_.open_object();
  write_system();
  write_contents();
  write_tools();
  write_tool_config();
  write_own();
  write_generation();
  json_.close_object();
  note_unknown();
}

void UpstreamBody::note_unknown() {
  for (std::size_t i = 0; i < request_.member_count(); ++i) {
    const swy_member& member = request_.member(i);
    const std::string_view name = swy::view(member.name);
    const std::string_view value = request_.value(member);
    // Here false is what asks for something.
    const bool nothing = name == "parallel_tool_calls" ? value != "false" : is_nothing(value);
    if (!is_read_member(name) && !nothing) losses_.add(name);
  }
}

// A result has to name its function; a canonical one has the call's id alone.
void UpstreamBody::note_calls() {
  for (const Message& message : messages_) {
    json::Cursor calls(message.tool_calls);
    if (!calls.array()) continue;
    while (calls.element()) {
      const std::string_view call = calls.value();
      call_names_[json::find(call, "id")] = json::find(function_of(call), "name");
    }
  }
}

// ---- system instruction ----

void UpstreamBody::write_system() {
  while (first_turn_ < messages_.size() && messages_[first_turn_].role == swy::ChatRole::kSystem) {
    ++first_turn_;
  }
  const Place list{nullptr, "messages"};
  if (first_turn_ == messages_.size()) {
    // There has to be something to answer.
    const Place last{&list, {}, static_cast<std::int64_t>(--first_turn_)};
    losses_.add(last, "role");
    messages_[first_turn_].role = swy::ChatRole::kUser;
  }
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
  for (const auto& [name, value] :
       {std::pair<std::string_view, std::string_view>{"name", message.name},
        {"cache_control", message.cache_control},
        {"tool_calls", message.tool_calls},
        {"tool_call_id", message.tool_call_id},
        {"reasoning_content", message.reasoning_content},
        {"reasoning_details", message.reasoning_details},
        {"refusal", message.refusal}}) {
    losses_.add_unless_null(here, name, value);
  }
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
  json::Cursor cursor(parts);
  if (!cursor.array()) {
    if (!json::is_null(parts)) losses_.add(place);
    return;
  }
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const Place here{&place, {}, i};
    write_part(cursor.value(), here, media_only);
  }
}

void UpstreamBody::write_part(std::string_view part, const Place& place, bool media_only) {
  std::string_view type, text, media, audio, file;
  json::Cursor cursor(part);
  std::string_view name;
  if (!cursor.object()) return losses_.add(place);
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::same(name, "type")) {
      type = json::inside(value);
    } else if (json::same(name, "text") || json::same(name, "refusal")) {
      text = value;
    } else if (json::same(name, "image_url") || json::same(name, "video_url")) {
      media = value;
    } else if (json::same(name, "input_audio")) {
      audio = value;
    } else if (json::same(name, "file")) {
      file = value;
    } else {
      losses_.add_unless_null(place, name, value);
    }
  }
  if (type == "text" || type == "refusal") {
    if (!media_only) write_text(json::inside(text));
  } else if (type == "image_url" || type == "video_url") {
    const std::string_view detail = json::inside(json::find(media, "detail"));
    write_media(strings_.plain(json::find(media, "url")),
                type == "image_url" ? "image/jpeg" : "video/mp4", detail, place);
  } else if (type == "input_audio") {
    const std::string_view format = json::inside(json::find(audio, "format"));
    write_inline("audio/" + std::string(format.substr(0, 20)),
                 strings_.plain(json::find(audio, "data")));
  } else if (type == "file") {
    write_file(file);
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
  const bool inline_data = swy::parse_data_url(url, data);
  if (url.empty() || (inline_data ? !data.base64 : url.starts_with("data:"))) {
    return refuse(SWY_CLS_BAD_REQUEST, "messages",
                  "image_url.url: expected an https URL or data:image/...;base64,...");
  }
  any_part_ = true;
  json_.open_object();
  if (inline_data) {
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
    swy::DataUrl data;
    if (!swy::parse_data_url(given, data)) {
      data.data = given;
      data.base64 = true;
    }
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
  const std::string_view custom = json::find(call, "custom");
  const std::string_view function = function_of(call);
  const std::string_view name = json::find(function, "name"), id = json::find(call, "id");
  if (json::type_of(name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "messages", "tool_calls[].function.name: expected a string");
  }
  json_.open_object().key("functionCall").open_object();
  if (json::type_of(id) == 's') json_.key("id").raw(id);
  json_.key("name");
  writer_.string_of(json::inside(name));
  json_.key("args");
  const std::string_view arguments = json::find(function, "arguments");
  const std::string text = json::to_text(arguments).value_or("");
  if (!custom.empty()) {
    json_.open_object().key("input");
    writer_.string_of(json::inside(json::find(custom, "input")));
    json_.close_object();
  } else if (json::type_of(arguments) == 'o') {
    writer_.value(arguments);  // not what OpenAI says, and meant clearly
  } else if (json::is_blank(json::inside(arguments))) {
    json_.raw("{}");
  } else if (json::Cursor cursor(text); cursor.type() == 'o' && json::valid(text)) {
    json_.raw(text);
  } else {
    losses_.add(place, "function/arguments");
    json_.open_object().key("arguments").text(text).close_object();
  }
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

// ---- tools ----

void UpstreamBody::write_tools() {
  const std::string_view tools = request_.value("tools");
  const bool search = !json::is_null(request_.value("web_search_options"));
  json::Cursor cursor(tools);
  const bool listed = cursor.array() && tools != "[]";
  if (!listed && json::type_of(tools) != 'a') losses_.add_unless_null(Place{}, "tools", tools);
  const bool both = listed && search && !rules_.json_with_tools;
  if (both) losses_.add("web_search_options");
  if (!listed && !search) return;
  json_.key("tools").open_array();
  if (listed) {
    const Place list{nullptr, "tools"};
    json_.open_object().key("functionDeclarations").open_array();
    for (std::int64_t i = 0; cursor.element(); ++i) {
      const Place here{&list, {}, i};
      const std::string_view tool = cursor.value();
      const std::string_view type = json::inside(json::find(tool, "type"));
      if (type == "function") {
        write_function(tool, here);
      } else if (type == "custom") {
        write_custom(tool, here);
      } else {
        losses_.add(here);
      }
    }
    json_.close_array().close_object();
  }
  if (search && !both) {
    const std::string_view options = request_.value("web_search_options");
    if (!is_nothing(options)) losses_.add("web_search_options");
    json_.open_object().key("googleSearch").raw("{}").close_object();
  }
  json_.close_array();
}

void UpstreamBody::write_function(std::string_view tool, const Place& place) {
  functions_ = true;
  const Place here{&place, "function"};
  const std::string_view function = json::find(tool, "function");
  std::string_view name, description, parameters;
  json::Cursor cursor(function);
  std::string_view member;
  if (cursor.object()) {
    while (cursor.member(member)) {
      const std::string_view value = cursor.value();
      if (json::same(member, "name")) {
        name = value;
      } else if (json::same(member, "description")) {
        description = value;
      } else if (json::same(member, "parameters")) {
        parameters = value;
      } else if (json::same(member, "strict")) {
        if (json::is_true(value) && !rules_.json_with_tools) losses_.add(here, member);
        strict_ |= json::is_true(value);
      } else {
        losses_.add_unless_null(here, member, value);
      }
    }
  }
  if (json::type_of(name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "tools", "tools[].function.name: expected a string");
  }
  losses_.add_unless_null(place, "cache_control", json::find(tool, "cache_control"));
  json_.open_object().key("name");
  writer_.string_of(json::inside(name));
  if (json::type_of(description) == 's') {
    json_.key("description");
    writer_.string_of(json::inside(description));
  }
  if (json::type_of(parameters) == 'o' && parameters != "{}") {
    json_.key("parametersJsonSchema");
    if (parameters.find("\"const\"") == std::string_view::npos) {
      writer_.value(parameters);
    } else {
      swy::write_schema(parameters, kSchema, json_, Place{&here, "parameters"}, losses_);
    }
  }
  json_.close_object();
}

// Free text becomes a function with one string.
void UpstreamBody::write_custom(std::string_view tool, const Place& place) {
  functions_ = true;
  const std::string_view custom = json::find(tool, "custom");
  const std::string_view name = json::find(custom, "name");
  const std::string_view description = json::find(custom, "description");
  const std::string_view format = json::find(custom, "format");
  if (json::type_of(name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "tools", "tools[].custom.name: expected a string");
  }
  if (!json::is_null(format) && json::inside(json::find(format, "type")) != "text") {
    const Place here{&place, "custom"};
    losses_.add(here, "format");
  }
  custom_tools_.insert(json::to_text(name).value_or(""));
  json_.open_object().key("name");
  writer_.string_of(json::inside(name));
  if (json::type_of(description) == 's') {
    json_.key("description");
    writer_.string_of(json::inside(description));
  }
  json_.key("parametersJsonSchema")
      .raw(R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]})");
  json_.close_object();
}

void UpstreamBody::write_tool_config() {
  const std::string_view choice = request_.value("tool_choice");
  const std::string_view said = json::inside(choice);
  const std::string_view type = json::inside(json::find(choice, "type"));
  std::string_view mode;
  std::vector<std::string_view> names;
  if (said == "none") {
    mode = "NONE";
  } else if (said == "required") {
    mode = "ANY";
  } else if (said == "auto") {
    mode = "AUTO";
  } else if (type == "allowed_tools") {
    const std::string_view allowed = json::find(choice, "allowed_tools");
    mode = json::inside(json::find(allowed, "mode")) == "required" ? "ANY" : "AUTO";
    json::Cursor tools(json::find(allowed, "tools"));
    if (tools.array()) {
      while (tools.element()) names.push_back(json::find(function_of(tools.value()), "name"));
    }
    // Names are taken with ANY and VALIDATED alone.
    if (mode == "AUTO") mode = "VALIDATED";
  } else if (!type.empty()) {
    mode = "ANY";
    names.push_back(json::find(function_of(choice), "name"));
  } else if (!json::is_null(choice)) {
    losses_.add("tool_choice");
  }
  std::erase_if(names, [](std::string_view name) { return json::type_of(name) != 's'; });
  if (strict_ && rules_.json_with_tools && (mode.empty() || mode == "AUTO")) mode = "VALIDATED";
  if (mode.empty()) return;
  if (!functions_) {
    if (mode == "ANY") losses_.add("tool_choice");
    return;
  }
  json_.key("toolConfig").open_object().key("functionCallingConfig").open_object();
  json_.key("mode").text(mode);
  if (!names.empty()) {
    json_.key("allowedFunctionNames").open_array();
    for (const std::string_view name : names) json_.raw(name);
    json_.close_array();
  }
  json_.close_object().close_object();
}

// ---- the rest ----

// Members of the body's own that a client of ours may know to say, and what every request says.
void UpstreamBody::write_own() {
  const auto put = [this](std::string_view name, std::string_view snake, std::string_view set) {
    std::string_view value = request_.value(name);
    if (json::is_null(value)) value = request_.value(snake);
    if (json::is_null(value)) value = set;
    if (!json::is_null(value)) json_.key(name).raw(value);
  };
  put("safetySettings", "safety_settings", settings_.safety_settings);
  put("cachedContent", "cached_content", {});
  put("labels", "labels", {});
  const std::string_view tier = json::inside(request_.value("service_tier"));
  if (any_of(tier, {"flex", "standard", "priority"})) {
    json_.key("serviceTier").text(tier);
  } else if (!tier.empty() && tier != "auto" && tier != "default") {
    losses_.add("service_tier");
  }
  // New projects keep what they are not told to forget.
  const bool store = json::is_true(request_.value("store"));
  if (settings_.send_store) {
    json_.key("store").boolean(store);
  } else if (store) {
    losses_.add("store");
  }
}

void UpstreamBody::write_generation() {
  const std::size_t before = writer_.text().size();
  json_.key("generationConfig").open_object();
  const std::size_t empty = writer_.text().size();
  write_sampling();
  const std::string_view n = request_.value("n");
  if (!json::is_null(n) && n != "1") json_.key("candidateCount").raw(n);
  write_as(json::is_null(request_.value("max_completion_tokens")) ? "max_tokens"
                                                                  : "max_completion_tokens",
           "maxOutputTokens");
  write_stop();
  write_as("seed", "seed");
  if (json::is_true(request_.value("logprobs"))) {
    json_.key("responseLogprobs").boolean(true);
    write_as("top_logprobs", "logprobs");
  }
  write_format();
  write_modalities();
  write_thinking();
  if (writer_.text().size() == empty) {
    // Nothing was said: the member goes again. A comma comes before it, never behind.
    writer_.text().resize(before);
  } else {
    json_.close_object();
  }
}

void UpstreamBody::write_as(std::string_view name, std::string_view upstream_name) {
  const std::string_view value = request_.value(name);
  if (!json::is_null(value)) json_.key(upstream_name).raw(value);
}

void UpstreamBody::write_sampling() {
  const Place top;
  for (const auto& [name, upstream_name] :
       {std::pair<std::string_view, std::string_view>{"temperature", "temperature"},
        {"top_p", "topP"},
        {"top_k", "topK"}}) {
    if (rules_.sampling) {
      write_as(name, upstream_name);
    } else {
      const std::string_view value = request_.value(name);
      if (value != "1" && value != "1.0") losses_.add_unless_null(top, name, value);
    }
  }
  for (const auto& [name, upstream_name] :
       {std::pair<std::string_view, std::string_view>{"presence_penalty", "presencePenalty"},
        {"frequency_penalty", "frequencyPenalty"}}) {
    if (is_nothing(request_.value(name))) continue;
    if (rules_.penalties) {
      write_as(name, upstream_name);
    } else {
      losses_.add(name);
    }
  }
}

void UpstreamBody::write_stop() {
  const std::string_view stop = request_.value("stop");
  if (json::type_of(stop) == 's') {
    json_.key("stopSequences").open_array().raw(stop).close_array();
  } else if (json::type_of(stop) == 'a' && stop != "[]") {
    json_.key("stopSequences").raw(stop);
  }
}

void UpstreamBody::write_format() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  if (type.empty() || type == "text") return;
  if (type != "json_object" && type != "json_schema") return losses_.add("response_format");
  if (functions_ && !rules_.json_with_tools) return losses_.add("response_format");
  json_.key("responseMimeType").text("application/json");
  const std::string_view schema = json::find_path(format, "json_schema.schema");
  if (type != "json_schema" || json::type_of(schema) != 'o') return;
  json_.key("responseJsonSchema");
  if (schema.find("\"const\"") == std::string_view::npos) {
    writer_.value(schema);
    return;
  }
  const Place top{nullptr, "response_format"};
  const Place inner{&top, "json_schema"};
  swy::write_schema(schema, kSchema, json_, Place{&inner, "schema"}, losses_);
}

void UpstreamBody::write_modalities() {
  if (request_.value("modalities").find("\"image\"") == std::string_view::npos) return;
  json_.key("responseModalities").raw(R"(["TEXT","IMAGE"])");
}

void UpstreamBody::write_thinking() {
  const swy::ChatReasoning asked = swy::read_reasoning(request_, losses_);
  const std::string_view source =
      json::is_null(request_.value("reasoning_effort")) ? "reasoning" : "reasoning_effort";
  std::string_view effort = asked.effort;
  if (effort.empty() && asked.budget < 0) return;
  if (rules_.thinking == Thinking::kNone) {
    if (effort != "none") losses_.add(source);
    return;
  }
  json_.key("thinkingConfig").open_object();
  if (rules_.thinking == Thinking::kBudget) {
    std::int64_t budget = asked.budget;
    if (effort == "none") {
      budget = rules_.can_stop_thinking ? 0 : 128;
      if (!rules_.can_stop_thinking) losses_.add(source);
    } else if (budget < 0) {
      budget = effort == "low" || effort == "minimal" ? 1024 : effort == "medium" ? 8192 : 24576;
    }
    json_.key("thinkingBudget").integer(budget);
  } else {
    if (effort.empty()) {
      losses_.add(Place{nullptr, "reasoning"}, "max_tokens");
      effort = asked.budget <= 4096 ? "low" : asked.budget <= 16384 ? "medium" : "high";
    }
    // There is nothing above HIGH, and mostly no way not to think at all.
    if (any_of(effort, {"none", "xhigh", "max"})) losses_.add(source);
    const bool least = effort == "none" || effort == "minimal";
    json_.key("thinkingLevel");
    json_.text(least && rules_.minimal_level ? "MINIMAL"
               : least || effort == "low"    ? "LOW"
               : effort == "medium"          ? "MEDIUM"
                                             : "HIGH");
  }
  if (effort != "none" && !asked.hide) json_.key("includeThoughts").boolean(true);
  json_.close_object();
}

// ---- embeddings ----

namespace {

void write_one(const swy::Request& request, std::string_view text, swy::BodyWriter& writer) {
  json::Writer& json = writer.json();
  json.open_object().key("model").text("models/" + std::string(request.model()));
  json.key("content").open_object().key("parts").open_array().open_object().key("text");
  writer.string_of(json::inside(text));
  json.close_object().close_array().close_object();
  const std::string_view dimensions = request.value("dimensions");
  if (!json::is_null(dimensions)) json.key("outputDimensionality").raw(dimensions);
  json.close_object();
}

}  // namespace

void write_embeddings(const swy::Request& request, EmbeddingsBody& body) {
  const std::string_view input = request.value("input");
  json::Writer& json = body.writer.json();
  const auto refuse = [&body](std::int32_t cls, const char* message) {
    body.refusal.emplace();
    body.refusal->cls = cls;
    body.refusal->status = 400;
    body.refusal->param = "input";
    body.refusal->message = message;
  };
  json.open_object().key("requests").open_array();
  json::Cursor cursor(input);
  if (json::type_of(input) == 's') {
    write_one(request, input, body.writer);
  } else if (cursor.array() && input != "[]") {
    while (cursor.element()) {
      const std::string_view text = cursor.value();
      if (json::type_of(text) != 's') {
        return refuse(SWY_CLS_NOT_OFFERED, "input: Google takes text, not tokens");
      }
      write_one(request, text, body.writer);
    }
  } else {
    return refuse(SWY_CLS_BAD_REQUEST, "input: expected a string or strings");
  }
  json.close_array().close_object();
  for (std::size_t i = 0; i < request.member_count(); ++i) {
    const std::string_view name = swy::view(request.member(i).name);
    if (any_of(name, {"model", "input", "dimensions", "encoding_format"})) continue;
    if (!is_nothing(request.value(request.member(i)))) body.losses.add(name);
  }
}

}  // namespace gemini

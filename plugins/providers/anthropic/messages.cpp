// The system prompt and the turns of a conversation.
#include <algorithm>

#include "providers/anthropic/to_upstream.hpp"

namespace anthropic {

namespace json = swy::json;

namespace {

constexpr std::size_t kIdMax = 64;

bool is_plain_id(std::string_view id) {
  if (id.empty() || id.size() > kIdMax) return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// The same for the same id, on a call and on its result.
std::string hashed_id(std::string_view id) {
  std::uint64_t a = 14695981039346656037U, b = 0x9E3779B97F4A7C15U;
  for (const char c : id) {
    a = (a ^ static_cast<unsigned char>(c)) * 1099511628211U;
    b = (b + a) * 0x94D049BB133111EBU ^ (b >> 29);
  }
  std::string out = "call_";
  for (const std::uint64_t word : {a, b}) {
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[word >> shift & 15U];
  }
  return out;
}

}  // namespace

// ---- system prompt ----

void UpstreamBody::write_system() {
  first_turn_ = swy::leading_system(messages_, losses_);
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  if (type == "json_object" || (type == "json_schema" && !rules_.structured)) {
    instruction_ = "Answer with one JSON object and nothing else.";
    const std::string_view schema = json::find_path(format, "json_schema.schema");
    if (!schema.empty()) instruction_.append(" It follows this JSON schema: ").append(schema);
    if (type == "json_schema") losses_.add("response_format");
  }
  const bool plain = first_turn_ == 1 && instruction_.empty() &&
                     json::type_of(messages_[0].content) == 's' &&
                     messages_[0].cache_control.empty();
  if (plain) {
    const std::string_view inside = json::inside(messages_[0].content);
    if (json::is_blank(inside)) return;
    json_.key("system");
    writer_.string_of(inside);
    return;
  }
  if (first_turn_ == 0 && instruction_.empty()) return;
  const std::size_t before = writer_.text().size();
  any_block_ = !instruction_.empty();
  json_.key("system").open_array();
  for (std::size_t i = 0; i < first_turn_; ++i) write_plain_content(messages_[i]);
  if (!instruction_.empty()) {
    json_.open_object().key("type").text("text").key("text").text(instruction_).close_object();
  }
  json_.close_array();
  if (!any_block_) writer_.text().resize(before);  // blank as a whole: as if it were not there
}

// ---- messages ----

void UpstreamBody::write_messages() {
  json_.key("messages").open_array();
  if (messages_[first_turn_].role == swy::ChatRole::kAssistant) {
    // The first turn has to be the user's.
    json_.open_object().key("role").text("user").key("content").text(".").close_object();
  }
  for (std::size_t at = first_turn_; at < messages_.size();) {
    const Message& message = messages_[at];
    if (message.role == swy::ChatRole::kAssistant) {
      at = write_assistant_turn(at);
    } else if (message.role == swy::ChatRole::kSystem && rules_.system_turns) {
      write_system_turn(message);
      ++at;
    } else {
      at = write_user_turn(at);
    }
  }
  json_.close_array();
}

// Empty content is refused.
void UpstreamBody::end_turn() {
  if (!any_block_) {
    json_.open_object().key("type").text("text").key("text").text(".").close_object();
  }
  json_.close_array().close_object();
}

// Results of tools, what the user says, and system messages that the model knows only as text, up
// to the assistant's next turn: one turn, the results first.
std::size_t UpstreamBody::write_user_turn(std::size_t first) {
  std::size_t last = first;
  while (last < messages_.size() && messages_[last].role != swy::ChatRole::kAssistant &&
         (messages_[last].role != swy::ChatRole::kSystem || !rules_.system_turns)) {
    ++last;
  }
  json_.open_object().key("role").text("user").key("content").open_array();
  any_block_ = false;
  for (std::size_t i = first; i < last; ++i) {
    if (messages_[i].role == swy::ChatRole::kTool) write_tool_result(messages_[i]);
  }
  for (std::size_t i = first; i < last; ++i) {
    if (messages_[i].role == swy::ChatRole::kTool) continue;
    if (messages_[i].role == swy::ChatRole::kSystem) {
      const Place list{nullptr, "messages"};
      const Place here{&list, {}, messages_[i].index};
      losses_.add(here, "role");
    }
    write_plain_content(messages_[i]);
  }
  end_turn();
  return last;
}

void UpstreamBody::write_system_turn(const Message& message) {
  json_.open_object().key("role").text("system").key("content").open_array();
  any_block_ = false;
  write_plain_content(message);
  end_turn();
}

std::size_t UpstreamBody::write_assistant_turn(std::size_t first) {
  json_.open_object().key("role").text("assistant").key("content").open_array();
  any_block_ = false;
  std::size_t at = first;
  for (; at < messages_.size() && messages_[at].role == swy::ChatRole::kAssistant; ++at) {
    write_assistant(messages_[at]);
  }
  end_turn();
  return at;
}

// The content of a message of the system's or the user's.
void UpstreamBody::write_plain_content(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  swy::lose_strays(message, here, losses_);
  if (json::type_of(message.content) == 's') {
    write_text(json::inside(message.content), message.cache_control);
    return;
  }
  const Place content{&here, "content"};
  if (!message.cache_control.empty()) losses_.add(here, "cache_control");
  write_parts(message.content, content, false);
}

void UpstreamBody::write_parts(std::string_view parts, const Place& place, bool assistant) {
  swy::each_part(parts, place, losses_, [&](std::string_view part, const Place& here) {
    write_part(part, here, assistant);
  });
}

void UpstreamBody::write_part(std::string_view part, const Place& place, bool assistant) {
  swy::ChatPart read;
  if (!swy::read_part(part, read, place, losses_)) return losses_.add(place);
  const std::string_view type = read.type, cache = read.cache;
  if (!json::is_null(read.video)) losses_.add(place, "video_url");
  if (type == "text") {
    write_text(json::inside(read.text), cache);
  } else if (type == "refusal") {
    write_text(json::inside(read.refusal), cache);
  } else if (type == "image_url" && !assistant) {
    write_image(read.image, cache, place);
  } else if (type == "file" && !assistant) {
    write_file(read.file, cache);
  } else if (type == "input_audio") {
    refuse(SWY_CLS_NOT_OFFERED, "messages", "input_audio: Anthropic hears no audio");
  } else {
    losses_.add(place);
  }
}

// White space alone is refused, and says nothing.
void UpstreamBody::write_text(std::string_view inside, std::string_view cache) {
  if (json::is_blank(inside)) return;
  any_block_ = true;
  json_.open_object().key("type").text("text").key("text");
  writer_.string_of(inside);
  write_cache(cache);
  json_.close_object();
}

void UpstreamBody::write_cache(std::string_view cache) {
  if (!cache.empty()) json_.key("cache_control").raw(cache);
}

void UpstreamBody::write_source(std::string_view mime, std::string_view data) {
  json_.key("source").open_object().key("type").text("base64").key("media_type").text(mime);
  json_.key("data");
  writer_.string_of(data);
  json_.close_object();
}

void UpstreamBody::write_image(std::string_view image, std::string_view cache, const Place& place) {
  const std::string_view url = strings_.plain(json::find(image, "url"));
  const std::string_view detail = json::inside(json::find(image, "detail"));
  const Place here{&place, "image_url"};
  if (!detail.empty() && detail != "auto") losses_.add(here, "detail");
  swy::DataUrl data;
  const std::optional<bool> inline_data = swy::read_media(url, data);
  if (!inline_data) {
    return refuse(SWY_CLS_BAD_REQUEST, "messages",
                  "image_url.url: expected an https URL or data:image/...;base64,...");
  }
  any_block_ = true;
  json_.open_object().key("type").text("image");
  if (*inline_data) {
    // The bytes know better than the label.
    const std::string_view seen = swy::image_mime(data.data);
    write_source(seen.empty() ? data.mime : seen, data.data);
  } else {
    json_.key("source").open_object().key("type").text("url").key("url").text(url).close_object();
  }
  write_cache(cache);
  json_.close_object();
}

void UpstreamBody::write_file(std::string_view file, std::string_view cache) {
  const std::string_view id = strings_.plain(json::find(file, "file_id"));
  const std::string_view given = strings_.plain(json::find(file, "file_data"));
  const std::string_view title = json::find(file, "filename");
  swy::DataUrl data;
  if (given.empty()) {
    if (!id.starts_with("file_")) {
      return refuse(SWY_CLS_NOT_OFFERED, "messages",
                    "file.file_id: not a file of Anthropic's; send file_data");
    }
  } else {
    data = swy::read_file_data(given);
  }
  if (data.mime.empty()) data.mime = "application/pdf";
  const bool text = data.mime.starts_with("text/");
  if (!given.empty() && !text && data.mime.starts_with("image/") && data.base64) {
    any_block_ = true;
    json_.open_object().key("type").text("image");
    write_source(data.mime, data.data);
    write_cache(cache);
    json_.close_object();
    return;
  }
  if (!given.empty() && (!data.base64 || (!text && data.mime != "application/pdf"))) {
    return refuse(SWY_CLS_NOT_OFFERED, "messages",
                  "file.file_data: Anthropic reads PDF, text and images in base64, not " +
                      std::string(data.mime.substr(0, 60)));
  }
  any_block_ = true;
  json_.open_object().key("type").text("document");
  if (given.empty()) {
    json_.key("source").open_object().key("type").text("file").key("file_id").text(id);
    json_.close_object();
  } else if (text) {
    std::string decoded;
    if (!swy::decode_base64(data.data, decoded)) {
      refuse(SWY_CLS_BAD_REQUEST, "messages", "file.file_data: not base64");
    }
    json_.key("source").open_object().key("type").text("text");
    json_.key("media_type").text("text/plain").key("data").text(decoded).close_object();
  } else {
    write_source(data.mime, data.data);
  }
  if (json::type_of(title) == 's') json_.key("title").raw(title);
  write_cache(cache);
  json_.close_object();
}

// ---- the assistant's turns ----

std::vector<UpstreamBody::Replay> UpstreamBody::read_replays(const Message& message) {
  std::vector<Replay> replays;
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  const Place details{&here, "reasoning_details"};
  json::Cursor cursor(message.reasoning_details);
  if (!cursor.array()) {
    losses_.add_unless_null(here, "reasoning_details", message.reasoning_details);
    losses_.add_unless_null(here, "reasoning_content", message.reasoning_content);
    return replays;
  }
  for (std::int64_t i = 0; cursor.element(); ++i) {
    Replay replay;
    if (read_replay(cursor.value(), replay)) {
      replays.push_back(replay);
    } else {
      losses_.add(Place{&details, {}, i});
    }
  }
  return replays;
}

// False where a block is not this model's, or not whole.
bool UpstreamBody::read_replay(std::string_view entry, Replay& replay) {
  std::string_view format, model, name;
  json::Cursor cursor(entry);
  if (!cursor.object()) return false;
  const auto count = [](std::string_view value) {
    const auto number = json::to_integer(value);
    return static_cast<std::uint64_t>(number && *number > 0 ? *number : 0);
  };
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::same(name, "type")) {
      replay.type = json::inside(value);
    } else if (json::same(name, "format")) {
      format = json::inside(value);
    } else if (json::same(name, "model")) {
      model = strings_.plain(value);
    } else if (json::same(name, "text")) {
      replay.text = json::inside(value);
    } else if (json::same(name, "signature")) {
      replay.signature = json::inside(value);
    } else if (json::same(name, "data")) {
      replay.data = json::inside(value);
    } else if (json::same(name, "block")) {
      replay.block = value;
    } else if (json::same(name, "after_text")) {
      replay.after_text = count(value);
    } else if (json::same(name, "after_calls")) {
      replay.after_calls = count(value);
    }
  }
  // A signature is good for the model that made it.
  if (format != kFormat || (!model.empty() && model != request_.model())) return false;
  if (replay.type == "reasoning.text") return !replay.signature.empty();
  if (replay.type == "reasoning.encrypted") return !replay.data.empty();
  return replay.type == "opaque" && json::type_of(replay.block) == 'o';
}

void UpstreamBody::write_replay(const Replay& replay) {
  any_block_ = true;
  if (replay.type == "opaque") {
    writer_.value(replay.block);
    return;
  }
  json_.open_object();
  if (replay.type == "reasoning.text") {
    json_.key("type").text("thinking").key("thinking");
    writer_.string_of(replay.text);
    json_.key("signature");
    writer_.string_of(replay.signature);
  } else {
    json_.key("type").text("redacted_thinking").key("data");
    writer_.string_of(replay.data);
  }
  json_.close_object();
}

// Text, calls and the blocks between them in the order in which they were said.
void UpstreamBody::write_assistant(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  losses_.add_unless_null(here, "name", message.name);
  const std::vector<Replay> replays = read_replays(message);
  std::size_t next = 0, said = 0;
  const auto replay_until = [&](std::uint64_t calls) {
    for (; next < replays.size() && replays[next].after_calls < calls; ++next) {
      write_replay(replays[next]);
    }
  };

  if (json::type_of(message.content) == 's') {
    std::string_view left = json::inside(message.content);
    for (; next < replays.size() && replays[next].after_calls == 0; ++next) {
      if (replays[next].after_text > said) {
        const std::string_view part = json::first_characters(left, replays[next].after_text - said);
        write_text(part);
        left.remove_prefix(part.size());
        said = replays[next].after_text;
      }
      write_replay(replays[next]);
    }
    write_text(left, message.cache_control);
  } else {
    replay_until(1);
    const Place content{&here, "content"};
    write_parts(message.content, content, true);
  }
  write_text(json::inside(message.refusal));

  json::Cursor calls(message.tool_calls);
  const Place call_list{&here, "tool_calls"};
  if (!calls.array()) {
    losses_.add_unless_null(here, "tool_calls", message.tool_calls);
    replay_until(~std::uint64_t{0});
    return;
  }
  for (std::int64_t i = 0; calls.element(); ++i) {
    replay_until(static_cast<std::uint64_t>(i) + 1);
    const Place call{&call_list, {}, i};
    write_call(calls.value(), call);
  }
  replay_until(~std::uint64_t{0});
}

void UpstreamBody::write_call(std::string_view call, const Place& place) {
  any_block_ = true;
  json_.open_object().key("type").text("tool_use").key("id");
  write_id(json::find(call, "id"));
  json_.key("name");
  const std::string_view name = json::find(swy::function_of(call), "name");
  if (json::type_of(name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "messages", "tool_calls[].function.name: expected a string");
  }
  writer_.string_of(json::inside(name));
  json_.key("input");
  swy::write_call_input(writer_, call, place, losses_);
  write_cache(json::find(call, "cache_control"));
  losses_.add_unless_null(place, "extra_content", json::find(call, "extra_content"));
  json_.close_object();
}

void UpstreamBody::write_id(std::string_view value) {
  const std::string_view id = strings_.plain(value);
  if (is_plain_id(id)) {
    json_.text(id);
  } else {
    json_.text(hashed_id(id));
  }
}

void UpstreamBody::write_tool_result(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  json_.open_object().key("type").text("tool_result").key("tool_use_id");
  write_id(message.tool_call_id);
  if (json::type_of(message.content) == 's') {
    json_.key("content");
    writer_.string_of(json::inside(message.content));
  } else if (json::type_of(message.content) == 'a') {
    const Place content{&here, "content"};
    json_.key("content").open_array();
    write_parts(message.content, content, false);
    json_.close_array();
  }
  if (json::is_true(message.is_error)) json_.key("is_error").boolean(true);
  write_cache(message.cache_control);
  json_.close_object();
  any_block_ = true;
}

}  // namespace anthropic

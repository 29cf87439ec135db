#include "providers/anthropic/to_upstream.hpp"

#include <algorithm>
#include <charconv>

namespace anthropic {

namespace json = swy::json;

namespace {

// A whole answer is waited for in silence; beyond this Anthropic's own SDKs insist on a stream.
constexpr std::int64_t kWholeTokensMax = 21'333;
constexpr std::size_t kIdMax = 64;
constexpr std::string_view kCustomInput = "input";

bool any_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

// What Anthropic takes as it stands where a client of ours knows to say it.
bool is_own_member(std::string_view name) {
  return any_of(name, {"cache_control", "container", "context_management", "inference_geo",
                       "mcp_servers", "top_k", "thinking"});
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
                       "stop",
                       "tools",
                       "tool_choice",
                       "parallel_tool_calls",
                       "response_format",
                       "reasoning_effort",
                       "reasoning",
                       "user",
                       "safety_identifier",
                       "service_tier",
                       "web_search_options",
                       "n",
                       "modalities"});
}
// A value that asks for nothing.
bool is_nothing(std::string_view value) {
  return json::is_null(value) || any_of(value, {"false", "0", "0.0", "{}", "[]", "\"\""});
}

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

// A person's address is none of the upstream's business.
bool looks_personal(std::string_view user) {
  const bool phone = user.size() >= 7 &&
                     user.find_first_not_of("+0123456789 ()-.") == std::string_view::npos &&
                     user.find_first_of("+ ()") != std::string_view::npos;
  return phone || user.find('@') != std::string_view::npos;
}

// A schema by Anthropic's structured outputs: what they refuse.
bool keeps_keyword(std::string_view keyword, std::string_view value) {
  constexpr std::string_view kFormats =
      " date-time time date duration email hostname uri ipv4 ipv6 uuid ";
  if (any_of(keyword, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
                       "maxItems", "uniqueItems", "minProperties", "maxProperties", "minLength",
                       "maxLength"})) {
    return false;
  }
  if (keyword == "minItems") return value == "0" || value == "1";
  if (keyword == "format") {
    return kFormats.find(" " + std::string(json::inside(value)) + " ") != std::string_view::npos;
  }
  return true;
}
constexpr swy::SchemaRules kStrict{&keeps_keyword, true, false};

std::string_view function_of(std::string_view tool) {
  const std::string_view custom = json::find(tool, "custom");
  return custom.empty() ? json::find(tool, "function") : custom;
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
  check_unsupported();
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

// What would make the answer another one than was asked for.
void UpstreamBody::check_unsupported() {
  const std::string_view n = request_.value("n");
  if (!json::is_null(n) && n != "1") {
    refuse(SWY_CLS_NOT_OFFERED, "n", "n: Anthropic gives one choice");
  }
  if (request_.value("modalities").find("\"audio\"") != std::string_view::npos) {
    refuse(SWY_CLS_NOT_OFFERED, "modalities", "modalities: Anthropic gives no audio");
  }
  for (const std::string_view name : {"functions", "function_call"}) {
    if (is_nothing(request_.value(name))) continue;
    refuse(SWY_CLS_NOT_OFFERED, std::string(name),
           std::string(name) + ": the old form of tools; send tools and tool_choice");
  }
}

void UpstreamBody::write() {
  read_choice();
  reasoning_ = swy::read_reasoning(request_, losses_);
  read_thinking();

  json_.open_object();
  json_.key("model").text(request_.model());
  json_.key("max_tokens").integer(max_tokens());
  for (const std::string_view name : {"max_completion_tokens", "max_tokens"}) {
    const std::string_view value = request_.value(name);
    if (!json::to_integer(value)) losses_.add_unless_null(Place{}, name, value);
  }
  if (request_.stream()) json_.key("stream").boolean(true);
  write_system();
  write_messages();
  write_tools();
  write_choice();
  write_thinking();
  write_output_config();
  write_sampling();
  write_stop();
  write_user();
  write_tier();
  for (const std::string_view name :
       {"cache_control", "container", "context_management", "inference_geo", "mcp_servers"}) {
    const std::string_view value = request_.value(name);
    if (json::is_null(value)) continue;
    json_.key(name);
    writer_.value(value);
  }
  json_.close_object();
  note_unknown();
}

void UpstreamBody::note_unknown() {
  for (std::size_t i = 0; i < request_.member_count(); ++i) {
    const swy_member& member = request_.member(i);
    const std::string_view name = swy::view(member.name);
    if (is_read_member(name) || is_own_member(name) || is_nothing(request_.value(member))) continue;
    losses_.add(name);
  }
}

// ---- what the client chose ----

void UpstreamBody::read_choice() {
  const std::string_view choice = request_.value("tool_choice");
  const std::string_view mode = json::inside(choice);
  const std::string_view type = json::inside(json::find(choice, "type"));
  if (mode == "none") {
    mode_ = Mode::kNone;
  } else if (mode == "auto") {
    mode_ = Mode::kAuto;
  } else if (mode == "required") {
    mode_ = Mode::kAny;
  } else if (type == "allowed_tools") {
    const std::string_view allowed = json::find(choice, "allowed_tools");
    allowed_tools_ = json::find(allowed, "tools");
    mode_ = json::inside(json::find(allowed, "mode")) == "required" ? Mode::kAny : Mode::kAuto;
  } else if (!type.empty()) {
    tool_name_ = json::find(function_of(choice), "name");
    mode_ = tool_name_.empty() ? Mode::kAuto : Mode::kTool;
    if (tool_name_.empty()) losses_.add("tool_choice");
  } else if (!json::is_null(choice)) {
    losses_.add("tool_choice");
  }
}

// A forced tool and thinking exclude each other: the tool goes first where the model can be told
// not to think.
void UpstreamBody::read_thinking() {
  const bool forced = mode_ == Mode::kAny || mode_ == Mode::kTool;
  if (forced && (rules_.always_thinks || rules_.between_tools)) {
    losses_.add("tool_choice");
    mode_ = Mode::kAuto;
    tool_name_ = {};
  }
  const std::string_view source =
      json::is_null(request_.value("reasoning_effort")) ? "reasoning" : "reasoning_effort";
  const bool asked = !reasoning_.effort.empty() || reasoning_.budget >= 0;
  const bool wanted = asked && reasoning_.effort != "none";
  const bool tool_first = forced && mode_ != Mode::kAuto;
  if (rules_.thinking == Thinking::kNone) {
    if (wanted) losses_.add(source);
    return;
  }
  if (!wanted || tool_first) {
    if (wanted) losses_.add(source);
    if (!asked && !(tool_first && rules_.thinks_unasked)) return;
    if (rules_.thinking == Thinking::kBudget) return;  // it doesn't think unless told to
    if (rules_.always_thinks) {
      losses_.add(source);
      effort_ = "low";
    } else {
      think_ = rules_.between_tools ? Think::kBetweenTools : Think::kOff;
    }
    return;
  }
  std::string_view effort = reasoning_.effort;
  if (effort.empty()) {
    effort = reasoning_.budget <= 4096    ? "low"
             : reasoning_.budget <= 16384 ? "medium"
             : reasoning_.budget <= 32768 ? "high"
                                          : "xhigh";
  }
  if (rules_.thinking == Thinking::kAdaptive) {
    if (reasoning_.budget >= 0) losses_.add(Place{nullptr, "reasoning"}, "max_tokens");
    think_ = Think::kAdaptive;
    effort_ = effort == "minimal" ? "low" : effort;
    return;
  }
  // At least 1024, and room for the answer is left within the client's own limit.
  std::int64_t budget = reasoning_.budget;
  if (budget < 0) {
    budget = effort == "minimal"  ? 1024
             : effort == "low"    ? 2048
             : effort == "medium" ? 8192
             : effort == "high"   ? 16384
                                  : 32768;
  }
  const std::int64_t limit = max_tokens();
  if (lacks_thinking()) {
    losses_.add(source);
    return;
  }
  budget_ = std::max<std::int64_t>(1024, std::min(budget, limit / 2));
  if (limit <= 1024) {
    losses_.add(source);
  } else {
    think_ = Think::kBudget;
  }
}

// In the middle of a turn with tools a model that thinks by budget wants its own thinking back; a
// client that does not keep it has the turn ended without more of it.
bool UpstreamBody::lacks_thinking() {
  std::size_t last = messages_.size();
  while (last > 0 && messages_[last - 1].role == swy::ChatRole::kTool) --last;
  if (last == messages_.size() || last == 0) return false;
  const Message& message = messages_[last - 1];
  if (message.role != swy::ChatRole::kAssistant || message.tool_calls.empty()) return false;
  json::Cursor cursor(message.reasoning_details);
  if (!cursor.array()) return true;
  while (cursor.element()) {
    Replay replay;
    if (read_replay(cursor.value(), replay) && replay.type != "opaque") return false;
  }
  return true;
}

std::int64_t UpstreamBody::max_tokens() const {
  for (const std::string_view name : {"max_completion_tokens", "max_tokens"}) {
    const auto number = json::to_integer(request_.value(name));
    if (number) return *number;
  }
  if (settings_.max_tokens > 0) return settings_.max_tokens;
  return request_.stream() ? rules_.tokens_max : std::min(rules_.tokens_max, kWholeTokensMax);
}

// ---- system prompt ----

void UpstreamBody::write_system() {
  while (first_turn_ < messages_.size() && messages_[first_turn_].role == swy::ChatRole::kSystem) {
    ++first_turn_;
  }
  if (first_turn_ == messages_.size()) {
    // There has to be something to answer.
    const Place list{nullptr, "messages"};
    const Place last{&list, {}, static_cast<std::int64_t>(--first_turn_)};
    losses_.add(last, "role");
    messages_[first_turn_].role = swy::ChatRole::kUser;
  }
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
  for (const auto& [name, value] :
       {std::pair<std::string_view, std::string_view>{"name", message.name},
        {"tool_calls", message.tool_calls},
        {"tool_call_id", message.tool_call_id},
        {"reasoning_content", message.reasoning_content},
        {"reasoning_details", message.reasoning_details},
        {"refusal", message.refusal}}) {
    losses_.add_unless_null(here, name, value);
  }
  if (json::type_of(message.content) == 's') {
    write_text(json::inside(message.content), message.cache_control);
    return;
  }
  const Place content{&here, "content"};
  if (!message.cache_control.empty()) losses_.add(here, "cache_control");
  write_parts(message.content, content, false);
}

void UpstreamBody::write_parts(std::string_view parts, const Place& place, bool assistant) {
  json::Cursor cursor(parts);
  if (!cursor.array()) {
    if (!json::is_null(parts)) losses_.add(place);
    return;
  }
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const Place here{&place, {}, i};
    write_part(cursor.value(), here, assistant);
  }
}

void UpstreamBody::write_part(std::string_view part, const Place& place, bool assistant) {
  std::string_view type, text, image, file, refusal, cache;
  json::Cursor cursor(part);
  std::string_view name;
  if (!cursor.object()) return losses_.add(place);
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::same(name, "type")) {
      type = json::inside(value);
    } else if (json::same(name, "text")) {
      text = value;
    } else if (json::same(name, "image_url")) {
      image = value;
    } else if (json::same(name, "file")) {
      file = value;
    } else if (json::same(name, "refusal")) {
      refusal = value;
    } else if (json::same(name, "cache_control")) {
      cache = value;
    } else if (json::same(name, "prompt_cache_breakpoint")) {
      if (cache.empty() && !json::is_null(value)) {
        cache = json::find(value, "ttl").empty() ? R"({"type":"ephemeral"})"
                                                 : R"({"type":"ephemeral","ttl":"1h"})";
      }
    } else if (name != "input_audio") {
      losses_.add_unless_null(place, name, value);
    }
  }
  if (json::is_null(cache)) cache = {};
  if (type == "text") {
    write_text(json::inside(text), cache);
  } else if (type == "refusal") {
    write_text(json::inside(refusal), cache);
  } else if (type == "image_url" && !assistant) {
    write_image(image, cache, place);
  } else if (type == "file" && !assistant) {
    write_file(file, cache);
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
  const bool inline_data = swy::parse_data_url(url, data);
  if (url.empty() || (inline_data ? !data.base64 : url.starts_with("data:"))) {
    return refuse(SWY_CLS_BAD_REQUEST, "messages",
                  "image_url.url: expected an https URL or data:image/...;base64,...");
  }
  any_block_ = true;
  json_.open_object().key("type").text("image");
  if (inline_data) {
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
  } else if (!swy::parse_data_url(given, data)) {
    data.data = given;
    data.base64 = true;
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
  const std::string_view custom = json::find(call, "custom");
  const std::string_view function = function_of(call);
  json_.key("name");
  const std::string_view name = json::find(function, "name");
  if (json::type_of(name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "messages", "tool_calls[].function.name: expected a string");
  }
  writer_.string_of(json::inside(name));
  json_.key("input");
  if (custom.empty()) {
    write_arguments(json::find(function, "arguments"), place);
  } else {
    json_.open_object().key(kCustomInput);
    writer_.string_of(json::inside(json::find(custom, "input")));
    json_.close_object();
  }
  write_cache(json::find(call, "cache_control"));
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

// A string that holds JSON here, an object there.
void UpstreamBody::write_arguments(std::string_view arguments, const Place& place) {
  if (json::type_of(arguments) == 'o') {
    writer_.value(arguments);  // not what OpenAI says, and meant clearly
    return;
  }
  const std::string text = json::to_text(arguments).value_or("");
  if (json::is_blank(json::inside(arguments))) {
    json_.raw("{}");
  } else if (json::Cursor cursor(text); cursor.type() == 'o' && json::valid(text)) {
    json_.raw(text);
  } else {
    losses_.add(place, "function/arguments");
    json_.open_object().key("arguments").text(text).close_object();
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

// ---- tools ----

bool UpstreamBody::allowed(std::string_view name) const {
  if (allowed_tools_.empty()) return true;
  json::Cursor cursor(allowed_tools_);
  if (!cursor.array()) return true;
  while (cursor.element()) {
    if (json::find(function_of(cursor.value()), "name") == name) return true;
  }
  return false;
}

void UpstreamBody::write_tools() {
  const std::string_view search = request_.value("web_search_options");
  const std::string_view tools = request_.value("tools");
  json::Cursor cursor(tools);
  const bool listed = cursor.array();
  if (!listed) losses_.add_unless_null(Place{}, "tools", tools);
  if (json::is_null(search) && (!listed || tools == "[]")) return;
  json_.key("tools").open_array();
  const Place list{nullptr, "tools"};
  for (std::int64_t i = 0; listed && cursor.element(); ++i) {
    const Place here{&list, {}, i};
    const std::string_view tool = cursor.value();
    const std::string_view type = json::inside(json::find(tool, "type"));
    if (!allowed(json::find(function_of(tool), "name"))) continue;
    if (type == "function") {
      write_function(tool, here);
    } else if (type == "custom") {
      write_custom(tool, here);
    } else if (type.find("_20") != std::string_view::npos) {
      any_tool_ = true;
      writer_.value(tool);  // a tool of Anthropic's own, dated as they are
    } else {
      losses_.add(here);
    }
  }
  if (!json::is_null(search)) write_web_search(search);
  json_.close_array();
}

void UpstreamBody::write_function(std::string_view tool, const Place& place) {
  any_tool_ = true;
  const Place here{&place, "function"};
  std::string_view name, description, parameters, strict;
  json::Cursor cursor(json::find(tool, "function"));
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
        strict = value;
      } else {
        losses_.add_unless_null(here, member, value);
      }
    }
  }
  if (json::type_of(name) != 's') {
    refuse(SWY_CLS_BAD_REQUEST, "tools", "tools[].function.name: expected a string");
  }
  json_.open_object().key("name");
  writer_.string_of(json::inside(name));
  if (json::type_of(description) == 's') {
    json_.key("description");
    writer_.string_of(json::inside(description));
  }
  const bool strictly = json::is_true(strict) && rules_.structured;
  if (json::is_true(strict) && !strictly) losses_.add(here, "strict");
  json_.key("input_schema");
  const Place schema{&here, "parameters"};
  write_parameters(parameters, strictly, schema);
  if (strictly) json_.key("strict").boolean(true);
  write_cache(json::find(tool, "cache_control"));
  json_.close_object();
}

void UpstreamBody::write_parameters(std::string_view parameters, bool strict, const Place& place) {
  if (json::type_of(parameters) != 'o' || json::find(parameters, "type").empty()) {
    json::Cursor cursor(parameters);
    std::string_view name;
    const bool empty = !cursor.object() || !cursor.member(name);
    if (empty) {
      json_.raw(R"({"type":"object","properties":{}})");
      return;
    }
    // The type has to be there.
    std::string& text = writer_.text();
    json_.raw(R"({"type":"object",)");
    text += parameters.substr(1);
    return;
  }
  if (strict) {
    swy::write_schema(parameters, kStrict, json_, place, losses_);
  } else {
    writer_.value(parameters);
  }
}

// Free text becomes a function with one string.
void UpstreamBody::write_custom(std::string_view tool, const Place& place) {
  any_tool_ = true;
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
  json_.key("input_schema")
      .raw(R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]})");
  json_.close_object();
}

void UpstreamBody::write_web_search(std::string_view options) {
  any_tool_ = true;
  const std::string_view size = json::inside(json::find(options, "search_context_size"));
  json_.open_object().key("type").text("web_search_20250305").key("name").text("web_search");
  if (!size.empty()) json_.key("max_uses").integer(size == "low" ? 1 : size == "high" ? 10 : 5);
  const std::string_view place = json::find_path(options, "user_location.approximate");
  if (json::type_of(place) == 'o') {
    json_.key("user_location").open_object().key("type").text("approximate");
    for (const std::string_view name : {"city", "region", "country", "timezone"}) {
      const std::string_view value = json::find(place, name);
      if (json::type_of(value) == 's') json_.key(name).raw(value);
    }
    json_.close_object();
  }
  json_.close_object();
}

void UpstreamBody::write_choice() {
  const std::string_view parallel = request_.value("parallel_tool_calls");
  const bool one = parallel == "false";
  if (!any_tool_) {
    if (mode_ == Mode::kAny || mode_ == Mode::kTool) losses_.add("tool_choice");
    return;
  }
  if (mode_ == Mode::kUnsaid && !one) return;
  json_.key("tool_choice").open_object().key("type");
  switch (mode_) {
    case Mode::kNone:
      json_.text("none");
      break;
    case Mode::kAny:
      json_.text("any");
      break;
    case Mode::kTool:
      json_.text("tool").key("name").raw(tool_name_);
      break;
    default:
      json_.text("auto");
  }
  if (one && mode_ != Mode::kNone) json_.key("disable_parallel_tool_use").boolean(true);
  json_.close_object();
}

// ---- the rest ----

void UpstreamBody::write_thinking() {
  const std::string_view given = request_.value("thinking");
  if (!json::is_null(given)) {
    json_.key("thinking").raw(given);  // said in Anthropic's own words
    return;
  }
  if (think_ == Think::kUnsaid) return;
  json_.key("thinking").open_object().key("type");
  switch (think_) {
    case Think::kOff:
      json_.text("disabled");
      break;
    case Think::kBetweenTools:
      json_.text("between_tools");
      break;
    case Think::kBudget:
      json_.text("enabled").key("budget_tokens").integer(budget_);
      break;
    default:
      json_.text("adaptive");
      if (rules_.hides_thinking && !reasoning_.hide) json_.key("display").text("summarized");
  }
  json_.close_object();
}

void UpstreamBody::write_output_config() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  const std::string_view schema = json::find_path(format, "json_schema.schema");
  const bool structured = rules_.structured && type == "json_schema" && !schema.empty();
  if (!structured && !type.empty() && !any_of(type, {"text", "json_object", "json_schema"})) {
    losses_.add("response_format");
  }
  if (!structured && effort_.empty()) return;
  json_.key("output_config").open_object();
  if (!effort_.empty()) json_.key("effort").text(effort_);
  if (structured) {
    const Place top{nullptr, "response_format"};
    const Place inner{&top, "json_schema"};
    const Place here{&inner, "schema"};
    json_.key("format").open_object().key("type").text("json_schema").key("schema");
    swy::write_schema(schema, kStrict, json_, here, losses_);
    json_.close_object();
  }
  json_.close_object();
}

void UpstreamBody::write_sampling() {
  const std::string_view temperature = request_.value("temperature");
  const std::string_view top_p = request_.value("top_p"), top_k = request_.value("top_k");
  const Place top;
  const bool thinks = think_ == Think::kBudget || think_ == Think::kAdaptive;
  if (!rules_.sampling || settings_.version != "2023-06-01" || thinks) {
    // 1 is what they are without being told.
    if (temperature != "1" && temperature != "1.0")
      losses_.add_unless_null(top, "temperature", temperature);
    if (top_p != "1" && top_p != "1.0") losses_.add_unless_null(top, "top_p", top_p);
    losses_.add_unless_null(top, "top_k", top_k);
    return;
  }
  write_number("temperature", "temperature", 1);
  if (rules_.one_sampling && !json::is_null(temperature)) {
    if (top_p != "1" && top_p != "1.0") losses_.add_unless_null(top, "top_p", top_p);
  } else {
    write_number("top_p", "top_p", 1);
  }
  if (!json::is_null(top_k)) json_.key("top_k").raw(top_k);
}

void UpstreamBody::write_number(std::string_view name, std::string_view upstream_name,
                                double maximum) {
  const std::string_view value = request_.value(name);
  if (json::is_null(value)) return;
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (read.ec == std::errc() && number > maximum) {
    losses_.add(name);
    json_.key(upstream_name).integer(static_cast<std::int64_t>(maximum));
  } else {
    json_.key(upstream_name).raw(value);
  }
}

void UpstreamBody::write_stop() {
  const std::string_view stop = request_.value("stop");
  if (json::type_of(stop) == 's') {
    if (json::is_blank(json::inside(stop))) return losses_.add("stop");
    json_.key("stop_sequences").open_array().raw(stop).close_array();
    return;
  }
  json::Cursor cursor(stop);
  if (!cursor.array() || stop == "[]") return;
  const Place list{nullptr, "stop"};
  json_.key("stop_sequences").open_array();
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view each = cursor.value();
    if (json::is_blank(json::inside(each))) {
      losses_.add(Place{&list, {}, i});
    } else {
      json_.raw(each);
    }
  }
  json_.close_array();
}

void UpstreamBody::write_user() {
  bool written = false;
  for (const std::string_view name : {"safety_identifier", "user"}) {
    const std::string_view value = request_.value(name);
    if (json::type_of(value) != 's') continue;
    if (written || looks_personal(json::inside(value))) {
      if (!written) losses_.add(name);
      continue;
    }
    written = true;
    json_.key("metadata").open_object().key("user_id").raw(value).close_object();
  }
}

void UpstreamBody::write_tier() {
  const std::string_view tier = json::inside(request_.value("service_tier"));
  if (tier == "auto" || tier == "standard_only") {
    json_.key("service_tier").text(tier);
  } else if (tier == "default") {
    json_.key("service_tier").text("standard_only");
  } else if (!tier.empty()) {
    losses_.add("service_tier");
  }
}

}  // namespace anthropic

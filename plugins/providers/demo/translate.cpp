#include "providers/demo/translate.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <switchyard/json.hpp>

namespace demo {

namespace json = swy::json;

namespace {

constexpr std::uint64_t kChoicesMax = 16;
constexpr std::size_t kDimensionsMax = 4096, kDimensionsDefault = 256;
constexpr unsigned kSchemaDepthMax = 12;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

std::uint64_t hash(std::string_view text) {  // FNV-1a
  std::uint64_t h = 14695981039346656037U;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return h;
}

std::uint64_t next_random(std::uint64_t& state) {  // SplitMix64
  std::uint64_t z = state += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

// Words with the white space before them; what follows the last word stays with it.
std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> result;
  std::size_t begin = 0, at = 0;
  while (at < text.size()) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size()) break;
    while (at < text.size() && !is_space(text[at])) ++at;
    result.push_back(text.substr(begin, at - begin));
    begin = at;
  }
  if (begin < text.size() && !result.empty()) {
    result.back() = {result.back().data(), result.back().size() + text.size() - begin};
  }
  return result;
}

// The text of a message's content: a string, or its text parts.
std::string content_text(std::string_view content) {
  if (auto text = json::to_text(content)) return *std::move(text);
  std::string joined;
  json::Cursor parts(content);
  if (!parts.array()) return joined;
  while (parts.element()) {
    const std::string text = json::to_text(json::find(parts.value(), "text")).value_or("");
    if (text.empty()) continue;
    if (!joined.empty()) joined += '\n';
    joined += text;
  }
  return joined;
}

struct Conversation {
  std::string last_role, last_text, last_user;
  std::uint64_t tokens = 0;
  bool any = false;
};

Conversation read_messages(std::string_view messages) {
  Conversation talk;
  json::Cursor cursor(messages);
  if (!cursor.array()) return talk;
  while (cursor.element()) {
    const std::string_view message = cursor.value();
    talk.any = true;
    talk.last_role = json::to_text(json::find(message, "role")).value_or("");
    talk.last_text = content_text(json::find(message, "content"));
    talk.tokens += count_tokens(talk.last_text);
    if (talk.last_role == "user") talk.last_user = talk.last_text;
  }
  return talk;
}

struct Tool {
  std::string name;
  std::string_view parameters;
};

std::vector<Tool> read_tools(std::string_view tools) {
  std::vector<Tool> result;
  json::Cursor cursor(tools);
  if (!cursor.array()) return result;
  while (cursor.element()) {
    const std::string_view function = json::find(cursor.value(), "function");
    auto name = json::to_text(json::find(function, "name"));
    if (name) result.push_back({*std::move(name), json::find(function, "parameters")});
  }
  return result;
}

// Which tool to call: a named one, the first where one is required, or the one that the user talks
// of.
const Tool* choose_tool(const std::vector<Tool>& tools, std::string_view choice,
                        const Conversation& talk) {
  if (tools.empty() || talk.last_role == "tool") return nullptr;
  const std::string mode = json::to_text(choice).value_or("");
  if (mode == "none") return nullptr;
  if (mode == "required") return &tools.front();
  const auto named = json::to_text(json::find_path(choice, "function.name"));
  for (const Tool& tool : tools) {
    if (named ? tool.name == *named : talk.last_user.find(tool.name) != std::string::npos)
      return &tool;
  }
  return nullptr;
}

// ---- values that fit a schema ----

std::string make_value(std::string_view schema, std::string_view root, std::string_view name,
                       unsigned depth);

std::string_view resolve(std::string_view schema, std::string_view root) {
  const std::string ref = json::to_text(json::find(schema, "$ref")).value_or("");
  if (!ref.starts_with("#/")) return ref == "#" ? root : schema;
  std::string path = ref.substr(2);
  std::replace(path.begin(), path.end(), '/', '.');
  return json::find_path(root, path);
}

std::string make_object(std::string_view schema, std::string_view root, unsigned depth) {
  std::string out;
  json::Writer writer(out);
  writer.open_object();
  json::Cursor cursor(json::find(schema, "properties"));
  std::string_view name;
  if (cursor.object()) {
    while (cursor.member(name)) {
      const std::string key = json::unescape("\"" + std::string(name) + "\"");
      writer.key(key).raw(make_value(cursor.value(), root, key, depth + 1));
    }
  }
  writer.close_object();
  return out;
}

std::string make_array(std::string_view schema, std::string_view root, std::string_view name,
                       unsigned depth) {
  const std::int64_t wanted = json::to_integer(json::find(schema, "minItems")).value_or(1);
  const std::string item = make_value(json::find(schema, "items"), root, name, depth + 1);
  std::string out;
  json::Writer writer(out);
  writer.open_array();
  for (std::int64_t i = 0; i < std::clamp<std::int64_t>(wanted, 1, 16); ++i) writer.raw(item);
  writer.close_array();
  return out;
}

std::string make_value(std::string_view schema, std::string_view root, std::string_view name,
                       unsigned depth) {
  if (depth > kSchemaDepthMax) return "null";
  schema = resolve(schema, root);
  for (const char* fixed : {"const", "default"}) {
    const std::string_view value = json::find(schema, fixed);
    if (!value.empty()) return std::string(value);
  }
  for (const char* list : {"enum", "examples"}) {
    const std::string_view value = json::at(json::find(schema, list), 0);
    if (!value.empty()) return std::string(value);
  }
  for (const char* several : {"anyOf", "oneOf", "allOf"}) {
    const std::string_view first = json::at(json::find(schema, several), 0);
    if (!first.empty()) return make_value(first, root, name, depth + 1);
  }
  std::string_view type_json = json::find(schema, "type");
  if (json::type_of(type_json) == 'a') type_json = json::at(type_json, 0);
  std::string type = json::to_text(type_json).value_or("");
  if (type.empty()) type = json::find(schema, "properties").empty() ? "string" : "object";

  if (type == "object") return make_object(schema, root, depth);
  if (type == "array") return make_array(schema, root, name, depth);
  if (type == "integer" || type == "number") {
    const std::string_view least = json::find(schema, "minimum");
    return least.empty() ? "1" : std::string(least);
  }
  if (type == "boolean") return "true";
  if (type == "null") return "null";
  return json::quoted("[demo] " + std::string(name.empty() ? "value" : name));
}

// ---- other parts of answers ----

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= n ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return out;
}

std::string vector_json(const std::vector<float>& vector, bool as_base64) {
  std::string out;
  if (as_base64) {  // little-endian float32, as OpenAI sends it
    std::string bytes;
    for (const float x : vector) {
      const auto bits = std::bit_cast<std::uint32_t>(x);
      for (unsigned shift = 0; shift < 32; shift += 8)
        bytes += static_cast<char>(bits >> shift & 255U);
    }
    json::append_string(out, base64(bytes));
    return out;
  }
  out += '[';
  for (const float x : vector) {
    char digits[32];
    const auto written = std::to_chars(digits, digits + sizeof digits, x);
    if (out.size() > 1) out += ',';
    out.append(digits, written.ptr);
  }
  return out += ']';
}

// The texts of an embeddings or moderations input: a string, strings, parts, or tokens (taken as
// their JSON).
std::vector<std::string> input_texts(std::string_view input) {
  if (auto text = json::to_text(input)) return {*std::move(text)};
  std::vector<std::string> texts;
  json::Cursor cursor(input);
  if (!cursor.array()) return texts;
  while (cursor.element()) {
    const std::string_view item = cursor.value();
    switch (json::type_of(item)) {
      case 'n':
        return {std::string(input)};
      case 's':
        texts.push_back(json::unescape(item));
        break;
      case 'o':
        texts.push_back(json::to_text(json::find(item, "text")).value_or(""));
        break;
      default:
        texts.emplace_back(item);
    }
  }
  return texts;
}

std::string hex(std::uint64_t value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) out[i] = kDigits[value & 15U];
  return out;
}

// Pieces of a tool call's arguments, cut between characters.
std::vector<std::string_view> slices(std::string_view text) {
  constexpr std::size_t kBytes = 12;
  std::vector<std::string_view> result;
  while (!text.empty()) {
    std::size_t n = std::min(kBytes, text.size());
    while (n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0U) == 0x80U) ++n;
    result.push_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return result;
}

}  // namespace

std::uint64_t count_tokens(std::string_view text) { return words(text).size(); }

std::string value_of_schema(std::string_view schema) { return make_value(schema, schema, "", 0); }

std::vector<float> embed(std::string_view text, std::size_t dimensions) {
  std::vector<double> sum(dimensions, 0.0);
  // The constant part keeps an empty text from having no direction.
  std::uint64_t base = hash("switchyard demo");
  for (double& x : sum) x = static_cast<double>(next_random(base) >> 11) * 0x1p-53 * 0.1;
  for (std::string_view word : words(text)) {
    while (!word.empty() && is_space(word.front())) word.remove_prefix(1);
    std::uint64_t state = hash(word);
    for (double& x : sum) x += static_cast<double>(next_random(state) >> 11) * 0x1p-52 - 1.0;
  }
  double square = 0;
  for (const double x : sum) square += x * x;
  std::vector<float> unit(dimensions);
  for (std::size_t i = 0; i < dimensions; ++i) {
    unit[i] = static_cast<float>(sum[i] / std::sqrt(square));
  }
  return unit;
}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_START:
      return start(out);
    case SWY_EV_TIMER:
      return go_on(out);
    case SWY_EV_CANCEL:
      return swy::Next::done();
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next Operation::start(swy::Out& out) {
  const std::string_view task = request_.task(), model = request_.model();
  if (task == "models") return answer_models(out);
  const bool embeds = task == "embeddings";
  if (embeds ? model != "demo-embedding" : model != "demo" && model != "demo-reasoning") {
    return refuse(
        {"The demo provider has no model '" + std::string(model) + "' for " + std::string(task) +
             "; it has demo and demo-reasoning for text, demo-embedding for embeddings.",
         "model", "model_not_found", SWY_CLS_NO_MODEL},
        out);
  }
  id_ = "demo-" + hex(hash(request_.body()));
  if (embeds) return answer_embeddings(out);
  if (task == "moderations") return answer_moderations(out);
  return answer_text(out);
}

swy::Next Operation::refuse(const Refusal& refusal, swy::Out& out) {
  std::string error;
  json::Writer(error)
      .open_object()
      .key("message")
      .text(refusal.message)
      .key("type")
      .text("invalid_request_error")
      .key("param")
      .text(refusal.param)
      .key("code")
      .text(refusal.code)
      .close_object();
  out.error(error);
  return swy::Next::fail({refusal.cls, refusal.message});
}

swy::Next Operation::whole(const std::string& document, swy::Out& out) const {
  out.whole(document, flags());
  return swy::Next::done();
}

// ---- chat and completions ----

swy::Next Operation::answer_text(swy::Out& out) {
  Refusal refusal;
  if (!compose(refusal)) return refuse(refusal, out);
  if (request_.stream()) {
    plan_stream();
    return go_on(out);
  }
  out.usage(usage());
  out.finish_reason(reply_.finish);
  return whole(whole_text(), out);
}

bool Operation::compose(Refusal& refusal) {
  const std::string_view n = request_.value("n");
  if (!json::is_null(n)) {
    choices_ = static_cast<std::uint64_t>(json::to_integer(n).value_or(0));
    if (choices_ < 1 || choices_ > kChoicesMax) {
      refusal = {"n: expected 1 to 16", "n", "invalid_value"};
      return false;
    }
  }
  const bool composed = chat() ? compose_chat(refusal) : compose_completion(refusal);
  if (!composed || !limit(refusal)) return false;
  if (!reply_.tool_name.empty()) {
    reply_.finish = "tool_calls";
    reply_.completion_tokens += count_tokens(reply_.tool_arguments) + 1;
  }
  reply_.completion_tokens *= choices_;
  reply_.reasoning_tokens *= choices_;
  return true;
}

bool Operation::compose_chat(Refusal& refusal) {
  const Conversation talk = read_messages(request_.value("messages"));
  if (!talk.any) {
    refusal = {"messages: expected an array with at least one message", "messages", "invalid_type"};
    return false;
  }
  reply_.prompt_tokens = talk.tokens;
  if (request_.model() == "demo-reasoning") {
    reply_.reasoning = "[demo] The last message has " +
                       std::to_string(count_tokens(talk.last_text)) +
                       " words. I shall repeat them.";
  }
  const std::vector<Tool> tools = read_tools(request_.value("tools"));
  if (const Tool* tool = choose_tool(tools, request_.value("tool_choice"), talk)) {
    reply_.tool_name = tool->name;
    reply_.tool_arguments = tool->parameters.empty() ? "{}" : value_of_schema(tool->parameters);
    return true;
  }
  const std::string_view format = request_.value("response_format");
  const std::string type = json::to_text(json::find(format, "type")).value_or("");
  if (type == "json_schema") {
    reply_.text = value_of_schema(json::find_path(format, "json_schema.schema"));
  } else if (type == "json_object") {
    json::Writer(reply_.text)
        .open_object()
        .key("demo")
        .boolean(true)
        .key("you_said")
        .text(talk.last_text)
        .close_object();
  } else if (talk.last_role == "tool") {
    reply_.text = "[demo] The tool answered: " + talk.last_text;
  } else {
    reply_.text = "[demo] No model was asked. You said: " + talk.last_text;
  }
  return true;
}

bool Operation::compose_completion(Refusal& refusal) {
  const std::vector<std::string> prompts = input_texts(request_.value("prompt"));
  if (prompts.empty()) {
    refusal = {"prompt: expected a string or an array", "prompt", "invalid_type"};
    return false;
  }
  reply_.prompt_tokens = count_tokens(prompts.front());
  reply_.text = "[demo] No model was asked. You wrote: " + prompts.front();
  return true;
}

// Applies stop sequences, then the token limit, and counts.
bool Operation::limit(Refusal& refusal) {
  std::vector<std::string> stops;
  if (!json::is_null(request_.value("stop"))) stops = input_texts(request_.value("stop"));
  for (const std::string& stop : stops) {
    const std::size_t at = stop.empty() ? std::string::npos : reply_.text.find(stop);
    if (at != std::string::npos) reply_.text.resize(at);
  }

  std::uint64_t budget = UINT64_MAX;
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    const std::string_view value = request_.value(name);
    if (json::is_null(value)) continue;
    const std::int64_t limit = json::to_integer(value).value_or(0);
    if (limit < 1) {
      refusal = {std::string(name) + ": expected an integer above 0", name, "invalid_value"};
      return false;
    }
    budget = static_cast<std::uint64_t>(limit);
  }
  for (std::string* part : {&reply_.reasoning, &reply_.text}) {
    const std::vector<std::string_view> pieces = words(*part);
    const std::uint64_t taken = std::min<std::uint64_t>(budget, pieces.size());
    if (taken < pieces.size()) {
      reply_.finish = "length";
      reply_.tool_name.clear();
      part->resize(taken == 0 ? 0
                              : static_cast<std::size_t>(pieces[taken - 1].data() +
                                                         pieces[taken - 1].size() - part->data()));
    }
    if (part == &reply_.reasoning) reply_.reasoning_tokens = taken;
    reply_.completion_tokens += taken;
    budget -= taken;
  }
  return true;
}

std::string Operation::usage() const {
  std::string out;
  json::Writer writer(out);
  writer.open_object()
      .key("prompt_tokens")
      .natural(reply_.prompt_tokens)
      .key("completion_tokens")
      .natural(reply_.completion_tokens)
      .key("total_tokens")
      .natural(reply_.prompt_tokens + reply_.completion_tokens);
  if (request_.model() == "demo-reasoning") {
    writer.key("completion_tokens_details").open_object();
    writer.key("reasoning_tokens").natural(reply_.reasoning_tokens).close_object();
  }
  writer.close_object();
  return out;
}

std::string Operation::whole_text() const {
  std::string out;
  json::Writer writer(out);
  writer.open_object()
      .key("id")
      .text((chat() ? "chatcmpl-" : "cmpl-") + id_)
      .key("object")
      .text(chat() ? "chat.completion" : "text_completion")
      .key("created")
      .integer(created_)
      .key("model")
      .text(request_.model())
      .key("choices")
      .open_array();
  for (std::uint64_t i = 0; i < choices_; ++i) {
    writer.open_object().key("index").natural(i);
    if (!chat()) {
      writer.key("text").text(reply_.text);
    } else {
      writer.key("message").open_object().key("role").text("assistant").key("content");
      if (reply_.tool_name.empty()) {
        writer.text(reply_.text);
      } else {
        writer.null().key("tool_calls").open_array().open_object();
        writer.key("id").text("call_" + id_ + "_" + std::to_string(i)).key("type").text("function");
        writer.key("function").open_object().key("name").text(reply_.tool_name);
        writer.key("arguments").text(reply_.tool_arguments).close_object();
        writer.close_object().close_array();
      }
      if (!reply_.reasoning.empty()) writer.key("reasoning_content").text(reply_.reasoning);
      writer.key("refusal").null().close_object();
    }
    writer.key("logprobs").null().key("finish_reason").text(reply_.finish).close_object();
  }
  writer.close_array().key("usage").raw(usage()).close_object();
  return out;
}

void Operation::plan_stream() {
  if (chat()) pieces_.push_back({Piece::kRole, {}});
  for (const std::string_view word : words(reply_.reasoning))
    pieces_.push_back({Piece::kReasoning, word});
  if (reply_.tool_name.empty()) {
    for (const std::string_view word : words(reply_.text)) pieces_.push_back({Piece::kText, word});
  } else {
    pieces_.push_back({Piece::kToolName, reply_.tool_name});
    for (const std::string_view slice : slices(reply_.tool_arguments)) {
      pieces_.push_back({Piece::kToolArguments, slice});
    }
  }
  pieces_.push_back({Piece::kFinish, {}});
}

// Hands over pieces until the stream is paced, the client is slow, or all is said.
swy::Next Operation::go_on(swy::Out& out) {
  while (next_piece_ < pieces_.size()) {
    const Piece& piece = pieces_[next_piece_++];
    const bool content = piece.kind != Piece::kRole && piece.kind != Piece::kFinish;
    swy_rc rc = SWY_OK;
    for (std::uint64_t i = 0; i < choices_; ++i) {
      rc = out.delta(chunk(piece, i), flags() | (content ? SWY_EMIT_CONTENT : 0));
      if (rc < 0) return swy::Next::fail({SWY_CLS_PLUGIN, "the host takes no more"});
    }
    if (rc == SWY_SLOW) return swy::Next::wait(1'000'000);
    if (content && settings_->delay_ns > 0) return swy::Next::wait(settings_->delay_ns);
  }
  out.usage(usage());
  out.finish_reason(reply_.finish);
  if (request_.want_usage()) {
    std::string last = chunk({Piece::kFinish, {}}, choices_);
    out.delta(last, flags());
  }
  return swy::Next::done();
}

// One chunk; `choice` behind the last one gives the chunk that has usage and no choice.
std::string Operation::chunk(const Piece& piece, std::uint64_t choice) const {
  const bool only_usage = choice == choices_;
  std::string out;
  json::Writer writer(out);
  writer.open_object()
      .key("id")
      .text((chat() ? "chatcmpl-" : "cmpl-") + id_)
      .key("object")
      .text(chat() ? "chat.completion.chunk" : "text_completion")
      .key("created")
      .integer(created_)
      .key("model")
      .text(request_.model())
      .key("choices")
      .open_array();
  if (!only_usage) {
    writer.open_object().key("index").natural(choice);
    if (!chat()) {
      writer.key("text").text(piece.bytes);
    } else {
      writer.key("delta").open_object();
      switch (piece.kind) {
        case Piece::kRole:
          writer.key("role").text("assistant").key("content").text("");
          break;
        case Piece::kReasoning:
          writer.key("reasoning_content").text(piece.bytes);
          break;
        case Piece::kText:
          writer.key("content").text(piece.bytes);
          break;
        case Piece::kToolName:
          writer.key("tool_calls").open_array().open_object().key("index").integer(0);
          writer.key("id")
              .text("call_" + id_ + "_" + std::to_string(choice))
              .key("type")
              .text("function");
          writer.key("function")
              .open_object()
              .key("name")
              .text(piece.bytes)
              .key("arguments")
              .text("");
          writer.close_object().close_object().close_array();
          break;
        case Piece::kToolArguments:
          writer.key("tool_calls").open_array().open_object().key("index").integer(0);
          writer.key("function").open_object().key("arguments").text(piece.bytes);
          writer.close_object().close_object().close_array();
          break;
        case Piece::kFinish:
          break;
      }
      writer.close_object();
    }
    writer.key("logprobs").null().key("finish_reason");
    if (piece.kind == Piece::kFinish) {
      writer.text(reply_.finish);
    } else {
      writer.null();
    }
    writer.close_object();
  }
  writer.close_array();
  if (request_.want_usage()) writer.key("usage").raw(only_usage ? usage() : "null");
  writer.close_object();
  return out;
}

// ---- the other tasks ----

swy::Next Operation::answer_embeddings(swy::Out& out) {
  const std::vector<std::string> texts = input_texts(request_.value("input"));
  if (texts.empty())
    return refuse({"input: expected a string or an array", "input", "invalid_type"}, out);
  std::size_t dimensions = kDimensionsDefault;
  if (const std::string_view wanted = request_.value("dimensions"); !json::is_null(wanted)) {
    const std::int64_t n = json::to_integer(wanted).value_or(0);
    if (n < 1 || static_cast<std::size_t>(n) > kDimensionsMax) {
      return refuse({"dimensions: expected 1 to 4096", "dimensions", "invalid_value"}, out);
    }
    dimensions = static_cast<std::size_t>(n);
  }
  const bool as_base64 = json::to_text(request_.value("encoding_format")) == "base64";

  std::string document;
  json::Writer writer(document);
  writer.open_object().key("object").text("list").key("data").open_array();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    reply_.prompt_tokens += count_tokens(texts[i]);
    writer.open_object().key("object").text("embedding").key("index").natural(i);
    writer.key("embedding").raw(vector_json(embed(texts[i], dimensions), as_base64)).close_object();
  }
  writer.close_array().key("model").text(request_.model()).key("usage");
  std::string used;
  json::Writer(used)
      .open_object()
      .key("prompt_tokens")
      .natural(reply_.prompt_tokens)
      .key("total_tokens")
      .natural(reply_.prompt_tokens)
      .close_object();
  writer.raw(used).close_object();
  out.usage(used);
  return whole(document, out);
}

swy::Next Operation::answer_moderations(swy::Out& out) {
  constexpr const char* kCategories[] = {"harassment",
                                         "harassment/threatening",
                                         "hate",
                                         "hate/threatening",
                                         "illicit",
                                         "illicit/violent",
                                         "self-harm",
                                         "self-harm/instructions",
                                         "self-harm/intent",
                                         "sexual",
                                         "sexual/minors",
                                         "violence",
                                         "violence/graphic"};
  const std::vector<std::string> texts = input_texts(request_.value("input"));
  if (texts.empty())
    return refuse({"input: expected a string or an array", "input", "invalid_type"}, out);

  std::string document;
  json::Writer writer(document);
  writer.open_object().key("id").text("modr-" + id_).key("model").text(request_.model());
  writer.key("results").open_array();
  for (const std::string& text : texts) {
    // No judgement is made: only a text that asks for it is flagged.
    const bool flagged = text.find("demo-flag") != std::string::npos;
    writer.open_object().key("flagged").boolean(flagged).key("categories").open_object();
    for (const char* name : kCategories) {
      writer.key(name).boolean(flagged && std::string_view(name) == "violence");
    }
    writer.close_object().key("category_scores").open_object();
    for (const char* name : kCategories) {
      writer.key(name).raw(flagged && std::string_view(name) == "violence" ? "1.0" : "0.0");
    }
    writer.close_object().close_object();
  }
  writer.close_array().close_object();
  return whole(document, out);
}

swy::Next Operation::answer_models(swy::Out& out) {
  std::string document;
  json::Writer writer(document);
  writer.open_object().key("object").text("list").key("data").open_array();
  for (const char* name : {"demo", "demo-reasoning", "demo-embedding"}) {
    writer.open_object().key("id").text(name).key("object").text("model");
    writer.key("created").integer(created_).key("owned_by").text("switchyard-demo").close_object();
  }
  writer.close_array().close_object();
  return whole(document, out);
}

}  // namespace demo

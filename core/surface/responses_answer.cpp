#include "core/surface/responses_answer.hpp"

#include <charconv>

#include "core/surface/carried.hpp"

namespace switchyard::surface {

namespace json = swy::json;

namespace {

void put_number(std::string& out, std::string_view name, std::uint64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number);
  out.append(",\"").append(name).append("\":").append(digits, end.ptr);
}
void put_inside(std::string& out, std::string_view name, std::string_view inside) {
  out.append(",\"").append(name).append("\":\"").append(inside).append("\"");
}
void put_raw(std::string& out, std::string_view name, std::string_view json) {
  out.append(",\"").append(name).append("\":").append(json);
}
void end_event(std::string& out) { out += "}\n\n"; }

std::string mended(std::string_view inside) {
  std::string out;
  json::append_inside(out, inside);
  return out;
}

// OpenAI's flat form of chat's annotation; empty where it is none.
std::string flat_annotation(std::string_view annotation) {
  const std::string_view type = json::inside(json::find(annotation, "type"));
  const std::string_view inner = json::find(annotation, type);
  if (type.empty() || !json::valid(annotation)) return {};
  if (json::type_of(inner) != 'o' || inner.size() < 3) return std::string(annotation);
  return "{\"type\":\"" + std::string(type) + "\"," + std::string(inner.substr(1));
}

// What the upstream's own error says, where there is one.
std::string said_of(const exchange::Failure& failure, std::string_view name,
                    const std::string& otherwise) {
  if (!json::valid(failure.error_json)) return otherwise;
  return json::to_text(json::find(failure.error_json, name)).value_or(otherwise);
}

// A name of those that the SDKs know.
std::string_view error_code(const exchange::Failure& failure) {
  if (failure.status == 429) return "rate_limit_exceeded";
  return failure.status < 500 ? "invalid_prompt" : "server_error";
}

}  // namespace

void ResponsesAnswer::reset() {
  counts_ = ChatCounts();
  id_.clear();
  model_.clear();
  created_ = "0";
  started_ = silent_ = native_ = false;
  sequence_ = 0;
  items_.clear();
  finish_.clear();
  stored_.clear();
}

// ---- events ----

void ResponsesAnswer::begin(std::string& out, std::string_view type) {
  out.append("event: ").append(type).append("\ndata: {\"type\":\"").append(type).append("\"");
  put_number(out, "sequence_number", sequence_++);
}

void ResponsesAnswer::begin_at(std::string& out, std::string_view type, std::size_t at) {
  begin(out, type);
  put_inside(out, "item_id", items_[at].id);
  put_number(out, "output_index", at);
}

void ResponsesAnswer::native(std::string_view piece, std::string& out) {
  native_ = true;
  const std::string_view type = json::inside(json::find(piece, "type"));
  if (!stored_as_.empty() && (type == "response.completed" || type == "response.incomplete")) {
    stored_ = json::find(piece, "response");
  }
  // Where the stream breaks off, its last events follow these.
  const auto number = json::to_integer(json::find(piece, "sequence_number"));
  if (number) sequence_ = static_cast<std::uint64_t>(*number) + 1;
  if (type == "response.created") {
    const std::string_view response = json::find(piece, "response");
    id_ = json::inside(json::find(response, "id"));
    model_ = json::inside(json::find(response, "model"));
    created_ = json::find(response, "created_at");
  }
  out.append("event: ").append(type);
  out.append("\ndata: ").append(piece).append("\n\n");
}

void ResponsesAnswer::delta(std::string_view text, std::string& out) {
  if (!chunk_.read(text)) return;
  if (!started_) {
    started_ = true;
    take_identity();
    put_response("response.created", "in_progress", "null", out);
    put_response("response.in_progress", "in_progress", "null", out);
  }
  counts_.read(chunk_.usage);
  if (const ChatChoice* const choice = chunk_.first()) take(*choice, out);
}

void ResponsesAnswer::take_identity() {
  id_ = stored_as_.empty() ? "resp_" + mended(chunk_.id) : stored_as_;
  model_ = mended(chunk_.model);
  if (!chunk_.created.empty()) created_ = chunk_.created;
}

void ResponsesAnswer::take(const ChatChoice& choice, std::string& out) {
  add_reasoning(choice, out);
  add_text(choice.content, choice.logprobs, out);
  add_refusal(choice.refusal, out);
  add_annotations(choice.annotations, out);
  json::Cursor calls(choice.calls);
  if (calls.array()) {
    while (calls.element()) add_call(calls.value(), out);
  }
  if (!choice.finish_reason.empty()) finish_ = choice.finish_reason;
}

void ResponsesAnswer::put_response(std::string_view type, std::string_view status,
                                   std::string_view error, std::string& out) {
  begin(out, type);
  out += ",\"response\":";
  write_response(out, status, error);
  end_event(out);
}

std::string_view ResponsesAnswer::final_status() const {
  return finish_ == "length" || finish_ == "content_filter" ? "incomplete" : "completed";
}

void ResponsesAnswer::end(const observe::Usage& usage, std::string& out) {
  if (native_) return;
  counts_.otherwise(usage);
  for (std::size_t i = 0; i < items_.size(); ++i) close_item(i, out);
  const std::string_view status = final_status();
  put_response("response." + std::string(status), status, "null", out);
  if (!stored_as_.empty()) write_response(stored_, status, "null");
}

std::string response_error(const exchange::Failure& failure) {
  std::string error = R"({"code":")";
  error.append(error_code(failure)).append("\"");
  put_raw(error, "message", json::quoted(said_of(failure, "message", failure.message)));
  return error + "}";
}

void ResponsesAnswer::fail(const exchange::Failure& failure, std::string& out) {
  begin(out, "error");
  put_raw(out, "code", json::quoted(said_of(failure, "code", failure.code)));
  put_raw(out, "message", json::quoted(said_of(failure, "message", failure.message)));
  put_raw(out, "param", failure.param.empty() ? "null" : json::quoted(failure.param));
  end_event(out);
  put_response("response.failed", "failed", response_error(failure), out);
}

std::string ResponsesAnswer::pending(std::uint64_t created_unix_s, std::string_view model) {
  id_ = stored_as_;
  json::append_escaped(model_, model);
  created_ = std::to_string(created_unix_s);
  std::string out;
  write_response(out, "in_progress", "null");
  reset();
  return out;
}

// ---- items ----

std::string ResponsesAnswer::make_id(std::size_t at) const {
  const Item& item = items_[at];
  std::string id = item.kind == Kind::kMessage     ? "msg_"
                   : item.kind == Kind::kReasoning ? "rs_"
                   : item.custom                   ? "ctc_"
                                                   : "fc_";
  return id + id_.substr(id_.find('_') + 1) + "_" + std::to_string(at);
}

std::string ResponsesAnswer::text_part_of(const Item& item) {
  return R"({"type":"output_text","text":")" + item.text + R"(","annotations":[)" +
         item.annotations + R"(],"logprobs":[)" + item.logprobs + "]}";
}

std::string ResponsesAnswer::refusal_part_of(const Item& item) {
  return R"({"type":"refusal","refusal":")" + item.refusal + R"("})";
}

// What brings the vendor's blocks back, or empty.
std::string ResponsesAnswer::sealed_of(const Item& item) {
  if (!item.sealed.empty()) return item.sealed;
  std::string list;
  for (const Detail& detail : item.details) {
    if (!list.empty()) list += ',';
    list += detail.head;
    if (detail.has_text) put_inside(list, "text", detail.text);
    if (!detail.signature.empty()) put_inside(list, "signature", detail.signature);
    list += '}';
  }
  return list.empty() ? list : carry(R"({"details":[)" + list + "]}");
}

std::string ResponsesAnswer::item_of(std::size_t at, bool done) const {
  const Item& item = items_[at];
  std::string out = R"({"id":")" + item.id + "\"";
  if (item.kind == Kind::kReasoning) {
    out += R"(,"type":"reasoning","summary":[)";
    if (done && !item.text.empty()) {
      out += R"({"type":"summary_text","text":")" + item.text + R"("})";
    }
    out += ']';
    const std::string sealed = done ? sealed_of(item) : std::string();
    put_raw(out, "encrypted_content", sealed.empty() ? "null" : "\"" + sealed + "\"");
    return out + "}";
  }
  put_inside(out, "type",
             item.kind == Kind::kMessage ? "message"
             : item.custom               ? "custom_tool_call"
                                         : "function_call");
  if (item.kind == Kind::kCall) {
    put_inside(out, "call_id", item.call_id);
    put_inside(out, "name", item.name);
    put_inside(out, item.custom ? "input" : "arguments", done ? item.text : std::string());
    put_inside(out, "status", done ? "completed" : "in_progress");
    return out + "}";
  }
  const bool cut = final_status() == "incomplete";
  put_inside(out, "status", !done ? "in_progress" : cut ? "incomplete" : "completed");
  out += R"(,"role":"assistant","content":[)";
  if (done && item.text_part) out += text_part_of(item);
  if (done && item.text_part && item.refusal_part) out += ',';
  if (done && item.refusal_part) out += refusal_part_of(item);
  return out + "]}";
}

void ResponsesAnswer::announce(std::size_t at, std::string& out) {
  items_[at].id = make_id(at);
  if (silent_) return;
  begin(out, "response.output_item.added");
  put_number(out, "output_index", at);
  put_raw(out, "item", item_of(at, false));
  end_event(out);
}

std::size_t ResponsesAnswer::open_item(Kind kind, std::string& out) {
  close_plain(out);
  items_.emplace_back().kind = kind;
  return items_.size() - 1;
}

// The open item of this kind, or a new one.
std::size_t ResponsesAnswer::current(Kind kind, std::string& out) {
  if (!items_.empty() && items_.back().open && items_.back().kind == kind) {
    return items_.size() - 1;
  }
  const std::size_t at = open_item(kind, out);
  announce(at, out);
  return at;
}

// Calls may stay open.
void ResponsesAnswer::close_plain(std::string& out) {
  if (!items_.empty() && items_.back().kind != Kind::kCall) close_item(items_.size() - 1, out);
}

void ResponsesAnswer::open_part(std::size_t at, bool refusal, std::string& out) {
  Item& item = items_[at];
  bool& has = refusal ? item.refusal_part : item.text_part;
  if (has) return;
  has = true;
  if (silent_) return;
  begin_at(out, "response.content_part.added", at);
  put_number(out, "content_index", refusal && item.text_part ? 1 : 0);
  put_raw(out, "part", refusal ? refusal_part_of(item) : text_part_of(item));
  end_event(out);
}

void ResponsesAnswer::close_item(std::size_t at, std::string& out) {
  Item& item = items_[at];
  if (!item.open) return;
  item.open = false;
  if (silent_) return;
  if (item.kind == Kind::kCall) {
    begin_at(out,
             item.custom ? "response.custom_tool_call_input.done"
                         : "response.function_call_arguments.done",
             at);
    if (!item.custom) put_inside(out, "name", item.name);
    put_inside(out, item.custom ? "input" : "arguments", item.text);
    end_event(out);
  } else if (item.kind == Kind::kReasoning && item.text_part) {
    begin_at(out, "response.reasoning_summary_text.done", at);
    put_number(out, "summary_index", 0);
    put_inside(out, "text", item.text);
    end_event(out);
    begin_at(out, "response.reasoning_summary_part.done", at);
    put_number(out, "summary_index", 0);
    put_raw(out, "part", R"({"type":"summary_text","text":")" + item.text + R"("})");
    end_event(out);
  } else if (item.kind == Kind::kMessage) {
    if (item.text_part) {
      begin_at(out, "response.output_text.done", at);
      put_number(out, "content_index", 0);
      put_inside(out, "text", item.text);
      put_raw(out, "logprobs", "[" + item.logprobs + "]");
      end_event(out);
      begin_at(out, "response.content_part.done", at);
      put_number(out, "content_index", 0);
      put_raw(out, "part", text_part_of(item));
      end_event(out);
    }
    if (item.refusal_part) {
      const unsigned index = item.text_part ? 1 : 0;
      begin_at(out, "response.refusal.done", at);
      put_number(out, "content_index", index);
      put_inside(out, "refusal", item.refusal);
      end_event(out);
      begin_at(out, "response.content_part.done", at);
      put_number(out, "content_index", index);
      put_raw(out, "part", refusal_part_of(item));
      end_event(out);
    }
  }
  begin(out, "response.output_item.done");
  put_number(out, "output_index", at);
  put_raw(out, "item", item_of(at, true));
  end_event(out);
}

// ---- what a chunk brings ----

void ResponsesAnswer::add_reasoning(const ChatChoice& choice, std::string& out) {
  json::Cursor details(choice.details);
  if (details.array()) {
    while (details.element()) add_detail(details.value(), out);
  }
  const std::string_view inside = json::inside(choice.reasoning);
  if (inside.empty()) return;
  const std::size_t at = current(Kind::kReasoning, out);
  Item& item = items_[at];
  if (!item.text_part) {
    item.text_part = true;
    if (!silent_) {
      begin_at(out, "response.reasoning_summary_part.added", at);
      put_number(out, "summary_index", 0);
      put_raw(out, "part", R"({"type":"summary_text","text":""})");
      end_event(out);
    }
  }
  const std::size_t from = item.text.size();
  json::append_inside(item.text, inside);
  if (silent_) return;
  begin_at(out, "response.reasoning_summary_text.delta", at);
  put_number(out, "summary_index", 0);
  put_inside(out, "delta", std::string_view(item.text).substr(from));
  end_event(out);
}

void ResponsesAnswer::add_detail(std::string_view entry, std::string& out) {
  if (!json::valid(entry) || json::type_of(entry) != 'o') return;
  Item& item = items_[current(Kind::kReasoning, out)];
  const std::int64_t index = json::to_integer(json::find(entry, "index")).value_or(0);
  const bool first = json::type_of(json::find(entry, "type")) == 's';
  if (first || item.details.empty() || item.details.back().index != index) {
    if (!first) return;  // of a block that is unknown
    Detail& detail = item.details.emplace_back();
    detail.index = index;
    json::Writer writer(detail.head);
    json::Cursor cursor(entry);
    std::string_view name;
    cursor.object();
    writer.open_object();
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      if (json::is(name, "text") || json::is(name, "signature")) continue;
      detail.head += detail.head.size() > 1 ? ",\"" : "\"";
      detail.head.append(name).append("\":").append(value);
    }
  }
  Detail& detail = item.details.back();
  const std::string_view text = json::find(entry, "text");
  detail.has_text |= json::type_of(text) == 's';
  json::append_inside(detail.text, json::inside(text));
  json::append_inside(detail.signature, json::inside(json::find(entry, "signature")));
}

void ResponsesAnswer::add_text(std::string_view value, std::string_view logprobs,
                               std::string& out) {
  const std::string_view inside = json::inside(value);
  std::string_view tokens;
  if (json::type_of(logprobs) == 'a' && json::valid(logprobs)) {
    tokens = logprobs.substr(1, logprobs.size() - 2);
  }
  // Some upstreams tell of tokens behind the text that they make.
  const bool behind = !tokens.empty() && !items_.empty() && items_.back().kind == Kind::kMessage;
  if (inside.empty() && !behind) return;
  const std::size_t at = current(Kind::kMessage, out);
  open_part(at, false, out);
  Item& item = items_[at];
  const std::size_t from = item.text.size();
  json::append_inside(item.text, inside);
  if (!tokens.empty()) {
    if (!item.logprobs.empty()) item.logprobs += ',';
    item.logprobs += tokens;
  }
  if (silent_) return;
  begin_at(out, "response.output_text.delta", at);
  put_number(out, "content_index", 0);
  put_inside(out, "delta", std::string_view(item.text).substr(from));
  out.append(R"(,"logprobs":[)").append(tokens).append("]");
  end_event(out);
}

void ResponsesAnswer::add_refusal(std::string_view value, std::string& out) {
  const std::string_view inside = json::inside(value);
  if (inside.empty()) return;
  const std::size_t at = current(Kind::kMessage, out);
  open_part(at, true, out);
  Item& item = items_[at];
  const std::size_t from = item.refusal.size();
  json::append_inside(item.refusal, inside);
  if (silent_) return;
  begin_at(out, "response.refusal.delta", at);
  put_number(out, "content_index", item.text_part ? 1 : 0);
  put_inside(out, "delta", std::string_view(item.refusal).substr(from));
  end_event(out);
}

void ResponsesAnswer::add_annotations(std::string_view list, std::string& out) {
  json::Cursor cursor(list);
  if (!cursor.array()) return;
  for (std::uint64_t i = 0; cursor.element(); ++i) {
    const std::string flat = flat_annotation(cursor.value());
    if (flat.empty()) continue;
    const std::size_t at = current(Kind::kMessage, out);
    open_part(at, false, out);
    Item& item = items_[at];
    if (!item.annotations.empty()) item.annotations += ',';
    item.annotations += flat;
    if (silent_) continue;
    begin_at(out, "response.output_text.annotation.added", at);
    put_number(out, "content_index", 0);
    put_number(out, "annotation_index", i);
    put_raw(out, "annotation", flat);
    end_event(out);
  }
}

void ResponsesAnswer::add_call(std::string_view entry, std::string& out) {
  ChatCall piece;
  piece.read(entry);
  if (silent_) piece.index = items_.size();  // in a whole answer each is another
  std::size_t at = 0;
  while (at < items_.size() &&
         !(items_[at].kind == Kind::kCall && items_[at].call == piece.index)) {
    ++at;
  }
  if (at == items_.size()) {
    if (!piece.extra.empty() && json::valid(piece.extra)) {
      // A call has no place for it: an item of its own before the call.
      const std::size_t before = open_item(Kind::kReasoning, out);
      items_[before].sealed = carry(R"({"call":")" + mended(piece.id) + R"(","extra_content":)" +
                                    std::string(piece.extra) + "}");
      announce(before, out);
    }
    at = open_item(Kind::kCall, out);
    Item& item = items_[at];
    item.call = piece.index;
    item.custom = piece.custom;
    item.call_id = mended(piece.id);
    item.name = mended(piece.name);
    announce(at, out);
  }
  Item& item = items_[at];
  if (piece.arguments.empty() || !item.open) return;
  const std::size_t from = item.text.size();
  json::append_inside(item.text, piece.arguments);
  if (silent_) return;
  begin_at(out,
           item.custom ? "response.custom_tool_call_input.delta"
                       : "response.function_call_arguments.delta",
           at);
  put_inside(out, "delta", std::string_view(item.text).substr(from));
  end_event(out);
}

// ---- the answer's object ----

void ResponsesAnswer::write_response(std::string& out, std::string_view status,
                                     std::string_view error) const {
  const bool over = status != "in_progress";
  out += R"({"id":")" + id_ + R"(","object":"response","created_at":)" + created_;
  put_inside(out, "status", status);
  put_raw(out, "error", error);
  put_raw(out, "incomplete_details",
          status != "incomplete" ? "null"
          : finish_ == "length"  ? R"({"reason":"max_output_tokens"})"
                                 : R"({"reason":"content_filter"})");
  put_inside(out, "model", model_);
  out += ',';
  out += echo_;
  out += R"("output":[)";
  for (std::size_t i = 0; over && i < items_.size(); ++i) {
    if (i > 0) out += ',';
    out += item_of(i, true);
  }
  out += R"(],"usage":)";
  if (!over || status == "failed") {
    out += "null}";
    return;
  }
  json::Writer usage(out);
  usage.open_object().key("input_tokens").natural(counts_.prompt);
  usage.key("input_tokens_details").open_object().key("cached_tokens").natural(counts_.cached);
  usage.key("cache_write_tokens").natural(counts_.cache_write).close_object();
  usage.key("output_tokens").natural(counts_.completion).key("output_tokens_details").open_object();
  usage.key("reasoning_tokens").natural(counts_.reasoning).close_object();
  usage.key("total_tokens").natural(counts_.prompt + counts_.completion).close_object();
  out += '}';
}

bool ResponsesAnswer::whole(std::string_view answer, std::string& out) {
  const ChatChoice* choice = nullptr;
  if (!chunk_.read(answer) || (choice = chunk_.first()) == nullptr) return false;
  silent_ = true;
  take_identity();
  counts_.read(chunk_.usage);
  take(*choice, out);
  for (std::size_t i = 0; i < items_.size(); ++i) close_item(i, out);
  write_response(out, final_status(), "null");
  return true;
}

}  // namespace switchyard::surface

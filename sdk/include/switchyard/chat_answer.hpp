// chat_answer.hpp - for providers whose upstream has a form of its own: writes canonical chat
// answers, as chunks while they come or as one document at their end, by the same calls. In a
// stream nothing is allocated per piece once the buffers have grown.
//
// "inside" is text as it stands between the quotes of a JSON string of the upstream: it goes over
// without being unescaped and escaped again, mended where it is garbage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>
#include <vector>

namespace swy {

// What an upstream counted; CANONICAL.md section 5. Nothing: not said.
struct ChatUsage {
  std::optional<std::int64_t> prompt, completion, cached, cache_write, reasoning;
  std::optional<std::int64_t> cache_write_1h, audio_in, cached_audio, image_in, audio_out, searches;
  std::optional<std::int64_t> image_out;
  std::string service_tier;  // that it was served by; empty: not said

  // A count as an upstream wrote it; what is no sensible number is not said.
  static std::optional<std::int64_t> count(std::string_view value) {
    const auto number = json::to_integer(value);
    return number && *number >= 0 && *number <= (std::int64_t{1} << 53) ? number : std::nullopt;
  }

  bool any() const { return prompt || completion; }

  void write(json::Writer& json) const {
    const auto put = [&json](std::string_view name, const std::optional<std::int64_t>& value) {
      if (value) json.key(name).integer(*value);
    };
    json.open_object();
    put("prompt_tokens", prompt);
    put("completion_tokens", completion);
    if (prompt && completion) json.key("total_tokens").integer(*prompt + *completion);
    if (cached || cache_write || audio_in || image_in) {
      json.key("prompt_tokens_details").open_object();
      put("cached_tokens", cached);
      put("cache_write_tokens", cache_write);
      put("cache_write_1h_tokens", cache_write_1h);
      put("audio_tokens", audio_in);
      put("cached_audio_tokens", cached_audio);
      put("image_tokens", image_in);
      json.close_object();
    }
    if (reasoning || audio_out || image_out) {
      json.key("completion_tokens_details").open_object();
      put("reasoning_tokens", reasoning);
      put("audio_tokens", audio_out);
      put("image_tokens", image_out);
      json.close_object();
    }
    put("searches", searches);
    if (!service_tier.empty()) json.key("service_tier").text(service_tier);
    json.close_object();
  }
  std::string json() const {
    std::string text;
    json::Writer writer(text);
    write(writer);
    return text;
  }
};

class ChatAnswer {
 public:
  static constexpr unsigned kChoicesMax = 128;

  // format: marks reasoning blocks as this upstream's, such as "anthropic-claude-v1". model: by the
  // name that the upstream was asked for.
  ChatAnswer(const Request& request, std::int64_t created, std::string_view format)
      : stream_(request.stream()),
        want_usage_(request.want_usage()),
        created_(created),
        format_(format),
        asked_model_(request.model()) {}

  // Before anything else; the text of the upstream's own names, or "inside" of them.
  void identify(std::string_view id_inside, std::string_view model_inside) {
    head_ = R"({"id":")";
    json::append_inside(head_, id_inside);
    head_ += stream_ ? R"(","object":"chat.completion.chunk","created":)"
                     : R"(","object":"chat.completion","created":)";
    head_ += std::to_string(created_) + R"(,"model":")";
    json::append_inside(head_, model_inside);
    head_ += R"(","choices":[)";
  }
  bool identified() const { return !head_.empty(); }

  // Opens a choice; what follows does it by itself.
  void open(Out& out, unsigned choice) {
    if (choice >= choices_.size()) choices_.resize(choice + 1);
    Choice& mine = choices_[choice];
    if (mine.open) return;
    mine.open = true;
    if (!stream_) return;
    begin_chunk(choice);
    buffer_ += R"("role":"assistant","content":"")";
    end_chunk(out, 0);
  }
  bool any() const { return !choices_.empty(); }
  std::size_t choices() const { return choices_.size(); }

  void text(Out& out, unsigned choice, std::string_view inside) {
    if (inside.empty()) return;
    Choice& mine = opened(out, choice);
    mine.characters += json::count_characters(inside);
    if (keep_text_ || !stream_) json::append_inside(mine.content, inside);
    if (stream_) string_chunk(out, choice, "content", inside);
  }
  // Text is kept in a stream too, for text_of().
  void keep_text() { keep_text_ = true; }
  std::string_view text_of(unsigned choice) const {
    return choice < choices_.size() ? std::string_view(choices_[choice].content)
                                    : std::string_view();
  }
  std::size_t characters(unsigned choice) const {
    return choice < choices_.size() ? choices_[choice].characters : 0;
  }

  void refusal(Out& out, unsigned choice, std::string_view inside) {
    if (inside.empty()) return;
    Choice& mine = opened(out, choice);
    if (stream_) return string_chunk(out, choice, "refusal", inside);
    json::append_inside(mine.refusal, inside);
  }

  // Thinking that the upstream shows and does not want back.
  void thought(Out& out, unsigned choice, std::string_view inside) {
    if (inside.empty()) return;
    Choice& mine = opened(out, choice);
    if (stream_) return string_chunk(out, choice, "reasoning_content", inside);
    json::append_inside(mine.reasoning, inside);
  }

  // A block of reasoning that the upstream wants back as it was: begin, text and signature in any
  // number of pieces, end.
  void begin_reasoning(Out& out, unsigned choice) {
    Choice& mine = opened(out, choice);
    mine.block = mine.details++;
    mine.block_said = false;
    if (!stream_) mine.block_text.clear(), mine.signature.clear();
  }
  void reasoning(Out& out, unsigned choice, std::string_view inside) {
    if (inside.empty()) return;
    Choice& mine = choices_[choice];
    if (!stream_) {
      json::append_inside(mine.reasoning, inside);
      json::append_inside(mine.block_text, inside);
      return;
    }
    begin_chunk(choice);
    buffer_ += R"("reasoning_content":")";
    json::append_inside(buffer_, inside);
    buffer_ += R"(",)";
    begin_detail(mine, "reasoning.text");
    buffer_ += R"(,"text":")";
    json::append_inside(buffer_, inside);
    buffer_ += R"("}])";
    end_chunk(out, SWY_EMIT_CONTENT);
  }
  void signature(Out& out, unsigned choice, std::string_view inside) {
    if (inside.empty()) return;
    Choice& mine = choices_[choice];
    if (!stream_) return json::append_inside(mine.signature, inside);
    begin_chunk(choice);
    begin_detail(mine, "reasoning.text");
    buffer_ += R"(,"signature":")";
    json::append_inside(buffer_, inside);
    buffer_ += R"("}])";
    end_chunk(out, 0);
  }
  void end_reasoning(unsigned choice) {
    Choice& mine = choices_[choice];
    if (stream_ || (mine.block_text.empty() && mine.signature.empty())) return;
    std::string& list = mine.detail_list;
    list += list.empty() ? "{" : ",{";
    append_detail(list, mine, "reasoning.text");
    list += R"(,"text":")" + mine.block_text + "\"";
    if (!mine.signature.empty()) list += R"(,"signature":")" + mine.signature + "\"";
    list += '}';
  }

  // A block that only the upstream can read. member: "data", a string, or "block", valid JSON.
  void sealed(Out& out, unsigned choice, std::string_view data_inside) {
    std::string member = R"("data":")";
    json::append_inside(member, data_inside);
    detail(out, choice, "reasoning.encrypted", member + "\"");
  }
  void opaque(Out& out, unsigned choice, std::string_view block) {
    detail(out, choice, "opaque", R"("block":)" + std::string(block));
  }

  // A call of a function, its arguments in any number of pieces. extra: members of its own, JSON
  // with a comma behind, or empty. Answers the call's number.
  unsigned begin_call(Out& out, unsigned choice, std::string_view id_inside,
                      std::string_view name_inside, std::string_view extra = {}) {
    Choice& mine = opened(out, choice);
    std::string& to = call_text(mine, choice);
    to += R"("id":")";
    json::append_inside(to, id_inside);
    to.append(R"(","type":"function",)").append(extra).append(R"("function":{"name":")");
    json::append_inside(to, name_inside);
    to += R"(","arguments":")";
    if (stream_) {
      to += R"("}}])";
      end_chunk(out, SWY_EMIT_CONTENT);
    }
    return mine.calls++;
  }
  void arguments(Out& out, unsigned choice, unsigned call, std::string_view inside) {
    if (inside.empty()) return;
    if (!stream_) return json::append_inside(choices_[choice].call_list, inside);
    begin_arguments(choice, call);
    json::append_inside(buffer_, inside);
    buffer_ += R"("}}])";
    end_chunk(out, SWY_EMIT_CONTENT);
  }
  void end_call(unsigned choice) {
    if (!stream_) choices_[choice].call_list += R"("}})";
  }
  // A call in one piece; `arguments` is JSON.
  void whole_call(Out& out, unsigned choice, std::string_view id_inside,
                  std::string_view name_inside, std::string_view extra,
                  std::string_view arguments_json) {
    Choice& mine = opened(out, choice);
    std::string& to = call_text(mine, choice);
    to += R"("id":")";
    json::append_inside(to, id_inside);
    to.append(R"(","type":"function",)").append(extra).append(R"("function":{"name":")");
    json::append_inside(to, name_inside);
    to += R"(","arguments":")";
    json::append_escaped(to, arguments_json);
    to += R"("}})";
    ++mine.calls;
    if (!stream_) return;
    to += ']';
    end_chunk(out, SWY_EMIT_CONTENT);
  }
  // A call of a custom tool, in one piece.
  void custom_call(Out& out, unsigned choice, std::string_view id_inside,
                   std::string_view name_inside, std::string_view input_inside) {
    Choice& mine = opened(out, choice);
    std::string& to = call_text(mine, choice);
    to += R"("id":")";
    json::append_inside(to, id_inside);
    to += R"(","type":"custom","custom":{"name":")";
    json::append_inside(to, name_inside);
    to += R"(","input":")";
    json::append_inside(to, input_inside);
    to += R"("}})";
    ++mine.calls;
    if (!stream_) return;
    to += ']';
    end_chunk(out, SWY_EMIT_CONTENT);
  }
  unsigned calls(unsigned choice) const {
    return choice < choices_.size() ? choices_[choice].calls : 0;
  }

  // An image as a data URL: its media type and its bytes in base64.
  void image(Out& out, unsigned choice, std::string_view mime_inside,
             std::string_view data_inside) {
    Choice& mine = opened(out, choice);
    std::string entry = R"({"index":)" + std::to_string(mine.images++) +
                        R"(,"type":"image_url","image_url":{"url":"data:)";
    json::append_inside(entry, mime_inside);
    entry += ";base64,";
    json::append_inside(entry, data_inside);
    entry += R"("}})";
    if (!stream_) {
      mine.image_list += mine.image_list.empty() ? "" : ",";
      mine.image_list += entry;
      return;
    }
    begin_chunk(choice);
    buffer_ += R"("images":[)" + entry + "]";
    end_chunk(out, SWY_EMIT_CONTENT);
  }

  // A source of a span of the text; shown at the end. json: one element of `annotations`.
  void annotation(Out& out, unsigned choice, std::string_view json) {
    std::string& list = opened(out, choice).annotations;
    if (!list.empty()) list += ',';
    list += json;
  }
  void url_citation(Out& out, unsigned choice, std::size_t from, std::size_t to,
                    std::string_view url_inside, std::string_view title_inside) {
    std::string json = R"({"type":"url_citation","url_citation":{"start_index":)" +
                       std::to_string(from) + R"(,"end_index":)" + std::to_string(to) +
                       R"(,"url":")";
    json::append_inside(json, url_inside);
    json += R"(","title":")";
    json::append_inside(json, title_inside);
    annotation(out, choice, json + R"("}})");
  }

  // The log probabilities of a piece of text: elements of `logprobs.content`.
  void logprobs(Out& out, unsigned choice, std::string_view elements) {
    Choice& mine = opened(out, choice);
    if (!stream_) {
      mine.logprobs += mine.logprobs.empty() ? "" : ",";
      mine.logprobs += elements;
      return;
    }
    begin_chunk(choice);
    end_chunk(out, 0, elements);
  }

  // Why a choice ended, canonically and in the upstream's word.
  void finish(Out& out, unsigned choice, std::string_view reason, std::string_view native_inside) {
    Choice& mine = opened(out, choice);
    mine.finish = reason;
    mine.native.clear();
    json::append_inside(mine.native, native_inside);
  }
  // Why it ended as far as is known; empty where it has not.
  std::string_view finish_of(unsigned choice) const {
    return choice < choices_.size() ? choices_[choice].finish : std::string_view();
  }
  bool all_finished() const {
    for (const Choice& choice : choices_) {
      if (choice.open && choice.finish.empty()) return false;
    }
    return !choices_.empty();
  }

  // The last of a stream, or the whole document. Before DONE.
  void end(Out& out, const ChatUsage& usage) {
    if (usage.any()) out.usage(usage.json());
    if (!choices_.empty() && !choices_.front().finish.empty()) {
      out.finish_reason(choices_.front().finish);
    }
    if (stream_) {
      end_stream(out, usage);
    } else {
      write_whole(out, usage);
    }
  }

 private:
  struct Choice {
    bool open = false, block_said = false;
    unsigned calls = 0, details = 0, block = 0, images = 0;
    std::size_t characters = 0;  // of the text so far
    std::string content, reasoning, refusal, call_list, detail_list, image_list, logprobs;
    std::string block_text, signature, annotations;
    std::string_view finish;
    std::string native;
  };

  Choice& opened(Out& out, unsigned choice) {
    open(out, choice);
    return choices_[choice];
  }

  void begin_chunk(unsigned choice) {
    buffer_ = head_;
    buffer_ += R"({"index":)";
    append_number(buffer_, choice);
    buffer_ += R"(,"delta":{)";
  }
  void end_chunk(Out& out, std::uint32_t flags, std::string_view logprobs = {}) {
    buffer_ += '}';
    if (!logprobs.empty()) buffer_.append(R"(,"logprobs":{"content":[)").append(logprobs) += "]}";
    buffer_ += R"(,"finish_reason":null}]})";
    out.delta(buffer_, flags);
  }
  void string_chunk(Out& out, unsigned choice, std::string_view name, std::string_view inside) {
    begin_chunk(choice);
    buffer_.append("\"").append(name).append("\":\"");
    json::append_inside(buffer_, inside);
    buffer_ += '"';
    end_chunk(out, SWY_EMIT_CONTENT);
  }

  static void append_number(std::string& out, std::uint64_t number) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  }

  // The first fragment of a block says what it is and where it stands; later ones only its number.
  void begin_detail(Choice& mine, std::string_view type) {
    buffer_ += R"("reasoning_details":[{)";
    if (mine.block_said) {
      buffer_ += R"("index":)";
      append_number(buffer_, mine.block);
      return;
    }
    append_detail(buffer_, mine, type);
    mine.block_said = true;
  }
  void append_detail(std::string& out, const Choice& mine, std::string_view type) const {
    out += R"("index":)";
    append_number(out, mine.block);
    out.append(R"(,"type":")").append(type).append(R"(","format":")").append(format_);
    out += R"(","model":")";
    json::append_escaped(out, asked_model_);
    out += '"';
    if (mine.characters > 0) {
      out += R"(,"after_text":)";
      append_number(out, mine.characters);
    }
    if (mine.calls > 0) {
      out += R"(,"after_calls":)";
      append_number(out, mine.calls);
    }
  }
  void detail(Out& out, unsigned choice, std::string_view type, std::string_view member) {
    Choice& mine = opened(out, choice);
    mine.block = mine.details++;
    mine.block_said = false;
    if (!stream_) {
      mine.detail_list += mine.detail_list.empty() ? "{" : ",{";
      append_detail(mine.detail_list, mine, type);
      mine.detail_list.append(",").append(member).append("}");
      return;
    }
    begin_chunk(choice);
    begin_detail(mine, type);
    buffer_.append(",").append(member).append("}]");
    end_chunk(out, 0);
  }

  // Where a call is written: a chunk, or the list of a whole answer.
  std::string& call_text(Choice& mine, unsigned choice) {
    if (!stream_) {
      mine.call_list += mine.call_list.empty() ? "{" : ",{";
      return mine.call_list;
    }
    begin_chunk(choice);
    buffer_ += R"("tool_calls":[{"index":)";
    append_number(buffer_, mine.calls);
    buffer_ += ',';
    return buffer_;
  }
  void begin_arguments(unsigned choice, unsigned call) {
    begin_chunk(choice);
    buffer_ += R"("tool_calls":[{"index":)";
    append_number(buffer_, call);
    buffer_ += R"(,"function":{"arguments":")";
  }

  void append_finish(const Choice& choice) {
    buffer_.append(R"("finish_reason":")").append(choice.finish).append("\"");
    if (!choice.native.empty()) {
      buffer_.append(R"(,"native_finish_reason":")").append(choice.native).append("\"");
    }
  }

  void end_stream(Out& out, const ChatUsage& usage) {
    for (unsigned i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      if (!choice.open) continue;
      if (!choice.annotations.empty()) {
        begin_chunk(i);
        buffer_.append(R"("annotations":[)").append(choice.annotations).append("]");
        end_chunk(out, 0);
      }
      begin_chunk(i);
      buffer_ += "},";
      append_finish(choice);
      buffer_ += "}]}";
      out.delta(buffer_, 0);
    }
    if (!want_usage_ || !usage.any()) return;
    buffer_ = head_;
    buffer_ += R"(],"usage":)";
    buffer_ += usage.json();
    buffer_ += '}';
    out.delta(buffer_, 0);
  }

  void write_whole(Out& out, const ChatUsage& usage) {
    buffer_ = head_;
    bool first = true;
    for (unsigned i = 0; i < choices_.size(); ++i) {
      if (!choices_[i].open) continue;
      if (!first) buffer_ += ',';
      first = false;
      write_choice(i);
    }
    buffer_ += ']';
    if (usage.any()) buffer_ += R"(,"usage":)" + usage.json();
    buffer_ += '}';
    out.whole(buffer_, 0);
  }

  void write_choice(unsigned index) {
    const Choice& choice = choices_[index];
    const auto string = [this](std::string_view name, const std::string& inside) {
      buffer_.append(",\"").append(name).append("\":");
      if (inside.empty()) {
        buffer_ += "null";
      } else {
        buffer_.append("\"").append(inside).append("\"");
      }
    };
    const auto list = [this](std::string_view name, const std::string& elements) {
      if (elements.empty()) return;
      buffer_.append(",\"").append(name).append("\":[").append(elements).append("]");
    };
    buffer_ += R"({"index":)";
    append_number(buffer_, index);
    buffer_ += R"(,"message":{"role":"assistant")";
    // Text that is empty is text still, where nothing else was said.
    if (choice.content.empty() && choice.calls == 0 && choice.refusal.empty()) {
      buffer_ += R"(,"content":"")";
    } else {
      string("content", choice.content);
    }
    string("refusal", choice.refusal);
    if (!choice.reasoning.empty()) string("reasoning_content", choice.reasoning);
    list("reasoning_details", choice.detail_list);
    list("tool_calls", choice.call_list);
    list("images", choice.image_list);
    list("annotations", choice.annotations);
    buffer_ += R"(},"logprobs":)";
    if (choice.logprobs.empty()) {
      buffer_ += "null,";
    } else {
      buffer_.append(R"({"content":[)").append(choice.logprobs).append("]},");
    }
    append_finish(choice);
    buffer_ += '}';
  }

  bool stream_, want_usage_, keep_text_ = false;
  std::int64_t created_;
  std::string_view format_, asked_model_;
  std::string head_;  // what every chunk begins with
  std::string buffer_;
  std::vector<Choice> choices_;
};

}  // namespace swy

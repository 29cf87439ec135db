#include "providers/dashscope/lists.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

namespace dashscope {

namespace json = swy::json;

namespace {

void note_unknown(const swy::Request& request, std::initializer_list<std::string_view> known,
                  swy::Losses& losses) {
  for (std::size_t i = 0; i < request.member_count(); ++i) {
    const swy_member& member = request.member(i);
    const std::string_view name = swy::view(member.name);
    if (!swy::is_one_of(name, known) && !swy::is_nothing(request.value(member))) losses.add(name);
  }
}

std::int64_t tokens_of(std::string_view answer) {
  const auto number = json::to_integer(json::find_path(answer, "usage.total_tokens"));
  return number && *number > 0 ? *number : 0;
}

std::string usage_of(std::int64_t tokens) {
  const std::string digits = std::to_string(tokens);
  return R"({"prompt_tokens":)" + digits + R"(,"total_tokens":)" + digits + "}";
}

void append_base64(std::string& out, std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view three = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < three.size() ? static_cast<unsigned char>(three[j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j > three.size() ? '=' : kDigits[bits >> (18 - 6 * j) & 63U];
    }
  }
}

// A list of numbers as the little-endian 32-bit floats that OpenAI's clients ask for; empty where
// one of them is none.
std::string packed(std::string_view vector) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes, out = "\"";
  json::Cursor cursor(vector);
  cursor.array();
  while (cursor.element()) {
    const std::string_view digits = cursor.value();
    float number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (read.ec != std::errc()) return {};
    char four[sizeof number];
    std::memcpy(four, &number, sizeof number);
    bytes.append(four, sizeof four);
  }
  append_base64(out, bytes);
  return out + "\"";
}

}  // namespace

Embeddings::Embeddings(const swy::Request& request) : request_(request) {
  const std::string_view input = request.value("input");
  json::Cursor cursor(input);
  if (json::type_of(input) == 's') texts_.push_back(input);
  if (cursor.array()) {
    while (cursor.element()) texts_.push_back(cursor.value());
  }
  const bool words = std::all_of(texts_.begin(), texts_.end(),
                                 [](std::string_view text) { return json::type_of(text) == 's'; });
  if (!words) {
    swy::refuse_request(refusal_, SWY_CLS_NOT_OFFERED, "input",
                        "input: DashScope takes texts, not tokens");
  } else if (texts_.empty()) {
    swy::refuse_request(refusal_, SWY_CLS_BAD_REQUEST, "input",
                        "input: expected a string or strings");
  }
  note_unknown(request,
               {"model", "input", "dimensions", "encoding_format", "input_type", "instruct"},
               losses_);
}

const std::string& Embeddings::next_body() {
  body_.clear();
  json::Writer writer(body_);
  writer.open_object().key("model").text(request_.model());
  writer.key("input").open_object().key("texts").open_array();
  sent_ = std::min(texts_.size() - done_, kBatchMax);
  for (std::size_t i = done_; i < done_ + sent_; ++i) writer.raw(texts_[i]);
  writer.close_array().close_object().key("parameters").open_object();
  for (const auto& [name, upstream] :
       {std::pair<std::string_view, std::string_view>{"dimensions", "dimension"},
        {"input_type", "text_type"},
        {"instruct", "instruct"}}) {
    const std::string_view value = request_.value(name);
    if (!json::is_null(value)) writer.key(upstream).raw(value);
  }
  writer.close_object().close_object();
  return body_;
}

bool Embeddings::take(std::string_view answer) {
  json::Cursor cursor(json::find_path(answer, "output.embeddings"));
  if (!json::valid(answer) || !cursor.array()) return false;
  const bool base64 = json::inside(request_.value("encoding_format")) == "base64";
  std::vector<std::string> vectors(sent_);
  for (std::size_t n = 0; cursor.element(); ++n) {
    const std::string_view entry = cursor.value();
    const auto at = json::to_integer(json::find(entry, "text_index"));
    const std::size_t index = at && *at >= 0 ? static_cast<std::size_t>(*at) : n;
    const std::string_view vector = json::find(entry, "embedding");
    if (index >= vectors.size() || json::type_of(vector) != 'a') return false;
    vectors[index] = base64 ? packed(vector) : std::string(vector);
  }
  for (const std::string& vector : vectors) {
    if (vector.empty()) return false;
    if (!data_.empty()) data_ += ',';
    data_.append(R"({"object":"embedding","index":)").append(std::to_string(done_++));
    data_.append(R"(,"embedding":)").append(vector).append("}");
  }
  tokens_ += tokens_of(answer);
  return true;
}

std::string Embeddings::answer() const {
  return R"({"object":"list","data":[)" + data_ + R"(],"model":)" + json::quoted(request_.model()) +
         R"(,"usage":)" + usage_of(tokens_) + "}";
}

std::string Embeddings::usage() const { return usage_of(tokens_); }

void write_rerank(const swy::Request& request, RerankBody& body) {
  json::Writer& writer = body.writer.json();
  json::Cursor cursor(request.value("documents"));
  if (!cursor.array()) {
    swy::refuse_request(body.refusal, SWY_CLS_BAD_REQUEST, "documents",
                        "documents: expected an array");
    return;
  }
  writer.open_object().key("model").text(request.model()).key("input").open_object();
  writer.key("query");
  body.writer.value(request.value("query"));
  writer.key("documents").open_array();
  while (cursor.element()) {
    const std::string_view document = cursor.value();
    const std::string_view text =
        json::type_of(document) == 's' ? document : json::find(document, "text");
    if (json::type_of(text) != 's') {
      swy::refuse_request(body.refusal, SWY_CLS_NOT_OFFERED, "documents",
                          "documents: texts are ranked: strings, or objects with \"text\"");
      return;
    }
    body.writer.value(text);
  }
  // Documents are answered from the request.
  writer.close_array().close_object().key("parameters").open_object();
  writer.key("return_documents").boolean(false);
  for (const std::string_view name : {"top_n", "instruct"}) {
    const std::string_view value = request.value(name);
    if (!json::is_null(value)) writer.key(name).raw(value);
  }
  writer.close_object().close_object();
  note_unknown(request, {"model", "query", "documents", "top_n", "return_documents", "instruct"},
               body.losses);
}

std::string rerank_answer(const swy::Request& request, std::string_view answer) {
  json::Cursor results(json::find_path(answer, "output.results"));
  if (!json::valid(answer) || !results.array()) return {};
  std::vector<std::string_view> documents;
  json::Cursor given(request.value("documents"));
  if (json::is_true(request.value("return_documents")) && given.array()) {
    while (given.element()) documents.push_back(given.value());
  }
  std::string out;
  json::Writer writer(out);
  writer.open_object();
  const std::string_view id = json::find(answer, "request_id");
  if (!id.empty()) writer.key("id").raw(id);
  writer.key("model").text(request.model()).key("results").open_array();
  while (results.element()) {
    const std::string_view result = results.value();
    const auto index = json::to_integer(json::find(result, "index"));
    const std::string_view score = json::find(result, "relevance_score");
    if (!index || *index < 0 || json::type_of(score) != 'n') return {};
    writer.open_object().key("index").integer(*index).key("relevance_score").raw(score);
    if (static_cast<std::size_t>(*index) < documents.size()) {
      const std::string_view document = documents[static_cast<std::size_t>(*index)];
      writer.key("document");
      if (json::type_of(document) == 's') {
        writer.open_object().key("text").raw(document).close_object();
      } else {
        writer.raw(document);
      }
    }
    writer.close_object();
  }
  writer.close_array();
  const std::string usage = list_usage(answer);
  if (!usage.empty()) writer.key("usage").raw(usage);
  writer.close_object();
  return out;
}

std::string list_usage(std::string_view answer) {
  const std::int64_t tokens = tokens_of(answer);
  return tokens > 0 ? usage_of(tokens) : std::string();
}

}  // namespace dashscope

#include "providers/dashscope/lists.hpp"

#include <bit>
#include <charconv>
#include <cstring>

namespace dashscope {

namespace json = swy::json;

namespace {

std::int64_t tokens_of(std::string_view answer) {
  const auto number = json::to_integer(json::find_path(answer, "usage.total_tokens"));
  return number && *number > 0 ? *number : 0;
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

Embeddings::Embeddings(const swy::Request& request)
    : EmbeddingTask(request, kBatchMax, "DashScope",
                    {"model", "input", "dimensions", "encoding_format", "input_type", "instruct"}) {
}

const std::string& Embeddings::next_body() {
  body_.clear();
  json::Writer writer(body_);
  writer.open_object().key("model").text(request_.model());
  writer.key("input").open_object().key("texts").open_array();
  for (const std::string_view text : texts_.batch()) writer.raw(text);
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
  std::vector<std::string> vectors(texts_.batch().size());
  for (std::size_t n = 0; cursor.element(); ++n) {
    const std::string_view entry = cursor.value();
    const auto at = json::to_integer(json::find(entry, "text_index"));
    const std::size_t index = at && *at >= 0 ? static_cast<std::size_t>(*at) : n;
    const std::string_view vector = json::find(entry, "embedding");
    if (index >= vectors.size() || json::type_of(vector) != 'a') return false;
    vectors[index] = base64 ? packed(vector) : std::string(vector);
  }
  const std::vector<std::string_view> in_order(vectors.begin(), vectors.end());
  return texts_.add(in_order, tokens_of(answer));
}

void write_rerank(const swy::Request& request, swy::RerankBody& body) {
  json::Writer& writer = body.writer.json();
  writer.open_object().key("model").text(request.model()).key("input").open_object();
  const std::string_view query = request.value("query");
  if (!json::is_null(query)) {
    writer.key("query");
    body.writer.value(query);
  }
  if (!swy::write_documents(request, body.writer, body.refusal)) return;
  // Documents are answered from the request.
  writer.close_object().key("parameters").open_object().key("return_documents").boolean(false);
  for (const std::string_view name : {"top_n", "instruct"}) {
    const std::string_view value = request.value(name);
    if (!json::is_null(value)) writer.key(name).raw(value);
  }
  writer.close_object().close_object();
  swy::lose_unknown(request,
                    {"model", "query", "documents", "top_n", "return_documents", "instruct"},
                    body.losses);
}

std::string rerank_answer(const swy::Request& request, std::string_view answer) {
  if (!json::valid(answer)) return {};
  const std::string usage = list_usage(answer);
  return swy::rerank_answer(request, json::find(answer, "request_id"),
                            json::find_path(answer, "output.results"),
                            usage.empty() ? usage : ",\"usage\":" + usage);
}

std::string list_usage(std::string_view answer) {
  const std::int64_t tokens = tokens_of(answer);
  return tokens > 0 ? swy::prompt_usage(tokens) : std::string();
}

}  // namespace dashscope

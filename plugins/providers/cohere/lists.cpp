#include "providers/cohere/lists.hpp"

namespace cohere {

namespace json = swy::json;

namespace {

std::string_view input_type(std::string_view asked) {
  if (asked == "query") return "search_query";
  if (asked.empty() || asked == "document") return "search_document";
  return asked;
}

std::int64_t count(std::string_view answer, std::string_view path) {
  const auto number = json::to_integer(json::find_path(answer, path));
  return number && *number > 0 ? *number : 0;
}

}  // namespace

Embeddings::Embeddings(const swy::Request& request)
    : EmbeddingTask(request, kBatchMax, "Cohere",
                    {"model", "input", "dimensions", "encoding_format", "input_type", "truncate",
                     "max_tokens", "priority"}) {}

bool Embeddings::base64() const {
  return json::inside(request_.value("encoding_format")) == "base64";
}

const std::string& Embeddings::next_body() {
  body_.clear();
  json::Writer writer(body_);
  writer.open_object().key("model").text(request_.model());
  writer.key("texts").open_array();
  for (const std::string_view text : texts_.batch()) writer.raw(text);
  writer.close_array();
  writer.key("input_type").text(input_type(json::inside(request_.value("input_type"))));
  writer.key("embedding_types").open_array().text(base64() ? "base64" : "float").close_array();
  const std::string_view dimensions = request_.value("dimensions");
  if (!json::is_null(dimensions)) writer.key("output_dimension").raw(dimensions);
  for (const std::string_view name : {"truncate", "max_tokens", "priority"}) {
    const std::string_view value = request_.value(name);
    if (!json::is_null(value)) writer.key(name).raw(value);
  }
  writer.close_object();
  return body_;
}

bool Embeddings::take(std::string_view answer) {
  json::Cursor cursor(json::find_path(answer, base64() ? "embeddings.base64" : "embeddings.float"));
  if (!json::valid(answer) || !cursor.array()) return false;
  std::vector<std::string_view> vectors;
  while (cursor.element()) vectors.push_back(cursor.value());
  return texts_.add(vectors, count(answer, "meta.billed_units.input_tokens") +
                                 count(answer, "meta.billed_units.image_tokens"));
}

void write_rerank(const swy::Request& request, swy::RerankBody& body) {
  json::Writer& writer = body.writer.json();
  writer.open_object().key("model").text(request.model());
  for (const std::string_view name : {"query", "top_n", "max_tokens_per_doc", "priority"}) {
    const std::string_view value = request.value(name);
    if (json::is_null(value)) continue;
    writer.key(name);
    body.writer.value(value);
  }
  if (!swy::write_documents(request, body.writer, body.refusal)) return;
  writer.close_object();
  swy::lose_unknown(request,
                    {"model", "query", "documents", "top_n", "return_documents",
                     "max_tokens_per_doc", "priority"},
                    body.losses);
}

std::string rerank_answer(const swy::Request& request, std::string_view answer) {
  if (!json::valid(answer)) return {};
  std::string more;
  const std::string usage = rerank_usage(answer);
  const std::string_view meta = json::find(answer, "meta");
  if (!usage.empty()) more += ",\"usage\":" + usage;
  if (!meta.empty()) more.append(",\"meta\":").append(meta);
  return swy::rerank_answer(request, json::find(answer, "id"), json::find(answer, "results"), more);
}

std::string rerank_usage(std::string_view answer) {
  const std::int64_t tokens = count(answer, "meta.tokens.input_tokens");
  return tokens > 0 ? swy::prompt_usage(tokens) : std::string();
}

}  // namespace cohere

#include "providers/cohere/lists.hpp"

#include <algorithm>

namespace cohere {

namespace json = swy::json;

namespace {

std::string_view input_type(std::string_view asked) {
  if (asked == "query") return "search_query";
  if (asked.empty() || asked == "document") return "search_document";
  return asked;
}

void note_unknown(const swy::Request& request, std::initializer_list<std::string_view> known,
                  swy::Losses& losses) {
  for (std::size_t i = 0; i < request.member_count(); ++i) {
    const swy_member& member = request.member(i);
    const std::string_view name = swy::view(member.name);
    if (!swy::is_one_of(name, known) && !swy::is_nothing(request.value(member))) losses.add(name);
  }
}

std::int64_t count(std::string_view answer, std::string_view path) {
  const auto number = json::to_integer(json::find_path(answer, path));
  return number && *number > 0 ? *number : 0;
}

std::string usage_of(std::int64_t tokens) {
  const std::string digits = std::to_string(tokens);
  return R"({"prompt_tokens":)" + digits + R"(,"total_tokens":)" + digits + "}";
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
                        "input: Cohere takes texts, not tokens");
  } else if (texts_.empty()) {
    swy::refuse_request(refusal_, SWY_CLS_BAD_REQUEST, "input",
                        "input: expected a string or strings");
  }
  note_unknown(request,
               {"model", "input", "dimensions", "encoding_format", "input_type", "truncate",
                "max_tokens", "priority"},
               losses_);
}

bool Embeddings::base64() const {
  return json::inside(request_.value("encoding_format")) == "base64";
}

const std::string& Embeddings::next_body() {
  body_.clear();
  json::Writer writer(body_);
  writer.open_object().key("model").text(request_.model());
  writer.key("texts").open_array();
  sent_ = std::min(texts_.size() - done_, kBatchMax);
  for (std::size_t i = done_; i < done_ + sent_; ++i) writer.raw(texts_[i]);
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
  std::size_t n = 0;
  while (cursor.element()) {
    if (!data_.empty()) data_ += ',';
    data_.append(R"({"object":"embedding","index":)").append(std::to_string(done_ + n++));
    data_.append(R"(,"embedding":)").append(cursor.value()).append("}");
  }
  tokens_ += count(answer, "meta.billed_units.input_tokens") +
             count(answer, "meta.billed_units.image_tokens");
  if (n != sent_) return false;
  done_ += n;
  return true;
}

std::string Embeddings::answer() const {
  return R"({"object":"list","data":[)" + data_ + R"(],"model":)" + json::quoted(request_.model()) +
         R"(,"usage":)" + usage_of(tokens_) + "}";
}

std::string Embeddings::usage() const { return usage_of(tokens_); }

void write_rerank(const swy::Request& request, RerankBody& body) {
  json::Writer& writer = body.writer.json();
  writer.open_object().key("model").text(request.model());
  for (const std::string_view name : {"query", "top_n", "max_tokens_per_doc", "priority"}) {
    const std::string_view value = request.value(name);
    if (json::is_null(value)) continue;
    writer.key(name);
    body.writer.value(value);
  }
  writer.key("documents").open_array();
  json::Cursor cursor(request.value("documents"));
  if (!cursor.array()) {
    swy::refuse_request(body.refusal, SWY_CLS_BAD_REQUEST, "documents",
                        "documents: expected an array");
    return;
  }
  while (cursor.element()) {
    const std::string_view document = cursor.value();
    const std::string_view text =
        json::type_of(document) == 's' ? document : json::find(document, "text");
    if (json::type_of(text) != 's') {
      swy::refuse_request(body.refusal, SWY_CLS_NOT_OFFERED, "documents",
                          "documents: Cohere ranks texts: strings, or objects with \"text\"");
      return;
    }
    body.writer.value(text);
  }
  writer.close_array().close_object();
  note_unknown(request,
               {"model", "query", "documents", "top_n", "return_documents", "max_tokens_per_doc",
                "priority"},
               body.losses);
}

std::string rerank_answer(const swy::Request& request, std::string_view answer) {
  json::Cursor results(json::find(answer, "results"));
  if (!json::valid(answer) || !results.array()) return {};
  const bool returns = json::is_true(request.value("return_documents"));
  std::vector<std::string_view> documents;
  json::Cursor given(request.value("documents"));
  if (returns && given.array()) {
    while (given.element()) documents.push_back(given.value());
  }
  std::string out;
  json::Writer writer(out);
  writer.open_object();
  const std::string_view id = json::find(answer, "id"), meta = json::find(answer, "meta");
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
  const std::string usage = rerank_usage(answer);
  if (!usage.empty()) writer.key("usage").raw(usage);
  if (!meta.empty()) writer.key("meta").raw(meta);
  writer.close_object();
  return out;
}

std::string rerank_usage(std::string_view answer) {
  const std::int64_t tokens = count(answer, "meta.tokens.input_tokens");
  return tokens > 0 ? usage_of(tokens) : std::string();
}

}  // namespace cohere

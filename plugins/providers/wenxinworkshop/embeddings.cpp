#include "providers/wenxinworkshop/embeddings.hpp"

namespace wenxinworkshop {

namespace json = swy::json;

Embeddings::Embeddings(const swy::Request& request)
    : EmbeddingTask(request, kBatchMax, "Baidu", {"model", "input", "encoding_format", "user"}) {}

const std::string& Embeddings::next_body() {
  body_.clear();
  json::Writer writer(body_);
  writer.open_object().key("input").open_array();
  for (const std::string_view text : texts_.batch()) writer.raw(text);
  writer.close_array();
  const std::string_view user = request_.value("user");
  if (!json::is_null(user)) writer.key("user_id").raw(user);
  writer.close_object();
  return body_;
}

bool Embeddings::take(std::string_view answer) {
  json::Cursor cursor(json::find(answer, "data"));
  if (!json::valid(answer) || !cursor.array()) return false;
  std::vector<std::string_view> vectors;
  while (cursor.element()) vectors.push_back(json::find(cursor.value(), "embedding"));
  return texts_.add(vectors,
                    json::to_integer(json::find_path(answer, "usage.total_tokens")).value_or(0));
}

}  // namespace wenxinworkshop

#include "providers/wenxinworkshop/embeddings.hpp"

#include <algorithm>

namespace wenxinworkshop {

namespace json = swy::json;

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
                        "input: texts are embedded, not tokens");
  } else if (texts_.empty()) {
    swy::refuse_request(refusal_, SWY_CLS_BAD_REQUEST, "input",
                        "input: expected a string or strings");
  }
  for (std::size_t i = 0; i < request.member_count(); ++i) {
    const std::string_view name = swy::view(request.member(i).name);
    if (swy::is_one_of(name, {"model", "input", "encoding_format", "user"})) continue;
    if (!swy::is_nothing(request.value(request.member(i)))) losses_.add(name);
  }
}

const std::string& Embeddings::next_body() {
  body_.clear();
  json::Writer writer(body_);
  writer.open_object().key("input").open_array();
  sent_ = std::min(texts_.size() - done_, kBatchMax);
  for (std::size_t i = done_; i < done_ + sent_; ++i) writer.raw(texts_[i]);
  writer.close_array();
  const std::string_view user = request_.value("user");
  if (!json::is_null(user)) writer.key("user_id").raw(user);
  writer.close_object();
  return body_;
}

bool Embeddings::take(std::string_view answer) {
  json::Cursor cursor(json::find(answer, "data"));
  if (!json::valid(answer) || !cursor.array()) return false;
  std::size_t n = 0;
  while (cursor.element()) {
    const std::string_view vector = json::find(cursor.value(), "embedding");
    if (json::type_of(vector) != 'a') return false;
    if (!data_.empty()) data_ += ',';
    data_.append(R"({"object":"embedding","index":)").append(std::to_string(done_ + n++));
    data_.append(R"(,"embedding":)").append(vector).append("}");
  }
  const auto tokens = json::to_integer(json::find_path(answer, "usage.total_tokens"));
  if (tokens && *tokens > 0) tokens_ += *tokens;
  if (n != sent_) return false;
  done_ += n;
  return true;
}

std::string Embeddings::usage() const {
  const std::string digits = std::to_string(tokens_);
  return R"({"prompt_tokens":)" + digits + R"(,"total_tokens":)" + digits + "}";
}

std::string Embeddings::answer() const {
  return R"({"object":"list","data":[)" + data_ + R"(],"model":)" + json::quoted(request_.model()) +
         R"(,"usage":)" + usage() + "}";
}

}  // namespace wenxinworkshop

// lists.hpp - embeddings and rerank for providers whose upstream has a form of its own: the texts
// of a request in batches, and the canonical answers. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <vector>

namespace swy {

// What of a request's members an upstream can't be told of.
inline void lose_unknown(const Request& request, std::initializer_list<std::string_view> known,
                         Losses& losses) {
  for (std::size_t i = 0; i < request.member_count(); ++i) {
    const swy_member& member = request.member(i);
    const std::string_view name = view(member.name);
    if (!is_one_of(name, known) && !is_nothing(request.value(member))) losses.add(name);
  }
}

// The usage of what only reads.
inline std::string prompt_usage(std::int64_t tokens) {
  const std::string digits = std::to_string(tokens);
  return R"({"prompt_tokens":)" + digits + R"(,"total_tokens":)" + digits + "}";
}

// The texts of an embeddings request, at most `batch_max` at a time; the answers to all are one.
class EmbeddingTexts {
 public:
  EmbeddingTexts(const Request& request, std::size_t batch_max, std::string_view vendor)
      : model_(request.model()), batch_max_(batch_max) {
    const std::string_view input = request.value("input");
    json::Cursor cursor(input);
    if (json::type_of(input) == 's') texts_.push_back(input);
    if (cursor.array()) {
      while (cursor.element()) texts_.push_back(cursor.value());
    }
    const bool words = std::all_of(texts_.begin(), texts_.end(), [](std::string_view text) {
      return json::type_of(text) == 's';
    });
    if (!words) {
      refuse_request(refusal_, SWY_CLS_NOT_OFFERED, "input",
                     "input: " + std::string(vendor) + " takes texts, not tokens");
    } else if (texts_.empty()) {
      refuse_request(refusal_, SWY_CLS_BAD_REQUEST, "input", "input: expected a string or strings");
    }
  }

  const std::optional<Refusal>& refusal() const { return refusal_; }
  // The next ones, as JSON strings; add() takes their vectors.
  std::span<const std::string_view> batch() const {
    return std::span(texts_).subspan(done_, std::min(texts_.size() - done_, batch_max_));
  }
  // The vectors of a batch in its order: lists of numbers, or base64 with its quotes. False where
  // there is not one for each text.
  bool add(std::span<const std::string_view> vectors, std::int64_t tokens) {
    if (vectors.size() != batch().size()) return false;
    for (const std::string_view vector : vectors) {
      if (vector.empty()) return false;
      if (!data_.empty()) data_ += ',';
      data_.append(R"({"object":"embedding","index":)").append(std::to_string(done_++));
      data_.append(R"(,"embedding":)").append(vector).append("}");
    }
    tokens_ += std::max<std::int64_t>(tokens, 0);
    return true;
  }
  bool complete() const { return done_ == texts_.size(); }
  std::string usage() const { return prompt_usage(tokens_); }
  std::string answer() const {
    return R"({"object":"list","data":[)" + data_ + R"(],"model":)" + json::quoted(model_) +
           R"(,"usage":)" + usage() + "}";
  }

 private:
  const std::string_view model_;
  const std::size_t batch_max_;
  std::optional<Refusal> refusal_;
  std::vector<std::string_view> texts_;
  std::size_t done_ = 0;
  std::string data_;
  std::int64_t tokens_ = 0;
};

// The embeddings of one request, batch by batch, in an upstream's form: derive, and say how a batch
// is asked for and answered.
class EmbeddingTask {
 public:
  virtual ~EmbeddingTask() = default;
  EmbeddingTask(const EmbeddingTask&) = delete;
  EmbeddingTask& operator=(const EmbeddingTask&) = delete;

  const std::optional<Refusal>& refusal() const { return texts_.refusal(); }
  const Losses& losses() const { return losses_; }
  // The body of the next batch, good until the next call.
  virtual const std::string& next_body() = 0;
  // Takes a batch's answer; false where it is none of one.
  virtual bool take(std::string_view answer) = 0;
  bool complete() const { return texts_.complete(); }
  std::string answer() const { return texts_.answer(); }
  std::string usage() const { return texts_.usage(); }

 protected:
  // At most `batch_max` texts a time; members that are not `known` are lost.
  EmbeddingTask(const Request& request, std::size_t batch_max, std::string_view vendor,
                std::initializer_list<std::string_view> known)
      : request_(request), texts_(request, batch_max, vendor) {
    lose_unknown(request, known, losses_);
  }

  const Request request_;
  EmbeddingTexts texts_;
  std::string body_;

 private:
  Losses losses_;
};

// The body of a rerank, and what can't be said in it.
struct RerankBody {
  BodyWriter writer;
  Losses losses;
  std::optional<Refusal> refusal;
};

// Writes the documents of a rerank request as strings. False, with a refusal, where they are none.
inline bool write_documents(const Request& request, BodyWriter& writer,
                            std::optional<Refusal>& refusal) {
  json::Cursor cursor(request.value("documents"));
  if (!cursor.array()) {
    refuse_request(refusal, SWY_CLS_BAD_REQUEST, "documents", "documents: expected an array");
    return false;
  }
  writer.json().key("documents").open_array();
  while (cursor.element()) {
    const std::string_view document = cursor.value();
    const std::string_view text =
        json::type_of(document) == 's' ? document : json::find(document, "text");
    if (json::type_of(text) != 's') {
      refuse_request(refusal, SWY_CLS_NOT_OFFERED, "documents",
                     "documents: texts are ranked: strings, or objects with \"text\"");
      return false;
    }
    writer.value(text);
  }
  writer.json().close_array();
  return true;
}

// A canonical rerank answer of an upstream's `results` ({"index","relevance_score"}), with the
// request's documents where they were asked for. more: further members, each with a comma before
// it, or empty. Empty where they are none.
inline std::string rerank_answer(const Request& request, std::string_view id,
                                 std::string_view upstream_results, std::string_view more) {
  json::Cursor results(upstream_results);
  if (!results.array()) return {};
  std::vector<std::string_view> documents;
  json::Cursor given(request.value("documents"));
  if (json::is_true(request.value("return_documents")) && given.array()) {
    while (given.element()) documents.push_back(given.value());
  }
  std::string out;
  json::Writer writer(out);
  writer.open_object();
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
  out += more;
  return out + "}";
}

}  // namespace swy

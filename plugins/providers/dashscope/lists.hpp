// Embeddings and rerank: bodies for DashScope's own API, and what its answers become.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <switchyard/lists.hpp>

namespace dashscope {

// Texts to embed go in batches of so many.
constexpr std::size_t kBatchMax = 10;

class Embeddings {
 public:
  explicit Embeddings(const swy::Request& request);

  const std::optional<swy::Refusal>& refusal() const { return texts_.refusal(); }
  const swy::Losses& losses() const { return losses_; }
  // The body of the next batch, good until the next call.
  const std::string& next_body();
  // Takes a batch's answer; false where it is none of one.
  bool take(std::string_view answer);
  bool complete() const { return texts_.complete(); }
  std::string answer() const { return texts_.answer(); }
  std::string usage() const { return texts_.usage(); }

 private:
  const swy::Request request_;
  swy::EmbeddingTexts texts_;
  swy::Losses losses_;
  std::string body_;
};

// The body for rerank; documents become strings.
struct RerankBody {
  swy::BodyWriter writer;
  swy::Losses losses;
  std::optional<swy::Refusal> refusal;
};
void write_rerank(const swy::Request& request, RerankBody& body);

// A rerank answer as the canonical one, documents from the request where they were asked for.
// Empty where it is none.
std::string rerank_answer(const swy::Request& request, std::string_view answer);
// Tokens that an answer counted; empty where it did not.
std::string list_usage(std::string_view answer);

}  // namespace dashscope

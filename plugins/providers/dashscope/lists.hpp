// Embeddings and rerank: bodies for DashScope's own API, and what its answers become.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/lists.hpp>

namespace dashscope {

// Texts to embed go in batches of so many.
constexpr std::size_t kBatchMax = 10;

class Embeddings : public swy::EmbeddingTask {
 public:
  explicit Embeddings(const swy::Request& request);

  const std::string& next_body() override;
  bool take(std::string_view answer) override;
};

// Documents become strings.
void write_rerank(const swy::Request& request, swy::RerankBody& body);

// A rerank answer as the canonical one, documents from the request where they were asked for.
// Empty where it is none.
std::string rerank_answer(const swy::Request& request, std::string_view answer);
// Tokens that an answer counted; empty where it did not.
std::string list_usage(std::string_view answer);

}  // namespace dashscope

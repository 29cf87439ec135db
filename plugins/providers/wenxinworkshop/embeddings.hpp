// Embeddings: bodies for version 1 of Baidu's API, and what its answers become.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/lists.hpp>

namespace wenxinworkshop {

// Texts to embed go in batches of so many.
constexpr std::size_t kBatchMax = 16;

class Embeddings : public swy::EmbeddingTask {
 public:
  explicit Embeddings(const swy::Request& request);

  const std::string& next_body() override;
  bool take(std::string_view answer) override;
};

}  // namespace wenxinworkshop

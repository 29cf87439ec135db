// Embeddings: bodies for version 1 of Baidu's API, and what its answers become.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <switchyard/lists.hpp>

namespace wenxinworkshop {

// Texts to embed go in batches of so many.
constexpr std::size_t kBatchMax = 16;

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

}  // namespace wenxinworkshop

// Embeddings and rerank: bodies for DashScope's own API, and what its answers become.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <vector>

namespace dashscope {

// Texts to embed go in batches of so many.
constexpr std::size_t kBatchMax = 10;

class Embeddings {
 public:
  explicit Embeddings(const swy::Request& request);

  const std::optional<swy::Refusal>& refusal() const { return refusal_; }
  const swy::Losses& losses() const { return losses_; }
  // The body of the next batch, good until the next call.
  const std::string& next_body();
  // Takes a batch's answer; false where it is none of one.
  bool take(std::string_view answer);
  bool complete() const { return done_ == texts_.size(); }
  std::string answer() const;
  std::string usage() const;

 private:
  const swy::Request request_;
  swy::Losses losses_;
  std::optional<swy::Refusal> refusal_;
  std::vector<std::string_view> texts_;  // JSON strings
  std::size_t done_ = 0, sent_ = 0;
  std::string body_, data_;
  std::int64_t tokens_ = 0;
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

// Wenxin Workshop, version 1 of Baidu's API for ERNIE: a token in the query, answers of a form of
// its own. No sockets, no clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_answer.hpp>
#include <switchyard/fault.hpp>
#include <switchyard/provider.hpp>

#include "providers/wenxinworkshop/embeddings.hpp"
#include "providers/wenxinworkshop/settings.hpp"

namespace wenxinworkshop {

// What an error means; `status` 200 for one within an answer, as most are.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

class Operation {
 public:
  // created: seconds since 1970, for answers that do not say. `settings` outlive it.
  Operation(const Settings& settings, const swy::Request& request, std::int64_t created);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next ask_for_token(swy::Out& out);
  swy::Next start_task(swy::Out& out);
  swy::Next start_chat(swy::Out& out);
  swy::Next send(std::string_view kind, const swy::Gather& body, bool streams, swy::Out& out);
  swy::Next send_batch(swy::Out& out);
  swy::Next on_data(std::string_view data, swy::Out& out);
  swy::Next on_end(swy::Out& out);
  swy::Next on_chat(std::string_view frame, swy::Out& out);
  swy::Next on_embeddings(std::string_view body, swy::Out& out);
  swy::Next refused(std::string_view body, swy::Out& out);
  swy::Next refused_token() const;
  swy::Next finish(std::string_view frame, swy::Out& out);
  swy::Next bad_answer(std::string what) const;

  const Settings* settings_;
  swy::Request request_;
  bool chat_, streaming_;
  bool exchanging_ = false, renewed_ = false;  // the key for a token; a token that was good no more
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
  swy::ChatAnswer answer_;
  swy::ChatUsage usage_;
  std::string schema_;                    // that the answer is held against
  std::optional<Embeddings> embeddings_;  // of that task
};

}  // namespace wenxinworkshop

// Version 2 of Cohere's API: chat, embeddings and rerank. No sockets, no clock, no globals: an
// operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/chat_answer.hpp>
#include <switchyard/fault.hpp>
#include <switchyard/provider.hpp>

#include "providers/cohere/lists.hpp"

namespace cohere {

// What an error means; `status` 200 for one within an answer.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

class Operation {
 public:
  // created: seconds since 1970, for a chat's answer.
  Operation(const swy::Request& request, std::int64_t created);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next start_chat(swy::Out& out);
  swy::Next start_rerank(swy::Out& out);
  swy::Next send_batch(swy::Out& out);
  swy::Next on_data(std::string_view data, swy::Out& out);
  swy::Next on_message(std::string_view body, swy::Out& out);
  swy::Next on_event(std::string_view data, swy::Out& out);
  swy::Next on_embeddings(std::string_view body, swy::Out& out);
  swy::Next on_rerank(std::string_view body, swy::Out& out);
  void on_content(std::string_view message, swy::Out& out);
  void on_call(std::string_view type, std::string_view message, swy::Out& out);
  swy::Next finish(std::string_view reason, std::string_view usage, swy::Out& out);
  swy::Next bad_answer(std::string what) const;

  swy::Request request_;
  bool chat_, streaming_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
  swy::ChatAnswer answer_;
  unsigned call_ = 0;                     // the open call's number
  std::optional<Embeddings> embeddings_;  // of that task
};

}  // namespace cohere

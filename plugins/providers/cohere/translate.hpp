// Version 2 of Cohere's API: chat, embeddings and rerank. No sockets, no clock, no globals: an
// operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <string_view>
#include <switchyard/task_operation.hpp>

namespace cohere {

// What an error means; `status` 200 for one within an answer.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

class Operation : public swy::TaskOperation {
 public:
  // created: seconds since 1970, for a chat's answer.
  Operation(const swy::Request& request, std::int64_t created);

 private:
  swy::Next start(swy::Out& out) override;
  swy::Next start_chat(swy::Out& out);
  swy::Next start_rerank(swy::Out& out);
  swy::Next send_batch(swy::Out& out) override;
  swy::Next send(std::string_view path, const swy::Gather& body, swy::Out& out) const;
  swy::Next on_data(const swy::Event& event, swy::Out& out) override;
  swy::Next on_end(swy::Out& out) override;
  swy::Next on_message(std::string_view body, swy::Out& out);
  swy::Next on_event(std::string_view data, swy::Out& out);
  void on_content(std::string_view message, swy::Out& out);
  void on_call(std::string_view type, std::string_view message, swy::Out& out);
  swy::Next finish(std::string_view reason, std::string_view usage, swy::Out& out);

  unsigned call_ = 0;  // the open call's number
};

}  // namespace cohere

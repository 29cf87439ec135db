// DashScope, the own API of Alibaba Model Studio: chat, embeddings and rerank. No sockets, no
// clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/task_operation.hpp>
#include <vector>

#include "providers/dashscope/settings.hpp"

namespace dashscope {

// What an error means; `status` 200 for one within an answer.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

class Operation : public swy::TaskOperation {
 public:
  // created: seconds since 1970, for a chat's answer. `settings` outlive it.
  Operation(const Settings& settings, const swy::Request& request, std::int64_t created);

 private:
  // A call that is still told of, by its index upstream.
  struct Call {
    unsigned choice;
    std::int64_t index;
    unsigned number;                  // in a stream
    std::string id, name, arguments;  // between quotes, of a whole answer
  };

  swy::Next start(swy::Out& out) override;
  swy::Next start_chat(swy::Out& out);
  swy::Next start_rerank(swy::Out& out);
  swy::Next send(std::string_view path, const swy::Gather& body, bool streams, swy::Out& out);
  swy::Next send_batch(swy::Out& out) override;
  swy::Next on_data(const swy::Event& event, swy::Out& out) override;
  swy::Next on_frame(std::string_view data, swy::Out& out);
  swy::Next on_end(swy::Out& out) override;
  void on_choice(unsigned number, std::string_view choice, swy::Out& out);
  void on_content(unsigned number, std::string_view content, swy::Out& out);
  void on_call(unsigned number, std::string_view call, std::int64_t place, swy::Out& out);
  void put_calls(swy::Out& out);
  void put_sources(swy::Out& out);
  void note_usage(std::string_view usage);
  std::string call_id(std::string_view id, std::size_t number) const;

  const Settings* settings_;
  swy::ChatUsage usage_;
  std::vector<Call> calls_;
  std::string sources_;      // of a search: the list as it came
  std::string_view schema_;  // that the answer is held against
};

}  // namespace dashscope

// Wenxin Workshop, version 1 of Baidu's API for ERNIE: a token in the query, answers of a form of
// its own. No sockets, no clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/task_operation.hpp>

#include "providers/wenxinworkshop/settings.hpp"

namespace wenxinworkshop {

// What an error means; `status` 200 for one within an answer, as most are.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

class Operation : public swy::TaskOperation {
 public:
  // created: seconds since 1970, for answers that do not say. `settings` outlive it.
  Operation(const Settings& settings, const swy::Request& request, std::int64_t created);

 private:
  swy::Next start(swy::Out& out) override;
  swy::Next ask_for_token(swy::Out& out);
  swy::Next start_task(swy::Out& out);
  swy::Next start_chat(swy::Out& out);
  swy::Next send(std::string_view kind, const swy::Gather& body, bool streams, swy::Out& out);
  swy::Next send_batch(swy::Out& out) override;
  swy::Next on_data(const swy::Event& event, swy::Out& out) override;
  swy::Next on_end(swy::Out& out) override;
  swy::Next on_chat(std::string_view frame, swy::Out& out);
  swy::Next refused(std::string_view body, swy::Out& out);
  swy::Next refused_token() const;
  swy::Next finish(std::string_view frame, swy::Out& out);

  const Settings* settings_;
  bool exchanging_ = false, renewed_ = false;  // the key for a token; a token that was good no more
  swy::ChatUsage usage_;
  std::string schema_;  // that the answer is held against
};

}  // namespace wenxinworkshop

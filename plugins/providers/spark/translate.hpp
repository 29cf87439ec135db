// iFlytek Spark over its WebSocket: one signed connection, one message that asks and any number
// that answer. No sockets, no clock, no globals: an operation sees events and writes through
// swy::Out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <switchyard/chat_answer.hpp>
#include <switchyard/fault.hpp>
#include <switchyard/provider.hpp>

#include "providers/spark/chat.hpp"
#include "providers/spark/settings.hpp"
#include "providers/spark/signature.hpp"

namespace spark {

// What an error means; `status` 200 for one within an answer.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

class Operation {
 public:
  // created: seconds since 1970, for answers that do not say. `settings` outlive it.
  Operation(const Settings& settings, swy::Signer signer, const swy::Request& request,
            std::int64_t created);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next sign(const swy::Event& event, swy::Out& out);
  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_refusal(std::string_view body, swy::Out& out) const;
  swy::Next on_message(std::string_view message, swy::Out& out);
  void on_text(std::string_view text, swy::Out& out);
  void on_call(std::string_view call, swy::Out& out);
  void note_usage(std::string_view usage);
  swy::Next finish(swy::Out& out);
  swy::Next end(std::string_view reason, std::string_view native, swy::Out& out);
  swy::Next bad_answer(std::string what) const;

  const Settings* settings_;
  swy::Signer signer_;
  swy::Request request_;
  Address address_;
  std::unique_ptr<ChatBody> body_;  // until it was sent
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
  swy::ChatAnswer answer_;
  swy::ChatUsage usage_;
  std::string sid_;     // of the answer, between quotes
  std::string schema_;  // that the answer is held against
  std::int64_t tokens_max_ = 0;
  bool said_ = false;
};

}  // namespace spark

// Anthropic's Messages API for canonical chat: requests out, answers and streams back. What is in
// its own dialect already passes as it is. No sockets, no clock, no globals: an operation sees
// events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/chat_answer.hpp>
#include <switchyard/fault.hpp>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>
#include <unordered_set>

#include "providers/anthropic/to_upstream.hpp"

namespace anthropic {

// config_json: {"settings": {"version", "betas", "max_tokens"}}.
swy::Result<Settings> parse_settings(std::string_view config_json);

// What an error means; `body` is whatever came, `status` 200 for an error within an answer.
swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body);

class Operation {
 public:
  // now: seconds since 1970, for the answer's `created`.
  Operation(const Settings& settings, const swy::Request& request, std::int64_t now);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  enum class Block { kNone, kText, kThinking, kCall, kCustomCall, kOpaque, kIgnored };

  swy::Next start(swy::Out& out);
  swy::Next start_native(swy::Out& out);
  swy::Next send(swy::Out& out, std::string_view method, std::string_view path,
                 std::uint32_t framing);
  swy::Next ask_for_models(swy::Out& out);
  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_data(const swy::Event& event, swy::Out& out);
  swy::Next on_end();
  swy::Next on_models(std::string_view body, swy::Out& out);
  swy::Next on_message(std::string_view body, swy::Out& out);
  swy::Next on_event(std::string_view data, swy::Out& out);
  swy::Next on_native_event(std::string_view data, swy::Out& out);
  swy::Next on_native_answer(std::string_view body, swy::Out& out);
  bool counts() const { return request_.task() == "count_tokens"; }
  bool on_message_start(std::string_view message, swy::Out& out);
  void on_message_delta(std::string_view delta, std::string_view usage, swy::Out& out);
  swy::Next on_message_stop(swy::Out& out);
  bool begin_block(std::string_view block, swy::Out& out);
  bool on_block_delta(std::string_view delta, swy::Out& out);
  bool end_block(swy::Out& out);
  void begin_call(std::string_view block, swy::Out& out);
  void end_custom_call(swy::Out& out);
  void end_opaque(swy::Out& out);
  void end_text(swy::Out& out);
  void note_citation(std::string_view citation);
  void note_stop(std::string_view holder, swy::Out& out);
  void note_usage(std::string_view usage);
  swy::ChatUsage usage() const;
  swy::Next refuse(std::string_view body, swy::Out& out);
  swy::Next bad_answer(std::string what) const;

  const Settings* settings_;
  swy::Request request_;
  bool streaming_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;

  swy::ChatAnswer answer_;
  std::unordered_set<std::string> custom_tools_;

  Block block_ = Block::kNone;
  std::int64_t block_index_ = -1;
  bool block_open_ = false, arguments_seen_ = false;
  unsigned call_ = 0;          // the open call's number
  std::size_t text_from_ = 0;  // where the open text block begins
  std::string citations_;      // of the open text block: elements of an array
  std::string held_;           // input of a custom or a server's own call, unescaped
  std::string block_text_, call_id_, call_name_;

  // As Anthropic counts: the input without what a cache read or wrote.
  std::optional<std::int64_t> input_, cache_read_, cache_write_, cache_write_1h_, output_,
      thinking_, searches_;
  std::string service_tier_;
  bool stopped_ = false;  // a stop_reason came
  bool begun_ = false;    // a native stream

  std::string models_, after_;  // the list so far, and where the next page begins
  unsigned pages_ = 0;
};

}  // namespace anthropic

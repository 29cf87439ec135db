// Amazon Bedrock's Converse and ConverseStream: requests out, answers and streams back. No sockets,
// no clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/chat_answer.hpp>
#include <switchyard/fault.hpp>
#include <switchyard/provider.hpp>
#include <switchyard/sign.hpp>
#include <vector>

#include "providers/bedrock/request.hpp"

namespace bedrock {

struct Settings {
  std::string region;  // of base_url; a credential's part may name another
};

swy::Result<Settings> parse_settings(std::string_view config_json);

class Operation {
 public:
  // created: seconds since 1970, for the answer.
  Operation(const Settings& settings, swy::Signer signer, const swy::Request& request,
            std::int64_t created);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  // A content block of the stream that is open.
  struct Block {
    enum Kind { kNone, kText, kReasoning, kCall };
    Kind kind = kNone;
    unsigned call = 0;       // its number among the calls
    std::size_t from = 0;    // where its text begins
    bool arguments = false;  // some came
  };

  swy::Next start(swy::Out& out);
  swy::Next send(swy::Out& out);
  swy::Next sign(const swy::Event& event, swy::Out& out);
  swy::Next on_head(const swy::Event& event);
  swy::Next on_data(const swy::Event& event, swy::Out& out);
  swy::Next on_end(swy::Out& out);

  swy::Next on_message(std::string_view name, std::string_view payload, swy::Out& out);
  void start_block(std::string_view payload, swy::Out& out);
  void add_to_block(std::string_view payload, swy::Out& out);
  void add_reasoning(Block& block, std::string_view reasoning, swy::Out& out);
  void stop_block(std::string_view payload, swy::Out& out);
  Block* block_of(std::string_view payload);

  swy::Next on_whole(std::string_view body, swy::Out& out);
  void put_block(std::string_view block, swy::Out& out);
  void put_reasoning(std::string_view reasoning, swy::Out& out);
  void put_cited(std::string_view cited, swy::Out& out);
  // A source of the text from there on, where it is a page of the web.
  void cite(std::string_view citation, std::size_t from, swy::Out& out);

  // False for a reason that is a fault of the model.
  bool note_stop(std::string_view reason, swy::Out& out);
  void note_usage(std::string_view usage);
  void note_tier(std::string_view tier);
  swy::Next bad_answer(std::string what, swy::Out& out) const;

  const Settings* settings_;
  swy::Signer signer_;
  swy::Request request_;
  swy::Pictures pictures_;  // which Converse does not fetch by itself
  bool streaming_, signs_;
  bool wants_thoughts_back_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
  std::string error_type_;
  swy::ChatAnswer answer_;
  swy::ChatUsage usage_;
  std::vector<Block> blocks_;
};

}  // namespace bedrock

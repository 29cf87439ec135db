// Images and sound: requests as JSON or as forms, answers as documents or as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/provider.hpp>

#include "providers/openai/dialect.hpp"
#include "providers/openai/translate.hpp"

namespace openai {

// True for the tasks that MediaOperation does.
bool is_media(std::string_view task);

class MediaOperation {
 public:
  MediaOperation(const Settings& settings, const swy::Request& request);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_data(std::string_view data, swy::Out& out);
  swy::Next on_whole(std::string_view body, swy::Out& out);
  swy::Next on_end(swy::Out& out);
  void keep_tail(std::string_view data);
  void count_relayed(swy::Out& out) const;
  swy::Next refuse(std::string_view body, swy::Out& out);

  const Settings* settings_;
  swy::Request request_;
  bool relays_;  // the answer's bytes pass as they are
  bool any_ = false, in_events_ = false;
  std::string tail_;  // the end of an answer in events, where its usage is
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
};

}  // namespace openai

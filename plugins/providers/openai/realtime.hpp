// OpenAI's realtime sessions: messages pass byte for byte both ways; usage is read on the way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/provider.hpp>

#include "providers/openai/translate.hpp"

namespace openai {

class RealtimeOperation {
 public:
  RealtimeOperation(const Settings& settings, const swy::Request& request)
      : settings_(&settings), request_(request) {}

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_refusal(std::string_view body, swy::Out& out);
  swy::Next on_closed(const swy::Event& event, swy::Out& out);
  void note(std::string_view message, swy::Out& out);
  void add_usage(std::string_view usage, swy::Out& out);

  const Settings* settings_;
  swy::Request request_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;
  bool transcribes_ = false;  // the session itself is one of transcription, and has no responses
  // Of all responses of the session, or transcriptions.
  std::uint64_t input_ = 0, output_ = 0, cached_ = 0, cached_audio_ = 0, audio_in_ = 0,
                image_in_ = 0, audio_out_ = 0, milliseconds_ = 0;
};

}  // namespace openai

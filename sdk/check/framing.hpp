// Cuts an answer's bytes into DATA events as the host does, whatever pieces they come in; and puts
// frames together, for transcripts that are written as frames.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace swy::check {

struct Frame {
  std::string name, data;
};

class Framer {
 public:
  explicit Framer(std::uint32_t framing) : framing_(framing) {}

  // Takes bytes and appends the frames that they complete. False where they are none of this
  // framing (AWS alone can be that wrong).
  bool feed(std::string_view bytes, std::vector<Frame>& frames);
  // The answer has ended: what still counts as a frame.
  void finish(std::vector<Frame>& frames);

 private:
  void line(std::string_view text, std::vector<Frame>& frames);
  void event(std::vector<Frame>& frames);
  bool aws(std::vector<Frame>& frames);

  std::uint32_t framing_;
  std::string pending_, name_, data_;
  bool has_data_ = false, after_cr_ = false, first_line_ = true;
};

// The bytes of one frame under a framing.
std::string frame_bytes(std::uint32_t framing, const Frame& frame);

const char* framing_name(std::uint32_t framing);
std::uint32_t framing_of(std::string_view name);  // UINT32_MAX where there is none

}  // namespace swy::check

// Server-sent events (WHATWG HTML 9.2.6) out of bytes that come in any cut.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace switchyard::net {

struct SseEvent {
  std::string_view name;  // empty where none was given
  std::string_view data;  // the data lines joined by LF
};

class SseDecoder {
 public:
  enum class State { kNeedMore, kEvent, kTooLarge };

  explicit SseDecoder(std::size_t event_bytes_max = 16u * 1024 * 1024)
      : event_bytes_max_(event_bytes_max) {}

  // Takes bytes from the front of `input` (and shortens it) until an event is complete or the input
  // is used up. Events without data are passed over. The event's views live until the next call or
  // until the bytes behind `input` go; where a whole event stands in one input with one data line,
  // nothing is copied. LF, CR and CRLF end lines; a BOM at the start is dropped; comments and
  // unknown fields are passed over. kTooLarge: a line, or the name and data of an event, passed the
  // limit; it stays so.
  State next(std::string_view& input, SseEvent& event);

  // At the end of the stream: an event that only lacks its empty line counts as complete (servers
  // forget it, and some forget the last LF as well).
  State finish(SseEvent& event);

 private:
  // A field's value: where it stands in the input, or a copy once it has to outlive that.
  struct Text {
    std::string_view view;
    std::string copy;

    void keep();  // makes `view` independent of the input
    void clear();
  };

  void forget_event();
  void take_bom(std::string_view& input);
  State take_line(std::string_view line, bool& dispatched);
  void take_field(std::string_view line);

  std::size_t event_bytes_max_;
  std::string line_;  // the begun line's bytes out of earlier inputs
  Text name_, data_;
  bool has_data_ = false;
  bool given_ = false;     // the event was given out; the next call forgets it
  bool after_cr_ = false;  // an LF that comes next belongs to the CR before it
  bool too_large_ = false;
  unsigned char bom_ = 0;  // bytes of a BOM seen; 3: no more expected
};

}  // namespace switchyard::net

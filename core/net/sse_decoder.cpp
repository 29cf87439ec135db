#include "core/net/sse_decoder.hpp"

#include "core/base/scan_bytes.hpp"

namespace switchyard::net {
namespace {

constexpr std::string_view kBom = "\xEF\xBB\xBF";
// What a decoder keeps of its buffers between events: streams are many and mostly idle.
constexpr std::size_t kKeptBytes = 1024;

void empty(std::string& text) {
  if (text.capacity() > kKeptBytes) {
    std::string().swap(text);
  } else {
    text.clear();
  }
}

}  // namespace

void SseDecoder::Text::keep() {
  if (view.data() == copy.data()) return;
  copy.assign(view);
  view = copy;
}

void SseDecoder::Text::clear() {
  empty(copy);
  view = {};
}

void SseDecoder::forget_event() {
  name_.clear();
  data_.clear();
  has_data_ = false;
}

void SseDecoder::take_bom(std::string_view& input) {
  while (bom_ < kBom.size() && !input.empty()) {
    if (input[0] != kBom[bom_]) {
      line_.assign(kBom.substr(0, bom_));  // it only began like one
      bom_ = kBom.size();
      return;
    }
    input.remove_prefix(1);
    ++bom_;
  }
}

void SseDecoder::take_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value;
  if (colon != std::string_view::npos) value = line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);

  if (field == "data") {
    if (has_data_) {
      data_.keep();
      data_.copy.push_back('\n');
      data_.copy.append(value);
      data_.view = data_.copy;
    } else {
      data_.view = value;
      has_data_ = true;
    }
  } else if (field == "event") {
    name_.view = value;
  }
}

SseDecoder::State SseDecoder::take_line(std::string_view line, bool& dispatched) {
  dispatched = false;
  if (line.empty()) {
    dispatched = has_data_;
    if (!has_data_) forget_event();
    return State::kNeedMore;
  }
  if (line.size() <= event_bytes_max_) take_field(line);
  too_large_ =
      line.size() > event_bytes_max_ || name_.view.size() + data_.view.size() > event_bytes_max_;
  return too_large_ ? State::kTooLarge : State::kNeedMore;
}

SseDecoder::State SseDecoder::next(std::string_view& input, SseEvent& event) {
  if (too_large_) return State::kTooLarge;
  if (given_) forget_event();
  given_ = false;
  take_bom(input);

  while (!input.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (input[0] == '\n') {
        input.remove_prefix(1);
        continue;
      }
    }
    const char* const end = input.data() + input.size();
    const char* const stop = find_line_end(input.data(), end);
    const auto size = static_cast<std::size_t>(stop - input.data());
    std::string_view line = input.substr(0, size);
    if (stop == end) {
      if (line_.size() + size > event_bytes_max_) too_large_ = true;
      if (too_large_) return State::kTooLarge;
      line_.append(line);
      input = {};
      break;
    }
    after_cr_ = *stop == '\r';
    input.remove_prefix(size + 1);
    const bool joined = !line_.empty();
    if (joined) line = line_.append(line);

    bool dispatched = false;
    const State state = take_line(line, dispatched);
    if (state == State::kTooLarge) return state;
    if (joined) {
      name_.keep();
      data_.keep();
      empty(line_);
    }
    if (dispatched) {
      event = {name_.view, data_.view};
      given_ = true;
      return State::kEvent;
    }
  }
  // The input may go before the event's end comes.
  name_.keep();
  data_.keep();
  return State::kNeedMore;
}

SseDecoder::State SseDecoder::finish(SseEvent& event) {
  if (too_large_) return State::kTooLarge;
  if (given_) forget_event();
  given_ = false;
  // A field name that was cut off is no field.
  if (line_.find(':') != std::string::npos) {
    bool dispatched = false;
    if (take_line(line_, dispatched) == State::kTooLarge) return State::kTooLarge;
    name_.keep();
    data_.keep();
  }
  line_.clear();
  if (!has_data_) return State::kNeedMore;
  event = {name_.view, data_.view};
  given_ = true;
  return State::kEvent;
}

}  // namespace switchyard::net

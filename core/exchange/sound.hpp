// How long an uploaded sound is, by its own bytes. Transcriptions are sold by the second, and most
// upstreams don't tell how many there were.
#pragma once

#include <cstdint>
#include <string_view>

namespace switchyard::exchange {

struct Sound {
  std::uint64_t seconds = 0;       // about; begun ones whole
  std::uint64_t seconds_most = 0;  // for a hold

  Sound& operator+=(const Sound& other);
};

// WAV, FLAC, MP3 and AAC in frames, Ogg, MP4, Matroska. What is counted is what a decoder would
// play, as far as that shows without decoding; what a file merely says of itself counts no less
// than its bytes at the highest bit rate of its kind. Where nothing can be read: by the bytes, at
// 128 kbit/s, and for a hold at 16 kbit/s. Never 0. Reads all of the file; allocates nothing.
Sound measure_sound(std::string_view file);

// Of a sound that does not come with the request: ten minutes, an hour for a hold.
Sound unseen_sound();

}  // namespace switchyard::exchange

#include "core/exchange/sound.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>
#include <optional>

namespace switchyard::exchange {
namespace {

using Bytes = std::string_view;

constexpr std::uint64_t kSecond = 1'000'000'000;  // in nanoseconds, as all times here
constexpr std::uint64_t kLongest = 1'000'000 * kSecond;

// In kbit/s. Where nothing can be read: MP3 as it is usual, and speech as it is sparse.
constexpr std::uint64_t kUsualRate = 128, kSparseRate = 16;
// More than any coder of sound makes (MP3 320, AAC and Opus 512), than lossless sound in MP4, than
// the densest FLAC (stereo of 192 kHz in 24 bits), and than films that are sent to be heard.
constexpr std::uint64_t kCodedRateMax = 512, kLosslessRateMax = 1536, kFlacRateMax = 9216,
                        kFilmRateMax = 20'000;

struct Measured {
  std::uint64_t ns = 0;     // 0: nothing can be read
  std::uint64_t least = 0;  // whatever a file says of itself
};

// Beyond the end there are only zeros.
unsigned byte_at(Bytes bytes, std::size_t at) {
  return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
}

std::uint64_t big(Bytes bytes, std::size_t at, unsigned n) {
  std::uint64_t number = 0;
  for (unsigned i = 0; i < n; ++i) number = number << 8 | byte_at(bytes, at + i);
  return number;
}

std::uint64_t little(Bytes bytes, std::size_t at, unsigned n) {
  std::uint64_t number = 0;
  for (unsigned i = n; i-- > 0;) number = number << 8 | byte_at(bytes, at + i);
  return number;
}

Bytes part(Bytes bytes, std::size_t at, std::size_t n = Bytes::npos) {
  return bytes.substr(std::min(at, bytes.size()), n);
}

// `per_second` has 32 bits at most.
std::uint64_t time_of(std::uint64_t units, std::uint64_t per_second) {
  if (per_second == 0) return 0;
  if (units / per_second >= kLongest / kSecond) return kLongest;
  return units / per_second * kSecond + units % per_second * kSecond / per_second;
}

std::uint64_t time_at(std::uint64_t bytes, std::uint64_t kbit) {
  return time_of(bytes * 8, kbit * 1000);
}

// ---- WAV (Microsoft, Multimedia Programming Interface and Data Specifications 1.0; EBU Tech 3306)

// Of sound as it is; 0 where a coder made it, whose rate the header may say anything of.
std::uint64_t wav_bytes_per_second(Bytes format) {
  constexpr std::uint64_t kPcm = 1, kFloat = 3, kALaw = 6, kMuLaw = 7, kExtensible = 0xFFFE;
  std::uint64_t tag = little(format, 0, 2);
  if (tag == kExtensible) tag = little(format, 24, 2);
  if (tag != kPcm && tag != kFloat && tag != kALaw && tag != kMuLaw) return 0;
  const std::uint64_t channels = little(format, 2, 2), rate = little(format, 4, 4);
  const std::uint64_t bits = tag == kALaw || tag == kMuLaw ? 8 : little(format, 14, 2);
  if (channels > 8 || rate > 192'000 || bits > 64) return 0;
  return channels * rate * ((bits + 7) / 8);
}

// All that follows counts as sound: sizes are wrong in what was streamed, and may be meant to be.
// So may a second format behind the one that decoders go by.
std::uint64_t wav_time(Bytes file) {
  std::optional<std::uint64_t> bytes_per_second;
  for (std::size_t at = 12; at + 8 <= file.size();) {
    const Bytes name = part(file, at, 4);
    const std::uint64_t size = little(file, at + 4, 4);
    at += 8;
    if (name == "data") return time_of(file.size() - at, bytes_per_second.value_or(0));
    if (name == "fmt " && !bytes_per_second)
      bytes_per_second = wav_bytes_per_second(part(file, at));
    at += size + (size & 1);
  }
  return 0;
}

// ---- MP3 (ISO 11172-3, 13818-3) and AAC (13818-7, ADTS): frames that follow one another

struct Frame {
  std::size_t bytes = 0;  // 0: there is none
  std::uint64_t ns = 0;
};

Frame adts_frame(Bytes file, std::size_t at) {
  constexpr std::uint64_t kRates[] = {96'000, 88'200, 64'000, 48'000, 44'100, 32'000, 24'000,
                                      22'050, 16'000, 12'000, 11'025, 8'000,  7'350};
  const std::size_t rate = byte_at(file, at + 2) >> 2 & 15;
  const std::size_t bytes = big(file, at + 3, 3) >> 5 & 0x1FFF;
  if ((byte_at(file, at + 1) & 0xF6) != 0xF0 || rate >= std::size(kRates) || bytes < 7) return {};
  return {bytes, time_of(1024 * ((byte_at(file, at + 6) & 3) + 1), kRates[rate])};
}

std::uint64_t mpeg_kbit(bool first, unsigned layer, std::size_t index) {
  constexpr std::uint64_t kFirst2[] = {32,  48,  56,  64,  80,  96,  112,
                                       128, 160, 192, 224, 256, 320, 384};
  constexpr std::uint64_t kFirst3[] = {32,  40,  48,  56,  64,  80,  96,
                                       112, 128, 160, 192, 224, 256, 320};
  constexpr std::uint64_t kSecond1[] = {32,  48,  56,  64,  80,  96,  112,
                                        128, 144, 160, 176, 192, 224, 256};
  constexpr std::uint64_t kSecond23[] = {8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160};
  if (layer == 1) return first ? 32 * (index + 1) : kSecond1[index];
  if (!first) return kSecond23[index];
  return layer == 2 ? kFirst2[index] : kFirst3[index];
}

Frame mpeg_frame(Bytes file, std::size_t at) {
  constexpr std::uint64_t kRates[] = {44'100, 48'000, 32'000};
  const std::uint64_t head = big(file, at, 4);
  if (head >> 21 != 0x7FF) return {};
  const unsigned version = head >> 19 & 3, layer = 4 - (head >> 17 & 3);  // 2.5, none, 2, 1
  if (layer == 4) return adts_frame(file, at);
  const std::size_t index = head >> 12 & 15, rate = head >> 10 & 3;
  if (version == 1 || index == 0 || index == 15 || rate == 3) return {};
  const bool first = version == 3;
  const std::uint64_t hertz = kRates[rate] >> (first ? 0 : version == 2 ? 1 : 2);
  const std::uint64_t samples = layer == 1 ? 384 : layer == 3 && !first ? 576 : 1152;
  const std::uint64_t slot = layer == 1 ? 4 : 1, padding = head >> 9 & 1;
  const std::uint64_t bits = samples * mpeg_kbit(first, layer, index - 1) * 1000;
  return {(bits / (8 * slot * hertz) + padding) * slot, time_of(samples, hertz)};
}

// How many bytes of tags stand in front.
std::size_t id3_bytes(Bytes file) {
  std::size_t at = 0;
  while (part(file, at).starts_with("ID3")) {
    std::size_t size = 0;
    for (std::size_t i = 6; i < 10; ++i) size = size << 7 | (byte_at(file, at + i) & 0x7F);
    const bool footer = (byte_at(file, at + 5) & 0x10) != 0;
    at += size + (footer ? 20 : 10);
  }
  return std::min(at, file.size());
}

// Where a frame begins that no other one ended at, there must be a second one; and frames make up
// most of the file, else it is something else.
std::uint64_t mpeg_time(Bytes file) {
  std::uint64_t total = 0, covered = 0;
  bool in_step = false;
  for (std::size_t at = 0; at < file.size();) {
    const Frame frame = mpeg_frame(file, at);
    in_step = frame.bytes != 0 && (in_step || mpeg_frame(file, at + frame.bytes).bytes != 0);
    if (in_step) {
      total += frame.ns;
      covered += frame.bytes;
      at += frame.bytes;
    } else {
      at = file.find('\xFF', at + 1);
    }
  }
  return covered >= file.size() / 2 ? total : 0;
}

// ---- FLAC (RFC 9639): each frame has a header with a checksum

unsigned crc8(Bytes bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1 ^ ((crc & 0x80) != 0 ? 0x07 : 0)) & 0xFF;
  }
  return crc;
}

std::uint64_t flac_block(Bytes file, std::size_t& at, unsigned code) {
  if (code == 1) return 192;
  if (code >= 2 && code <= 5) return 576u << (code - 2);
  if (code >= 8) return 256u << (code - 8);
  if (code == 0) return 0;
  const unsigned n = code - 5;  // 6: a byte, 7: two
  at += n;
  return big(file, at - n, n) + 1;
}

std::uint64_t flac_rate(Bytes file, std::size_t& at, unsigned code, std::uint64_t stream_rate) {
  constexpr std::uint64_t kRates[] = {0,      88'200, 176'400, 192'000, 8'000,  16'000,
                                      22'050, 24'000, 32'000,  44'100,  48'000, 96'000};
  if (code == 0) return stream_rate;
  if (code < std::size(kRates)) return kRates[code];
  if (code == 15) return 0;
  const unsigned n = code == 12 ? 1 : 2;
  at += n;
  const std::uint64_t number = big(file, at - n, n);
  return code == 12 ? number * 1000 : code == 13 ? number : number * 10;
}

// `bytes` is the header's.
Frame flac_frame(Bytes file, std::size_t begin, std::uint64_t stream_rate) {
  const std::uint64_t head = big(file, begin, 4);
  const bool known = head >> 17 == 0x7FFC && (head >> 4 & 15) <= 10 && (head & 1) == 0;
  if (!known) return {};
  std::size_t at = begin + 4;
  // The frame's number, in as many bytes as its first one has leading ones.
  const int ones = std::countl_one(static_cast<unsigned char>(byte_at(file, at)));
  at += static_cast<std::size_t>(std::max(ones, 1));
  const std::uint64_t block = flac_block(file, at, head >> 12 & 15);
  const std::uint64_t rate = flac_rate(file, at, head >> 8 & 15, stream_rate);
  if (block == 0 || rate == 0 || at >= file.size()) return {};
  if (crc8(part(file, begin, at - begin)) != byte_at(file, at)) return {};
  return {at + 1 - begin, time_of(block, rate)};
}

std::uint64_t flac_time(Bytes file) {
  const std::uint64_t stream_rate = big(file, 18, 3) >> 4;
  std::uint64_t total = 0;
  for (std::size_t at = 42; at < file.size();) {
    const Frame frame = flac_frame(file, at, stream_rate);
    total = std::min(total + frame.ns, kLongest);
    at = file.find('\xFF', at + std::max<std::size_t>(frame.bytes, 1));
  }
  return total;
}

// ---- Ogg (RFC 3533) with Opus (RFC 6716, 7845), Vorbis or Speex

std::uint64_t opus_time(Bytes packet) {
  constexpr std::uint64_t kMicroseconds[] = {10'000, 20'000, 40'000, 60'000,
                                             2'500,  5'000,  10'000, 20'000};
  if (packet.empty() || packet.starts_with("OpusHead") || packet.starts_with("OpusTags")) return 0;
  const unsigned head = byte_at(packet, 0), config = head >> 3;
  const std::size_t size = config < 12 ? config % 4 : config < 16 ? config % 2 : 4 + config % 4;
  const unsigned code = head & 3;
  const unsigned frames = code == 0 ? 1 : code < 3 ? 2 : byte_at(packet, 1) & 63;
  return frames * kMicroseconds[size] * 1000;
}

// One stream after the other; of several at once, the last that began.
class OggReader {
 public:
  std::uint64_t time(Bytes file) {
    for (std::size_t at = file.find("OggS"); at < file.size(); at = file.find("OggS", at)) {
      at += take_page(part(file, at));
    }
    end_stream();
    return total_;
  }

 private:
  std::size_t take_page(Bytes page) {
    const unsigned flags = byte_at(page, 5), pieces = byte_at(page, 26);
    const Bytes sizes = part(page, 27, pieces), body = part(page, 27 + pieces);
    if ((flags & kBegins) != 0) begin_stream(little(page, 14, 4), body);
    std::size_t size = 0;
    for (const char piece : sizes) size += static_cast<unsigned char>(piece);
    if (little(page, 14, 4) == serial_) {
      const std::uint64_t position = little(page, 6, 8);
      if (position != UINT64_MAX) position_ = std::max(position_, position);
      if (opus_) take_packets(sizes, body, (flags & kContinues) != 0);
    }
    return 27 + sizes.size() + std::min(size, body.size());
  }

  void take_packets(Bytes sizes, Bytes body, bool inside) {
    std::size_t at = 0;
    for (const char piece : sizes) {
      const auto size = static_cast<unsigned char>(piece);
      if (!inside) total_ += opus_time(part(body, at));
      inside = size == 255;
      at += size;
    }
  }

  void begin_stream(std::uint64_t serial, Bytes head) {
    const bool vorbis = head.starts_with("\x01vorbis"), speex = head.starts_with("Speex   ");
    const bool opus = head.starts_with("OpusHead");
    if (!opus && !vorbis && !speex) return;
    end_stream();
    serial_ = serial;
    opus_ = opus;
    rate_ = vorbis ? little(head, 12, 4) : speex ? little(head, 36, 4) : 0;
  }

  // The packets of Opus were counted; how long others play only their positions tell.
  void end_stream() {
    total_ = std::min(total_ + time_of(position_, rate_), kLongest);
    position_ = rate_ = 0;
    opus_ = false;
  }

  static constexpr unsigned kContinues = 1, kBegins = 2;
  std::uint64_t total_ = 0, position_ = 0, rate_ = 0, serial_ = UINT64_MAX;
  bool opus_ = false;
};

// ---- MP4 (ISO 14496-12)

class Mp4Reader {
 public:
  Measured measure(Bytes file) {
    read(file, 0);
    const std::uint64_t least = time_at(file.size(), film_ ? kFilmRateMax : kLosslessRateMax);
    return {said_, std::max(least, frames_ * kFrameLeast)};
  }

 private:
  // 480 samples at 48 kHz: no coder's frame is shorter.
  static constexpr std::uint64_t kFrameLeast = 10'000'000;

  void read(Bytes boxes, unsigned depth) {
    while (boxes.size() >= 8) {
      std::uint64_t size = big(boxes, 0, 4);
      const std::size_t head = size == 1 ? 16 : 8;
      if (size == 1) size = big(boxes, 8, 8);
      if (size == 0) size = boxes.size();  // to the end
      if (size < head) return;
      const Bytes name = boxes.substr(4, 4), whole = boxes.substr(0, size);
      read_box(name, part(whole, head), depth);
      boxes.remove_prefix(whole.size());
    }
  }

  void read_box(Bytes name, Bytes body, unsigned depth) {
    constexpr Bytes kInto[] = {"moov", "trak", "mdia", "minf", "stbl", "mvex"};
    if (name == "trak") sound_ = false;
    if (std::find(std::begin(kInto), std::end(kInto), name) != std::end(kInto)) {
      if (depth < std::size(kInto)) read(body, depth + 1);
    } else if (name == "mvhd" || name == "mdhd") {
      const bool wide = byte_at(body, 0) == 1;
      const std::uint64_t scale = big(body, wide ? 20 : 12, 4);
      if (name == "mvhd") scale_ = scale;
      say(wide ? big(body, 24, 8) : big(body, 16, 4), wide, scale);
    } else if (name == "mehd") {
      const bool wide = byte_at(body, 0) == 1;
      say(big(body, 4, wide ? 8 : 4), wide, scale_);
    } else if (name == "hdlr") {
      sound_ = part(body, 8, 4) == "soun";
      film_ = film_ || part(body, 8, 4) == "vide";
    } else if (name == "stsd" && part(body, 12, 4) != "mp4a") {
      sound_ = false;  // as it is: its frames are samples
    } else if (name == "stsz" && sound_) {
      frames_ = std::min(frames_ + big(body, 8, 4), kLongest / kFrameLeast);
    }
  }

  void say(std::uint64_t length, bool wide, std::uint64_t scale) {
    const std::uint64_t unknown = wide ? UINT64_MAX : UINT32_MAX;
    if (length != unknown) said_ = std::max(said_, time_of(length, scale));
  }

  std::uint64_t said_ = 0, frames_ = 0;
  std::uint64_t scale_ = 0;  // units of the whole film's times in a second
  bool sound_ = false, film_ = false;
};

// ---- Matroska and WebM (RFC 9559, 8794)

// Walks through all elements, into those that hold what is looked for: where these end does not
// matter, and browsers don't say it.
class MatroskaReader {
 public:
  Measured measure(Bytes file) {
    for (Bytes rest = file; !rest.empty();) {
      const std::uint64_t id = take_number(rest, true);
      const std::uint64_t size = take_number(rest, false);
      if (id == 0) break;
      if (is_entered(id)) continue;
      read(id, rest.substr(0, size));
      rest.remove_prefix(std::min<std::uint64_t>(size, rest.size()));
    }
    const double ns = std::max(length_, last_) * scale_;
    const auto longest = static_cast<double>(kLongest);
    const auto said = ns > 0 ? static_cast<std::uint64_t>(std::min(ns, longest)) : 0;
    return {said, time_at(file.size(), film_ ? kFilmRateMax : kCodedRateMax)};
  }

 private:
  // Ids keep the mark of their length, sizes don't.
  static std::uint64_t take_number(Bytes& from, bool marked) {
    const unsigned head = byte_at(from, 0);
    const auto n = static_cast<unsigned>(std::countl_zero(static_cast<unsigned char>(head))) + 1;
    std::uint64_t number = n > 8 ? 0 : big(from, 0, n);
    if (!marked && n <= 8) number &= (std::uint64_t{1} << (7 * n)) - 1;
    from.remove_prefix(std::min<std::size_t>(n, from.size()));
    return number;
  }

  static bool is_entered(std::uint64_t id) {
    constexpr std::uint64_t kSegment = 0x18538067, kInfo = 0x1549A966, kTracks = 0x1654AE6B,
                            kTrack = 0xAE, kCluster = 0x1F43B675, kGroup = 0xA0;
    return id == kSegment || id == kInfo || id == kTracks || id == kTrack || id == kCluster ||
           id == kGroup;
  }

  void read(std::uint64_t id, Bytes body) {
    constexpr std::uint64_t kScale = 0x2AD7B1, kDuration = 0x4489, kTrackType = 0x83,
                            kTimestamp = 0xE7, kSimpleBlock = 0xA3, kBlock = 0xA1;
    const unsigned n = body.size() <= 8 ? static_cast<unsigned>(body.size()) : 0;
    if (id == kScale) {
      scale_ = static_cast<double>(big(body, 0, n));
    } else if (id == kDuration) {
      length_ = real(body);
    } else if (id == kTrackType) {
      film_ = film_ || big(body, 0, n) == 1;
    } else if (id == kTimestamp) {
      cluster_ = static_cast<double>(big(body, 0, n));
    } else if (id == kSimpleBlock || id == kBlock) {
      take_number(body, false);  // the track
      last_ = std::max(last_, cluster_ + static_cast<std::int16_t>(big(body, 0, 2)));
    }
  }

  static double real(Bytes body) {
    if (body.size() == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(big(body, 0, 4)));
    return body.size() == 8 ? std::bit_cast<double>(big(body, 0, 8)) : 0;
  }

  double scale_ = 1'000'000;  // nanoseconds of one unit
  double length_ = 0, cluster_ = 0, last_ = 0;
  bool film_ = false;
};

// ----

Measured measure(Bytes file) {
  const Bytes kind = part(file, 0, 4), box = part(file, 4, 4);
  if (kind == "RIFF" || kind == "RF64" || kind == "BW64") return {wav_time(file), 0};
  if (kind == "OggS") return {OggReader().time(file), time_at(file.size(), kCodedRateMax)};
  if (kind == "\x1A\x45\xDF\xA3") return MatroskaReader().measure(file);
  if (box == "ftyp" || box == "moov" || box == "wide") return Mp4Reader().measure(file);
  const Bytes rest = part(file, id3_bytes(file));
  if (rest.starts_with("fLaC")) return {flac_time(rest), time_at(rest.size(), kFlacRateMax)};
  return {mpeg_time(rest), time_at(rest.size(), kCodedRateMax)};
}

std::uint64_t whole_seconds(std::uint64_t ns) {
  return std::max<std::uint64_t>((ns + kSecond - 1) / kSecond, 1);
}

}  // namespace

Sound& Sound::operator+=(const Sound& other) {
  seconds += other.seconds;
  seconds_most += other.seconds_most;
  return *this;
}

Sound measure_sound(std::string_view file) {
  const Measured measured = measure(file);
  if (measured.ns == 0) {
    return {whole_seconds(time_at(file.size(), kUsualRate)),
            whole_seconds(time_at(file.size(), kSparseRate))};
  }
  const std::uint64_t ns = std::min(std::max(measured.ns, measured.least), kLongest);
  const std::uint64_t seconds = whole_seconds(ns);
  // An upstream may count the last one otherwise.
  return {seconds, seconds + 1};
}

Sound unseen_sound() { return {600, 3600}; }

}  // namespace switchyard::exchange

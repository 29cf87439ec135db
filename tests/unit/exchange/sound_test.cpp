#include "core/exchange/sound.hpp"

#include <bit>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace switchyard::exchange {
namespace {

std::string big(std::uint64_t number, unsigned n) {
  std::string bytes(n, '\0');
  for (unsigned i = 0; i < n; ++i) bytes[n - 1 - i] = static_cast<char>(number >> (8 * i) & 0xFF);
  return bytes;
}

std::string little(std::uint64_t number, unsigned n) {
  const std::string bytes = big(number, n);
  return {bytes.rbegin(), bytes.rend()};
}

std::string times(std::size_t n, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += text;
  return all;
}

std::uint64_t seconds(const std::string& file) { return measure_sound(file).seconds; }

// What cannot be read, by its size alone.
std::uint64_t unread(const std::string& file) { return (file.size() * 8 + 127'999) / 128'000; }

// ---- WAV ----

struct Wav {
  std::string magic = "RIFF", before, after;
  std::uint64_t tag = 1, channels = 1, rate = 8000, bits = 16, said = 0;
  std::size_t bytes = 160'000;  // of 16,000 a second
  std::string file() const {
    std::string format = little(tag, 2) + little(channels, 2) + little(rate, 4) +
                         little(rate * channels * bits / 8, 4) + little(channels * bits / 8, 2) +
                         little(bits, 2);
    if (tag == 0xFFFE) format += little(22, 2) + little(bits, 2) + little(0, 4) + little(1, 2);
    return magic + little(0, 4) + "WAVE" + before + "fmt " + little(format.size(), 4) + format +
           "data" + little(said, 4) + std::string(bytes, '\0') + after;
  }
};

TEST_CASE("exchange: a WAV is as long as what is in it, whatever it says", "[unit][exchange]") {
  for (const std::uint64_t said : {160'000u, 0u, 0xFFFFFFFFu, 16'000u}) {
    CAPTURE(said);
    Wav wav;
    wav.said = said;
    CHECK(seconds(wav.file()) == 10);
  }
  Wav twice;  // decoders go by the first
  twice.after = twice.before;
  twice.before = "fmt " + little(16, 4) + little(1, 2) + little(1, 2) + little(8000, 4) +
                 little(16'000, 4) + little(2, 2) + little(16, 2);
  twice.rate = 192'000;
  twice.channels = 8;
  CHECK(seconds(twice.file()) == 10);
  Wav law;  // a byte each, whatever it says
  law.tag = 7;
  law.bits = 64;
  law.bytes = 80'000;
  CHECK(seconds(law.file()) == 10);
  Wav begun;
  begun.bytes = 160'002;
  CHECK(seconds(begun.file()) == 11);
  Wav large;
  large.magic = "RF64";
  large.before = "ds64" + little(28, 4) + std::string(28, '\0');
  CHECK(seconds(large.file()) == 10);
  Wav odd;
  odd.before = "LIST" + little(3, 4) + std::string(4, 'x');
  CHECK(seconds(odd.file()) == 10);
  Wav wide;
  wide.tag = 0xFFFE;
  wide.channels = 2;
  wide.bits = 24;
  wide.bytes = 480'000;
  CHECK(seconds(wide.file()) == 10);
  Wav coded;  // by a coder: its bytes say little
  coded.tag = 0x55;
  CHECK(seconds(coded.file()) == unread(coded.file()));
  for (const auto change :
       {+[](Wav& w) { w.rate = 0; }, +[](Wav& w) { w.channels = 0; },
        +[](Wav& w) { w.rate = 4'000'000'000; }, +[](Wav& w) { w.channels = 65'535; }}) {
    Wav absurd;
    change(absurd);
    CHECK(seconds(absurd.file()) == unread(absurd.file()));
  }
}

// ---- MP3, AAC ----

// MPEG 1 layer III at 128 kbit/s and 44.1 kHz, without padding: 417 bytes, 26.12 ms.
std::string mp3_frame(std::uint64_t head = 0xFFFB9064, std::size_t bytes = 417) {
  return big(head, 4) + std::string(bytes - 4, '\0');
}

TEST_CASE("exchange: an MP3 is as long as its frames", "[unit][exchange]") {
  const std::string ten = times(382, mp3_frame());  // 9.98 s
  CHECK(seconds(ten) == 10);
  CHECK(seconds(ten + "TAG" + std::string(125, 'x')) == 10);
  const std::string art = "ID3" + big(0x0400, 2) + big(0, 1) + big(0x00062D00, 4);  // 104,064
  CHECK(seconds(art + std::string(104'064 - 7, '\xFF') + "1234567" + ten) == 10);
  const std::string large = "ID3" + big(0x0400, 2) + big(0, 1) + big(0x007A0900, 4);
  CHECK(seconds(large + std::string(2'000'000, 'x') + ten) == 10);
  // What looks like a frame behind the last one is none.
  CHECK(seconds(ten + "TAG" + mp3_frame()) == 10);
  CHECK(seconds(times(382, mp3_frame(0xFFFB5264, 209))) == 10);  // 64 kbit/s, padded
  // What a first frame says of all counts for nothing, and neither does its bit rate.
  std::string said = mp3_frame();
  said.replace(36, 12, "Xing" + big(1, 4) + big(1, 4));
  CHECK(seconds(said + ten) == 11);
  const std::string dense = mp3_frame(0xFFFBE064, 1044);              // 320 kbit/s
  const std::string sparse = times(1000, mp3_frame(0xFFF31064, 26));  // MPEG 2, 8 kbit/s
  CHECK(seconds(dense + dense + sparse) == 27);                       // 26.12 ms each, and the two
  // Frames that are cut or broken off in between are found again.
  CHECK(seconds(ten.substr(100) + std::string(50, '\xFF') + ten) == 20);
}

TEST_CASE("exchange: other kinds of MPEG frames have their own lengths", "[unit][exchange]") {
  // Layer II at 192 kbit/s and 48 kHz: 576 bytes, 24 ms. Layer I at 256 kbit/s: 256 bytes, 8 ms.
  CHECK(seconds(times(500, mp3_frame(0xFFFDA464, 576))) == 12);
  CHECK(seconds(times(500, mp3_frame(0xFFFF8464, 256))) == 4);
  // MPEG 2.5 layer III at 16 kbit/s and 8 kHz: 144 bytes, 72 ms.
  CHECK(seconds(times(500, mp3_frame(0xFFE32864, 144))) == 36);
  // ADTS at 16 kHz: 64 ms.
  const std::string aac = big(0xFFF160, 3) + big(100u << 5, 3) + big(0, 1) + std::string(93, 'a');
  CHECK(seconds(times(500, aac)) == 32);
}

TEST_CASE("exchange: some bytes that look like frames make no MP3", "[unit][exchange]") {
  const std::string noise = std::string(400'000, 'x') + mp3_frame() + mp3_frame();
  CHECK(seconds(noise) == unread(noise));
  const std::string ones(100'000, '\xFF');
  CHECK(seconds(ones) == unread(ones));
  // One of another kind that is as large as it can be, full of those.
  const std::string hull = big(0xFFF150, 3) + big(0x1FFFu << 5, 3) + big(0, 1);
  const std::string hidden = hull + times(19, mp3_frame()) + std::string(8191 - 7 - 19 * 417, 'x');
  CHECK(seconds(times(100, hidden)) == 13);  // at 512 kbit/s
}

// ---- FLAC ----

unsigned crc8(const std::string& bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = (crc & 0x80) != 0 ? (crc << 1 ^ 0x107) : crc << 1;
  }
  return crc;
}

std::string flac_head(std::uint64_t rate, std::uint64_t samples) {
  return "fLaC" + big(0x80000022, 4) + big(4096, 2) + big(4096, 2) + big(0, 6) +
         big(rate << 44 | std::uint64_t{15} << 36 | samples, 8) + std::string(16, '\0');
}

std::string flac_frame(std::uint64_t codes, const std::string& rest) {
  const std::string head = big(0xFFF8, 2) + big(codes, 1) + big(0x08, 1) + rest;
  return head + big(crc8(head), 1) + std::string(500, '\x55');
}

TEST_CASE("exchange: a FLAC is as long as its frames, whatever its head says", "[unit][exchange]") {
  const std::string frame = flac_frame(0xC5, big(7, 1));  // 4096 samples at 16 kHz
  for (const std::uint64_t samples : {0u, 16'000u, 4'000'000u}) {
    CAPTURE(samples);
    CHECK(seconds(flac_head(16'000, samples) + times(39, frame)) == 10);
  }
  CHECK(seconds("ID3" + big(0x0300, 2) + big(0, 5) + flac_head(16'000, 0) + times(39, frame)) ==
        10);
  // The rate of the head; a size of its own, a rate of its own, a number of several bytes.
  CHECK(seconds(flac_head(8'000, 0) + times(20, flac_frame(0xC0, big(7, 1)))) == 11);
  const std::string own = flac_frame(0x7D, big(0xC480, 2) + big(7999, 2) + big(8000, 2));
  CHECK(seconds(flac_head(16'000, 0) + times(10, own)) == 10);
  // Not less than its bytes are at 9,216 kbit/s.
  CHECK(seconds(flac_head(16'000, 0) + frame + std::string(2'304'000, 'x')) == 3);
  std::string broken = frame;
  broken[5] ^= 1;
  const std::string file = flac_head(16'000, 16'000) + times(39, broken);
  CHECK(seconds(file) == unread(file));
}

// ---- Ogg ----

std::string page(unsigned flags, std::uint64_t position, const std::vector<std::string>& packets,
                 bool ends = true, std::uint64_t serial = 7) {
  std::string sizes, body;
  for (const std::string& packet : packets) {
    sizes += std::string(packet.size() / 255, '\xFF');
    if (ends || &packet != &packets.back()) sizes += static_cast<char>(packet.size() % 255);
    body += packet;
  }
  return "OggS" + big(0, 1) + big(flags, 1) + little(position, 8) + little(serial, 4) +
         little(0, 8) + big(sizes.size(), 1) + sizes + body;
}

const std::string kOpus = page(2, 0, {"OpusHead" + std::string(11, '\0')}) +
                          page(0, 0, {"OpusTags" + std::string(300, '\0')});

std::string opus(unsigned toc, std::size_t packets, std::uint64_t position) {
  const std::string packet = big(toc, 1) + std::string(79, 'o');
  return page(0, position, std::vector<std::string>(packets, packet));
}

TEST_CASE("exchange: Opus in Ogg is as long as its packets", "[unit][exchange]") {
  // 20 ms each, and a position that would be a tenth of a second.
  CHECK(seconds(kOpus + times(10, opus(0x08, 50, 4800))) == 10);
  CHECK(seconds(kOpus + times(10, opus(0x70, 50, 0))) == 5);  // 10 ms
  // Two of 60 ms; two of 10 and three of 2.5 in packets that say so.
  CHECK(seconds(kOpus + times(10, opus(0x19, 50, 0))) == 60);
  const std::string two = big(0x6302, 2) + "o", three = big(0x8303, 2) + "o";
  CHECK(seconds(kOpus + times(100, page(0, 0, {two, three}))) == 3);  // 27.5 ms together
  // A packet over two pages counts once, one of no whole page as well.
  const std::string half = page(0, 0, {big(0x18, 1) + std::string(509, 'o')}, false);
  CHECK(seconds(kOpus + times(100, half + page(1, 0, {"rest"}))) == 6);
  // One file after the other.
  const std::string one = kOpus + times(10, opus(0x08, 50, 4800));
  CHECK(seconds(one + one) == 20);
}

TEST_CASE("exchange: Vorbis in Ogg is as long as its positions say", "[unit][exchange]") {
  const std::string head =
      page(2, 0, {"\x01vorbis" + little(0, 4) + big(1, 1) + little(16'000, 4)});
  const std::string ten = head + page(0, 80'000, {std::string(200, 'v')}) +
                          page(0, UINT64_MAX, {std::string(255, 'v')}, false) +
                          page(5, 160'000, {std::string(200, 'v')});
  CHECK(seconds(ten) == 10);
  CHECK(seconds(ten + head + page(4, 16'000, {"v"})) == 11);
  // Not less than its bytes are at 512 kbit/s.
  CHECK(seconds(head + page(4, 16, {"v"}) + std::string(640'000, 'v')) == 11);
  const std::string film = page(2, 0, {"\x80theora"}) + std::string(500, 'v');
  CHECK(seconds(film) == unread(film));
}

// ---- MP4 ----

std::string box(const char* name, const std::string& body) {
  return big(body.size() + 8, 4) + name + body;
}

std::string mvhd(const char* name, std::uint64_t scale, std::uint64_t length) {
  return box(name, std::string(12, '\0') + big(scale, 4) + big(length, 4) + std::string(80, '\0'));
}

std::string track(const char* kind, const char* coder, std::uint64_t length, std::uint64_t frames) {
  const std::string tables = box("stsd", big(0, 4) + big(1, 4) + big(16, 4) + coder + big(0, 8)) +
                             box("stsz", big(0, 8) + big(frames, 4));
  return box("trak", box("mdia", mvhd("mdhd", 16'000, length) +
                                     box("hdlr", big(0, 8) + kind + std::string(12, '\0')) +
                                     box("minf", box("stbl", tables))));
}

TEST_CASE("exchange: an MP4 says how long it is, and can't say less than it holds",
          "[unit][exchange]") {
  const std::string type = box("ftyp", "M4A " + big(0, 4));
  const std::string sound = track("soun", "mp4a", 160'000, 157);
  CHECK(seconds(type + box("moov", mvhd("mvhd", 1000, 10'000) + sound)) == 10);
  CHECK(seconds(type + box("moov", mvhd("mvhd", 1000, 0) + sound)) == 10);
  CHECK(seconds(type + box("moov", mvhd("mvhd", 1000, 0xFFFFFFFF) + sound)) == 10);
  CHECK(seconds(box("moov", mvhd("mvhd", 1000, 10'000))) == 10);
  const std::string wide =
      box("mvhd", big(1, 1) + std::string(19, '\0') + big(1000, 4) + big(10'000, 8));
  CHECK(seconds(type + box("moov", wide)) == 10);
  const std::string pieces = box("mvex", box("mehd", big(0, 4) + big(10'000, 4)));
  CHECK(seconds(type + box("moov", mvhd("mvhd", 1000, 0) + track("soun", "mp4a", 0, 0) + pieces)) ==
        10);
  const std::string far = big(1, 4) + "mdat" + big(1016, 8) + std::string(1000, 'm');
  CHECK(seconds(type + far + box("moov", mvhd("mvhd", 1000, 10'000))) == 10);

  // Its frames are 10 ms at least; those of what is no frame, as of plain sound, are none.
  const std::string lie = mvhd("mvhd", 1000, 1000);
  CHECK(seconds(type + box("moov", lie + track("soun", "mp4a", 16'000, 3000))) == 30);
  CHECK(seconds(type + box("moov", lie + track("soun", "sowt", 16'000, 3000))) == 1);
  CHECK(seconds(type + box("moov", lie + track("vide", "mp4a", 16'000, 3000))) == 1);
  const std::string much = box("mdat", std::string(2'000'000, 'm'));
  CHECK(seconds(type + box("moov", lie) + much) == 11);  // 1,536 kbit/s
  CHECK(seconds(type + box("moov", lie + track("vide", "avc1", 16'000, 30)) + much) == 1);
  const std::string none = type + box("moov", mvhd("mvhd", 0, 10'000)) + std::string(100'000, '\0');
  CHECK(seconds(none) == unread(none));
}

// ---- Matroska ----

std::string element(std::uint64_t id, unsigned id_bytes, const std::string& body) {
  return big(id, id_bytes) + big(std::uint64_t{1} << 56 | body.size(), 8) + body;
}

std::string block(int at) {
  return element(0xA3, 1, big(0x81, 1) + big(static_cast<std::uint16_t>(at), 2) + "\x80opus");
}

const std::string kEbml = element(0x1A45DFA3, 4, element(0x4282, 2, "webm"));
const std::string kUnknown = big(0x01FFFFFFFFFFFFFF, 8);

TEST_CASE("exchange: WebM is as long as it says, or as its last block", "[unit][exchange]") {
  const std::string length = element(0x4489, 2, big(std::bit_cast<std::uint64_t>(10'000.0), 8));
  const std::string info = element(0x1549A966, 4, element(0x2AD7B1, 3, big(1'000'000, 3)) + length);
  CHECK(seconds(kEbml + element(0x18538067, 4, info)) == 10);
  const std::string small = element(0x4489, 2, big(std::bit_cast<std::uint32_t>(5'000.0f), 4));
  const std::string coarse =
      element(0x1549A966, 4, element(0x2AD7B1, 3, big(2'000'000, 4)) + small);
  CHECK(seconds(kEbml + element(0x18538067, 4, coarse)) == 10);
  // As browsers record: nothing is said of lengths.
  const std::string tracks = element(0x1654AE6B, 4, element(0xAE, 1, element(0x83, 1, big(2, 1))));
  std::string live = kEbml + big(0x18538067, 4) + kUnknown + tracks;
  for (const std::uint64_t at : {0u, 4'000u}) {
    live +=
        big(0x1F43B675, 4) + kUnknown + element(0xE7, 1, big(at, 2)) + block(-20) + block(3'000);
  }
  CHECK(seconds(live) == 7);
  live += element(0xA0, 1, element(0xA1, 1, big(0x81, 1) + big(5'980, 2) + "\x80opus"));
  CHECK(seconds(live) == 10);
  // Not less than its bytes are at 512 kbit/s, or at 20 Mbit/s where there is a picture.
  const std::string much = element(0xEC, 1, std::string(1'280'000, 'm'));
  CHECK(seconds(live + much) == 21);
  const std::string picture = element(0x1654AE6B, 4, element(0xAE, 1, element(0x83, 1, big(1, 1))));
  CHECK(seconds(live + picture + much) == 10);
  for (const double absurd : {0.0, -1.0, 0.0 / 0.0}) {
    const std::string told = element(0x4489, 2, big(std::bit_cast<std::uint64_t>(absurd), 8));
    const std::string file =
        kEbml + element(0x18538067, 4, element(0x1549A966, 4, told)) + std::string(100'000, '\0');
    CHECK(seconds(file) == unread(file));
  }
}

// ----

TEST_CASE("exchange: what can't be read counts by its bytes, for a hold by more",
          "[unit][exchange]") {
  const std::string amr = "#!AMR\n" + std::string(159'994, 'x');
  CHECK(measure_sound(amr).seconds == 10);
  CHECK(measure_sound(amr).seconds_most == 80);
  CHECK(measure_sound("").seconds == 1);
  CHECK(measure_sound("RIFF").seconds == 1);
  CHECK(measure_sound(Wav().file()).seconds_most == 11);
}

TEST_CASE("exchange: a sound that is cut anywhere is measured all the same", "[unit][exchange]") {
  const std::string info = element(0x4489, 2, big(std::bit_cast<std::uint64_t>(10'000.0), 8));
  Wav wav;
  wav.bytes = 100;
  for (const std::string& file :
       {wav.file(), times(3, mp3_frame()), kOpus + opus(0x08, 2, 0),
        flac_head(16'000, 0) + flac_frame(0x7D, big(0xC480, 2) + big(7999, 2) + big(8000, 2)),
        box("ftyp", "M4A ") + box("moov", mvhd("mvhd", 1, 9) + track("soun", "mp4a", 1, 1)),
        kEbml + element(0x18538067, 4, element(0x1549A966, 4, info)) + block(1)}) {
    for (std::size_t cut = 0; cut <= file.size(); ++cut) {
      const std::string part = file.substr(0, cut);
      const Sound sound = measure_sound(part);
      REQUIRE(sound.seconds >= 1);
      REQUIRE(sound.seconds_most >= sound.seconds);
    }
  }
}

}  // namespace
}  // namespace switchyard::exchange

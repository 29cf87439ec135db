// Content codings gzip and deflate (RFC 9110 8.4.1), piecewise.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace switchyard::net {

class Inflater {
 public:
  enum class Coding { kGzip, kDeflate };

  // Output beyond `ratio_max` times the input, and beyond a first 64 KB, is taken for a bomb.
  Inflater(Coding coding, std::uint64_t ratio_max);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // "gzip", "x-gzip" or "deflate" in any case; nothing for what is not known here.
  static std::optional<Coding> coding(std::string_view name);

  // The next bytes to inflate, which must live until next() has given an empty slice.
  void give(std::string_view input);

  struct Step {
    std::string_view data;        // until the next call; empty: more input is needed
    const char* fault = nullptr;  // static; then nothing more may be asked
    bool too_large = false;       // the fault is the ratio
  };
  Step next();

  // At the end of the input: false where the coded data stops in its middle.
  bool complete() const { return at_end_ || total_in_ == 0; }

 private:
  bool begin();

  static constexpr std::size_t kOutBytes = 16 * 1024;

  Coding coding_;
  std::uint64_t ratio_max_;
  z_stream stream_{};
  bool begun_ = false;
  bool at_end_ = false;
  char held_ =
      0;  // a first byte of deflate that came alone: two tell zlib's wrapping from raw data
  bool holding_ = false;
  std::string_view input_;
  std::uint64_t total_in_ = 0;
  std::uint64_t total_out_ = 0;
  std::unique_ptr<char[]> out_;
};

}  // namespace switchyard::net

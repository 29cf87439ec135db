#include "core/net/inflate.hpp"

#include "core/net/text.hpp"

namespace switchyard::net {
namespace {

constexpr std::uint64_t kFreeBytes = 64 * 1024;

// RFC 1950: method 8, and the two bytes as one number divide by 31. Servers send raw deflate under
// the same name.
bool zlib_wrapped(unsigned char first, unsigned char second) {
  return (first & 0x0f) == 8 && (first * 256u + second) % 31 == 0;
}

constexpr int kWindow = 15;

}  // namespace

Inflater::Inflater(Coding coding, std::uint64_t ratio_max)
    : coding_(coding), ratio_max_(ratio_max), out_(new char[kOutBytes]) {}

Inflater::~Inflater() {
  if (begun_) inflateEnd(&stream_);
}

std::optional<Inflater::Coding> Inflater::coding(std::string_view name) {
  if (equals_nocase(name, "gzip") || equals_nocase(name, "x-gzip")) return Coding::kGzip;
  if (equals_nocase(name, "deflate")) return Coding::kDeflate;
  return std::nullopt;
}

void Inflater::give(std::string_view input) {
  input_ = input;
  total_in_ += input.size();
}

// False while the first bytes don't tell yet what follows.
bool Inflater::begin() {
  int window = kWindow + 16;
  char head[2] = {held_, 0};
  if (coding_ == Coding::kDeflate) {
    const std::size_t have = input_.size() + (holding_ ? 1 : 0);
    if (have < 2) {
      if (!input_.empty()) held_ = input_[0];
      holding_ = holding_ || !input_.empty();
      input_ = {};
      return false;
    }
    if (!holding_) head[0] = input_[0];
    head[1] = holding_ ? input_[0] : input_[1];
    const bool wrapped =
        zlib_wrapped(static_cast<unsigned char>(head[0]), static_cast<unsigned char>(head[1]));
    window = wrapped ? kWindow : -kWindow;
  }
  begun_ = inflateInit2(&stream_, window) == Z_OK;
  return begun_;
}

Inflater::Step Inflater::next() {
  if (!begun_ && !begin()) return {};
  for (;;) {
    if (at_end_) {
      if (input_.empty()) return {};
      if (coding_ != Coding::kGzip) return {.fault = "bytes behind the deflated body"};
      // RFC 1952 2.2: a gzip file is a series of members.
      inflateReset(&stream_);
      at_end_ = false;
    }
    const bool from_held = holding_;
    const std::string_view source = from_held ? std::string_view(&held_, 1) : input_;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(source.data()));
    stream_.avail_in = static_cast<uInt>(source.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out_.get());
    stream_.avail_out = kOutBytes;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      return {.fault = "the compressed body is damaged"};
    }
    if (from_held) {
      holding_ = false;
    } else {
      input_.remove_prefix(source.size() - stream_.avail_in);
    }
    at_end_ = status == Z_STREAM_END;
    const std::size_t n = kOutBytes - stream_.avail_out;
    total_out_ += n;
    if (total_out_ > kFreeBytes && total_out_ / ratio_max_ > total_in_) {
      return {.fault = "the compressed body grows beyond the allowed ratio", .too_large = true};
    }
    if (n > 0) return {.data = std::string_view(out_.get(), n)};
    if (input_.empty() || status == Z_BUF_ERROR) return {};
  }
}

}  // namespace switchyard::net

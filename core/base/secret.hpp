// Text that must never be shown: it can't be formatted, streamed, compared by accident or left in
// freed memory.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <string_view>
#include <utility>

namespace switchyard {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      text_ = other.text_;
    }
    return *this;
  }
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      text_ = std::move(other.text_);
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  bool empty() const { return text_.empty(); }
  // The only way to the text. Every caller is a place to audit: grep for it.
  std::string_view reveal() const { return text_; }

 private:
  void wipe() {
    // Also the bytes of the small-string buffer and of the spare capacity.
    text_.resize(text_.capacity());
    OPENSSL_cleanse(text_.data(), text_.size());
    text_.clear();
  }

  std::string text_;
};

// Takes a revealed secret out of a text that somebody else wrote.
void redact(std::string& text, std::string_view secret);

}  // namespace switchyard

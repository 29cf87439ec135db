#include "core/surface/repeats.hpp"

#include <openssl/sha.h>

#include <cstring>

namespace switchyard::surface {
namespace {

enum Word { kName, kBody, kState };

}  // namespace

Repeats::Repeats(std::size_t slots) : slots_(slots) {}

std::uint64_t Repeats::digest(std::string_view holder, std::string_view text) {
  // Each by itself first: "a","bc" is not "ab","c".
  std::array<unsigned char, 2 * SHA256_DIGEST_LENGTH> both{};
  const auto sha256 = [](std::string_view bytes, unsigned char* to) {
    ::SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), to);
  };
  sha256(holder, both.data());
  sha256(text, both.data() + SHA256_DIGEST_LENGTH);
  unsigned char hash[SHA256_DIGEST_LENGTH];
  ::SHA256(both.data(), both.size(), hash);
  std::uint64_t first = 0;
  std::memcpy(&first, hash, sizeof first);
  return first != 0 ? first : 1;
}

// Where this name is, and not only left over from the day before.
Repeats::Slot* Repeats::find(std::uint64_t name, std::uint64_t now_s, const Slot* but) {
  for (std::size_t step = 0; step < kWindow; ++step) {
    Slot& slot = at(name, step);
    if (&slot == but || slot.words[kName].load() != name) continue;
    const std::uint64_t state = slot.words[kState].load();
    if (state > kRunning && now_s >= state + kKeptS) continue;
    return &slot;
  }
  return nullptr;
}

// A free slot, else that of the request which was answered longest ago. Its state is what owns it.
Repeats::Slot* Repeats::claim(std::uint64_t name, std::uint64_t now_s) {
  for (unsigned tries = 0; tries < kWindow; ++tries) {
    Slot* best = nullptr;
    std::uint64_t oldest = now_s + 1;
    for (std::size_t step = 0; step < kWindow; ++step) {
      Slot& slot = at(name, step);
      const std::uint64_t state = slot.words[kState].load();
      if (state == kRunning || state >= oldest) continue;
      best = &slot;
      oldest = state;  // 0 where it is free
    }
    if (best == nullptr) return nullptr;
    if (best->words[kState].compare_exchange_strong(oldest, kRunning)) return best;
  }
  return nullptr;
}

Repeats::Found Repeats::begin(std::uint64_t name, std::uint64_t body, std::uint64_t now_s,
                              Run& run) {
  const Slot* const known = find(name, now_s, nullptr);
  if (known == nullptr) return begin_unseen(name, body, now_s, run);
  const std::uint64_t other = known->words[kBody].load();
  const std::uint64_t state = known->words[kState].load();
  if (other != body) return Found::kOther;
  return state <= kRunning ? Found::kRunning : Found::kAnswered;
}

Repeats::Found Repeats::begin_unseen(std::uint64_t name, std::uint64_t body, std::uint64_t now_s,
                                     Run& run) {
  Slot* const own = claim(name, now_s);
  if (own == nullptr) return Found::kFull;
  own->words[kBody].store(body);
  own->words[kName].store(name);
  run.slot_ = own->words.data();
  // Of two that begin at once each sees the other, or the later one the earlier: never do both run.
  if (find(name, now_s, own) == nullptr) return Found::kFresh;
  run.forget();
  return Found::kRunning;
}

StoredAnswers::Name Repeats::Run::name() const {
  return {slot_[kName].load(), slot_[kBody].load()};
}

void Repeats::Run::answered(std::uint64_t now_s) {
  if (slot_ == nullptr) return;
  slot_[kState].store(now_s > kRunning ? now_s : kRunning + 1);
  slot_ = nullptr;
}

void Repeats::Run::forget() {
  if (slot_ == nullptr) return;
  slot_[kName].store(0);
  slot_[kState].store(0);
  slot_ = nullptr;
}

}  // namespace switchyard::surface

// What the fuzz targets share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

// Holds in release builds too.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Where to cut an input: everywhere in a short one, at some places of its own in a long one.
inline std::set<std::size_t> cuts(std::string_view input) {
  std::set<std::size_t> out;
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : input) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  const std::size_t wanted = input.size() <= 128 ? input.size() : 8;
  for (std::size_t i = 0; i < wanted; ++i) {
    out.insert(wanted == input.size() ? i : hash % input.size());
    hash = hash * 6364136223846793005u + 1442695040888963407u;
  }
  return out;
}

}  // namespace fuzz

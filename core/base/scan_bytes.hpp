// Finds the first byte of a class, sixteen bytes at a time where the machine can.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace switchyard {
namespace scan_bytes_detail {

struct Control {  // below space, or DEL
  static bool hit(unsigned char c) { return c < 0x20 || c == 0x7f; }
#if defined(__SSE2__)
  static __m128i hits(__m128i v) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return _mm_or_si128(low, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
  }
#endif
};

struct LineEnd {
  static bool hit(unsigned char c) { return c == '\n' || c == '\r'; }
#if defined(__SSE2__)
  static __m128i hits(__m128i v) {
    return _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')),
                        _mm_cmpeq_epi8(v, _mm_set1_epi8('\r')));
  }
#endif
};

struct StringEnd {
  static bool hit(unsigned char c) { return c == '"' || c == '\\'; }
#if defined(__SSE2__)
  static __m128i hits(__m128i v) {
    return _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                        _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
  }
#endif
};

struct StringSpecial {
  static bool hit(unsigned char c) { return c < 0x20 || c >= 0x80 || c == '"' || c == '\\'; }
#if defined(__SSE2__)
  static __m128i hits(__m128i v) {
    // Compared as signed bytes, what is below space and what is above ASCII are one range.
    const __m128i range = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
    const __m128i marks =
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    return _mm_or_si128(range, marks);
  }
#endif
};

template <class Class>
inline const char* find(const char* p, const char* end) {
#if defined(__SSE2__)
  for (; end - p >= 16; p += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const int mask = _mm_movemask_epi8(Class::hits(v));
    if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (p != end && !Class::hit(static_cast<unsigned char>(*p))) ++p;
  return p;
}

}  // namespace scan_bytes_detail

// Each gives `end` where there is no such byte.
inline const char* find_control(const char* p, const char* end) {
  return scan_bytes_detail::find<scan_bytes_detail::Control>(p, end);
}
inline const char* find_line_end(const char* p, const char* end) {
  return scan_bytes_detail::find<scan_bytes_detail::LineEnd>(p, end);
}
// A quote or a backslash.
inline const char* find_string_end(const char* p, const char* end) {
  return scan_bytes_detail::find<scan_bytes_detail::StringEnd>(p, end);
}
// A byte that can't simply be passed over inside a JSON string: quote, backslash, control, or above
// ASCII.
inline const char* find_string_special(const char* p, const char* end) {
  return scan_bytes_detail::find<scan_bytes_detail::StringSpecial>(p, end);
}

}  // namespace switchyard

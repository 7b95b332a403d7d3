// Int16x8 whole numbers of 16 bits at once: by the instructions that every x86-64 has, elsewhere
// one after the other, with the same results. Sums are modulo 2^16.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace streamo::video {

#if defined(__SSE2__)

struct Int16x8 {
  __m128i values;

  static Int16x8 all(int16_t value) { return {_mm_set1_epi16(value)}; }
  static Int16x8 load(const int16_t* from) {
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))};
  }
  static Int16x8 load(const uint16_t* from) {
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))};
  }
  static Int16x8 load(const uint8_t* from) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return {_mm_unpacklo_epi8(bytes, _mm_setzero_si128())};
  }
  void store(int16_t* to) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), values); }

  friend Int16x8 operator+(Int16x8 a, Int16x8 b) { return {_mm_add_epi16(a.values, b.values)}; }
  friend Int16x8 operator-(Int16x8 a, Int16x8 b) { return {_mm_sub_epi16(a.values, b.values)}; }
  // a b / 2^16, rounded down
  friend Int16x8 upper_product(Int16x8 a, Int16x8 b) {
    return {_mm_mulhi_epi16(a.values, b.values)};
  }
  friend Int16x8 min(Int16x8 a, Int16x8 b) { return {_mm_min_epi16(a.values, b.values)}; }
  friend Int16x8 max(Int16x8 a, Int16x8 b) { return {_mm_max_epi16(a.values, b.values)}; }
  Int16x8 shifted_left(int bits) const { return {_mm_slli_epi16(values, bits)}; }
  Int16x8 shifted_right(int bits) const { return {_mm_srai_epi16(values, bits)}; }
};

// Int16x8 sums of 32 bits.
struct EightSums {
  __m128i low, high;

  // a weight_a + b weight_b
  static EightSums of(Int16x8 a, int16_t weight_a, Int16x8 b, int16_t weight_b) {
    const __m128i weights = _mm_unpacklo_epi16(_mm_set1_epi16(weight_a), _mm_set1_epi16(weight_b));
    return {_mm_madd_epi16(_mm_unpacklo_epi16(a.values, b.values), weights),
            _mm_madd_epi16(_mm_unpackhi_epi16(a.values, b.values), weights)};
  }
  friend EightSums operator+(EightSums a, EightSums b) {
    return {_mm_add_epi32(a.low, b.low), _mm_add_epi32(a.high, b.high)};
  }
  // Divided by 2^bits, to the nearest; cut off to 16 bits.
  Int16x8 rounded(int bits) const {
    const __m128i half = _mm_set1_epi32(1 << (bits - 1));
    return {_mm_packs_epi32(_mm_srai_epi32(_mm_add_epi32(low, half), bits),
                            _mm_srai_epi32(_mm_add_epi32(high, half), bits))};
  }
};

// a0 b0 a1 b1 ...
inline void store_in_turn(Int16x8 a, Int16x8 b, int16_t* to) {
  Int16x8{_mm_unpacklo_epi16(a.values, b.values)}.store(to);
  Int16x8{_mm_unpackhi_epi16(a.values, b.values)}.store(to + 8);
}

// Number j of row i becomes number i of row j.
inline void transpose(std::array<Int16x8, 8>& rows) {
  const auto round = [](const std::array<Int16x8, 8>& from, auto low, auto high) {
    std::array<Int16x8, 8> to;
    for (size_t i = 0; i < 4; ++i) {
      to[2 * i] = {low(from[i].values, from[i + 4].values)};
      to[2 * i + 1] = {high(from[i].values, from[i + 4].values)};
    }
    return to;
  };
  const auto low = [](__m128i a, __m128i b) { return _mm_unpacklo_epi16(a, b); };
  const auto high = [](__m128i a, __m128i b) { return _mm_unpackhi_epi16(a, b); };
  rows = round(round(round(rows, low, high), low, high), low, high);
}

#else

struct Int16x8 {
  std::array<int16_t, 8> values;

  template <typename Function>
  static Int16x8 make(Function value) {
    Int16x8 made;
    for (size_t i = 0; i < 8; ++i) made.values[i] = static_cast<int16_t>(value(i));
    return made;
  }
  static Int16x8 all(int16_t value) {
    return make([=](size_t) { return value; });
  }
  template <typename Value>
  static Int16x8 load(const Value* from) {
    return make([=](size_t i) { return from[i]; });
  }
  void store(int16_t* to) const {
    for (const int16_t value : values) *to++ = value;
  }

  friend Int16x8 operator+(Int16x8 a, Int16x8 b) {
    return make([=](size_t i) { return a.values[i] + b.values[i]; });
  }
  friend Int16x8 operator-(Int16x8 a, Int16x8 b) {
    return make([=](size_t i) { return a.values[i] - b.values[i]; });
  }
  friend Int16x8 upper_product(Int16x8 a, Int16x8 b) {
    return make([=](size_t i) { return (int32_t{a.values[i]} * b.values[i]) >> 16; });
  }
  friend Int16x8 min(Int16x8 a, Int16x8 b) {
    return make([=](size_t i) { return a.values[i] < b.values[i] ? a.values[i] : b.values[i]; });
  }
  friend Int16x8 max(Int16x8 a, Int16x8 b) {
    return make([=](size_t i) { return a.values[i] > b.values[i] ? a.values[i] : b.values[i]; });
  }
  Int16x8 shifted_left(int bits) const {
    return make([this, bits](size_t i) { return values[i] * (1 << bits); });
  }
  Int16x8 shifted_right(int bits) const {
    return make([this, bits](size_t i) { return values[i] >> bits; });
  }
};

struct EightSums {
  std::array<int32_t, 8> values;

  static EightSums of(Int16x8 a, int16_t weight_a, Int16x8 b, int16_t weight_b) {
    EightSums sums;
    for (size_t i = 0; i < 8; ++i) sums.values[i] = a.values[i] * weight_a + b.values[i] * weight_b;
    return sums;
  }
  friend EightSums operator+(EightSums a, const EightSums& b) {
    for (size_t i = 0; i < 8; ++i) a.values[i] += b.values[i];
    return a;
  }
  Int16x8 rounded(int bits) const {
    return Int16x8::make([this, bits](size_t i) {
      return std::clamp((values[i] + (1 << (bits - 1))) >> bits, -32768, 32767);
    });
  }
};

inline void store_in_turn(Int16x8 a, Int16x8 b, int16_t* to) {
  for (size_t i = 0; i < 8; ++i) {
    *to++ = a.values[i];
    *to++ = b.values[i];
  }
}

inline void transpose(std::array<Int16x8, 8>& rows) {
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < i; ++j) std::swap(rows[i].values[j], rows[j].values[i]);
  }
}

#endif

}  // namespace streamo::video

// Eight whole numbers of 16 bits at once: by the instructions that every x86-64 has, elsewhere one
// after the other, with the same results. Sums are modulo 2^16.
#pragma once

#include <array>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace streamo::video {

#if defined(__SSE2__)

struct Eight {
  __m128i values;

  static Eight all(int16_t value) { return {_mm_set1_epi16(value)}; }
  static Eight load(const int16_t* from) {
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))};
  }
  static Eight load(const uint16_t* from) {
    return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))};
  }
  static Eight load(const uint8_t* from) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return {_mm_unpacklo_epi8(bytes, _mm_setzero_si128())};
  }
  void store(int16_t* to) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), values); }

  friend Eight operator+(Eight a, Eight b) { return {_mm_add_epi16(a.values, b.values)}; }
  friend Eight operator-(Eight a, Eight b) { return {_mm_sub_epi16(a.values, b.values)}; }
  // a b / 2^16, rounded down
  friend Eight upper_product(Eight a, Eight b) { return {_mm_mulhi_epi16(a.values, b.values)}; }
  friend Eight min(Eight a, Eight b) { return {_mm_min_epi16(a.values, b.values)}; }
  friend Eight max(Eight a, Eight b) { return {_mm_max_epi16(a.values, b.values)}; }
  Eight shifted_left(int bits) const { return {_mm_slli_epi16(values, bits)}; }
  Eight shifted_right(int bits) const { return {_mm_srai_epi16(values, bits)}; }
};

// a0 b0 a1 b1 ...
inline void store_in_turn(Eight a, Eight b, int16_t* to) {
  Eight{_mm_unpacklo_epi16(a.values, b.values)}.store(to);
  Eight{_mm_unpackhi_epi16(a.values, b.values)}.store(to + 8);
}

// The sum of the products of 8 `blocks` numbers.
inline int32_t dot(const int16_t* a, const int16_t* b, int blocks) {
  __m128i sums = _mm_madd_epi16(Eight::load(a).values, Eight::load(b).values);
  for (int k = 8; k < 8 * blocks; k += 8) {
    sums =
        _mm_add_epi32(sums, _mm_madd_epi16(Eight::load(a + k).values, Eight::load(b + k).values));
  }
  sums = _mm_add_epi32(sums, _mm_unpackhi_epi64(sums, sums));
  return _mm_cvtsi128_si32(sums) + _mm_cvtsi128_si32(_mm_shuffle_epi32(sums, 1));
}

#else

struct Eight {
  std::array<int16_t, 8> values;

  template <typename Function>
  static Eight make(Function value) {
    Eight made;
    for (size_t i = 0; i < 8; ++i) made.values[i] = static_cast<int16_t>(value(i));
    return made;
  }
  static Eight all(int16_t value) {
    return make([=](size_t) { return value; });
  }
  template <typename Value>
  static Eight load(const Value* from) {
    return make([=](size_t i) { return from[i]; });
  }
  void store(int16_t* to) const {
    for (const int16_t value : values) *to++ = value;
  }

  friend Eight operator+(Eight a, Eight b) {
    return make([=](size_t i) { return a.values[i] + b.values[i]; });
  }
  friend Eight operator-(Eight a, Eight b) {
    return make([=](size_t i) { return a.values[i] - b.values[i]; });
  }
  friend Eight upper_product(Eight a, Eight b) {
    return make([=](size_t i) { return (int32_t{a.values[i]} * b.values[i]) >> 16; });
  }
  friend Eight min(Eight a, Eight b) {
    return make([=](size_t i) { return a.values[i] < b.values[i] ? a.values[i] : b.values[i]; });
  }
  friend Eight max(Eight a, Eight b) {
    return make([=](size_t i) { return a.values[i] > b.values[i] ? a.values[i] : b.values[i]; });
  }
  Eight shifted_left(int bits) const {
    return make([this, bits](size_t i) { return values[i] * (1 << bits); });
  }
  Eight shifted_right(int bits) const {
    return make([this, bits](size_t i) { return values[i] >> bits; });
  }
};

inline void store_in_turn(Eight a, Eight b, int16_t* to) {
  for (size_t i = 0; i < 8; ++i) {
    *to++ = a.values[i];
    *to++ = b.values[i];
  }
}

inline int32_t dot(const int16_t* a, const int16_t* b, int blocks) {
  int32_t sum = 0;
  for (int k = 0; k < 8 * blocks; ++k) sum += a[k] * b[k];
  return sum;
}

#endif

}  // namespace streamo::video

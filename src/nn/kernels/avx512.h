// Vectors of 16 floats for the sources that are compiled for AVX-512; bf16 is its bits, uint16_t.
// Everything here has internal linkage: no other source may end up with AVX-512 code.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace streamo::nn {
namespace {

using bf16 = uint16_t;

// Rounds to nearest even; a NaN stays one. The result is in the upper half of each lane.
[[maybe_unused]] inline __m512i rounded_upper(__m512 x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  return _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), rounded,
                                 _mm512_set1_epi32(0x7fc00000));
}

[[maybe_unused]] inline __m512 load(const float* from) {
  return _mm512_loadu_ps(from);
}
[[maybe_unused]] inline __m512 load(const bf16* from) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

[[maybe_unused]] inline void store(float* to, __m512 x) {
  _mm512_storeu_ps(to, x);
}
[[maybe_unused]] inline void store(bf16* to, __m512 x) {
  const __m512i upper = _mm512_srli_epi32(rounded_upper(x), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(upper));
}

// To the precision of T and back.
template <typename T>
[[maybe_unused]] inline __m512 rounded_to(__m512 x) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return x;
  } else {
    const __m512i upper = _mm512_and_si512(rounded_upper(x), _mm512_set1_epi32(~0xffff));
    return _mm512_castsi512_ps(upper);
  }
}

// e^x for x <= 88: Cody-Waite reduction, the polynomial of Cephes' expf (error below 2 units in the
// last place). Operands of max and min stand so that a NaN passes.
[[maybe_unused]] inline __m512 vector_exp(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-104.0F), x);
  x = _mm512_min_ps(_mm512_set1_ps(89.0F), x);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 f = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
  f = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), f);
  __m512 p = _mm512_set1_ps(1.9875691500e-4F);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.3981999507e-3F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(8.3334519073e-3F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(4.1665795894e-2F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.6666665459e-1F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.0000001201e-1F));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(f, f), _mm512_add_ps(f, _mm512_set1_ps(1.0F)));
  return _mm512_scalef_ps(p, n);
}

// Lanes [0, count) of a vector; all or none beyond.
[[maybe_unused]] inline __mmask16 first_lanes(int64_t count) {
  return count >= 16 ? 0xffff : count <= 0 ? 0 : static_cast<__mmask16>((1U << count) - 1);
}

}  // namespace
}  // namespace streamo::nn

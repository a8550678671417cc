// Floats, eight at a time, or sixteen where the chip has AVX-512; and the two ways in which they lie in memory:
// float32 and bfloat16.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#ifdef __AVX__
#include <immintrin.h>
#endif

template <int N> struct Vectors {
    typedef float Float __attribute__((vector_size(4 * N)));
    typedef int32_t Int __attribute__((vector_size(4 * N)));
    typedef uint16_t Half __attribute__((vector_size(2 * N)));
};

constexpr int LANES = 8; // the least: channels come in multiples of it
typedef Vectors<LANES>::Float Vec;
#ifdef __AVX512F__
typedef Vectors<16>::Float Wide;
#else
typedef Vec Wide;
#endif
constexpr int WIDE = sizeof(Wide) / sizeof(float);

template <class V> constexpr int lanes = sizeof(V) / sizeof(float);
template <class V> using Ints = typename Vectors<lanes<V>>::Int;
template <class V> using Halves = typename Vectors<lanes<V>>::Half;

// bfloat16 is the upper half of a float32.
struct bf16 {
    uint16_t bits;
};

template <class V = Vec> inline V splat(float value) { return value - V{}; } // minus: x + 0 is not x where x is -0

template <class V = Vec> inline V load(const float *from) {
    V v;
    memcpy(&v, from, sizeof v);
    return v;
}

template <class V> inline void store(float *to, V v) { memcpy(to, &v, sizeof v); }

template <class V> inline float total(V v) {
    float sum = 0;
    for (int i = 0; i < lanes<V>; i++)
        sum += v[i];
    return sum;
}

template <class V = Vec> inline V load(const bf16 *from) {
#ifdef __AVX512F__ // what the compiler makes of the lines below takes several times as long
    if constexpr (lanes<V> == 16)
        return (V)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16);
#endif
    Halves<V> half;
    memcpy(&half, from, sizeof half);
    return (V)(__builtin_convertvector(half, Ints<V>) << 16);
}

// Rounds to nearest, ties to even, as torch does. NaN stays NaN.
template <class V> inline void store(bf16 *to, V v) {
#ifdef __AVX512BF16__
    if constexpr (lanes<V> == 16) {
        _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
        return;
    }
#endif
    Ints<V> bits = (Ints<V>)v;
    Ints<V> rounded = bits + 0x7fff + ((bits >> 16) & 1);
    Ints<V> nan = v != v;
    rounded = (rounded & ~nan) | (nan & 0x7fc00000);
    Halves<V> half = __builtin_convertvector((rounded >> 16) & 0xffff, Halves<V>);
    memcpy(to, &half, sizeof half);
}

// If one of them is NaN, x.
template <class V> inline V at_most(V x, float bound) {
#ifdef __AVX512F__
    if constexpr (lanes<V> == 16)
        return (V)_mm512_min_ps((__m512)splat<V>(bound), (__m512)x);
    else
#endif
#ifdef __AVX__
        return (V)_mm256_min_ps((__m256)splat<V>(bound), (__m256)x);
#else
    return x > bound ? splat<V>(bound) : x;
#endif
}

template <class V> inline V at_least(V x, float bound) {
#ifdef __AVX512F__
    if constexpr (lanes<V> == 16)
        return (V)_mm512_max_ps((__m512)splat<V>(bound), (__m512)x);
    else
#endif
#ifdef __AVX__
        return (V)_mm256_max_ps((__m256)splat<V>(bound), (__m256)x);
#else
    return x < bound ? splat<V>(bound) : x;
#endif
}

// e^x to about 2 units in the last place: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial in r, n into the
// exponent (the Cephes library's expf). Saturates beyond +-87; NaN stays no number.
template <class V> inline V exp(V x) {
    V clipped = at_least(at_most(x, 87.0f), -87.0f);
    V magic = splat<V>(12582912.0f); // 1.5 * 2^23: adding it rounds to an integer, in the lowest bits
    V shifted = clipped * 1.44269504088896341f + magic;
    Ints<V> power = (Ints<V>)shifted << 23;
    V n = shifted - magic;
    V r = clipped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    V p = splat<V>(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (V)((Ints<V>)p + power);
}

// To the last digits of float32; for values that are kept in bfloat16, to 14 bits, at half the price.
template <class T = float, class V> inline V sigmoid(V x) {
#ifdef __AVX512F__
    if constexpr (lanes<V> == 16 && std::is_same_v<T, bf16>) {
        __m512 t = (__m512)at_least(x * -1.44269504088896341f, -126.0f);
        __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        V r = (V)_mm512_sub_ps(t, n);
        V p = splat<V>(9.618129e-3f); // 2^r, |r| <= 1/2, its Taylor series
        p = p * r + 5.5504109e-2f;
        p = p * r + 2.4022651e-1f;
        p = p * r + 6.9314718e-1f;
        p = p * r + 1.0f;
        return (V)_mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_scalef_ps((__m512)p, n)));
    }
#endif
    V d = 1.0f + exp(-x);
#ifdef __AVX512F__
    if constexpr (lanes<V> == 16) { // 14 bits, then 23 by a step of Newton's: a division takes four times as long
        V r = (V)_mm512_rcp14_ps((__m512)d);
        return r + r * (1.0f - d * r);
    }
#endif
    return 1.0f / d;
}

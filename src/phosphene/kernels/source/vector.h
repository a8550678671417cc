// Eight floats at a time, and the two ways in which they lie in memory: float32 and bfloat16.
#pragma once

#include <cstdint>
#include <cstring>

typedef float Vec __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef uint16_t Halves __attribute__((vector_size(16)));

constexpr int LANES = 8;

// bfloat16 is the upper half of a float32.
struct bf16 {
    uint16_t bits;
};

inline Vec splat(float value) { return value - Vec{}; } // minus: x + 0 is not x where x is -0

inline Vec load(const float *from) {
    Vec v;
    memcpy(&v, from, sizeof v);
    return v;
}

inline void store(float *to, Vec v) { memcpy(to, &v, sizeof v); }

inline float total(Vec v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += v[i];
    return sum;
}

inline Vec load(const bf16 *from) {
    Halves half;
    memcpy(&half, from, sizeof half);
    return (Vec)(__builtin_convertvector(half, Ints) << 16);
}

// Rounds to nearest, ties to even, as torch does. NaN stays NaN.
inline void store(bf16 *to, Vec v) {
    Ints bits = (Ints)v;
    Ints rounded = bits + 0x7fff + ((bits >> 16) & 1);
    Ints nan = v != v;
    rounded = (rounded & ~nan) | (nan & 0x7fc00000);
    Halves half = __builtin_convertvector((rounded >> 16) & 0xffff, Halves);
    memcpy(to, &half, sizeof half);
}

#ifdef __AVX__
#include <immintrin.h>
// If one of them is NaN, x.
inline Vec at_most(Vec x, float bound) { return (Vec)_mm256_min_ps((__m256)splat(bound), (__m256)x); }
inline Vec at_least(Vec x, float bound) { return (Vec)_mm256_max_ps((__m256)splat(bound), (__m256)x); }
#else
inline Vec choose(Ints mask, Vec yes, Vec no) { return (Vec)(((Ints)yes & mask) | ((Ints)no & ~mask)); }
inline Vec at_most(Vec x, float bound) { return choose(x > bound, splat(bound), x); }
inline Vec at_least(Vec x, float bound) { return choose(x < bound, splat(bound), x); }
#endif

// e^x to about 2 units in the last place: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial in r, n into the
// exponent (the Cephes library's expf). Saturates beyond +-87; NaN stays no number.
inline Vec exp(Vec x) {
    Vec clipped = at_least(at_most(x, 87.0f), -87.0f);
    Vec magic = splat(12582912.0f); // 1.5 * 2^23: adding it rounds to an integer, in the lowest bits
    Vec shifted = clipped * 1.44269504088896341f + magic;
    Ints power = (Ints)shifted << 23;
    Vec n = shifted - magic;
    Vec r = clipped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (Vec)((Ints)p + power);
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

// Products of matrices in bfloat16 by AMX: eight registers ("tiles") of 16 rows of 64 bytes, and one instruction,
//
//     C (16 x 16 float32) += A (16 x 32 bf16) B (32 x 16 bf16),
//
// where B lies in pairs: row k of its tile is B[2k][0], B[2k+1][0], B[2k][1], B[2k+1][1], ... Sums are float32.
// Everything here runs two by two: tiles 0 to 3 are sums, 4 and 5 two A, 6 and 7 two B.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define HAVE_AMX
#include <immintrin.h>

constexpr int64_t TILE = 16;       // rows of a tile, columns of a sum
constexpr int64_t DEPTH = 32;      // numbers of bf16 in a row of a tile
constexpr int64_t BLOCK = 32;      // rows or columns of two tiles
constexpr int64_t ROW = 64;        // bytes of a row of a tile
constexpr int64_t BYTES = 1024;    // of a tile

// How many times `by` it takes to hold a value.
inline int64_t up(int64_t value, int64_t by) { return (value + by - 1) / by; }

// While one lives, this thread's tiles are all whole.
class Tiles {
    struct __attribute__((packed)) Shape {
        uint8_t palette = 1, start = 0, reserved[14] = {};
        uint16_t columns[16] = {ROW, ROW, ROW, ROW, ROW, ROW, ROW, ROW};
        uint8_t rows[16] = {TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE};
    };

  public:
    Tiles() {
        Shape shape;
        _tile_loadconfig(&shape);
    }
    ~Tiles() { _tile_release(); }
    Tiles(const Tiles &) = delete;
};

inline void zero_sums() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

// The sums, 32 x 32, `pitch` floats from row to row.
inline void load_sums(const float *from, int64_t pitch) {
    _tile_loadd(0, from, pitch * 4);
    _tile_loadd(1, from + TILE, pitch * 4);
    _tile_loadd(2, from + TILE * pitch, pitch * 4);
    _tile_loadd(3, from + TILE * pitch + TILE, pitch * 4);
}

inline void store_sums(float *to, int64_t pitch) {
    _tile_stored(0, to, pitch * 4);
    _tile_stored(1, to + TILE, pitch * 4);
    _tile_stored(2, to + TILE * pitch, pitch * 4);
    _tile_stored(3, to + TILE * pitch + TILE, pitch * 4);
}

// Two tiles of A, whose rows are 64 bytes long, by two of B.
inline void multiply(const char *a0, const char *a1, int64_t a_pitch, const char *b0, const char *b1,
                     int64_t b_pitch) {
    _tile_loadd(4, a0, a_pitch);
    _tile_loadd(6, b0, b_pitch);
    _tile_loadd(5, a1, a_pitch);
    _tile_loadd(7, b1, b_pitch);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

// One tile of A by two of B.
inline void multiply_one(const char *a, int64_t a_pitch, const char *b0, const char *b1, int64_t b_pitch) {
    _tile_loadd(4, a, a_pitch);
    _tile_loadd(6, b0, b_pitch);
    _tile_loadd(7, b1, b_pitch);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
}

// bf16 as float32, and back to the nearest.
inline __m512 widen(__m256i half) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

inline __m512i narrow(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }

// As much of 32 numbers of bf16 as there is.
inline __mmask32 first(int64_t count) {
    return count >= DEPTH ? ~__mmask32(0) : count <= 0 ? 0 : (__mmask32(1) << count) - 1;
}

// (x[0], y[0], x[1], y[1], ...): what one row of B takes from 16 columns, twice.
inline void pair(__m512i x, __m512i y, __m512i &low, __m512i &high) {
    const __m512i each = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                                          37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    low = _mm512_permutex2var_epi16(x, each, y);
    high = _mm512_permutex2var_epi16(x, _mm512_add_epi16(each, _mm512_set1_epi16(16)), y);
}

// 16 x 16 numbers of 32 bits: columns become rows.
inline void transpose(__m512i (&x)[16]) {
    __m512i y[16];
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + 2 + j]);
            x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + 2 + j]);
        }
    // x[i + j], i a multiple of 4, now holds columns j, 4 + j, 8 + j, 12 + j of rows i to i + 3.
    for (int j = 0; j < 4; j++) {
        __m512i a = _mm512_shuffle_i32x4(x[j], x[4 + j], 0x88), b = _mm512_shuffle_i32x4(x[j], x[4 + j], 0xdd);
        __m512i c = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0x88);
        __m512i d = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0xdd);
        y[j] = _mm512_shuffle_i32x4(a, c, 0x88);
        y[4 + j] = _mm512_shuffle_i32x4(b, d, 0x88);
        y[8 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
        y[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
    for (int i = 0; i < 16; i++)
        x[i] = y[i];
}

#endif

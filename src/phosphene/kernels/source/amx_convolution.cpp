// Convolutions in bfloat16 by AMX, channels last, sums in float32: 3x3 (also with stride 2, also of a picture that
// is first made twice as large) and 1x1. A 3x3 convolution is nine products of matrices, one for each tap:
//
//     Y (pixels x out) = sum over taps  X shifted by the tap (pixels x in)  W[tap] (in x out)
//
// The 16 rows of a tile must lie evenly apart, so a task first gathers its pixels, with the zeros around them, into
// copies in the order [32 channels][copy][position], 64 bytes a position. Where 16 divides the width one copy does:
// a tile stays in its line, and a tap is an offset. Else a copy for each column of taps has its lines end to end, so
// that tiles may go on in the next line; with stride 2 each tap has its own.
//
// Weights lie as they are read: [32 outputs][32 inputs][tap][2 tiles]. A pixel's sum goes over inputs and taps in
// one order whatever its neighbours, so that its bits do not depend on them.
#include "amx.h"

#include <algorithm>

extern "C" int amx_ready();

#ifdef HAVE_AMX
#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

// Whether this chip and system let this process use the tiles: Linux wants to be asked once.
extern "C" int amx_ready() {
    constexpr int ask_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, ask_permission, tile_data) == 0;
}

namespace {

constexpr int64_t MOST = 768 * 1024; // bytes that a task gathers: they stay in the cache
constexpr int64_t LEAST = 128;       // pixels of a task, against which weights are read once

struct Convolution {
    int64_t rows, height, width, inputs, outputs; // height, width: of the answer
    int side, stride, border, twice;              // of taps; zeros above and to the left; whether x is doubled first

    int64_t taps() const { return side * side; }
    int64_t depth() const { return up(inputs, DEPTH); }
    int64_t blocks() const { return up(outputs, BLOCK); }
    bool in_line() const { return side == 1 || (stride == 1 && width % TILE == 0); }
    int64_t copies() const { return in_line() ? 1 : stride == 1 ? side : taps(); }
    int64_t pitch() const { return width + (in_line() ? side - 1 : 0); }
    // Lines that a copy of so many lines of the answer holds.
    int64_t lines(int64_t of) const { return of + (copies() == taps() ? 0 : side - 1); }
    // Positions of a picture's lines in a copy; the last tile may reach beyond them.
    int64_t positions(int64_t of) const { return up(lines(of) * pitch() + side - 1, TILE) * TILE + TILE; }
    int64_t tiles(int64_t of) const { return up(of * width, TILE); }
};

// How a convolution is split: so many pictures at a time, or lines of one, and so many blocks of outputs.
struct Split {
    int64_t pictures, lines, blocks;

    Split(const Convolution &c, int threads) {
        int64_t bytes = c.depth() * c.copies() * ROW, pixels = c.height * c.width;
        int64_t share = std::max(LEAST, c.rows * pixels / (2 * threads));
        int64_t fit = std::max<int64_t>(1, MOST / (bytes * c.positions(c.height)));
        pictures = std::max<int64_t>(1, std::min({fit, share / pixels, c.rows}));
        lines = c.height;
        if (pictures == 1) {
            lines = std::max<int64_t>(1, std::min(lines, share / c.width));
            while (lines > 1 && bytes * c.positions(lines) > MOST)
                lines = (lines + 1) / 2;
            lines = up(c.height, up(c.height, lines));
        }
        int64_t many = up(c.rows, pictures) * up(c.height, lines);
        int64_t parts = std::min(c.blocks(), up(2 * threads, many));
        blocks = up(c.blocks(), parts);
    }
};

// What is added to the answer: a value an output, a value a row and output, a picture; each may be null.
struct Added {
    const float *bias, *told;
    const uint16_t *rest;
};

// Lines [top, top + lines) of picture n, into all copies of all its channels from `to` on.
void gather(const Convolution &c, const uint16_t *x, int64_t n, int64_t top, int64_t lines, char *to,
            int64_t copy_pitch, int64_t depth_pitch) {
    int64_t high = c.twice ? c.height / 2 : c.height * c.stride, wide = c.twice ? c.width / 2 : c.width * c.stride;
    const __m512i zero = _mm512_setzero_si512();
    for (int64_t copy = 0; copy < c.copies(); copy++) {
        bool single = c.copies() == c.taps() && c.side > 1; // one tap a copy
        int64_t down = (single ? copy / c.side : 0) - c.border;
        int64_t right = (c.copies() == 1 ? 0 : copy % c.side) - c.border;
        for (int64_t i = 0; i < c.lines(lines); i++) {
            int64_t y = (top + i) * c.stride + down;
            y = c.twice ? y >> 1 : y;
            char *line = to + copy * copy_pitch + i * c.pitch() * ROW;
            for (int64_t j = 0; j < c.pitch(); j++, line += ROW) {
                int64_t z = j * c.stride + right;
                z = c.twice ? z >> 1 : z;
                if (y < 0 || y >= high || z < 0 || z >= wide) {
                    for (int64_t d = 0; d < c.depth(); d++)
                        _mm512_store_si512(line + d * depth_pitch, zero);
                    continue;
                }
                const uint16_t *from = x + ((n * high + y) * wide + z) * c.inputs;
                int64_t d = 0;
                for (; (d + 1) * DEPTH <= c.inputs; d++)
                    _mm512_store_si512(line + d * depth_pitch, _mm512_loadu_si512(from + d * DEPTH));
                if (d < c.depth())
                    _mm512_store_si512(line + d * depth_pitch,
                                       _mm512_maskz_loadu_epi16(first(c.inputs - d * DEPTH), from + d * DEPTH));
            }
        }
    }
}

// 32 outputs of two tiles of pixels; `meanwhile(share)` is done between the products, for each of `depth` shares.
template <class Meanwhile>
inline void products(const char *a0, const char *a1, int64_t depth, int64_t depth_pitch, const int64_t *at, int taps,
                     const char *w, float *sums, Meanwhile meanwhile) {
    zero_sums();
    for (int64_t d = 0; d < depth; d++, a0 += depth_pitch, a1 += depth_pitch) {
        for (int i = 0; i < taps; i++, w += 2 * BYTES)
            multiply(a0 + at[i], a1 + at[i], ROW, w, w + BYTES, ROW);
        meanwhile(d);
    }
    store_sums(sums, BLOCK);
}

inline void products_one(const char *a, int64_t depth, int64_t depth_pitch, const int64_t *at, int taps, const char *w,
                         float *sums) {
    _tile_zero(0);
    _tile_zero(1);
    for (int64_t d = 0; d < depth; d++, a += depth_pitch)
        for (int i = 0; i < taps; i++, w += 2 * BYTES)
            multiply_one(a + at[i], ROW, w, w + BYTES, ROW);
    _tile_stored(0, sums, BLOCK * 4);
    _tile_stored(1, sums + TILE, BLOCK * 4);
}

// Where the sums of a tile go: from which pixel on, how many, of which row.
struct Target {
    int64_t pixel, count, row;
};

// The answer at pixels [from, to) of a tile and outputs from `start` on.
inline void finish(const float *sums, const Target &target, int64_t from, int64_t to, const Convolution &c,
                   const Added &add, int64_t start, uint16_t *y) {
    __mmask32 there = first(c.outputs - start);
    __m512 low = _mm512_setzero_ps(), high = low;
    for (const float *more : {add.bias, add.told ? add.told + target.row * c.outputs : nullptr})
        if (more) {
            low = _mm512_add_ps(low, _mm512_maskz_loadu_ps(there, more + start));
            high = _mm512_add_ps(high, _mm512_maskz_loadu_ps(there >> 16, more + start + TILE));
        }
    for (int64_t p = from; p < std::min(to, target.count); p++) {
        int64_t at = (target.pixel + p) * c.outputs + start;
        __m512 a = _mm512_add_ps(_mm512_load_ps(sums + p * BLOCK), low);
        __m512 b = _mm512_add_ps(_mm512_load_ps(sums + p * BLOCK + TILE), high);
        if (add.rest) {
            __m512i rest = _mm512_maskz_loadu_epi16(there, add.rest + at);
            a = _mm512_add_ps(a, widen(_mm512_castsi512_si256(rest)));
            b = _mm512_add_ps(b, widen(_mm512_extracti64x4_epi64(rest, 1)));
        }
        _mm512_mask_storeu_epi16(y + at, there, narrow(a, b));
    }
}

// `wide` numbers that lie `pitch` apart, float32 or bfloat16, as bfloat16; zeros up to 32.
inline __m512i take_row(const void *from, int half, int64_t at, int64_t pitch, int64_t wide) {
    __mmask32 there = first(wide);
    if (half) {
        const uint16_t *line = (const uint16_t *)from + at;
        if (pitch == 1)
            return _mm512_maskz_loadu_epi16(there, line);
        alignas(64) uint16_t row[DEPTH] = {};
        for (int64_t i = 0; i < wide; i++)
            row[i] = line[i * pitch];
        return _mm512_load_si512(row);
    }
    const float *line = (const float *)from + at;
    if (pitch == 1)
        return narrow(_mm512_maskz_loadu_ps(there, line), _mm512_maskz_loadu_ps(there >> 16, line + TILE));
    alignas(64) float row[DEPTH] = {};
    for (int64_t i = 0; i < wide; i++)
        row[i] = line[i * pitch];
    return narrow(_mm512_load_ps(row), _mm512_load_ps(row + TILE));
}

} // namespace

// Bytes of packed weights.
extern "C" int64_t amx_weights_size(int64_t inputs, int64_t outputs, int64_t taps) {
    return up(outputs, BLOCK) * up(inputs, DEPTH) * taps * 2 * BYTES;
}

// Bytes that all threads work in.
extern "C" int64_t amx_work_size(int64_t rows, int64_t height, int64_t width, int64_t inputs, int64_t outputs,
                                 int side, int stride, int border, int twice, int threads) {
    Convolution c{rows, height, width, inputs, outputs, side, stride, border, twice};
    Split split(c, threads);
    return threads * split.pictures * c.depth() * c.copies() * c.positions(split.lines) * ROW;
}

// Weights, float32 or bfloat16, whose output, input, row and column lie at `pitch`, as they are read. turned: for the
// gradient of the inputs: the caller swaps outputs and inputs, and the taps run backward.
extern "C" void amx_weights(const void *weights, int half, const int64_t *pitch, int turned, int64_t inputs,
                            int64_t outputs, int side, void *packed, int threads) {
    int64_t depth = up(inputs, DEPTH), taps = side * side;
    // Rows of what lies side by side in memory; a row is an output (else an input).
    bool by_output = pitch[1] == 1;
    int64_t row_pitch = by_output ? pitch[0] : pitch[1], column_pitch = by_output ? pitch[1] : pitch[0];
#pragma omp parallel for num_threads(threads) collapse(2) schedule(static)
    for (int64_t block = 0; block < up(outputs, BLOCK); block++)
        for (int64_t d = 0; d < depth; d++) {
            int64_t out = block * BLOCK, in = d * DEPTH;
            int64_t high = std::min(BLOCK, by_output ? outputs - out : inputs - in);
            int64_t wide = std::min(BLOCK, by_output ? inputs - in : outputs - out);
            for (int64_t tap = 0; tap < taps; tap++) {
                int64_t place = turned ? taps - 1 - tap : tap;
                int64_t from = place / side * pitch[2] + place % side * pitch[3] + out * pitch[0] + in * pitch[1];
                __m512i row[BLOCK];
                for (int64_t i = 0; i < BLOCK; i++)
                    row[i] = i < high ? take_row(weights, half, from + i * row_pitch, column_pitch, wide)
                                      : _mm512_setzero_si512();
                __m512i *to = (__m512i *)packed + ((block * depth + d) * taps + tap) * 2 * TILE;
                if (by_output) {
                    transpose(*(__m512i(*)[16])row);
                    transpose(*(__m512i(*)[16])(row + TILE));
                    for (int64_t i = 0; i < BLOCK; i++)
                        _mm512_storeu_si512(to + i, row[i]);
                } else
                    for (int64_t i = 0; i < TILE; i++) {
                        __m512i low, high;
                        pair(row[2 * i], row[2 * i + 1], low, high);
                        _mm512_storeu_si512(to + i, low);
                        _mm512_storeu_si512(to + TILE + i, high);
                    }
            }
        }
}

// y (rows, height, width, outputs) from x (rows, its height, its width, inputs), both bfloat16, and packed weights;
// added to it, where not null: bias (outputs), told (rows, outputs), rest (as y).
extern "C" void amx_convolution(const void *x, const void *weights, const float *bias, const float *told,
                                const void *rest, void *y, int64_t rows, int64_t height, int64_t width,
                                int64_t inputs, int64_t outputs, int side, int stride, int border, int twice,
                                void *work, int threads) {
    Convolution c{rows, height, width, inputs, outputs, side, stride, border, twice};
    Split split(c, threads);
    Added add{bias, told, (const uint16_t *)rest};
    int64_t copy_pitch = c.positions(split.lines) * ROW, picture_pitch = c.copies() * copy_pitch;
    int64_t depth_pitch = split.pictures * picture_pitch, depth = c.depth();
    int64_t at[9];
    for (int i = 0; i < c.taps(); i++)
        if (c.in_line())
            at[i] = (i / side * c.pitch() + i % side) * ROW;
        else
            at[i] = stride == 1 ? i % side * copy_pitch + i / side * c.pitch() * ROW : i * copy_pitch;
    int64_t groups = up(rows, split.pictures), bands = up(height, split.lines), parts = up(c.blocks(), split.blocks);
#pragma omp parallel num_threads(threads)
    {
        Tiles whole;
        alignas(64) float sums[2][BLOCK * BLOCK]; // of the tiles at work, and of those before
        char *own = (char *)work + omp_get_thread_num() * depth * depth_pitch;
        int64_t gathered = -1;
#pragma omp for schedule(dynamic)
        for (int64_t task = 0; task < groups * bands * parts; task++) {
            int64_t share = task / parts, part = task % parts;
            int64_t n = share / bands * split.pictures, pictures = std::min(split.pictures, rows - n);
            int64_t top = share % bands * split.lines, lines = std::min(split.lines, height - top);
            if (gathered != share)
                for (int64_t i = 0; i < pictures; i++)
                    gather(c, (const uint16_t *)x, n + i, top, lines, own + i * picture_pitch, copy_pitch, depth_pitch);
            gathered = share;
            int64_t each = c.tiles(lines), count = pictures * each, wide = width / TILE;
            bool ends = c.pitch() == width; // lines lie end to end
            // Two tiles that follow each other lie above each other: they share most of their pixels.
            auto line = [&](int64_t i) { return i < lines / 2 * 2 * wide ? i / 2 / wide * 2 + i % 2 : lines - 1; };
            auto column = [&](int64_t i) { return i < lines / 2 * 2 * wide ? i / 2 % wide : i % wide; };
            auto tile = [&](int64_t t) {
                int64_t i = t % each, position = ends ? i * TILE : line(i) * c.pitch() + column(i) * TILE;
                return own + t / each * picture_pitch + position * ROW;
            };
            auto target = [&](int64_t t) {
                int64_t i = t % each, pixel = ends ? i * TILE : line(i) * width + column(i) * TILE, row = n + t / each;
                return Target{(row * height + top) * width + pixel, std::min(TILE, lines * width - pixel), row};
            };
            Target before[2] = {};
            int64_t start = 0, now = 0; // start: the first output of what was before
            auto finish_share = [&](int64_t d) {
                int64_t from = BLOCK * d / depth, to = BLOCK * (d + 1) / depth;
                const float *last = sums[1 - now];
                if (from < TILE)
                    finish(last, before[0], from, std::min(to, TILE), c, add, start, (uint16_t *)y);
                if (to > TILE)
                    finish(last + TILE * BLOCK, before[1], std::max(from, TILE) - TILE, to - TILE, c, add, start,
                           (uint16_t *)y);
            };
            for (int64_t block = part * split.blocks; block < std::min(c.blocks(), (part + 1) * split.blocks); block++) {
                const char *w = (const char *)weights + block * depth * c.taps() * 2 * BYTES;
                for (int64_t t = 0; t < count; t += 2) {
                    bool two = t + 1 < count;
                    if (two)
                        products(tile(t), tile(t + 1), depth, depth_pitch, at, c.taps(), w, sums[now], finish_share);
                    else {
                        products_one(tile(t), depth, depth_pitch, at, c.taps(), w, sums[now]);
                        for (int64_t d = 0; d < depth; d++)
                            finish_share(d);
                    }
                    before[0] = target(t);
                    before[1] = two ? target(t + 1) : Target{};
                    start = block * BLOCK;
                    now = 1 - now;
                }
            }
            for (int64_t d = 0; d < depth; d++)
                finish_share(d);
        }
    }
}
#else
extern "C" int amx_ready() { return 0; }
#endif

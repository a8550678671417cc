// The gradient of a 3x3 convolution's weights in bfloat16 by AMX, stride 1, channels last, sums in float32:
//
//     dW[tap] (out x in) = dY' (out x positions)  X shifted by the tap (positions x in)
//
// Positions are the pixels of some pictures, or of some lines of one, line after line, with a line of zeros between
// pictures; an even number of them in a line, as they lie in pairs. dY lies turned around, [32 outputs][32 positions]
// [tile], zero where there is no pixel. X lies in pairs of positions, [32 inputs][copy][tile], a copy for each column
// of taps, so that a row of taps is an offset of a whole line. Within 32 channels both are in the order in which the
// chip pairs numbers at no price, see `place`. How the pixels are split is a function of the shape alone, and each
// number is summed by one thread, in order.
#include "amx.h"

#include <algorithm>

#ifdef HAVE_AMX
#include <omp.h>
#include <vector>

namespace {

constexpr int64_t AT_ONCE = 5 << 19; // bytes of gathered positions, but
constexpr int64_t FEWEST = 1280, MOST = 8192; // so many positions;
constexpr int64_t SIDE = 3, TAPS = 9;
constexpr int64_t STEPS = 8; // and tiles of them that all taps go over while they are in the nearest cache

struct Gradient {
    int64_t rows, height, width, inputs, outputs;

    int64_t depth() const { return up(inputs, DEPTH); }
    int64_t blocks() const { return up(outputs, BLOCK); }
    // Positions from line to line.
    int64_t pitch() const { return up(width, 2) * 2; }
    int64_t at_once() const { return std::clamp(AT_ONCE / (2 * (outputs + SIDE * inputs)), FEWEST, MOST); }
    // Lines of a picture that are taken at once, and pictures.
    int64_t lines() const { return std::clamp<int64_t>(at_once() / pitch(), 1, height); }
    int64_t pictures() const {
        return lines() < height ? 1 : std::clamp<int64_t>(at_once() / ((height + 1) * pitch()), 1, rows);
    }
    int64_t chunks() const { return up(rows, pictures()) * up(height, lines()); }
    // Positions from picture to picture, and in all, in whole tiles.
    int64_t picture_pitch() const { return (lines() + 1) * pitch(); }
    int64_t positions() const { return up(pictures() * picture_pitch(), DEPTH) * DEPTH; }
    // With the lines above and below.
    int64_t reached() const { return up(positions() + 2 * pitch(), 2) * 2; }
};

// Which pixel lies at a position, counted from the first of the chunk; INT32_MIN for none.
struct Chunk {
    std::vector<int32_t> of_dy, of_x; // of_x: of all copies
    int64_t pictures = 0, top = -1;   // what it was made for

    // Of `count` pictures, from line `from` on.
    void make(const Gradient &g, int64_t count, int64_t from) {
        if (count == pictures && from == top && g.lines() == g.height)
            return;
        pictures = count;
        top = from;
        of_dy.assign(g.positions(), INT32_MIN);
        of_x.assign(SIDE * g.reached(), INT32_MIN);
        for (int64_t i = 0; i < count; i++)
            for (int64_t y = -1; y <= g.lines(); y++) {
                int64_t at = i * g.picture_pitch() + y * g.pitch(), pixel = (i * g.height + y) * g.width;
                if (top + y < 0 || top + y >= g.height)
                    continue;
                if (y >= 0 && y < g.lines())
                    for (int64_t x = 0; x < g.width; x++)
                        of_dy[at + x] = int32_t(pixel + x);
                for (int64_t copy = 0; copy < SIDE; copy++) {
                    int64_t shift = copy - 1; // a position holds the pixel so far to its right
                    int32_t *to = &of_x[copy * g.reached() + at + g.pitch()];
                    for (int64_t x = std::max<int64_t>(0, -shift); x < g.width - std::max<int64_t>(0, shift); x++)
                        to[x] = int32_t(pixel + x + shift);
                }
            }
    }
};

inline __m512i take(const uint16_t *from, int64_t pixel, int64_t channels, int64_t start) {
    if (pixel == INT32_MIN)
        return _mm512_setzero_si512();
    if (start + DEPTH <= channels)
        return _mm512_loadu_si512(from + pixel * channels + start);
    return _mm512_maskz_loadu_epi16(first(channels - start), from + pixel * channels + start);
}

// Pairs of 16 channels, and of the other 16.
inline void quick_pair(__m512i x, __m512i y, __m512i &low, __m512i &high) {
    low = _mm512_unpacklo_epi16(x, y);
    high = _mm512_unpackhi_epi16(x, y);
}

// Which of 32 channels lies at a place after that.
inline int64_t place(int64_t i) { return i % TILE / 4 * 8 + i / TILE * 4 + i % 4; }

// The sums of one output by 32 inputs, in the inputs' own order.
inline void in_order(const float *from, __m512 &low, __m512 &high) {
    const __m512i at = _mm512_set_epi32(23, 22, 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
    __m512 x = _mm512_loadu_ps(from), y = _mm512_loadu_ps(from + TILE);
    low = _mm512_permutex2var_ps(x, at, y);
    high = _mm512_permutex2var_ps(x, _mm512_add_epi32(at, _mm512_set1_epi32(8)), y);
}

// 32 positions of 32 outputs, turned around.
inline void turn(const uint16_t *dy, const int32_t *pixel, int64_t outputs, int64_t start, __m512i *to) {
    __m512i low[TILE], high[TILE];
    for (int64_t i = 0; i < TILE; i++)
        quick_pair(take(dy, pixel[2 * i], outputs, start), take(dy, pixel[2 * i + 1], outputs, start), low[i],
                   high[i]);
    transpose(low);
    transpose(high);
    for (int64_t i = 0; i < TILE; i++) {
        to[i] = low[i];
        to[TILE + i] = high[i];
    }
}

} // namespace

// Bytes that it works in.
extern "C" int64_t amx_gradient_size(int64_t rows, int64_t height, int64_t width, int64_t inputs, int64_t outputs) {
    Gradient g{rows, height, width, inputs, outputs};
    return g.blocks() * g.positions() * ROW + g.depth() * SIDE * g.reached() * ROW +
           g.blocks() * g.depth() * TAPS * BLOCK * BLOCK * int64_t(sizeof(float));
}

// dw, whose output, input, row and column lie at `pitch`, and sums (rows, outputs; or null) of dy over the pixels of
// a row, from x (rows, height, width, inputs) and dy (rows, height, width, outputs).
extern "C" void amx_weight_gradient(const void *x, const void *dy, float *dw, const int64_t *pitch, float *sums,
                                    int64_t rows, int64_t height, int64_t width, int64_t inputs, int64_t outputs,
                                    void *work, int threads) {
    Gradient g{rows, height, width, inputs, outputs};
    int64_t blocks = g.blocks(), depth = g.depth(), steps = g.positions() / DEPTH;
    int64_t half = g.reached() / 2 * ROW, copy_pitch = 2 * half, depth_pitch = SIDE * copy_pitch;
    char *turned = (char *)work, *pairs = turned + blocks * g.positions() * ROW;
    float *sum = (float *)(pairs + depth * depth_pitch);
    const uint16_t *from_dy = (const uint16_t *)dy;
#pragma omp parallel num_threads(threads)
    {
        Tiles whole;
        Chunk chunk;
        for (int64_t number = 0; number < g.chunks(); number++) {
            int64_t bands = up(height, g.lines()), n = number / bands * g.pictures();
            int64_t top = number % bands * g.lines(), pixel = (n * height + top) * width;
            const uint16_t *in = (const uint16_t *)x + pixel * inputs, *above = from_dy + pixel * outputs;
            chunk.make(g, std::min(g.pictures(), rows - n), top);
#pragma omp for collapse(2) schedule(static) nowait
            for (int64_t block = 0; block < blocks; block++)
                for (int64_t step = 0; step < steps; step++)
                    turn(above, &chunk.of_dy[step * DEPTH], outputs, block * BLOCK,
                         (__m512i *)(turned + (block * steps + step) * 2 * BYTES));
#pragma omp for collapse(2) schedule(static)
            for (int64_t d = 0; d < depth; d++)
                for (int64_t copy = 0; copy < SIDE; copy++) {
                    const int32_t *pixel = &chunk.of_x[copy * g.reached()];
                    char *to = pairs + d * depth_pitch + copy * copy_pitch;
                    for (int64_t i = 0; i < g.reached() / 2; i++) {
                        __m512i low, high;
                        quick_pair(take(in, pixel[2 * i], inputs, d * DEPTH),
                                   take(in, pixel[2 * i + 1], inputs, d * DEPTH), low, high);
                        _mm512_storeu_si512(to + i * ROW, low);
                        _mm512_storeu_si512(to + half + i * ROW, high);
                    }
                }
#pragma omp for collapse(2) schedule(static)
            for (int64_t d = 0; d < depth; d++)
                for (int64_t block = 0; block < blocks; block++)
                    for (int64_t begin = 0; begin < steps; begin += STEPS)
                        for (int64_t i = 0; i < TAPS; i++) { // taps of one copy after each other
                            int64_t copy = i / SIDE, line = i % SIDE, tap = line * SIDE + copy;
                            float *to = sum + ((block * depth + d) * TAPS + tap) * BLOCK * BLOCK;
                            const char *a = turned + (block * steps + begin) * 2 * BYTES;
                            const char *b = pairs + d * depth_pitch + copy * copy_pitch +
                                            line * g.pitch() / 2 * ROW + begin * BYTES;
                            number + begin ? load_sums(to, BLOCK) : zero_sums();
                            for (int64_t step = begin; step < std::min(steps, begin + STEPS); step++) {
                                multiply(a, a + BYTES, ROW, b, b + half, ROW);
                                a += 2 * BYTES;
                                b += BYTES;
                            }
                            store_sums(to, BLOCK);
                        }
        }
#pragma omp for collapse(2) schedule(static) nowait
        for (int64_t block = 0; block < blocks; block++)
            for (int64_t i = 0; i < BLOCK; i++) {
                int64_t n = block * BLOCK + place(i);
                if (n >= outputs)
                    continue;
                for (int64_t d = 0; d < depth; d++)
                    for (int64_t tap = 0; tap < TAPS; tap++) {
                        alignas(64) float row[DEPTH];
                        __m512 low, high;
                        in_order(sum + (((block * depth + d) * TAPS + tap) * BLOCK + i) * BLOCK, low, high);
                        float *to = dw + n * pitch[0] + d * DEPTH * pitch[1] + tap / SIDE * pitch[2] +
                                    tap % SIDE * pitch[3];
                        __mmask32 there = first(inputs - d * DEPTH);
                        if (pitch[1] == 1) {
                            _mm512_mask_storeu_ps(to, there, low);
                            _mm512_mask_storeu_ps(to + TILE, there >> 16, high);
                            continue;
                        }
                        _mm512_store_ps(row, low);
                        _mm512_store_ps(row + TILE, high);
                        for (int64_t k = 0; k < std::min(DEPTH, inputs - d * DEPTH); k++)
                            to[k * pitch[1]] = row[k];
                    }
            }
        if (sums)
#pragma omp for collapse(2) schedule(static)
            for (int64_t row = 0; row < rows; row++)
                for (int64_t block = 0; block < blocks; block++) {
                    __m512 low = _mm512_setzero_ps(), high = low;
                    for (int64_t p = row * height * width; p < (row + 1) * height * width; p++) {
                        __m512i both = take(from_dy, p, outputs, block * BLOCK);
                        low = _mm512_add_ps(low, widen(_mm512_castsi512_si256(both)));
                        high = _mm512_add_ps(high, widen(_mm512_extracti64x4_epi64(both, 1)));
                    }
                    __mmask32 there = first(outputs - block * BLOCK);
                    _mm512_mask_storeu_ps(sums + row * outputs + block * BLOCK, there, low);
                    _mm512_mask_storeu_ps(sums + row * outputs + block * BLOCK + TILE, there >> 16, high);
                }
    }
}
#endif

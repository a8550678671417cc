// 3x3 convolutions, stride 1, padding 1, channels last, float32, by Winograd's minimal filtering F(4x4, 3x3)
// (Lavin & Gray 2016, "Fast algorithms for convolutional neural networks"). A tile of 4x4 outputs costs 36
// products in place of 144:
//
//     Y = A' [(G g G') * (B' d B)] A         d: 6x6 inputs of a tile, g: 3x3 weights, *: by element
//
// Over channels and tiles, the product is 36 products of matrices, one for each of the 6x6 places:
//
//     M[place] (tiles x out) = V[place] (tiles x in) U[place] (in x out)
//
// The gradient of the inputs is the same convolution with the weights turned around. That of the weights is
//
//     dg = G' [sum over tiles of (B' d B) * (A dY A')] G,       V' D for each place
//
// U and D lie in panels, [place][out / PANEL][in or tiles][PANEL]: the order in which `multiply` reads them.
// Tiles go in chunks, so that V and M stay in the cache. Threads take work as they come: where another program
// has a core for a while, the others go on.
#include "vector.h"

#include <algorithm>

namespace {

#ifdef __AVX512F__
typedef float Wide __attribute__((vector_size(64)));
#else
typedef Vec Wide;
#endif

constexpr int WIDE = sizeof(Wide) / sizeof(float);
constexpr int PANEL = 2 * WIDE; // outputs and
constexpr int ROWS = 6;         // rows that `multiply` keeps in registers: 12 sums, 2 weights, 1 input
constexpr int PLACES = 36;
constexpr int BLOCK = 16; // inputs whose weights are moved together, so that whole cache lines are used

inline int64_t panels(int64_t channels) { return (channels + PANEL - 1) / PANEL; }

struct Tiles {
    int64_t rows, height, width, high, wide;
    Tiles(int64_t rows, int64_t height, int64_t width)
        : rows(rows), height(height), width(width), high((height + 3) / 4), wide((width + 3) / 4) {}
    int64_t count() const { return rows * high * wide; }
    // Row of the batch, and the upper left output of a tile.
    void at(int64_t tile, int64_t &row, int64_t &y, int64_t &x) const {
        row = tile / (high * wide);
        y = tile / wide % high * 4;
        x = tile % wide * 4;
    }
};

// C (R x PANEL) = A (R x inner) B (inner x PANEL), added to C where it goes on. A's rows are `row` apart and
// its columns `column`.
template <int R>
inline void multiply(const float *a, int64_t row, int64_t column, const float *b, int64_t inner, float *c,
                     int64_t pitch, bool go_on) {
    Wide sum[R][2];
    for (int r = 0; r < R; r++)
        for (int v = 0; v < 2; v++)
            if (go_on)
                memcpy(&sum[r][v], c + r * pitch + v * WIDE, sizeof(Wide));
            else
                sum[r][v] = Wide{};
    for (int64_t k = 0; k < inner; k++) {
        Wide b0, b1;
        memcpy(&b0, b + k * PANEL, sizeof b0);
        memcpy(&b1, b + k * PANEL + WIDE, sizeof b1);
        for (int r = 0; r < R; r++) {
            Wide from = a[r * row + k * column] - Wide{};
            sum[r][0] += from * b0;
            sum[r][1] += from * b1;
        }
    }
    for (int r = 0; r < R; r++)
        for (int v = 0; v < 2; v++)
            memcpy(c + r * pitch + v * WIDE, &sum[r][v], sizeof(Wide));
}

// All rows of A against one panel.
void multiply_rows(const float *a, int64_t row, int64_t column, int64_t rows, const float *b, int64_t inner,
                   float *c, int64_t pitch, bool go_on) {
    int64_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        multiply<ROWS>(a + r * row, row, column, b, inner, c + r * pitch, pitch, go_on);
    a += r * row;
    c += r * pitch;
    switch (rows - r) {
    case 1: return multiply<1>(a, row, column, b, inner, c, pitch, go_on);
    case 2: return multiply<2>(a, row, column, b, inner, c, pitch, go_on);
    case 3: return multiply<3>(a, row, column, b, inner, c, pitch, go_on);
    case 4: return multiply<4>(a, row, column, b, inner, c, pitch, go_on);
    case 5: return multiply<5>(a, row, column, b, inner, c, pitch, go_on);
    }
}

// B' of six values that lie `step` apart.
inline void filter_input(const Vec *d, int step, Vec *out, int out_step) {
    Vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    Vec even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1, high = d4 - d2, low = 2.0f * (d3 - d1);
    out[0] = 4.0f * d0 - 5.0f * d2 + d4;
    out[out_step] = even + odd;
    out[2 * out_step] = even - odd;
    out[3 * out_step] = high + low;
    out[4 * out_step] = high - low;
    out[5 * out_step] = 4.0f * d1 - 5.0f * d3 + d5;
}

// A' of six values.
inline void filter_output(const Vec *m, int step, Vec *out, int out_step) {
    Vec sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    Vec far_sum = m[3 * step] + m[4 * step], far_difference = m[3 * step] - m[4 * step];
    out[0] = m[0] + sum + far_sum;
    out[out_step] = difference + 2.0f * far_difference;
    out[2 * out_step] = sum + 4.0f * far_sum;
    out[3 * out_step] = difference + 8.0f * far_difference + m[5 * step];
}

// A of four values.
inline void spread_output(const Vec *y, int step, Vec *out, int out_step) {
    Vec even = y[0] + y[2 * step], odd = y[step] + y[3 * step];
    Vec far_even = y[0] + 4.0f * y[2 * step], far_odd = 2.0f * y[step] + 8.0f * y[3 * step];
    out[0] = y[0];
    out[out_step] = even + odd;
    out[2 * out_step] = even - odd;
    out[3 * out_step] = far_even + far_odd;
    out[4 * out_step] = far_even - far_odd;
    out[5 * out_step] = y[3 * step];
}

// V of one tile: its 6x6 inputs, zero outside of the picture.
void transform_input(const float *x, const Tiles &t, int64_t channels, int64_t tile, float *v,
                     int64_t place_pitch) {
    int64_t row, top, left;
    t.at(tile, row, top, left);
    for (int64_t c = 0; c < channels; c += LANES) {
        Vec d[36], half[36];
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++) {
                int64_t y = top + i - 1, z = left + j - 1;
                bool inside = y >= 0 && y < t.height && z >= 0 && z < t.width;
                d[i * 6 + j] =
                    inside ? load(x + ((row * t.height + y) * t.width + z) * channels + c) : Vec{};
            }
        for (int j = 0; j < 6; j++)
            filter_input(d + j, 6, half + j, 6);
        for (int i = 0; i < 6; i++) {
            Vec line[6];
            filter_input(half + i * 6, 1, line, 1);
            for (int j = 0; j < 6; j++)
                store(v + (i * 6 + j) * place_pitch + c, line[j]);
        }
    }
}

// The 4x4 outputs of one tile from M, cut at the border.
void transform_output(const float *m, int64_t place_pitch, const float *bias, const Tiles &t, int64_t channels,
                      int64_t tile, float *out) {
    int64_t row, top, left;
    t.at(tile, row, top, left);
    int high = int(std::min<int64_t>(4, t.height - top)), wide = int(std::min<int64_t>(4, t.width - left));
    for (int64_t c = 0; c < channels; c += LANES) {
        Vec d[36], half[24];
        for (int i = 0; i < PLACES; i++)
            d[i] = load(m + i * place_pitch + c);
        for (int j = 0; j < 6; j++)
            filter_output(d + j, 6, half + j, 6);
        Vec add = bias ? load(bias + c) : Vec{};
        for (int i = 0; i < high; i++) {
            Vec line[4];
            filter_output(half + i * 6, 1, line, 1);
            for (int j = 0; j < wide; j++)
                store(out + ((row * t.height + top + i) * t.width + left + j) * channels + c, line[j] + add);
        }
    }
}

// D of one tile, into panels of `chunk` tiles.
void transform_gradient(const float *dy, const Tiles &t, int64_t channels, int64_t tile, float *d,
                        int64_t chunk, int64_t number) {
    int64_t row, top, left, place_pitch = panels(channels) * chunk * PANEL;
    t.at(tile, row, top, left);
    for (int64_t c = 0; c < panels(channels) * PANEL; c += LANES) {
        Vec y[16], half[24];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                bool inside = c < channels && top + i < t.height && left + j < t.width;
                y[i * 4 + j] =
                    inside ? load(dy + ((row * t.height + top + i) * t.width + left + j) * channels + c)
                           : Vec{};
            }
        for (int j = 0; j < 4; j++)
            spread_output(y + j, 4, half + j, 4);
        float *to = d + (c / PANEL * chunk + number) * PANEL + c % PANEL;
        for (int i = 0; i < 6; i++) {
            Vec line[6];
            spread_output(half + i * 4, 1, line, 1);
            for (int j = 0; j < 6; j++)
                store(to + (i * 6 + j) * place_pitch, line[j]);
        }
    }
}

const float G[6][3] = {{1.0f / 4, 0, 0},
                       {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                       {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                       {1.0f / 24, 1.0f / 12, 1.0f / 6},
                       {1.0f / 24, -1.0f / 12, 1.0f / 6},
                       {0, 0, 1}};

} // namespace

extern "C" int64_t winograd_panels(int64_t channels) { return panels(channels) * PANEL; }

// U (36, panels(outputs), inputs, PANEL) from weights whose output, input, row and column lie at `pitch`.
// turned: for the gradient of the inputs: the caller swaps outputs and inputs, and rows and columns run backward.
extern "C" void winograd_weights(const float *weights, const int64_t *pitch, int turned, int64_t inputs,
                                 int64_t outputs, float *u, int threads) {
    int64_t place_pitch = panels(outputs) * inputs * PANEL;
#pragma omp parallel for num_threads(threads) collapse(2) schedule(static)
    for (int64_t panel = 0; panel < panels(outputs); panel++)
        for (int64_t begin = 0; begin < inputs; begin += BLOCK) {
            int64_t first = panel * PANEL, size = std::min<int64_t>(BLOCK, inputs - begin);
            float g[BLOCK][9][PANEL] = {};
            for (int64_t n = first; n < std::min(outputs, first + PANEL); n++)
                for (int i = 0; i < 9; i++) {
                    int64_t place = turned ? 8 - i : i;
                    const float *from = weights + n * pitch[0] + begin * pitch[1] + place / 3 * pitch[2] +
                                        place % 3 * pitch[3];
                    for (int64_t k = 0; k < size; k++)
                        g[k][i][n - first] = from[k * pitch[1]];
                }
            for (int64_t k = 0; k < size; k++) {
                float half[18][PANEL];
                float *to = u + (panel * inputs + begin + k) * PANEL;
                for (int i = 0; i < 6; i++)
                    for (int j = 0; j < 3; j++)
                        for (int n = 0; n < PANEL; n++)
                            half[i * 3 + j][n] =
                                G[i][0] * g[k][j][n] + G[i][1] * g[k][3 + j][n] + G[i][2] * g[k][6 + j][n];
                for (int i = 0; i < 6; i++)
                    for (int j = 0; j < 6; j++)
                        for (int n = 0; n < PANEL; n++)
                            to[(i * 6 + j) * place_pitch + n] = G[j][0] * half[i * 3][n] +
                                                                G[j][1] * half[i * 3 + 1][n] +
                                                                G[j][2] * half[i * 3 + 2][n];
            }
        }
}

// y (rows, height, width, outputs) from x (rows, height, width, inputs), U and a bias or null.
// work: 36 chunk (inputs + panels(outputs) PANEL) floats.
extern "C" void winograd_forward(const float *x, const float *u, const float *bias, float *y, int64_t rows,
                                 int64_t height, int64_t width, int64_t inputs, int64_t outputs, float *work,
                                 int64_t chunk, int threads) {
    Tiles t(rows, height, width);
    int64_t count = panels(outputs), pitch = count * PANEL;
    float *v = work, *m = work + PLACES * chunk * inputs;
#pragma omp parallel num_threads(threads)
    for (int64_t begin = 0; begin < t.count(); begin += chunk) {
        int64_t size = std::min(chunk, t.count() - begin);
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < size; i++)
            transform_input(x, t, inputs, begin + i, v + i * inputs, chunk * inputs);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t place = 0; place < PLACES; place++)
            for (int64_t panel = 0; panel < count; panel++)
                multiply_rows(v + place * chunk * inputs, inputs, 1, size,
                              u + (place * count + panel) * inputs * PANEL, inputs,
                              m + place * chunk * pitch + panel * PANEL, pitch, false);
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < size; i++)
            transform_output(m + i * pitch, chunk * pitch, bias, t, outputs, begin + i, y);
    }
}

// dw, whose output, input, row and column lie at `pitch`, and dbias (outputs, or null).
// work: 36 (chunk (inputs + panels(outputs) PANEL) + inputs panels(outputs) PANEL) floats.
extern "C" void winograd_weight_gradient(const float *x, const float *dy, float *dw, const int64_t *pitch,
                                         float *dbias, int64_t rows, int64_t height, int64_t width,
                                         int64_t inputs, int64_t outputs, float *work, int64_t chunk,
                                         int threads) {
    Tiles t(rows, height, width);
    int64_t count = panels(outputs), place_pitch = count * inputs * PANEL;
    float *v = work, *d = v + PLACES * chunk * inputs, *du = d + PLACES * chunk * count * PANEL;
#pragma omp parallel num_threads(threads)
    {
        for (int64_t begin = 0; begin < t.count(); begin += chunk) {
            int64_t size = std::min(chunk, t.count() - begin);
#pragma omp for schedule(dynamic, 4)
            for (int64_t i = 0; i < size; i++) {
                transform_input(x, t, inputs, begin + i, v + i * inputs, chunk * inputs);
                transform_gradient(dy, t, outputs, begin + i, d, chunk, i);
            }
#pragma omp for collapse(2) schedule(dynamic)
            for (int64_t place = 0; place < PLACES; place++)
                for (int64_t panel = 0; panel < count; panel++)
                    multiply_rows(v + place * chunk * inputs, 1, inputs, inputs,
                                  d + (place * count + panel) * chunk * PANEL, size,
                                  du + (place * count + panel) * inputs * PANEL, PANEL, begin > 0);
            // The second row of A is ones: at place (1, 1) D is the sum over the tile.
            if (dbias)
#pragma omp for schedule(static)
                for (int64_t n = 0; n < outputs; n++) {
                    const float *from = d + ((7 * count + n / PANEL) * chunk) * PANEL + n % PANEL;
                    float sum = 0;
                    for (int64_t i = 0; i < size; i++)
                        sum += from[i * PANEL];
                    dbias[n] = begin > 0 ? dbias[n] + sum : sum;
                }
        }
#pragma omp for collapse(2) schedule(static)
        for (int64_t panel = 0; panel < count; panel++)
            for (int64_t begin = 0; begin < inputs; begin += BLOCK) {
                int64_t first = panel * PANEL, size = std::min<int64_t>(BLOCK, inputs - begin);
                float g[BLOCK][9][PANEL];
                for (int64_t k = 0; k < size; k++) {
                    float half[18][PANEL] = {};
                    const float *from = du + (panel * inputs + begin + k) * PANEL;
                    for (int r = 0; r < 6; r++)
                        for (int i = 0; i < 3; i++)
                            for (int j = 0; j < 6; j++)
                                for (int n = 0; n < PANEL; n++)
                                    half[i * 6 + j][n] += G[r][i] * from[(r * 6 + j) * place_pitch + n];
                    for (int i = 0; i < 9; i++)
                        for (int n = 0; n < PANEL; n++) {
                            const float(*row)[PANEL] = half + i / 3 * 6;
                            float sum = 0;
                            for (int r = 0; r < 6; r++)
                                sum += G[r][i % 3] * row[r][n];
                            g[k][i][n] = sum;
                        }
                }
                for (int64_t n = first; n < std::min(outputs, first + PANEL); n++)
                    for (int i = 0; i < 9; i++) {
                        float *to =
                            dw + n * pitch[0] + begin * pitch[1] + i / 3 * pitch[2] + i % 3 * pitch[3];
                        for (int64_t k = 0; k < size; k++)
                            to[k * pitch[1]] = g[k][i][n - first];
                    }
            }
    }
}

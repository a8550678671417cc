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

constexpr int PANEL = 2 * WIDE; // outputs and
constexpr int ROWS = 6;         // rows that `multiply` keeps in registers: 12 sums, 2 weights, 1 input
constexpr int PLACES = 36;
constexpr int PAD = 16; // floats between places: at powers of two, all 36 would share a few lines of the cache
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

// The last rows, fewer than R + 1.
template <int R>
inline void multiply_rest(const float *a, int64_t row, int64_t column, int64_t rows, const float *b, int64_t inner,
                          float *c, int64_t pitch, bool go_on) {
    if (rows == R)
        multiply<R>(a, row, column, b, inner, c, pitch, go_on);
    else if constexpr (R > 1)
        multiply_rest<R - 1>(a, row, column, rows, b, inner, c, pitch, go_on);
}

// All rows of A against one panel.
void multiply_rows(const float *a, int64_t row, int64_t column, int64_t rows, const float *b, int64_t inner,
                   float *c, int64_t pitch, bool go_on) {
    int64_t r = 0;
    for (; r + ROWS <= rows; r += ROWS)
        multiply<ROWS>(a + r * row, row, column, b, inner, c + r * pitch, pitch, go_on);
    multiply_rest<ROWS - 1>(a + r * row, row, column, rows - r, b, inner, c + r * pitch, pitch, go_on);
}

// B' of six values that lie `step` apart.
template <class V> inline void filter_input(const V *d, int step, V *out, int out_step) {
    V d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    V even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1, high = d4 - d2, low = 2.0f * (d3 - d1);
    out[0] = 4.0f * d0 - 5.0f * d2 + d4;
    out[out_step] = even + odd;
    out[2 * out_step] = even - odd;
    out[3 * out_step] = high + low;
    out[4 * out_step] = high - low;
    out[5 * out_step] = 4.0f * d1 - 5.0f * d3 + d5;
}

// A' of six values.
template <class V> inline void filter_output(const V *m, int step, V *out, int out_step) {
    V sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    V far_sum = m[3 * step] + m[4 * step], far_difference = m[3 * step] - m[4 * step];
    out[0] = m[0] + sum + far_sum;
    out[out_step] = difference + 2.0f * far_difference;
    out[2 * out_step] = sum + 4.0f * far_sum;
    out[3 * out_step] = difference + 8.0f * far_difference + m[5 * step];
}

// A of four values.
template <class V> inline void spread_output(const V *y, int step, V *out, int out_step) {
    V even = y[0] + y[2 * step], odd = y[step] + y[3 * step];
    V far_even = y[0] + 4.0f * y[2 * step], far_odd = 2.0f * y[step] + 8.0f * y[3 * step];
    out[0] = y[0];
    out[out_step] = even + odd;
    out[2 * out_step] = even - odd;
    out[3 * out_step] = far_even + far_odd;
    out[4 * out_step] = far_even - far_odd;
    out[5 * out_step] = y[3 * step];
}

template <class V> inline V take(const float *from) {
    V v;
    memcpy(&v, from, sizeof v);
    return v;
}

// change(c, V{}) for channels c, whole vectors V at a time: wide ones as far as they go.
template <class Change> inline void each_channel(int64_t channels, Change change) {
    int64_t c = 0;
    for (; c + WIDE <= channels; c += WIDE)
        change(c, Wide{});
    for (; c < channels; c += LANES)
        change(c, Vec{});
}

// Where the N x N pixels from (top, left) on lie, null outside of the picture.
template <int N>
inline void find_pixels(const float *x, const Tiles &t, int64_t channels, int64_t row, int64_t top, int64_t left,
                        const float **at) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int64_t y = top + i, z = left + j;
            bool inside = y >= 0 && y < t.height && z >= 0 && z < t.width;
            at[i * N + j] = inside ? x + ((row * t.height + y) * t.width + z) * channels : nullptr;
        }
}

// V of one tile: its 6x6 inputs, zero outside of the picture.
void transform_input(const float *x, const Tiles &t, int64_t channels, int64_t tile, float *v,
                     int64_t place_pitch) {
    int64_t row, top, left;
    t.at(tile, row, top, left);
    const float *at[36];
    find_pixels<6>(x, t, channels, row, top - 1, left - 1, at);
    each_channel(channels, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        V half[36];
        for (int j = 0; j < 6; j++) {
            V d[6];
            for (int i = 0; i < 6; i++)
                d[i] = at[i * 6 + j] ? take<V>(at[i * 6 + j] + c) : zero;
            filter_input(d, 1, half + j, 6);
        }
        for (int i = 0; i < 6; i++) {
            V line[6];
            filter_input(half + i * 6, 1, line, 1);
            for (int j = 0; j < 6; j++)
                memcpy(v + (i * 6 + j) * place_pitch + c, &line[j], sizeof(V));
        }
    });
}

// The 4x4 outputs of one tile from M, cut at the border, and what is added to them: a value a channel, a value a
// row and channel, a picture (each may be null).
struct Sums {
    const float *bias, *told, *rest;
};

void transform_output(const float *m, int64_t place_pitch, const Sums &sums, const Tiles &t, int64_t channels,
                      int64_t tile, float *out) {
    int64_t row, top, left;
    t.at(tile, row, top, left);
    int high = int(std::min<int64_t>(4, t.height - top)), wide = int(std::min<int64_t>(4, t.width - left));
    each_channel(channels, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        V half[24];
        for (int j = 0; j < 6; j++) {
            V d[6];
            for (int i = 0; i < 6; i++)
                d[i] = take<V>(m + (i * 6 + j) * place_pitch + c);
            filter_output(d, 1, half + j, 6);
        }
        V add = sums.bias ? take<V>(sums.bias + c) : zero;
        if (sums.told)
            add += take<V>(sums.told + row * channels + c);
        for (int i = 0; i < high; i++) {
            V line[4];
            filter_output(half + i * 6, 1, line, 1);
            for (int j = 0; j < wide; j++) {
                int64_t at = ((row * t.height + top + i) * t.width + left + j) * channels + c;
                V y = line[j] + add;
                if (sums.rest)
                    y += take<V>(sums.rest + at);
                memcpy(out + at, &y, sizeof(V));
            }
        }
    });
}

// D of one tile, into panels of `chunk` tiles; channels that only fill the last panel are zero.
void transform_gradient(const float *dy, const Tiles &t, int64_t channels, int64_t tile, float *d,
                        int64_t place_pitch, int64_t chunk, int64_t number) {
    int64_t row, top, left;
    t.at(tile, row, top, left);
    const float *at[16];
    find_pixels<4>(dy, t, channels, row, top, left, at);
    auto to = [&](int64_t c) { return d + (c / PANEL * chunk + number) * PANEL + c % PANEL; };
    each_channel(channels, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        V half[24];
        for (int j = 0; j < 4; j++) {
            V y[4];
            for (int i = 0; i < 4; i++)
                y[i] = at[i * 4 + j] ? take<V>(at[i * 4 + j] + c) : zero;
            spread_output(y, 1, half + j, 4);
        }
        for (int i = 0; i < 6; i++) {
            V line[6];
            spread_output(half + i * 4, 1, line, 1);
            for (int j = 0; j < 6; j++)
                memcpy(to(c) + (i * 6 + j) * place_pitch, &line[j], sizeof(V));
        }
    });
    for (int64_t c = channels; c < panels(channels) * PANEL; c++)
        for (int i = 0; i < PLACES; i++)
            to(c)[i * place_pitch] = 0;
}

const float G[6][3] = {{1.0f / 4, 0, 0},
                       {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                       {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                       {1.0f / 24, 1.0f / 12, 1.0f / 6},
                       {1.0f / 24, -1.0f / 12, 1.0f / 6},
                       {0, 0, 1}};

// Floats from one place to the next: of V, of what lies in panels, and of weights and their gradients.
inline int64_t tiles_pitch(int64_t chunk, int64_t channels) { return chunk * channels + PAD; }
inline int64_t panels_pitch(int64_t chunk, int64_t channels) { return panels(channels) * chunk * PANEL + PAD; }

} // namespace

// Outputs of whole panels.
extern "C" int64_t winograd_panels(int64_t channels) { return panels(channels) * PANEL; }

// Floats of transformed weights.
extern "C" int64_t winograd_weights_size(int64_t inputs, int64_t outputs) {
    return PLACES * panels_pitch(inputs, outputs);
}

// Floats of work for so many tiles at a time; gradient: of the weights.
extern "C" int64_t winograd_work_size(int64_t inputs, int64_t outputs, int64_t chunk, int gradient) {
    int64_t both = tiles_pitch(chunk, inputs) + panels_pitch(chunk, outputs);
    return PLACES * (gradient ? both + panels_pitch(inputs, outputs) : both);
}

// U (36, panels(outputs), inputs, PANEL) from weights whose output, input, row and column lie at `pitch`.
// turned: for the gradient of the inputs: the caller swaps outputs and inputs, and rows and columns run backward.
extern "C" void winograd_weights(const float *weights, const int64_t *pitch, int turned, int64_t inputs,
                                 int64_t outputs, float *u, int threads) {
    int64_t place_pitch = panels_pitch(inputs, outputs);
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

// y (rows, height, width, outputs) from x (rows, height, width, inputs) and U; added to it, where not null: bias
// (outputs), told (rows, outputs), rest (as y).
extern "C" void winograd_forward(const float *x, const float *u, const float *bias, const float *told,
                                 const float *rest, float *y, int64_t rows, int64_t height, int64_t width,
                                 int64_t inputs, int64_t outputs, float *work, int64_t chunk, int threads) {
    Tiles t(rows, height, width);
    Sums sums{bias, told, rest};
    int64_t count = panels(outputs), pitch = count * PANEL;
    int64_t of_v = tiles_pitch(chunk, inputs), of_m = panels_pitch(chunk, outputs), of_u = panels_pitch(inputs, outputs);
    float *v = work, *m = work + PLACES * of_v;
#pragma omp parallel num_threads(threads)
    for (int64_t begin = 0; begin < t.count(); begin += chunk) {
        int64_t size = std::min(chunk, t.count() - begin);
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < size; i++)
            transform_input(x, t, inputs, begin + i, v + i * inputs, of_v);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t place = 0; place < PLACES; place++)
            for (int64_t panel = 0; panel < count; panel++)
                multiply_rows(v + place * of_v, inputs, 1, size, u + place * of_u + panel * inputs * PANEL, inputs,
                              m + place * of_m + panel * PANEL, pitch, false);
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < size; i++)
            transform_output(m + i * pitch, of_m, sums, t, outputs, begin + i, y);
    }
}

// dw, whose output, input, row and column lie at `pitch`, and dtold (rows, whole panels of outputs; or null), the
// sums of dy over the pixels of a row.
extern "C" void winograd_weight_gradient(const float *x, const float *dy, float *dw, const int64_t *pitch,
                                         float *dtold, int64_t rows, int64_t height, int64_t width,
                                         int64_t inputs, int64_t outputs, float *work, int64_t chunk,
                                         int threads) {
    Tiles t(rows, height, width);
    int64_t count = panels(outputs);
    int64_t of_v = tiles_pitch(chunk, inputs), of_d = panels_pitch(chunk, outputs), of_u = panels_pitch(inputs, outputs);
    float *v = work, *d = v + PLACES * of_v, *du = d + PLACES * of_d;
#pragma omp parallel num_threads(threads)
    {
        for (int64_t begin = 0; begin < t.count(); begin += chunk) {
            int64_t size = std::min(chunk, t.count() - begin);
#pragma omp for schedule(dynamic, 4)
            for (int64_t i = 0; i < size; i++) {
                transform_input(x, t, inputs, begin + i, v + i * inputs, of_v);
                transform_gradient(dy, t, outputs, begin + i, d, of_d, chunk, i);
            }
#pragma omp for collapse(2) schedule(dynamic)
            for (int64_t place = 0; place < PLACES; place++)
                for (int64_t panel = 0; panel < count; panel++)
                    multiply_rows(v + place * of_v, 1, inputs, inputs, d + place * of_d + panel * chunk * PANEL,
                                  size, du + place * of_u + panel * inputs * PANEL, PANEL, begin > 0);
            // The second row of A is ones: at place (1, 1) D is the sum over the tile.
            if (dtold)
#pragma omp for schedule(static)
                for (int64_t panel = 0; panel < count; panel++)
                    for (int64_t i = 0; i < size; i++) {
                        const float *from = d + 7 * of_d + (panel * chunk + i) * PANEL;
                        int64_t tile = begin + i, each = t.high * t.wide;
                        float *to = dtold + (tile / each * count + panel) * PANEL;
                        for (int n = 0; n < PANEL; n++)
                            to[n] = tile % each ? to[n] + from[n] : from[n];
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
                                    half[i * 6 + j][n] += G[r][i] * from[(r * 6 + j) * of_u + n];
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

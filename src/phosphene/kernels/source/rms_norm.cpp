// RMS norm of positions, then scale and shift by row, in one operator; float32 sums whatever they are in.
//
//     y = g x_hat + shift,   x_hat = x / sqrt(mean(x^2) + eps),   g = gain (1 + scale)
//
// Backward, with u = g dy:  dx = rstd (u - x_hat mean(u x_hat)). sums[0] = sum of dy and sums[1] = sum of dy x_hat
// over the positions of a row are what gain, scale and shift need.
#include "vector.h"

#include <cmath>
#include <vector>

namespace {

constexpr int RUN = 256; // positions summed in float32 before the sum goes to float64

struct Shape {
    int64_t rows, positions, width;
};

// gain (1 + scale) of a row; what is absent is 1 and 0.
void slopes(const float *gain, const float *scale, int64_t width, float *g) {
    for (int64_t c = 0; c < width; c++)
        g[c] = (gain ? gain[c] : 1) * (scale ? 1 + scale[c] : 1);
}

template <class T>
void forward(const T *x, const float *gain, const float *scale, const float *shift, T *y, float *rstd, Shape s,
             double eps, int threads) {
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> g(s.width);
        int64_t known = -1;
#pragma omp for schedule(static)
        for (int64_t place = 0; place < s.rows * s.positions; place++) {
            int64_t row = place / s.positions;
            if (row != known)
                slopes(gain, scale ? scale + row * s.width : nullptr, s.width, g.data());
            known = row;
            const T *in = x + place * s.width;
            T *out = y + place * s.width;
            Vec square = {};
            for (int64_t c = 0; c < s.width; c += LANES) {
                Vec v = load(in + c);
                square += v * v;
            }
            float r = float(1 / std::sqrt(double(total(square)) / s.width + eps));
            rstd[place] = r;
            for (int64_t c = 0; c < s.width; c += LANES) {
                Vec v = load(in + c) * r * load(&g[c]);
                store(out + c, shift ? v + load(shift + row * s.width + c) : v);
            }
        }
    }
}

template <class T>
void backward(const T *dy, const T *x, const float *gain, const float *scale, const float *rstd, T *dx,
              float *sums, Shape s, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < s.rows; row++) {
        std::vector<float> g(s.width), part(2 * s.width);
        std::vector<double> whole(2 * s.width);
        slopes(gain, scale ? scale + row * s.width : nullptr, s.width, g.data());
        for (int64_t start = 0; start < s.positions; start += RUN) {
            int64_t end = start + RUN < s.positions ? start + RUN : s.positions;
            std::fill(part.begin(), part.end(), 0.0f);
            for (int64_t p = start; p < end; p++) {
                int64_t place = row * s.positions + p;
                const T *in = x + place * s.width, *given = dy + place * s.width;
                Vec product = {}, r = splat(rstd[place]);
                for (int64_t c = 0; c < s.width; c += LANES) {
                    Vec d = load(given + c), hat = load(in + c) * r;
                    product += load(&g[c]) * d * hat;
                    store(&part[c], load(&part[c]) + d);
                    store(&part[s.width + c], load(&part[s.width + c]) + d * hat);
                }
                Vec mean = splat(total(product) / float(s.width));
                for (int64_t c = 0; c < s.width; c += LANES) {
                    Vec hat = load(in + c) * r;
                    store(dx + place * s.width + c, r * (load(&g[c]) * load(given + c) - hat * mean));
                }
            }
            for (int64_t c = 0; c < 2 * s.width; c++)
                whole[c] += part[c];
        }
        for (int64_t c = 0; c < s.width; c++) {
            sums[row * s.width + c] = float(whole[c]);
            sums[(s.rows + row) * s.width + c] = float(whole[s.width + c]);
        }
    }
}

} // namespace

extern "C" void rms_norm_forward(const void *x, const float *gain, const float *scale, const float *shift, void *y,
                                 float *rstd, int64_t rows, int64_t positions, int64_t width, double eps, int half,
                                 int threads) {
    Shape s = {rows, positions, width};
    if (half)
        forward((const bf16 *)x, gain, scale, shift, (bf16 *)y, rstd, s, eps, threads);
    else
        forward((const float *)x, gain, scale, shift, (float *)y, rstd, s, eps, threads);
}

extern "C" void rms_norm_backward(const void *dy, const void *x, const float *gain, const float *scale,
                                  const float *rstd, void *dx, float *sums, int64_t rows, int64_t positions,
                                  int64_t width, int half, int threads) {
    Shape s = {rows, positions, width};
    if (half)
        backward((const bf16 *)dy, (const bf16 *)x, gain, scale, rstd, (bf16 *)dx, sums, s, threads);
    else
        backward((const float *)dy, (const float *)x, gain, scale, rstd, (float *)dx, sums, s, threads);
}

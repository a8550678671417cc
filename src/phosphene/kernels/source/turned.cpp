// Queries and keys out of a layer's projection: each head normalised, then turned by its place's angle.
//
//     z = gain x_hat,  x_hat = x / sqrt(mean(x^2) + eps);   y = (z1 cos - z2 sin, z1 sin + z2 cos)
//
// z1 and z2 are the halves of a head. Backward: dz is dy turned back, u = gain dz,
// dx = rstd (u - x_hat mean(u x_hat)); sums: of dz x_hat over the positions and heads of a row, for the gain.
// Positions of x lie `pitch` values apart.
#include "vector.h"

#include <cmath>
#include <vector>

namespace {

struct Shape {
    int64_t rows, positions, heads, width, pitch; // width: of a head
};

template <class T>
void forward(const T *x, const float *gain, const float *cosine, const float *sine, T *y, float *rstd, Shape s,
             double eps, int threads) {
    int64_t half = s.width / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t place = 0; place < s.rows * s.positions; place++) {
        const float *co = cosine + place % s.positions * half, *si = sine + place % s.positions * half;
        for (int64_t head = 0; head < s.heads; head++) {
            const T *in = x + place * s.pitch + head * s.width;
            T *out = y + (place * s.heads + head) * s.width;
            Vec square = {};
            for (int64_t c = 0; c < s.width; c += LANES) {
                Vec v = load(in + c);
                square += v * v;
            }
            float r = float(1 / std::sqrt(double(total(square)) / s.width + eps));
            rstd[place * s.heads + head] = r;
            for (int64_t c = 0; c < half; c += LANES) {
                Vec a = load(in + c) * r * load(gain + c), b = load(in + half + c) * r * load(gain + half + c);
                store(out + c, a * load(co + c) - b * load(si + c));
                store(out + half + c, a * load(si + c) + b * load(co + c));
            }
        }
    }
}

template <class T>
void backward(const T *dy, const T *x, const float *gain, const float *cosine, const float *sine,
              const float *rstd, T *dx, float *sums, Shape s, int threads) {
    int64_t half = s.width / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < s.rows; row++) {
        std::vector<double> whole(s.width);
        std::vector<float> part(s.width), dz(s.width);
        for (int64_t p = 0; p < s.positions; p++) {
            const float *co = cosine + p * half, *si = sine + p * half;
            int64_t place = row * s.positions + p;
            std::fill(part.begin(), part.end(), 0.0f);
            for (int64_t head = 0; head < s.heads; head++) {
                const T *in = x + place * s.pitch + head * s.width;
                const T *given = dy + (place * s.heads + head) * s.width;
                Vec r = splat(rstd[place * s.heads + head]), product = {};
                for (int64_t c = 0; c < half; c += LANES) {
                    Vec a = load(given + c), b = load(given + half + c);
                    store(&dz[c], a * load(co + c) + b * load(si + c));
                    store(&dz[half + c], b * load(co + c) - a * load(si + c));
                }
                for (int64_t c = 0; c < s.width; c += LANES) {
                    Vec term = load(&dz[c]) * load(in + c) * r;
                    product += term * load(gain + c);
                    store(&part[c], load(&part[c]) + term);
                }
                Vec mean = splat(total(product) / float(s.width));
                for (int64_t c = 0; c < s.width; c += LANES)
                    store(dx + place * s.pitch + head * s.width + c,
                          r * (load(&dz[c]) * load(gain + c) - load(in + c) * r * mean));
            }
            for (int64_t c = 0; c < s.width; c++)
                whole[c] += part[c];
        }
        for (int64_t c = 0; c < s.width; c++)
            sums[row * s.width + c] = float(whole[c]);
    }
}

} // namespace

extern "C" void turned_forward(const void *x, const float *gain, const float *cosine, const float *sine, void *y,
                               float *rstd, int64_t rows, int64_t positions, int64_t heads, int64_t width,
                               int64_t pitch, double eps, int half, int threads) {
    Shape s = {rows, positions, heads, width, pitch};
    if (half)
        forward((const bf16 *)x, gain, cosine, sine, (bf16 *)y, rstd, s, eps, threads);
    else
        forward((const float *)x, gain, cosine, sine, (float *)y, rstd, s, eps, threads);
}

extern "C" void turned_backward(const void *dy, const void *x, const float *gain, const float *cosine,
                                const float *sine, const float *rstd, void *dx, float *sums, int64_t rows,
                                int64_t positions, int64_t heads, int64_t width, int64_t pitch, int half,
                                int threads) {
    Shape s = {rows, positions, heads, width, pitch};
    if (half)
        backward((const bf16 *)dy, (const bf16 *)x, gain, cosine, sine, rstd, (bf16 *)dx, sums, s, threads);
    else
        backward((const float *)dy, (const float *)x, gain, cosine, sine, rstd, (float *)dx, sums, s, threads);
}

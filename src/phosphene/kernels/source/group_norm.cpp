// Group norm, scale and shift, SiLU in one operator, channels last, float32 sums whatever the pictures are in.
//
//     z = (gamma x_hat + beta) (1 + scale) + shift,   x_hat = (x - mean) rstd,   y = z or z sigmoid(z)
//
// For each row and channel that is z = a x + b. Backward, with dz = dy y'(z) and g = gamma (1 + scale):
//
//     dx = rstd (g dz - mean(g dz) - x_hat mean(g dz x_hat)),  the means over a group
//
// sums[0] = sum of dz and sums[1] = sum of dz x_hat over the pixels of a channel are what gamma, beta, scale
// and shift need. A task is some whole groups of one row; the passes over it find it in the cache.
#include "vector.h"

#include <cmath>
#include <type_traits>
#include <vector>

namespace {

constexpr int RUN = 256; // pixels summed in float32 before the sum goes to float64

struct Shape {
    int64_t rows, pixels, channels, groups;
    // Channels of a task: whole groups and whole vectors, two cache lines of them if they divide. A function of
    // the shape alone, so that a picture's numbers depend neither on its batch nor on the threads.
    int64_t task() const {
        int64_t width = channels / groups;
        for (int64_t count = width; count < channels; count += width)
            if (count >= 4 * LANES && count % LANES == 0 && channels % count == 0)
                return count;
        return channels;
    }
};

// Sums of the K terms that term(p, c, out) writes, over the pixels, added to total[k][c].
template <int V, int K, class Term>
void sum_vectors(int64_t pixels, int64_t c, double *const *total, Term term) {
    for (int64_t start = 0; start < pixels; start += RUN) {
        int64_t end = start + RUN < pixels ? start + RUN : pixels;
        Vec sum[V][K] = {};
        for (int64_t p = start; p < end; p++)
            for (int v = 0; v < V; v++) {
                Vec terms[K];
                term(p, c + v * LANES, terms);
                for (int k = 0; k < K; k++)
                    sum[v][k] += terms[k];
            }
        for (int v = 0; v < V; v++)
            for (int k = 0; k < K; k++)
                for (int i = 0; i < LANES; i++)
                    total[k][c + v * LANES + i] += sum[v][k][i];
    }
}

template <int K, class Term>
void sum_pixels(int64_t pixels, int64_t count, double *const (&total)[K], Term term) {
    int64_t c = 0;
    for (; c + 4 * LANES <= count; c += 4 * LANES)
        sum_vectors<4, K>(pixels, c, total, term);
    for (; c < count; c += LANES)
        sum_vectors<1, K>(pixels, c, total, term);
}

// y = z or z sigmoid(z), z = a x + b, for V vectors of channels of all pixels.
template <int V, bool silu, class T>
void activate(const T *x, const float *a, const float *b, T *y, const Shape &s) {
    Vec slope[V], offset[V];
    for (int v = 0; v < V; v++) {
        slope[v] = load(a + v * LANES);
        offset[v] = load(b + v * LANES);
    }
    for (int64_t p = 0; p < s.pixels; p++)
        for (int v = 0; v < V; v++) {
            Vec z = load(x + p * s.channels + v * LANES) * slope[v] + offset[v];
            store(y + p * s.channels + v * LANES, silu ? z * sigmoid(z) : z);
        }
}

template <bool silu, class T>
void forward(const T *x, const float *gamma, const float *beta, const float *scale, const float *shift,
             int64_t told, T *y, float *mean, float *rstd, Shape s, double eps, int threads) {
    int64_t count = s.task(), parts = s.channels / count, width = s.channels / s.groups;
    double n = double(s.pixels) * width;
#pragma omp parallel for num_threads(threads) collapse(2) schedule(static)
    for (int64_t row = 0; row < s.rows; row++)
        for (int64_t part = 0; part < parts; part++) {
            int64_t first = part * count;
            const T *in = x + row * s.pixels * s.channels + first;
            T *out = y + row * s.pixels * s.channels + first;
            std::vector<double> sum(count), square(count);
            std::vector<float> centre(count), a(count), b(count);
            sum_pixels<1>(s.pixels, count, {sum.data()}, [&](int64_t p, int64_t c, Vec *out) {
                out[0] = load(in + p * s.channels + c);
            });
            for (int64_t c = 0; c < count; c += width) {
                double total = 0;
                for (int64_t i = 0; i < width; i++)
                    total += sum[c + i];
                for (int64_t i = 0; i < width; i++)
                    centre[c + i] = float(total / n);
            }
            sum_pixels<1>(s.pixels, count, {square.data()}, [&](int64_t p, int64_t c, Vec *out) {
                Vec d = load(in + p * s.channels + c) - load(&centre[c]);
                out[0] = d * d;
            });
            for (int64_t c = 0; c < count; c += width) {
                double total = 0;
                for (int64_t i = 0; i < width; i++)
                    total += square[c + i];
                float scaled = float(1 / std::sqrt(total / n + eps));
                int64_t group = row * s.groups + (first + c) / width;
                mean[group] = centre[c];
                rstd[group] = scaled;
                for (int64_t i = c; i < c + width; i++) {
                    float more = scale ? 1 + scale[row * told + first + i] : 1;
                    a[i] = scaled * gamma[first + i] * more;
                    b[i] = beta[first + i] * more - centre[i] * a[i];
                    if (shift)
                        b[i] += shift[row * told + first + i];
                }
            }
            int64_t c = 0;
            for (; c + 4 * LANES <= count; c += 4 * LANES)
                activate<4, silu>(in + c, &a[c], &b[c], out + c, s);
            for (; c < count; c += LANES)
                activate<1, silu>(in + c, &a[c], &b[c], out + c, s);
        }
}

template <bool silu, class T>
void backward(const T *dy, const T *x, const float *gamma, const float *beta, const float *scale,
              const float *shift, int64_t told, const float *mean, const float *rstd, T *dx, float *sums,
              Shape s, int threads) {
    int64_t count = s.task(), parts = s.channels / count, width = s.channels / s.groups;
    double n = double(s.pixels) * width;
#pragma omp parallel for num_threads(threads) collapse(2) schedule(static)
    for (int64_t row = 0; row < s.rows; row++)
        for (int64_t part = 0; part < parts; part++) {
            int64_t first = part * count, begin = row * s.pixels * s.channels + first;
            const T *in = x + begin, *above = dy + begin;
            T *out = dx + begin;
            std::vector<double> sum(count), product(count);
            std::vector<float> a(count), b(count), slope(count), centre(count), k0(count), k1(count), k2(count);
            for (int64_t c = 0; c < count; c++) {
                int64_t group = row * s.groups + (first + c) / width;
                float more = scale ? 1 + scale[row * told + first + c] : 1;
                slope[c] = rstd[group];
                centre[c] = mean[group];
                k0[c] = gamma[first + c] * more; // g
                a[c] = rstd[group] * k0[c];
                b[c] = beta[first + c] * more - mean[group] * a[c];
                if (shift)
                    b[c] += shift[row * told + first + c];
            }
            auto dz = [&](int64_t p, int64_t c) {
                Vec d = load(above + p * s.channels + c);
                if (!silu)
                    return d;
                Vec z = load(in + p * s.channels + c) * load(&a[c]) + load(&b[c]);
                Vec lit = sigmoid(z);
                return d * lit * (1.0f + z * (1.0f - lit));
            };
            auto x_hat = [&](int64_t p, int64_t c) {
                return (load(in + p * s.channels + c) - load(&centre[c])) * load(&slope[c]);
            };
            // dz is dear (an exponential): it is kept in dx between the passes where nothing rounds it.
            constexpr bool keep = sizeof(T) == sizeof(float);
            sum_pixels<2>(s.pixels, count, {sum.data(), product.data()}, [&](int64_t p, int64_t c, Vec *terms) {
                terms[0] = dz(p, c);
                terms[1] = terms[0] * x_hat(p, c);
                if (keep)
                    store(out + p * s.channels + c, terms[0]);
            });
            auto again = [&](int64_t p, int64_t c) { return keep ? load(out + p * s.channels + c) : dz(p, c); };
            for (int64_t c = 0; c < count; c += width) {
                double first_moment = 0, second_moment = 0;
                for (int64_t i = c; i < c + width; i++) {
                    first_moment += k0[i] * sum[i];
                    second_moment += k0[i] * product[i];
                }
                for (int64_t i = c; i < c + width; i++) {
                    // dx = rstd g dz - rstd mean(g dz) - rstd mean(g dz x_hat) x_hat
                    k1[i] = slope[i] * float(first_moment / n);
                    k2[i] = slope[i] * float(second_moment / n);
                }
            }
            for (int64_t c = 0; c < count; c++) {
                sums[row * s.channels + first + c] = float(sum[c]);
                sums[(s.rows + row) * s.channels + first + c] = float(product[c]);
            }
            for (int64_t p = 0; p < s.pixels; p++)
                for (int64_t c = 0; c < count; c += LANES)
                    store(out + p * s.channels + c,
                          again(p, c) * load(&a[c]) - load(&k1[c]) - x_hat(p, c) * load(&k2[c]));
        }
}

} // namespace

// x, y, dx, dy: (rows, pixels, channels), float32 or bfloat16. gamma, beta: (channels). scale, shift: null or
// (rows, channels) with `told` values from row to row. mean, rstd: (rows, groups). sums: (2, rows, channels).
extern "C" void group_norm_forward(const void *x, const float *gamma, const float *beta, const float *scale,
                                   const float *shift, int64_t told, void *y, float *mean, float *rstd,
                                   int64_t rows, int64_t pixels, int64_t channels, int64_t groups, double eps,
                                   int silu, int half, int threads) {
    Shape s{rows, pixels, channels, groups};
    auto run = [&](auto *in, auto *out) {
        (silu ? forward<true, std::decay_t<decltype(*out)>> : forward<false, std::decay_t<decltype(*out)>>)(
            in, gamma, beta, scale, shift, told, out, mean, rstd, s, eps, threads);
    };
    half ? run((const bf16 *)x, (bf16 *)y) : run((const float *)x, (float *)y);
}

extern "C" void group_norm_backward(const void *dy, const void *x, const float *gamma, const float *beta,
                                    const float *scale, const float *shift, int64_t told, const float *mean,
                                    const float *rstd, void *dx, float *sums, int64_t rows, int64_t pixels,
                                    int64_t channels, int64_t groups, int silu, int half, int threads) {
    Shape s{rows, pixels, channels, groups};
    auto run = [&](auto *above, auto *in, auto *out) {
        (silu ? backward<true, std::decay_t<decltype(*out)>> : backward<false, std::decay_t<decltype(*out)>>)(
            above, in, gamma, beta, scale, shift, told, mean, rstd, out, sums, s, threads);
    };
    half ? run((const bf16 *)dy, (const bf16 *)x, (bf16 *)dx)
         : run((const float *)dy, (const float *)x, (float *)dx);
}

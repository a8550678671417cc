// Group norm, scale and shift, SiLU in one operator, channels last, float32 sums whatever the pictures are in.
//
//     z = (gamma x_hat + beta) (1 + scale) + shift,   x_hat = (x - mean) rstd,   y = z or z sigmoid(z)
//
// For each row and channel that is z = a x + b. Backward, with dz = dy y'(z) and g = gamma (1 + scale):
//
//     dx = rstd (g dz - mean(g dz) - x_hat mean(g dz x_hat)),  the means over a group
//
// sums[0] = sum of dz and sums[1] = sum of dz x_hat over the pixels of a channel are what gamma, beta, scale
// and shift need. Both ways go twice over the memory in its order: for sums by channel, then for the answer. Sums
// are of runs of pixels, in float32, and runs are added up in float64. Runs are a function of the shape alone, so
// that a picture's numbers depend neither on its batch nor on the threads.
#include "vector.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

constexpr int64_t VALUES = 16384, MOST = 256; // of a run: about so many values, so many pixels at most

struct Shape {
    int64_t rows, pixels, channels, groups;
    int64_t width() const { return channels / groups; }
    int64_t run() const { return std::clamp<int64_t>(VALUES / channels, 8, MOST); }
    int64_t runs() const { return (pixels + run() - 1) / run(); }
    int64_t end(int64_t number) const { return std::min(pixels, (number + 1) * run()); }
};

// sum(row, run) for every run, settle(row) when all runs of a row have been summed, then apply(row, run).
template <class Sum, class Settle, class Apply>
void twice(const Shape &s, int threads, Sum sum, Settle settle, Apply apply) {
    if (s.rows >= 2 * threads) { // then a row may still be in the cache when it is read again
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (int64_t row = 0; row < s.rows; row++) {
            for (int64_t k = 0; k < s.runs(); k++)
                sum(row, k);
            settle(row);
            for (int64_t k = 0; k < s.runs(); k++)
                apply(row, k);
        }
        return;
    }
#pragma omp parallel num_threads(threads)
    {
#pragma omp for collapse(2) schedule(static)
        for (int64_t row = 0; row < s.rows; row++)
            for (int64_t k = 0; k < s.runs(); k++)
                sum(row, k);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < s.rows; row++)
            settle(row);
#pragma omp for collapse(2) schedule(static)
        for (int64_t row = 0; row < s.rows; row++)
            for (int64_t k = 0; k < s.runs(); k++)
                apply(row, k);
    }
}

// Two sums of each run and channel, which start at zero.
class Sums {
    Shape s;
    std::vector<float> parts;

  public:
    explicit Sums(const Shape &s) : s(s), parts(s.rows * s.runs() * 2 * s.channels) {}
    float *of(int64_t row, int64_t run) { return &parts[(row * s.runs() + run) * 2 * s.channels]; }
    double total(int64_t row, int64_t which, int64_t c) const {
        double total = 0;
        for (int64_t k = 0; k < s.runs(); k++)
            total += parts[((row * s.runs() + k) * 2 + which) * s.channels + c];
        return total;
    }
};

// each(at, c): value number `at` of all, channel c, a vector at a time, over the pixels of a run.
template <class V, class Each> inline void each_vector(const Shape &s, int64_t row, int64_t run, Each each) {
    int64_t channels = s.channels, end = row * s.pixels + s.end(run);
    for (int64_t p = row * s.pixels + run * s.run(); p < end; p++)
        for (int64_t c = 0; c < channels; c += lanes<V>)
            each(p * channels + c, c);
}

// What a row is told, by channel.
struct Told {
    const float *gamma, *beta, *scale, *shift;
    int64_t pitch;
    float gain(int64_t row, int64_t c) const { return gamma[c] * (scale ? 1 + scale[row * pitch + c] : 1); }
    float offset(int64_t row, int64_t c) const {
        return beta[c] * (scale ? 1 + scale[row * pitch + c] : 1) + (shift ? shift[row * pitch + c] : 0);
    }
};

template <class V, bool silu, class T>
void forward(const T *x, const Told &told, T *y, float *mean, float *rstd, const Shape &s, double eps, int threads) {
    int64_t channels = s.channels, width = s.width();
    Sums sums(s);
    std::vector<float> slopes(s.rows * channels), offsets(s.rows * channels);
    // Sums of what lies around the first pixel of the row: where values are far from zero, nothing cancels.
    auto sum = [&](int64_t row, int64_t k) {
        const T *centre = x + row * s.pixels * channels;
        float *first = sums.of(row, k), *second = first + channels;
        each_vector<V>(s, row, k, [=](int64_t at, int64_t c) {
            V d = load<V>(x + at) - load<V>(centre + c);
            store(first + c, load<V>(first + c) + d);
            store(second + c, load<V>(second + c) + d * d);
        });
    };
    auto settle = [&](int64_t row) {
        double n = double(s.pixels);
        std::vector<float> centre(channels);
        for (int64_t c = 0; c < channels; c += lanes<V>)
            store(&centre[c], load<V>(x + row * s.pixels * channels + c));
        std::vector<double> means(width), squares(width);
        for (int64_t group = 0; group < s.groups; group++) {
            double middle = 0, square = 0;
            for (int64_t i = 0; i < width; i++) {
                int64_t c = group * width + i;
                double total = sums.total(row, 0, c);
                means[i] = centre[c] + total / n;
                squares[i] = sums.total(row, 1, c) - total * total / n;
                middle += means[i] / double(width);
            }
            for (int64_t i = 0; i < width; i++)
                square += squares[i] + n * (means[i] - middle) * (means[i] - middle);
            double inverse = 1 / std::sqrt(std::max(square, 0.0) / (n * double(width)) + eps);
            if (square != square)
                inverse = square;
            mean[row * s.groups + group] = float(middle);
            rstd[row * s.groups + group] = float(inverse);
            for (int64_t c = group * width; c < (group + 1) * width; c++) {
                float slope = float(inverse) * told.gain(row, c);
                slopes[row * channels + c] = slope;
                offsets[row * channels + c] = told.offset(row, c) - float(middle) * slope;
            }
        }
    };
    auto apply = [&](int64_t row, int64_t k) {
        const float *a = &slopes[row * channels], *b = &offsets[row * channels];
        each_vector<V>(s, row, k, [=](int64_t at, int64_t c) {
            V z = load<V>(x + at) * load<V>(a + c) + load<V>(b + c);
            store(y + at, silu ? z * sigmoid<T>(z) : z);
        });
    };
    twice(s, threads, sum, settle, apply);
}

template <class V, bool silu, class T>
void backward(const T *dy, const T *x, const Told &told, const float *mean, const float *rstd, T *dx, float *answer,
              const Shape &s, int threads) {
    int64_t channels = s.channels, width = s.width();
    Sums sums(s);
    enum { SLOPE, OFFSET, RSTD, CENTRE, FIRST, SECOND, KINDS }; // by row and channel; x_hat = x RSTD - CENTRE
    std::vector<float> table(s.rows * KINDS * channels);
    for (int64_t row = 0; row < s.rows; row++)
        for (int64_t c = 0; c < channels; c++) {
            float *to = &table[row * KINDS * channels + c], inverse = rstd[row * s.groups + c / width];
            float middle = mean[row * s.groups + c / width];
            to[SLOPE * channels] = inverse * told.gain(row, c);
            to[OFFSET * channels] = told.offset(row, c) - middle * to[SLOPE * channels];
            to[RSTD * channels] = inverse;
            to[CENTRE * channels] = middle;
        }
    auto dz = [=](const float *of, int64_t at, int64_t c) {
        V d = load<V>(dy + at);
        if (!silu)
            return d;
        V z = load<V>(x + at) * load<V>(of + SLOPE * channels + c) + load<V>(of + OFFSET * channels + c);
        V lit = sigmoid<T>(z);
        return d * lit * (1.0f + z * (1.0f - lit));
    };
    auto x_hat = [=](const float *of, int64_t at, int64_t c) {
        return (load<V>(x + at) - load<V>(of + CENTRE * channels + c)) * load<V>(of + RSTD * channels + c);
    };
    // dz is dear (an exponential): it is kept in dx between the passes where nothing rounds it.
    constexpr bool keep = sizeof(T) == sizeof(float);
    auto sum = [&](int64_t row, int64_t k) {
        const float *of = &table[row * KINDS * channels];
        float *first = sums.of(row, k), *second = first + channels;
        each_vector<V>(s, row, k, [=](int64_t at, int64_t c) {
            V d = dz(of, at, c);
            store(first + c, load<V>(first + c) + d);
            store(second + c, load<V>(second + c) + d * x_hat(of, at, c));
            if (keep)
                store(dx + at, d);
        });
    };
    auto settle = [&](int64_t row) {
        float *of = &table[row * KINDS * channels];
        double n = double(s.pixels) * double(width);
        for (int64_t group = 0; group < s.groups; group++) {
            double first = 0, second = 0;
            for (int64_t c = group * width; c < (group + 1) * width; c++) {
                double total = sums.total(row, 0, c), product = sums.total(row, 1, c);
                answer[row * channels + c] = float(total);
                answer[(s.rows + row) * channels + c] = float(product);
                first += told.gain(row, c) * total;
                second += told.gain(row, c) * product;
            }
            for (int64_t c = group * width; c < (group + 1) * width; c++) {
                of[FIRST * channels + c] = of[RSTD * channels + c] * float(first / n);
                of[SECOND * channels + c] = of[RSTD * channels + c] * float(second / n);
            }
        }
    };
    auto apply = [&](int64_t row, int64_t k) {
        const float *of = &table[row * KINDS * channels];
        each_vector<V>(s, row, k, [=](int64_t at, int64_t c) {
            V d = keep ? load<V>(dx + at) : dz(of, at, c);
            store(dx + at, d * load<V>(of + SLOPE * channels + c) - load<V>(of + FIRST * channels + c) -
                               x_hat(of, at, c) * load<V>(of + SECOND * channels + c));
        });
    };
    twice(s, threads, sum, settle, apply);
}

// call(vector, number): a vector as wide as the channels allow, and the number that pictures are made of.
template <class Call> void with_types(int64_t channels, int half, Call call) {
    if (channels % WIDE == 0)
        half ? call(Wide{}, bf16{}) : call(Wide{}, 0.0f);
    else
        half ? call(Vec{}, bf16{}) : call(Vec{}, 0.0f);
}

} // namespace

// x, y, dx, dy: (rows, pixels, channels), float32 or bfloat16. gamma, beta: (channels). scale, shift: null or
// (rows, channels) with `pitch` values from row to row. mean, rstd: (rows, groups). sums: (2, rows, channels).
extern "C" void group_norm_forward(const void *x, const float *gamma, const float *beta, const float *scale,
                                   const float *shift, int64_t pitch, void *y, float *mean, float *rstd,
                                   int64_t rows, int64_t pixels, int64_t channels, int64_t groups, double eps,
                                   int silu, int half, int threads) {
    Shape s{rows, pixels, channels, groups};
    Told told{gamma, beta, scale, shift, pitch};
    with_types(channels, half, [&](auto vector, auto number) {
        using V = decltype(vector);
        using T = decltype(number);
        auto run = silu ? forward<V, true, T> : forward<V, false, T>;
        run((const T *)x, told, (T *)y, mean, rstd, s, eps, threads);
    });
}

extern "C" void group_norm_backward(const void *dy, const void *x, const float *gamma, const float *beta,
                                    const float *scale, const float *shift, int64_t pitch, const float *mean,
                                    const float *rstd, void *dx, float *sums, int64_t rows, int64_t pixels,
                                    int64_t channels, int64_t groups, int silu, int half, int threads) {
    Shape s{rows, pixels, channels, groups};
    Told told{gamma, beta, scale, shift, pitch};
    with_types(channels, half, [&](auto vector, auto number) {
        using V = decltype(vector);
        using T = decltype(number);
        auto run = silu ? backward<V, true, T> : backward<V, false, T>;
        run((const T *)dy, (const T *)x, told, mean, rstd, (T *)dx, sums, s, threads);
    });
}

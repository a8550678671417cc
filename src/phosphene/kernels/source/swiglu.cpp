// y = silu(a) b of pairs (a, b) that lie one behind the other in a row, and its gradient.
//
//     da = dy b s (1 + a (1 - s)),   db = dy a s,   s = sigmoid(a)
#include "vector.h"

namespace {

template <class T> void forward(const T *x, T *y, int64_t rows, int64_t width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const T *a = x + row * 2 * width, *b = a + width;
        for (int64_t c = 0; c < width; c += LANES) {
            Vec gate = load(a + c);
            store(y + row * width + c, gate * sigmoid(gate) * load(b + c));
        }
    }
}

template <class T> void backward(const T *dy, const T *x, T *dx, int64_t rows, int64_t width, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const T *a = x + row * 2 * width, *b = a + width;
        T *da = dx + row * 2 * width, *db = da + width;
        for (int64_t c = 0; c < width; c += LANES) {
            Vec gate = load(a + c), d = load(dy + row * width + c), s = sigmoid(gate);
            store(da + c, d * load(b + c) * s * (1.0f + gate * (1.0f - s)));
            store(db + c, d * gate * s);
        }
    }
}

} // namespace

extern "C" void swiglu_forward(const void *x, void *y, int64_t rows, int64_t width, int half, int threads) {
    if (half)
        forward((const bf16 *)x, (bf16 *)y, rows, width, threads);
    else
        forward((const float *)x, (float *)y, rows, width, threads);
}

extern "C" void swiglu_backward(const void *dy, const void *x, void *dx, int64_t rows, int64_t width, int half,
                                int threads) {
    if (half)
        backward((const bf16 *)dy, (const bf16 *)x, (bf16 *)dx, rows, width, threads);
    else
        backward((const float *)dy, (const float *)x, (float *)dx, rows, width, threads);
}

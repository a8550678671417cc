// Sums over the positions of each row, of bfloat16 in float32: the gradient of a bias.
//
// Per block of 64 channels: float32 over RUN positions, then float64.
#include "vector.h"

#include <algorithm>

namespace {

constexpr int64_t RUN = 256, BLOCK = 64;

void sums_of(const bf16 *x, int64_t positions, int64_t width, float *y) {
    double whole[BLOCK] = {};
    for (int64_t start = 0; start < positions; start += RUN) {
        Wide part[BLOCK / WIDE] = {};
        for (int64_t p = start; p < std::min(start + RUN, positions); p++)
            for (int64_t i = 0; i < BLOCK / WIDE; i++)
                part[i] += load<Wide>(x + p * width + i * WIDE);
        for (int64_t c = 0; c < BLOCK; c++)
            whole[c] += part[c / WIDE][c % WIDE];
    }
    std::copy(whole, whole + BLOCK, y);
}

// Of fewer channels than a block.
void last_sums_of(const bf16 *x, int64_t positions, int64_t width, int64_t channels, float *y) {
    double whole[BLOCK] = {};
    for (int64_t p = 0; p < positions; p++)
        for (int64_t c = 0; c < channels; c++) {
            int32_t bits = int32_t(x[p * width + c].bits) << 16;
            float value;
            memcpy(&value, &bits, sizeof value);
            whole[c] += value;
        }
    std::copy(whole, whole + channels, y);
}

} // namespace

extern "C" void sums(const void *x, float *y, int64_t rows, int64_t positions, int64_t width, int threads) {
    int64_t blocks = (width + BLOCK - 1) / BLOCK;
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t block = 0; block < blocks; block++) {
            const bf16 *from = (const bf16 *)x + row * positions * width + block * BLOCK;
            float *to = y + row * width + block * BLOCK;
            int64_t channels = std::min(BLOCK, width - block * BLOCK);
            if (channels == BLOCK)
                sums_of(from, positions, width, to);
            else
                last_sums_of(from, positions, width, channels, to);
        }
}

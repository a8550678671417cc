// Philox4x32-10: words of 32 random bits, a row for each (seed, turn, picture), four for each position.
//
//     counter = (position, turn, picture's low word, its high word),   key = (seed's low word, its high word)
//     a round: (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0))
//
// Integers only: the same bits on every machine.
#include <cstdint>

namespace {

constexpr uint64_t M0 = 0xD2511F53, M1 = 0xCD9E8D57;
constexpr uint32_t W0 = 0x9E3779B9, W1 = 0xBB67AE85;
constexpr int ROUNDS = 10;
constexpr int LANES = 16;   // positions side by side, whole vectors of them
constexpr int64_t RUN = 512; // positions of a task

struct Row {
    int64_t seed, picture;
    uint32_t turn;
};

void lanes(Row row, int64_t first, uint32_t (&c)[4][LANES]) {
    for (int i = 0; i < LANES; i++) {
        c[0][i] = (uint32_t)(first + i);
        c[1][i] = row.turn;
        c[2][i] = (uint32_t)row.picture;
        c[3][i] = (uint32_t)(row.picture >> 32);
    }
    uint32_t k0 = (uint32_t)row.seed, k1 = (uint32_t)(row.seed >> 32);
    for (int round = 0; round < ROUNDS; round++, k0 += W0, k1 += W1)
        for (int i = 0; i < LANES; i++) {
            uint64_t p0 = M0 * c[0][i], p1 = M1 * c[2][i];
            c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
            c[1][i] = (uint32_t)p1;
            c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
            c[3][i] = (uint32_t)p0;
        }
}

} // namespace

// seed, picture, turn: one a row. words: (rows, count).
extern "C" void philox_words(const int64_t *seed, const int64_t *picture, const int64_t *turn, int64_t *words,
                             int64_t rows, int64_t count, int threads) {
    int64_t positions = (count + 3) / 4, runs = (positions + RUN - 1) / RUN;
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * runs > 8)
    for (int64_t task = 0; task < rows * runs; task++) {
        int64_t at = task / runs, first = task % runs * RUN;
        int64_t end = first + RUN < positions ? first + RUN : positions;
        Row row = {seed[at], picture[at], (uint32_t)turn[at]};
        for (; first < end; first += LANES) {
            uint32_t c[4][LANES];
            lanes(row, first, c);
            int64_t *to = words + at * count + 4 * first, left = count - 4 * first;
            for (int i = 0; i < 4 * LANES && i < left; i++)
                to[i] = c[i % 4][i / 4];
        }
    }
}

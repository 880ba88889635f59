#include "sim/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_WHOLE = 0, STEP = 16 };
#else
enum { IS_WHOLE = 1, STEP = 1 };
#endif

uint64_t share_number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int share_is_whole(void) {
    return IS_WHOLE;
}

uint64_t share_of(uint64_t all, uint64_t one_in) {
    return IS_WHOLE ? all : all / one_in + 1;
}

uint64_t share_seed(void) {
    static uint64_t seed;
    if (seed == 0) {
        seed = share_number("HOLDFAST_SEED", IS_WHOLE ? 1 : (uint64_t)time(NULL) % 1000000 + 1);
        printf("# HOLDFAST_SEED=%" PRIu64 "\n", seed);
    }
    return seed;
}

uint64_t share_step(void) {
    uint64_t step = share_number("HOLDFAST_SWEEP_EVERY", STEP);
    return step ? step : 1;
}

uint64_t share_first(void) {
    static uint64_t sweeps;
    return 1 + (share_seed() + sweeps++) % share_step();
}

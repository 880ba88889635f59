/* How much of a long test a build does. The normal build does all of it, the same in every run. Under a sanitizer,
 * which looks for bad memory on the same ways, it is a share of it, another in every run: HOLDFAST_SEED chooses which,
 * and is printed. */
#ifndef HF_SIM_SHARE_H
#define HF_SIM_SHARE_H

#include <stdint.h>

uint64_t share_number(const char *name, uint64_t otherwise); /* from the environment */
int share_is_whole(void);
uint64_t share_of(uint64_t all, uint64_t one_in); /* one_in: where it is a share */
uint64_t share_seed(void);

/* Sweeps: each share_step-th fault is tried, from share_first on. Sweeps that follow one another begin one place
 * further, so that step of them meet every fault. HOLDFAST_SWEEP_EVERY sets the step. */
uint64_t share_step(void);
uint64_t share_first(void);

#endif

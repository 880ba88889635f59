/* The states that a power cut could leave of what a program did (struct sim_record), and whether the program comes back
 * from each of them.
 *
 * At every point between two operations: what was synced is there; of what was not, all, nothing, all but one, one
 * alone, every subset when it is little and random ones when it is much; writes torn at sectors, or long enough but
 * zeros. Two orders:
 *
 *   strict  what POSIX promises: a file's bytes are safe after its fsync, a name after the fsync of its folder. Of a
 *           rename between folders, neither name, both, or one of the two may be there.
 *   ext4    names and sizes reach the disk in order, a rename as one; an fsync for which one waits carries all earlier
 *           ones; data is older than a rename over it.
 *
 * States that are alike are verified once. From some, the recovery is recorded in its turn, and cut
 * (crash within recovery). */
#ifndef HF_SIM_CRASH_STATES_H
#define HF_SIM_CRASH_STATES_H

#include "sim/crash_table.h"
#include "sim/sim_disk.h"

enum crash_order { CRASH_STRICT, CRASH_EXT4 };

enum { CRASH_TEXT = 512 };

/* Brings the program up on the disk, with no help, and looks at everything. Returns what it found to be there, in the
 * terms of sim_mark_ack (so at least what was acknowledged), or a negative number with a reason in text. It may work
 * on, marking what it acknowledges. Must do the same for the same disk. */
typedef int64_t (*crash_verify)(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]);

struct crash_options {
    enum crash_order order;
    uint64_t seed;
    uint64_t most_states;     /* 0: no limit */
    uint64_t keep_one_in;     /* of the states, at random; 0 and 1: all */
    unsigned every_subset_to; /* so many pending operations at most (8) */
    unsigned random_subsets;  /* otherwise, at each point */
    unsigned each_most;       /* so many operations left out, and alone, at each point */
    unsigned torn_most;       /* so many writes torn at each point */
    unsigned deeper_one_in;   /* of the distinct states; 0: none */
    unsigned deeper_levels;   /* how deep: 2 is a crash in the recovery from a crash in the recovery */
    int stop_at_failure;
    const char *failure_folder; /* the first state that fails is written there, for a look at it; NULL: is not */
    struct crash_table *known;  /* verdicts by image, shared by runs with the same verify; NULL: none are shared */
};
void crash_options_default(struct crash_options *ret_options);

struct crash_result {
    uint64_t total, distinct, deeper; /* deeper: those of the total that are crashes within recovery */
    uint64_t failures;
    char first_failure[3 * CRASH_TEXT];
};

/* How many states there are without those within recovery: what keep_one_in may be set by. */
uint64_t crash_count(const struct sim_record *record, const struct crash_options *options);

/* Adds to *result. Returns 0 when no state failed. */
int crash_run(const struct sim_record *record, const struct crash_options *options, crash_verify verify, void *arg,
              struct crash_result *result);

#endif

/* The known-bad saver: what save_json_atomic of changedetection.io 0.52.9 does, on a simulated disk. A folder for each
 * watch; a temporary file in it, one write, a rename over watch.json; the folder is synced when the file is new, the
 * file only when the environment asks for it, the folder above never. Each save that returned counts as acknowledged.
 */
#ifndef HF_SIM_NAIVE_SAVER_H
#define HF_SIM_NAIVE_SAVER_H

#include "sim/crash_states.h"

struct sim_record *naive_saver_record(uint64_t seed, int with_fsync); /* FORCE_FSYNC_DATA_IS_CRITICAL */

/* A crash_verify: each watch must be the newest that was saved, or a newer one; arg is not used. */
int64_t naive_saver_verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]);

#endif

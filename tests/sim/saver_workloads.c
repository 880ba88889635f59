/* What programs do with a saver. */
#include "sim/saver_work.h"

#include "base/mem.h"

#include <stdio.h>

static void work_cycles(struct saver_work *work) {
    for (int i = 0; i < 5; i++) {
        saver_work_change(work, 3 + (unsigned)store_work_below(&work->base, 14), i > 1, HF_STANDARD);
        saver_work_cycle(work); /* not due yet, mostly */
        saver_work_wait_and_cycle(work);
        if (i % 2)
            store_work_rest(&work->base);
    }
    saver_work_change(work, 5, 0, HF_STANDARD);
    saver_work_end(work);
}

static void work_urgent(struct saver_work *work) {
    for (int i = 0; i < 8; i++) {
        saver_work_change(work, 4, 0, HF_STANDARD);
        saver_work_change(work, 1 + (unsigned)store_work_below(&work->base, 3), i > 3, HF_URGENT);
        saver_work_cycle(work);
    }
    saver_work_end(work);
}

static void work_flushes(struct saver_work *work) {
    for (int i = 0; i < 4; i++) {
        saver_work_change(work, 15, i > 1, HF_STANDARD);
        saver_work_flush(work);
        saver_work_end(work);
        saver_work_begin(work);
    }
    saver_work_end(work);
}

static void work_in_vain(struct saver_work *work) {
    for (int i = 0; i < 4; i++) {
        saver_work_change(work, 12, i > 1, HF_STANDARD);
        saver_work_flush_in_vain(work);
        saver_work_change(work, 4, 0, HF_STANDARD);
        if (i % 2)
            saver_work_flush(work);
        else
            saver_work_wait_and_cycle(work);
    }
    saver_work_end(work);
}

static void work_kills(struct saver_work *work) {
    for (int i = 0; i < 6; i++) {
        saver_work_change(work, 14, i > 2, HF_STANDARD);
        saver_work_flush_and_die(work, 1 + (unsigned)store_work_below(&work->base, 24));
    }
    saver_work_change(work, 3, 0, HF_STANDARD);
    saver_work_end(work);
}

static void work_commits(struct saver_work *work) {
    saver_work_change(work, 12, 0, HF_STANDARD);
    saver_work_change(work, 8, 1, HF_URGENT);
    saver_work_end(work);
}

struct saver_workload {
    const char *name;
    void (*run)(struct saver_work *work);
    enum hf_durability durability;
    unsigned weight;
};
static const struct saver_workload workloads[] = {
    {"saver, cycles", work_cycles, HF_SOON, 3},
    {"saver, urgent", work_urgent, HF_SOON, 3},
    {"saver, flushes", work_flushes, HF_SOON, 3},
    {"saver, disk full", work_in_vain, HF_SOON, 3},
    {"saver, kill -9", work_kills, HF_SOON, 3},
    {"saver, commits", work_commits, HF_COMMIT, 3},
    {NULL, NULL, HF_SOON, 0},
};

static void fini(void **arg) {
    saver_work_fini(*arg);
    mem_free(*arg);
    *arg = NULL;
}

static struct sim_record *record(const struct crash_subject *subject, uint64_t seed, int lying, void **ret_work) {
    const struct saver_workload *workload = subject->workload;
    struct saver_work *work = sim_alloc(sizeof *work);
    saver_work_init(work, subject->backing, workload->durability, seed, lying);
    saver_work_begin(work);
    workload->run(work);
    oracle_seal(&work->base.oracle);
    *ret_work = work;
    return sim_disk_take_record(work->base.disk);
}

size_t saver_work_subjects(const struct store_backing *backing,
                           struct crash_subject ret_subjects[SAVER_SUBJECTS_MOST]) {
    size_t count = 0;
    for (; workloads[count].name && count < SAVER_SUBJECTS_MOST; count++) {
        struct crash_subject *subject = &ret_subjects[count];
        *subject = (struct crash_subject){.weight = workloads[count].weight, .backing = backing};
        snprintf(subject->name, sizeof subject->name, "%s: %s", backing->name, workloads[count].name);
        subject->workload = &workloads[count];
        subject->record = record;
        subject->verify = store_work_verify;
        subject->fini = fini;
    }
    return count;
}

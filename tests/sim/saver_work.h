/* A program that holds its documents itself and saves them through the saver, on a simulated disk: marks, cycles,
 * urgent ones, deletions, saves that fail, kills, re-opening and loading. Acknowledged is what a cycle or a flush
 * returned for; after a crash each document must be as it was then or newer, as one of the commits left it. */
#ifndef HF_SIM_SAVER_WORK_H
#define HF_SIM_SAVER_WORK_H

#include "sim/store_work.h"

enum { SAVER_DOCUMENTS = 24 };

struct saver_document {
    char kind[16], id[16];
    char *json; /* NULL: the owner does not hold it */
    size_t json_bytes;
};

/* A text that the saver was given: what an event's hash stands for. */
struct saver_given {
    const struct saver_document *document;
    char *json;
    size_t json_bytes;
};

struct saver_work {
    struct store_work base; /* first: a saver's work is verified as a store's */
    struct hf_saver *saver;
    enum hf_durability durability;
    struct saver_document documents[SAVER_DOCUMENTS];
    struct saver_given *given;
    size_t given_count, given_room;
};

void saver_work_init(struct saver_work *work, const struct store_backing *backing, enum hf_durability durability,
                     uint64_t seed, int lying);
void saver_work_fini(struct saver_work *work);

void saver_work_begin(struct saver_work *work); /* opens, and loads what is stored */
void saver_work_end(struct saver_work *work);   /* saves what is marked, and closes */
/* So many documents become others, or go when `deletes`, and are marked. */
void saver_work_change(struct saver_work *work, unsigned count, int deletes, enum hf_urgency urgency);
void saver_work_cycle(struct saver_work *work); /* saves what is due */
void saver_work_wait_and_cycle(struct saver_work *work);
void saver_work_flush(struct saver_work *work);
void saver_work_flush_in_vain(struct saver_work *work);                   /* the disk is full for a while */
void saver_work_flush_and_die(struct saver_work *work, unsigned at_sync); /* and begins anew with what was saved */

/* For crash_suite_run. Returns how many. */
enum { SAVER_SUBJECTS_MOST = 8 };
size_t saver_work_subjects(const struct store_backing *backing, struct crash_subject ret_subjects[SAVER_SUBJECTS_MOST]);

#endif

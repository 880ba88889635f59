/* Findings as records of the kind "finding": {what, kind, id, path, text, action, found_at, count, gone_at}. */
#ifndef HF_STORE_FINDING_H
#define HF_STORE_FINDING_H

#include "base/buf.h"
#include "base/mem.h"
#include "holdfast.h"

#define FINDING_KIND "finding"
enum { FINDING_ID_BYTES = 2 * HF_HASH_BYTES + 1 };

/* Where a finding was looked for: only a look at that part can say that it is gone. */
enum finding_part { FINDING_STORED = 1, FINDING_OWNER = 2 };
enum finding_part finding_part_of(const char *what);

/* A hash of what, kind, id and path: the same trouble has the same record. */
void finding_id(const struct hf_finding *finding, char ret_id[FINDING_ID_BYTES]);

struct finding_entry {
    struct hf_finding finding;
    int64_t found_at_ms, gone_at_ms; /* gone_at_ms 0: it is not gone */
    int64_t count;                   /* how often it came */
};
void finding_write(const struct finding_entry *entry, struct buf *out);
/* The texts are in the arena. -1 when the record is not one of ours: somebody put another document there. */
int finding_read(const struct hf_record *record, struct arena *arena, struct finding_entry *ret_entry);

#endif

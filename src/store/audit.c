/* Shards, rounds, and what is done about a finding.
 *
 * Invariants
 *  1. A round is as many shards as there are. The cursor passes every stored row that is there during the whole round
 *     exactly once in it: each shard takes its share of what is left, and the last one all of it.
 *  2. What is written is findings, and what a file holds when the backend hands it over: under the condition that the
 *     record is still as it was when the file was read. Nothing is put in the place of a damaged row; its owner is
 * asked for the document, where there is one.
 *  3. A part in which something could not be read ends no finding in that round. */
#include "store/audit.h"

#include <string.h>

#include "store/saver.h"

enum { SLICE_ROWS = 256 };

/* ---- findings ---- */

/* The first error stands; the other is ready for the next call. */
static void keep_first(struct hf_error *first, struct hf_error *other) {
    if (first->code == 0)
        error_copy(first, other);
    error_clear(other);
}

/* A copy, since nothing may be written from inside a check. */
static void collect(void *arg, const struct hf_finding *finding) {
    struct audit *audit = arg;
    struct arena *arena = &audit->arena;
    struct hf_finding *copy = arena_zalloc(arena, 1, sizeof *copy);
    if (!copy || vec_push(&audit->found, copy) != 0) {
        audit->lost = 1;
        return;
    }
    copy->what = arena_strdup(arena, finding->what);
    copy->kind = finding->kind ? arena_strdup(arena, finding->kind) : NULL;
    copy->id = finding->id ? arena_strdup(arena, finding->id) : NULL;
    copy->text = arena_strdup(arena, finding->text ? finding->text : "");
    copy->path = finding->path ? arena_strdup(arena, finding->path) : NULL;
    copy->action = arena_strdup(arena, finding->action ? finding->action : "reported");
    audit->lost |= !copy->what || !copy->text || !copy->action;
}

/* What a file holds becomes the record, unless the record has changed since the file was read. */
static int take(struct audit *audit, const struct hf_finding *finding, const struct buf *json,
                const uint8_t if_hash[HF_HASH_BYTES]) {
    static const uint8_t none[HF_HASH_BYTES] = {0};
    struct hf_change_options options = {.condition = HF_IF_HASH};
    struct hf_batch *batch = NULL;
    memcpy(options.if_hash, if_hash, sizeof options.if_hash);
    if (memcmp(if_hash, none, sizeof none) == 0)
        options.condition = HF_IF_ABSENT;
    int code = hf_batch_new("tree", &batch, NULL);
    if (code == 0)
        code = hf_batch_put(batch, finding->kind, finding->id, buf_text(json), json->size, &options, NULL);
    if (code == 0)
        code = hf_store_commit(audit->store, &batch, NULL, NULL);
    hf_batch_free(&batch);
    return code;
}

/* Whether there is still something to tell. */
static int mend_file(struct audit *audit, struct hf_finding *finding) {
    BUF_AUTO struct buf json;
    uint8_t if_hash[HF_HASH_BYTES];
    enum store_mend mend = STORE_MEND_NOTHING;
    buf_init(&json);
    if (store_mend(audit->store, finding->kind, finding->id, &mend, &json, if_hash, NULL) != 0)
        return 1;
    if (mend == STORE_MEND_NOTHING)
        return 0;
    if (mend == STORE_MEND_PUT_BACK) {
        finding->action = "put_back";
        return 1;
    }
    int code = take(audit, finding, &json, if_hash);
    if (code == 0)
        finding->action = "taken";
    return code != HF_ERR_PRECONDITION && code != HF_ERR_EXISTS; /* the next round looks at both again */
}

static int is_about_document(const struct hf_finding *finding) {
    static const char *const whats[] = {"bad_checksum", "bad_hash", "bad_json", "lost_record"};
    for (size_t i = 0; i < sizeof whats / sizeof whats[0] && finding->kind && finding->id; i++)
        if (strcmp(finding->what, whats[i]) == 0)
            return 1;
    return 0;
}

static int handle(struct audit *audit, struct hf_finding *finding, struct hf_audit_result *result,
                  struct hf_error *error) {
    if (finding->path && finding->kind && finding->id) {
        if (!mend_file(audit, finding))
            return 0;
    } else if (audit->saver && is_about_document(finding)) {
        if (saver_mark_held(audit->saver, finding->kind, finding->id) == 0)
            finding->action = "marked";
    }
    result->findings++;
    return finding_log_see(&audit->log, finding, error);
}

/* Everything that was collected; the first error is told, and the others are still handled. */
static int handle_found(struct audit *audit, struct hf_audit_result *result, struct hf_error *error) {
    struct hf_error first = {0}, other = {0};
    if (audit->lost)
        error_set(&first, HF_ERR_NO_MEMORY, "keep findings: memory is used up");
    for (size_t i = 0; i < audit->found.count && !audit->lost; i++) {
        handle(audit, audit->found.items[i], result, &other);
        keep_first(&first, &other);
    }
    finding_log_commit(&audit->log, &other);
    keep_first(&first, &other);
    audit->found.count = 0;
    audit->lost = 0;
    arena_reset(&audit->arena);
    error_copy(error, &first);
    return first.code;
}

/* ---- a cycle ---- */

static int check_slice(struct audit *audit, uint64_t rows, struct hf_audit_result *result, struct hf_error *error) {
    struct hf_check_result checked = {0};
    struct hf_error first = {0}, other = {0};
    uint64_t before = audit->cursor.done;
    int code = hf_store_check_slice(audit->store, &audit->cursor, rows, collect, audit, &checked, &first);
    result->checked += audit->cursor.done - before;
    int handled = handle_found(audit, result, &other);
    keep_first(&first, &other);
    error_copy(error, &first);
    return code ? code : handled;
}

/* Where this cycle ends: its share of what is left. The first slice of a round says how much there is. */
static uint64_t find_goal(const struct audit *audit, uint64_t begun_at) {
    uint32_t cycles = audit->shards - audit->shard;
    uint64_t total = audit->cursor.total, left = total > begun_at ? total - begun_at : 0;
    return begun_at + (left + cycles - 1) / cycles;
}

/* is_last: everything that is left. */
static int audit_stored(struct audit *audit, int is_last, struct hf_audit_result *result, struct hf_error *error) {
    struct hf_check_cursor *cursor = &audit->cursor;
    int code = 0;
    uint64_t begun_at = cursor->done, rows = begun_at == 0 && !is_last ? 1 : SLICE_ROWS;
    while (code == 0 && !cursor->is_done && !atomic_load(&audit->is_stopping)) {
        uint64_t goal = find_goal(audit, begun_at);
        if (!is_last && cursor->total > 0) {
            if (cursor->done >= goal)
                break;
            rows = goal - cursor->done < SLICE_ROWS ? goal - cursor->done : SLICE_ROWS;
        }
        code = check_slice(audit, rows, result, error);
    }
    return code;
}

static int audit_owner(struct audit *audit, uint32_t shard, uint32_t shards, struct hf_audit_result *result,
                       struct hf_error *error) {
    struct hf_error first = {0}, other = {0};
    uint64_t audited = 0, findings = 0;
    saver_audit(audit->saver, shard, shards, collect, audit, &audited, &findings, &first);
    result->audited += audited;
    handle_found(audit, result, &other);
    keep_first(&first, &other);
    error_copy(error, &first);
    return first.code;
}

static void begin_round(struct audit *audit) {
    audit->shard = 0;
    audit->cursor = (struct hf_check_cursor){.without_structure = 1};
    audit->whole_parts = (audit->not_stored ? 0 : FINDING_STORED) | (audit->saver ? FINDING_OWNER : 0);
}

static void end_round(struct audit *audit, struct hf_error *error) {
    if (!audit->cursor.is_done)
        audit->whole_parts &= ~(unsigned)FINDING_STORED;
    finding_log_end_round(&audit->log, audit->whole_parts, error);
    if (audit->whole_parts & FINDING_STORED)
        audit->rows = audit->cursor.done;
    begin_round(audit);
}

/* The next `count` shards: one, or all that there are. What could not be looked at in one part does not keep the others
 * from being looked at; a store that stopped is still read, and said to have stopped. */
static int look_at(struct audit *audit, uint32_t count, struct hf_audit_result *result, struct hf_error *error) {
    struct hf_error first = {0}, other = {0};
    int is_last = audit->shard + count == audit->shards;
    finding_log_load(&audit->log, &first);
    if (audit->saver && audit_owner(audit, audit->shard / count, audit->shards / count, result, &other) != 0)
        audit->whole_parts &= ~(unsigned)FINDING_OWNER;
    keep_first(&first, &other);
    if (!audit->not_stored && audit_stored(audit, is_last, result, &other) != 0)
        audit->whole_parts &= ~(unsigned)FINDING_STORED;
    keep_first(&first, &other);
    result->cycles += count;
    audit->shard += count;
    if (is_last)
        end_round(audit, &other);
    keep_first(&first, &other);
    store_health(audit->store, &other);
    keep_first(&first, &other);
    error_copy(error, &first);
    return first.code;
}

int audit_shard(struct audit *audit, struct hf_audit_result *result, struct hf_error *error) {
    return look_at(audit, 1, result, error);
}

int audit_round(struct audit *audit, struct hf_audit_result *result, struct hf_error *error) {
    if (audit->shard != 0) {
        finding_log_end_round(&audit->log, 0, NULL); /* which ends nothing: it was not whole */
        begin_round(audit);
    }
    return look_at(audit, audit->shards, result, error);
}

void audit_init(struct audit *audit, struct hf_store *store, const struct hf_auditor_options *options) {
    *audit = (struct audit){.store = store,
                            .saver = options->saver,
                            .shards = options->shards,
                            .not_stored = options->not_stored};
    atomic_init(&audit->is_stopping, 0);
    arena_init(&audit->arena);
    vec_init(&audit->found);
    finding_log_init(&audit->log, store, options->without_records, options->found, options->arg);
    begin_round(audit);
}

void audit_fini(struct audit *audit) {
    finding_log_fini(&audit->log);
    vec_fini(&audit->found);
    arena_fini(&audit->arena);
}

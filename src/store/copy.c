/* Copying one store into another.
 *
 * Invariants
 *  1. A record is written with all its kept versions in front of it, oldest first. So where a copy was broken off, what
 *     the new store has last of a key is one of the old one's versions, and the copy goes on behind it.
 *  2. Memory is bounded: one chunk of records, one batch that is being filled, and a few that are under way.
 *  3. Nothing is called a success that was not read again from both stores after the last commit. */
#include "store/copy.h"

#include <string.h>

#include "store/store.h"
#include "store/options.h"

/* ---- batches under way ---- */

static void note_done(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct copy *copy = arg;
    (void)result;
    pthread_mutex_lock(&copy->lock);
    copy->under_way--;
    if (code != 0 && copy->commit_error.code == 0)
        copy->commit_error = *error;
    pthread_cond_signal(&copy->answered);
    pthread_mutex_unlock(&copy->lock);
}

/* Waits until at most `most` batches are under way; 0, or what a commit said. */
static int wait_for_commits(struct copy *copy, unsigned most, struct hf_error *error) {
    pthread_mutex_lock(&copy->lock);
    while (copy->under_way > most) {
        if (!store_is_pumped(copy->to)) {
            pthread_cond_wait(&copy->answered, &copy->lock);
            continue;
        }
        pthread_mutex_unlock(&copy->lock);
        store_pump(copy->to);
        pthread_mutex_lock(&copy->lock);
    }
    int code = copy->commit_error.code;
    if (code != 0)
        error_copy(error, &copy->commit_error);
    pthread_mutex_unlock(&copy->lock);
    if (code != HF_ERR_EXISTS && code != HF_ERR_PRECONDITION)
        return code;
    error_hint(error, "somebody else writes to the new store: copy again when nobody does");
    return error_wrap(error, HF_ERR_CONFLICT, "the new store has changed meanwhile");
}

static int commit_batch(struct copy *copy, struct hf_error *error) {
    if (!copy->batch)
        return 0;
    int code = wait_for_commits(copy, COPY_UNDER_WAY - 1, error);
    if (code != 0)
        return code;
    pthread_mutex_lock(&copy->lock);
    copy->under_way++;
    pthread_mutex_unlock(&copy->lock);
    hf_store_commit_async(copy->to, &copy->batch, note_done, copy);
    return 0;
}

int copy_write(struct copy *copy, const struct hf_record *record, int is_version,
               const struct hf_change_options *options, struct hf_error *error) {
    int code = copy->batch ? 0 : hf_batch_new(NULL, &copy->batch, error);
    if (code == 0)
        code = batch_copy(copy->batch, record, is_version, options, error);
    if (code == 0 && (copy->batch->changes.count >= COPY_CHUNK_RECORDS || copy->batch->bytes >= COPY_CHUNK_BYTES))
        code = commit_batch(copy, error);
    return code;
}

/* ---- chunks of the old store ---- */

static int keep_row(void *arg, const struct hf_record *record, int code) {
    struct copy_chunk *chunk = arg;
    struct copy_row *row = MEM_NEW(struct copy_row);
    if (!row || vec_push(&chunk->rows, row) != 0) {
        mem_free(row);
        return HF_ERR_NO_MEMORY;
    }
    row->code = code;
    chunk->bytes += record->json ? record->json_bytes : 0;
    if (store_record_copy(record, &row->record, NULL) != 0)
        return HF_ERR_NO_MEMORY;
    return chunk->bytes >= COPY_CHUNK_BYTES ? COPY_STOP : 0;
}

static void drop_rows(struct copy_chunk *chunk) {
    for (size_t i = 0; i < chunk->rows.count; i++) {
        struct copy_row *row = chunk->rows.items[i];
        hf_record_free(&row->record);
        mem_free(row);
    }
    chunk->rows.count = 0;
    chunk->bytes = 0;
}

static int read_chunk(struct copy *copy, struct copy_chunk *chunk, struct hf_error *error) {
    int code = hf_store_scan(copy->from, NULL, chunk->after[0] ? chunk->after : NULL, COPY_CHUNK_RECORDS, keep_row,
                             chunk, error);
    if (code == HF_ERR_NO_MEMORY)
        return error_set(error, code, "memory is used up");
    if (code != 0 && code != COPY_STOP)
        return code;
    chunk->is_last = code == 0 && chunk->rows.count < COPY_CHUNK_RECORDS;
    if (chunk->rows.count > 0) {
        const struct hf_record *last = ((struct copy_row *)chunk->rows.items[chunk->rows.count - 1])->record;
        snprintf(chunk->after, sizeof chunk->after, "%s/%s", last->kind, last->id);
    }
    return 0;
}

static int tell_progress(struct copy *copy, uint64_t done, uint64_t total, struct hf_error *error) {
    if (!copy->options.progress || copy->options.progress(copy->options.progress_arg, done, total) == 0)
        return 0;
    return error_set(error, HF_ERR_CANCELLED, "it was given up");
}

/* What the rest of the old store is, when it has rows that cannot even be named. Told once: everything is read twice.
 */
static int go_round_rest(struct copy *copy, int code, struct hf_error *error) {
    if (!copy->options.salvage || (code != HF_ERR_CORRUPT && code != HF_ERR_IO))
        return code;
    const struct hf_finding finding = {.what = "bad_structure", .text = error->message, .action = "reported"};
    if (!copy->is_rest_told)
        copy->result.damaged++;
    if (!copy->is_rest_told && copy->options.found)
        copy->options.found(copy->options.found_arg, &finding);
    copy->is_rest_told = 1;
    error_clear(error);
    return 0;
}

/* Calls `each` for every row of the old store. */
static int walk(struct copy *copy, int (*each)(struct copy *, const struct copy_row *, struct hf_error *),
                uint64_t done, uint64_t total, struct hf_error *error) {
    struct copy_chunk chunk = {.is_last = 0};
    int code = 0;
    vec_init(&chunk.rows);
    while (code == 0 && !chunk.is_last) {
        code = read_chunk(copy, &chunk, error);
        if (code != 0) {
            code = go_round_rest(copy, code, error);
            chunk.is_last = 1;
        }
        for (size_t i = 0; i < chunk.rows.count && code == 0; i++)
            code = each(copy, chunk.rows.items[i], error);
        done += chunk.rows.count;
        drop_rows(&chunk);
        if (code == 0)
            code = tell_progress(copy, done, total && done > total ? done : total, error);
    }
    drop_rows(&chunk);
    vec_fini(&chunk.rows);
    return code;
}

/* ---- one record ---- */

int copy_go_round(struct copy *copy, const struct hf_record *record, const char *what, const char *text,
                  struct hf_error *error) {
    const struct hf_finding finding = {
        .kind = record->kind, .id = record->id, .what = what, .text = text, .action = "reported"};
    if (!copy->options.salvage) {
        error_set(error, HF_ERR_CORRUPT, "copy '%s/%s': %s", record->kind, record->id, text);
        error_hint(error, "to copy all that can be read, copy with salvage");
        return HF_ERR_CORRUPT;
    }
    if (copy->options.found)
        copy->options.found(copy->options.found_arg, &finding);
    return 0;
}

/* What the new store has under the key. */
static int look_up(struct copy *copy, const struct hf_record *record, struct copy_there *ret_there,
                   struct hf_error *error) {
    struct hf_record *there = NULL;
    memset(ret_there, 0, sizeof *ret_there);
    int code = hf_store_get(copy->to, record->kind, record->id, &there, error);
    if (code != 0 && code != HF_ERR_NOT_FOUND && code != HF_ERR_CORRUPT)
        return code;
    error_clear(error);
    if (there) {
        ret_there->exists = 1;
        ret_there->is_same = memcmp(there->hash, record->hash, HF_HASH_BYTES) == 0;
        ret_there->condition.condition = HF_IF_REVISION;
        ret_there->condition.if_revision = there->revision;
    } else if (code == HF_ERR_NOT_FOUND) {
        ret_there->condition.condition = HF_IF_ABSENT;
    }
    hf_record_free(&there);
    return 0;
}

int copy_refuse_other(const struct copy *copy, const struct hf_record *record, struct hf_error *error) {
    if (copy->options.overwrite)
        return 0;
    error_set(error, HF_ERR_CONFLICT, "the new store has another document under '%s/%s'", record->kind, record->id);
    error_hint(error, "copy to an empty store, or with overwrite");
    return HF_ERR_CONFLICT;
}

static int copy_row(struct copy *copy, const struct copy_row *row, struct hf_error *error) {
    const struct hf_record *record = row->record;
    struct copy_there there = {.condition = {.condition = HF_IF_ABSENT}};
    if (row->code != 0) {
        copy->result.damaged++;
        return copy_go_round(copy, record, record->revision ? "bad_checksum" : "lost_record", "it cannot be read",
                             error);
    }
    copy->result.records++;
    if (record->revision > copy->newest)
        copy->newest = record->revision;
    int code = copy->is_to_empty ? 0 : look_up(copy, record, &there, error);
    if (code != 0)
        return code;
    if (there.is_same) {
        copy->result.same++;
        return 0;
    }
    copy->result.written++;
    if (copy->options.with_history)
        return copy_with_versions(copy, record, &there, error);
    code = there.exists ? copy_refuse_other(copy, record, error) : 0;
    return code == 0 ? copy_write(copy, record, 0, &there.condition, error) : code;
}

/* ---- the whole ---- */

static int run(struct copy *copy, struct hf_error *error) {
    copy->is_to_empty = hf_store_revision(copy->to) == 0;
    int code = walk(copy, copy_row, 0, 0, error);
    if (code == 0)
        code = commit_batch(copy, error);
    /* In any case: no batch may be under way when this ends. */
    struct hf_error of_commits = {0};
    int waited = wait_for_commits(copy, 0, &of_commits);
    if (waited != 0 && (code == 0 || code == waited)) {
        error_copy(error, &of_commits);
        return waited;
    }
    copy->copied_at = hf_store_revision(copy->to);
    uint64_t rows = copy->result.records + copy->result.damaged;
    return code == 0 ? walk(copy, copy_verify_row, rows, 2 * rows, error) : code;
}

static int take_options(const struct hf_copy_options *options, struct copy *copy, struct hf_error *error) {
    int code = options_take(options, &copy->options, sizeof copy->options, error);
    if (code != 0)
        return code;
    return copy->from == copy->to ? error_set(error, HF_ERR_INVALID, "both are the same store") : 0;
}

int hf_store_copy(struct hf_store *from, struct hf_store *to, const struct hf_copy_options *options,
                  struct hf_copy_result *ret_result, struct hf_error *error) {
    struct copy copy = {.from = from, .to = to};
    struct hf_error met = {0};
    int code = take_options(options, &copy, &met);
    pthread_mutex_init(&copy.lock, NULL);
    pthread_cond_init(&copy.answered, NULL);
    json_init(&copy.doc);
    buf_init(&copy.scratch);
    if (code == 0)
        code = run(&copy, &met);
    hf_batch_free(&copy.batch);
    json_fini(&copy.doc);
    buf_fini(&copy.scratch);
    pthread_cond_destroy(&copy.answered);
    pthread_mutex_destroy(&copy.lock);
    if (code == 0 && ret_result)
        *ret_result = copy.result;
    if (code != 0) {
        error_copy(error, &met);
        error_wrap(error, code, "copy store");
    }
    return code;
}

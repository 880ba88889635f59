/* Fails the calls of another backend at random, from a seed, as the contract allows; and asserts that the committer
 * keeps its side of the contract: transactions are neither nested nor forgotten, and nothing is asked after an unknown
 * outcome.
 *
 * Writing calls fail with a soft code before they reach the inner backend. A commit may also fail with IO: then it
 * happened, or it did not, and only the seed knows. Reading calls fail with IO or NO_MEMORY. */
#include <assert.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/backend.h"

struct failing {
    struct store_backend base;
    struct store_backend *inner;
    uint64_t seed;
    unsigned one_in;
    atomic_uint_fast64_t calls;
    int in_transaction; /* the writer's, as is the next */
    int has_stopped;
};

static struct failing *self_of(struct store_backend *backend) {
    return (struct failing *)backend;
}

static uint64_t draw(struct failing *self) {
    uint64_t call = atomic_fetch_add(&self->calls, 1);
    return hash64(&call, sizeof call, self->seed);
}

/* 0, or the code of a failure that is due; `chance` is what was drawn. */
static int choose(const struct failing *self, uint64_t chance, const int *codes, unsigned count) {
    if (self->one_in == 0 || (chance >> 32) % self->one_in != 0)
        return 0;
    return codes[(chance & 0xffff) % count];
}

static int say(int code, struct hf_error *error) {
    return error_set(error, code, "%s (made to fail)", hf_code_text(code));
}

static int fail_write(struct store_backend *backend, struct hf_error *error) {
    static const int codes[] = {HF_ERR_NO_SPACE,  HF_ERR_QUOTA,      HF_ERR_READ_ONLY,
                                HF_ERR_NO_MEMORY, HF_ERR_PERMISSION, HF_ERR_TOO_MANY_FILES};
    struct failing *self = self_of(backend);
    int code = choose(self, draw(self), codes, 6);
    return code ? say(code, error) : 0;
}

static int fail_read(struct store_backend *backend, enum store_view view, struct hf_error *error) {
    static const int codes[] = {HF_ERR_IO, HF_ERR_NO_MEMORY};
    struct failing *self = self_of(backend);
    if (view == STORE_IN_TRANSACTION)
        return fail_write(backend, error);
    int code = choose(self, draw(self), codes, 2);
    return code ? say(code, error) : 0;
}

static void failing_close(struct store_backend **backend) {
    struct failing *self = backend ? self_of(*backend) : NULL;
    if (!self)
        return;
    self->inner->ops->close(&self->inner);
    mem_free(self);
    *backend = NULL;
}

static int failing_begin(struct store_backend *backend, struct hf_error *error) {
    struct failing *self = self_of(backend);
    assert(!self->in_transaction && !self->has_stopped);
    int code = fail_write(backend, error);
    if (code == 0)
        code = self->inner->ops->begin(self->inner, error);
    self->in_transaction = code == 0;
    return code;
}

static int failing_put(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    struct failing *self = self_of(backend);
    assert(self->in_transaction && change->what == HF_PUT && change->json);
    int code = fail_write(backend, error);
    return code ? code : self->inner->ops->put(self->inner, change, error);
}

static int failing_remove(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    struct failing *self = self_of(backend);
    assert(self->in_transaction && change->what == HF_DELETE && !change->json);
    int code = fail_write(backend, error);
    return code ? code : self->inner->ops->remove(self->inner, change, error);
}

static int failing_trim_events(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    struct failing *self = self_of(backend);
    assert(self->in_transaction);
    int code = fail_write(backend, error);
    return code || !self->inner->ops->trim_events ? code : self->inner->ops->trim_events(self->inner, keep, error);
}

static void failing_abort(struct store_backend *backend) {
    struct failing *self = self_of(backend);
    assert(self->in_transaction && !self->has_stopped);
    self->in_transaction = 0;
    self->inner->ops->abort(self->inner);
}

/* Fails so that nobody knows whether it happened. */
static int stop(struct failing *self, int happens, struct hf_error *error) {
    self->has_stopped = 1;
    if (!happens || self->inner->ops->commit(self->inner, NULL) != 0)
        self->inner->ops->abort(self->inner);
    return say(HF_ERR_IO, error);
}

static int failing_commit(struct store_backend *backend, struct hf_error *error) {
    static const int codes[] = {HF_ERR_NO_SPACE,   HF_ERR_QUOTA,          HF_ERR_READ_ONLY, HF_ERR_NO_MEMORY,
                                HF_ERR_PERMISSION, HF_ERR_TOO_MANY_FILES, HF_ERR_IO};
    struct failing *self = self_of(backend);
    assert(self->in_transaction && !self->has_stopped);
    uint64_t chance = draw(self);
    int code = choose(self, chance, codes, 7);
    if (code == HF_ERR_IO)
        return stop(self, (chance >> 20) & 1, error);
    if (code != 0)
        return say(code, error);
    code = self->inner->ops->commit(self->inner, error);
    self->in_transaction = code != 0;
    return code;
}

static int failing_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id,
                       int head_only, struct hf_record **ret_record, struct hf_error *error) {
    struct failing *self = self_of(backend);
    int code = fail_read(backend, view, error);
    return code ? code : self->inner->ops->get(self->inner, view, kind, id, head_only, ret_record, error);
}

static int failing_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit,
                        void *arg, struct hf_error *error) {
    struct failing *self = self_of(backend);
    int code = fail_read(backend, STORE_COMMITTED, error);
    return code ? code : self->inner->ops->scan(self->inner, range, visit, arg, error);
}

static int failing_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                           hf_record_visit visit, void *arg, struct hf_error *error) {
    struct failing *self = self_of(backend);
    int code = fail_read(backend, STORE_COMMITTED, error);
    return code ? code : self->inner->ops->history(self->inner, kind, id, limit, visit, arg, error);
}

static int failing_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit,
                          void *arg, struct hf_error *error) {
    struct failing *self = self_of(backend);
    int code = fail_read(backend, STORE_COMMITTED, error);
    return code ? code : self->inner->ops->events(self->inner, since, limit, visit, arg, error);
}

static int failing_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                         hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error) {
    struct failing *self = self_of(backend);
    int code = fail_read(backend, STORE_COMMITTED, error);
    return code ? code : self->inner->ops->check(self->inner, cursor, max_rows, visit, arg, result, error);
}

static int failing_rest_now(struct store_backend *backend, struct hf_error *error) {
    struct failing *self = self_of(backend);
    assert(!self->in_transaction && !self->has_stopped);
    int code = fail_write(backend, error);
    return code || !self->inner->ops->rest_now ? code : self->inner->ops->rest_now(self->inner, error);
}

static int failing_compact(struct store_backend *backend, struct hf_compact_result *ret_result,
                           struct hf_error *error) {
    struct failing *self = self_of(backend);
    assert(!self->in_transaction && !self->has_stopped);
    int code = fail_write(backend, error);
    if (code || !self->inner->ops->compact)
        return code;
    code = self->inner->ops->compact(self->inner, ret_result, error);
    self->has_stopped |= code == HF_ERR_FAILED;
    return code;
}

static int failing_mend(struct store_backend *backend, const char *kind, const char *id, enum store_mend *ret_mend,
                        struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error) {
    struct failing *self = self_of(backend);
    int code = fail_read(backend, STORE_COMMITTED, error);
    if (code == 0 && !self->inner->ops->mend)
        return error_set(error, HF_ERR_UNSUPPORTED, "a store of this kind keeps no files");
    return code ? code : self->inner->ops->mend(self->inner, kind, id, ret_mend, ret_json, ret_if_hash, error);
}

static const struct store_backend_ops failing_ops = {
    .name = "failing",
    .close = failing_close,
    .begin = failing_begin,
    .put = failing_put,
    .remove = failing_remove,
    .commit = failing_commit,
    .abort = failing_abort,
    .get = failing_get,
    .scan = failing_scan,
    .history = failing_history,
    .events = failing_events,
    .check = failing_check,
    .trim_events = failing_trim_events,
    .rest_now = failing_rest_now,
    .compact = failing_compact,
    .mend = failing_mend,
};

int store_failing_new(struct store_backend **take_inner, uint64_t seed, unsigned one_in,
                      struct store_backend **ret_backend, struct hf_error *error) {
    struct store_backend *inner = *take_inner;
    struct failing *self = MEM_NEW(struct failing);
    *take_inner = NULL;
    if (!self) {
        inner->ops->close(&inner);
        return error_set(error, HF_ERR_NO_MEMORY, "make a failing store: memory is used up");
    }
    self->base.ops = &failing_ops;
    self->inner = inner;
    self->seed = seed;
    self->one_in = one_in;
    atomic_init(&self->calls, 0);
    *ret_backend = &self->base;
    return 0;
}

/* What the tests of states share: a store whose clocks, boot and processes are as the test says. */
#ifndef HF_UNIT_KEEP_STATE_STAGE_H
#define HF_UNIT_KEEP_STATE_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keep/state_inside.h"
#include "store/store.h"

struct stage {
    struct os_ops ops;
    struct os os;
    int64_t wall_ms, boot_ms;
    int is_rebooted;   /* the kernel names another boot */
    int is_unreadable; /* no process can be looked at */
    char folder[64], boot_file[96], url[128];
    struct hf_store *store;
    struct hf_error error;
};

static inline struct stage *stage_of(const struct os *os) {
    return os->context;
}

static inline int64_t stage_now_ns(const struct os *os, enum os_clock clock) {
    if (clock == OS_CLOCK_MONOTONIC)
        return os_now_ns(os_real(), clock);
    return 1000000 * (clock == OS_CLOCK_WALL ? stage_of(os)->wall_ms : stage_of(os)->boot_ms);
}

static inline int stage_open_file(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    if (stage_of(os)->is_rebooted && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = stage_of(os)->boot_file;
    return os_open(os_real(), dir_fd, path, flags, mode);
}

static inline int stage_pidfd_open(const struct os *os, pid_t pid) {
    return stage_of(os)->is_unreadable ? -EPERM : os_pidfd_open(os_real(), pid);
}

static inline void stage_open_with(struct stage *stage, const struct hf_store_options *options) {
    const struct store_setup setup = {.os = &stage->os, .without_thread = 1};
    int code = store_open(stage->url, options, &setup, &stage->store, &stage->error);
    if (code == 0)
        code = state_declare_kinds(stage->store, &stage->error);
    if (code != 0)
        fail_msg("%s", stage->error.message);
}

static inline void stage_open(struct stage *stage) {
    static const struct hf_store_options OPTIONS = {.struct_bytes = sizeof OPTIONS,
                                                    .max_document_bytes = STATE_DOCUMENT_BYTES};
    stage_open_with(stage, &OPTIONS);
}

static inline void stage_reopen(struct stage *stage) {
    hf_store_close(&stage->store);
    stage_open(stage);
}

/* Without a store: the test opens one. */
static inline struct stage *stage_new(const char *scheme) {
    struct stage *stage = calloc(1, sizeof *stage);
    stage->ops = *os_real()->ops;
    stage->ops.now_ns = stage_now_ns;
    stage->ops.open = stage_open_file;
    stage->ops.pidfd_open = stage_pidfd_open;
    stage->os = (struct os){.ops = &stage->ops, .context = stage};
    stage->wall_ms = INT64_C(1700000000000);
    stage->boot_ms = 5000000;
    snprintf(stage->folder, sizeof stage->folder, "/tmp/holdfast-state-XXXXXX");
    assert_non_null(mkdtemp(stage->folder));
    snprintf(stage->boot_file, sizeof stage->boot_file, "%s/boot_id", stage->folder);
    FILE *file = fopen(stage->boot_file, "w");
    fputs("00000000-1111-2222-3333-444444444444\n", file);
    fclose(file);
    snprintf(stage->url, sizeof stage->url, "%s:%s", scheme, strcmp(scheme, "memory") == 0 ? "" : stage->folder);
    if (strcmp(scheme, "memory") != 0)
        strcat(stage->url, strcmp(scheme, "tree") == 0 ? "/tree" : "/store.db");
    return stage;
}

static inline void stage_free(struct stage **stage) {
    char command[96];
    hf_store_close(&(*stage)->store);
    snprintf(command, sizeof command, "rm -r %s", (*stage)->folder);
    assert_int_equal(system(command), 0);
    free(*stage);
    *stage = NULL;
}

static inline int stage_setup(void **state, const char *scheme) {
    struct stage *stage = stage_new(scheme);
    stage_open(stage);
    *state = stage;
    return 0;
}

static inline int stage_memory(void **state) {
    return stage_setup(state, "memory");
}

static inline int stage_sqlite(void **state) {
    return stage_setup(state, "sqlite");
}

static inline int stage_teardown(void **state) {
    stage_free((struct stage **)state);
    return 0;
}

/* ---- shorthands ---- */

#define assert_code(stage, expected, call)                                                                             \
    do {                                                                                                               \
        (stage)->error = (struct hf_error){0};                                                                         \
        int code_ = (call), expected_ = (expected);                                                                    \
        if (code_ != expected_)                                                                                        \
            fail_msg("%s: %d instead of %d: %s", #call, code_, expected_, (stage)->error.message);                     \
        if (code_ != 0)                                                                                                \
            assert_int_equal((stage)->error.code, expected_);                                                          \
    } while (0)

#define assert_says(stage, text)                                                                                       \
    do {                                                                                                               \
        if (!strstr((stage)->error.message, (text)) && !strstr((stage)->error.hint, (text)))                           \
            fail_msg("'%s' is neither in '%s' nor in '%s'", (text), (stage)->error.message, (stage)->error.hint);      \
    } while (0)

static inline int stage_save(struct stage *stage, const char *name, const void *bytes, size_t size,
                             uint64_t *ret_version) {
    const struct hf_state_save_options force = {.struct_bytes = sizeof force, .basis = HF_STATE_FORCE};
    return hf_state_save(stage->store, name, bytes, size, &force, ret_version, &stage->error);
}

static inline void stage_save_text(struct stage *stage, const char *name, const char *text) {
    assert_code(stage, 0, stage_save(stage, name, text, strlen(text), NULL));
}

static inline void stage_expect(struct stage *stage, const char *name, const void *bytes, size_t size,
                                uint64_t version) {
    struct hf_state_value *value = NULL;
    assert_code(stage, 0, hf_state_load(stage->store, name, &value, &stage->error));
    assert_int_equal(value->size, size);
    assert_memory_equal(value->bytes, bytes, size);
    assert_int_equal(((const char *)value->bytes)[size], '\0');
    assert_int_equal(value->version, version);
    assert_string_equal(value->name, name);
    uint8_t digest[DIGEST_BYTES];
    digest_bytes(bytes, size, digest);
    assert_memory_equal(value->digest, digest, DIGEST_BYTES);
    hf_state_value_free(&value);
}

static inline void stage_expect_text(struct stage *stage, const char *name, const char *text, uint64_t version) {
    stage_expect(stage, name, text, strlen(text), version);
}

static inline int stage_has(struct stage *stage, const char *name, uint64_t version) {
    struct hf_state_value *value = NULL;
    int code = hf_state_load_version(stage->store, name, version, &value, &stage->error);
    hf_state_value_free(&value);
    return code == 0;
}

/* The outcome of a run in the ledger, in memory of the test. */
static inline const char *stage_outcome(struct stage *stage, const char *name, uint64_t number, char ret_word[64]) {
    struct state_run run;
    assert_code(stage, 0, state_run_read(stage->store, name, number, &run, &stage->error));
    snprintf(ret_word, 64, "%s", run.outcome);
    state_run_fini(&run);
    return ret_word;
}

#endif

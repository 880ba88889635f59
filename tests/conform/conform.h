/* One body of tests for every backend: what holdfast.h and store/backend.h promise.
 *
 * A program of this folder says which store it means and calls conform_run. Under the wrapper that fails at random the
 * same body runs: the helpers try again what failed softly (and check that it left nothing), and when a commit's
 * outcome became unknown the store is thrown away and the test begins again with the next seed. */
#ifndef CONFORM_H
#define CONFORM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "store/store.h"

struct conform {
    /* what is tested */
    const struct store_backend_ops *ops;
    int is_durable;    /* what was acknowledged is there after it was opened again */
    const char *place; /* of a durable one, behind the test's folder; NULL: "/store.db" */
    int is_failing;
    /* this test's */
    unsigned one_in;
    int without_thread;
    uint64_t seed;
    char folder[64];
    struct hf_store *store;
    jmp_buf again;
};

struct conform_case {
    const char *name;
    void (*body)(struct conform *c);
    unsigned one_in; /* under the failing wrapper: one call in so many fails; 0: the usual */
};

/* The parts of the body: each ends with a case without a name. */
extern const struct conform_case conform_commit_cases[];
extern const struct conform_case conform_input_cases[];
extern const struct conform_case conform_condition_cases[];
extern const struct conform_case conform_read_cases[];
extern const struct conform_case conform_event_cases[];
extern const struct conform_case conform_thread_cases[];
extern const struct conform_case conform_whole_cases[];

/* Runs all cases; returns main's exit status. The seed of HF_TEST_SEED, or one of the clock, is printed. */
int conform_run(struct conform *target);

/* ---- helpers of the body; they assert that what they do works ---- */

void conform_reopen(struct conform *c, const struct hf_store_options *options);    /* durable stores only */
void conform_open_with(struct conform *c, const struct hf_store_options *options); /* instead of the open one, empty */
/* The same, and commits wait until store_pump takes them as one group. */
void conform_open_without_thread(struct conform *c, const struct hf_store_options *options);

/* 1 when the wrapper made it fail, and it is to be tried again. */
int conform_is_flake(struct conform *c, int code);
/* An unknown outcome: does not return. For the test's own thread only. */
void conform_start_again(struct conform *c);

struct change {
    enum hf_what what;
    const char *kind, *id, *json;
    struct hf_change_options options;
};

/* Commits, with answers that are not flakes; the batch is built anew for each try. */
int commit_changes(struct conform *c, const struct change *changes, size_t count, struct hf_commit_result *ret_result,
                   struct hf_error *error);
int commit_one(struct conform *c, struct change change, struct hf_commit_result *ret_result);
struct hf_commit_result put(struct conform *c, const char *kind, const char *id, const char *json);
struct hf_commit_result removed(struct conform *c, const char *kind, const char *id);
/* One put of these bytes; its answer, when it is not a flake. */
int put_bytes(struct conform *c, const char *id, const char *json, size_t bytes, struct hf_error *error);
int get(struct conform *c, const char *kind, const char *id, struct hf_record **ret_record);
void expect_json(struct conform *c, const char *kind, const char *id, const char *json); /* NULL: there is none */

/* Walks as text: "kind/id=json " for each row, "kind/id=- " for a deletion; "REVISION+kind/id " and "REVISION-kind/id
 * ". */
void expect_scan(struct conform *c, const char *kind, const char *after, uint64_t limit, const char *text);
void expect_history(struct conform *c, const char *kind, const char *id, uint64_t limit, const char *text);
void expect_events(struct conform *c, uint64_t since, uint64_t limit, const char *text);
int scan(struct conform *c, const char *kind, const char *after, uint64_t limit, hf_record_visit visit, void *arg);
int events(struct conform *c, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg);

#define ALWAYS                                                                                                         \
    { .condition = HF_ALWAYS }

#endif

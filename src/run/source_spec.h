/* What was asked for: the document `source`/NAME, read and written. */
#ifndef HF_RUN_SOURCE_SPEC_H
#define HF_RUN_SOURCE_SPEC_H

#include "base/json.h"
#include "base/mem.h"

enum source_kind { SOURCE_COMMAND, SOURCE_PYTHON };

enum {
    SOURCE_CODE_MAX = 1024 * 1024,     /* bytes of a python source's code */
    SOURCE_DATA_MAX = 9 * 1024 * 1024, /* below the store's limit of a document */
};

struct source_spec {
    struct arena arena; /* owns every text below */
    const char *name, *description, *cwd;
    enum source_kind kind;
    const char *const *argv; /* these three end with NULL */
    const char *const *env;  /* "NAME=value" */
    const char *const *tags;
    int64_t interval_ms, timeout_ms, stop_timeout_ms, backoff_min_ms, backoff_max_ms;
    int64_t save_interval_ms;         /* 0: every run is committed as it ends */
    int64_t output_bytes, data_bytes; /* limits */
    int64_t code_version;             /* 0 for a command */
    int64_t run_request;              /* how many single runs were ever asked for */
    int64_t run_cancelled;            /* a stop takes back those up to here */
    int64_t start_request;            /* grows when a start should leave FATAL or BACKOFF */
    int wanted_running;
    int64_t created_ms, updated_ms;
};

/* Defaults for a new source. */
int source_spec_new(const char *name, enum source_kind kind, struct source_spec **ret_spec, struct hf_error *error);
/* From the stored document. CORRUPT when it is not one. */
int source_spec_read(const char *name, const char *json, size_t bytes, struct source_spec **ret_spec,
                     struct hf_error *error);
void source_spec_free(struct source_spec **spec);

/* Takes over the fields of a request; `others` (ends with NULL) names members that the caller reads itself. INVALID
 * with the field's name. */
int source_spec_change(struct source_spec *spec, const struct json_doc *doc, const char *const *others,
                       struct hf_error *error);

/* The members of the stored document, without the braces. */
void source_spec_write(const struct source_spec *spec, struct json_writer *writer);

/* 1 when a child that was made for `a` need not be ended for `b`. */
int source_spec_same_child(const struct source_spec *a, const struct source_spec *b);

const char *source_kind_name(enum source_kind kind);
int source_kind_from_name(const char *name, enum source_kind *ret_kind);

#endif

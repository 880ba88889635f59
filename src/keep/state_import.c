/* An exported state, brought back.
 *
 * Invariants
 *  1. The document is checked whole before anything is taken: every version has the digest that it says.
 *  2. All of it is one commit. Where a state is replaced, what was there stays as its earlier versions. */
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "keep/state_verb.h"

struct import {
    struct hf_store *store;
    const char *who;
    int replace, is_changed;
    struct json_doc doc;
    struct vec versions; /* of struct state_version, in the order of their numbers */
    struct vec runs;     /* of struct state_run */
    int64_t keep_versions, keep_age_ms;
};

static void import_init(struct import *import, struct hf_store *store, const struct state_caller *caller) {
    *import = (struct import){.store = store, .who = caller->who};
    json_init(&import->doc);
    vec_init(&import->versions);
    vec_init(&import->runs);
}

static void import_fini(struct import *import) {
    for (size_t i = 0; i < import->versions.count; i++) {
        struct state_version *version = import->versions.items[i];
        state_version_free(&version);
    }
    for (size_t i = 0; i < import->runs.count; i++) {
        state_run_fini(import->runs.items[i]);
        mem_free(import->runs.items[i]);
    }
    vec_fini(&import->versions);
    vec_fini(&import->runs);
    json_fini(&import->doc);
}

/* ---- checking ---- */

static int refuse_foreign(struct hf_error *error) {
    error_set(error, HF_ERR_BAD_DATA, "it is not an exported state");
    error_hint(error, "give what state export made; any other content is saved with state set");
    return HF_ERR_BAD_DATA;
}

static int check_format(const struct json_doc *doc, struct hf_error *error) {
    int64_t format = 0;
    if (json_to_i64(doc, json_member(doc, 0, "holdfast_state"), &format) < 0 || format < 1)
        return refuse_foreign(error);
    if (format <= STATE_EXPORT_FORMAT)
        return 0;
    error_set(error, HF_ERR_SCHEMA_NEWER, "it has format %lld, and at most %d is known", (long long)format,
              STATE_EXPORT_FORMAT);
    error_hint(error, "use a holdfast that is at least as new as the one that exported it");
    return HF_ERR_SCHEMA_NEWER;
}

static uint64_t number_of(const struct json_doc *doc, uint32_t object, const char *key) {
    int64_t number = json_member_i64(doc, object, key, 0);
    return number > 0 ? (uint64_t)number : 0;
}

/* Whether it is JSON is looked at again: what the document says of that is not covered by the digest. */
static int look_at(struct state_version *version, struct hf_error *error) {
    struct state_bytes bytes;
    int code = state_bytes_look(version->bytes, version->meta.size, &bytes, error);
    if (code == 0)
        version->meta.is_json = bytes.is_json;
    return code;
}

static int take_version(struct import *import, uint32_t node, uint64_t *last, struct hf_error *error) {
    static const struct json_limits LIMITS = {.max_depth = JSON_DEPTH_MAX};
    uint64_t number = number_of(&import->doc, node, "version");
    struct state_version *version = NULL;
    size_t size;
    const char *span = json_span(&import->doc, node, &size);
    if (number <= *last)
        return error_set(error, HF_ERR_BAD_DATA, "versions must have numbers that grow");
    int code = state_version_parse(span, size, &LIMITS, number, &version, error);
    if (code == 0)
        code = look_at(version, error);
    if (code == 0 && vec_push(&import->versions, version) < 0)
        code = error_no_memory(error);
    if (code < 0)
        state_version_free(&version);
    *last = number;
    return code < 0 ? error_wrap(error, code, "version %llu", (unsigned long long)number) : 0;
}

static int take_run(struct import *import, uint32_t node, uint64_t *last, struct hf_error *error) {
    uint64_t number = number_of(&import->doc, node, "number");
    struct state_run *run = MEM_NEW(struct state_run);
    size_t size;
    const char *span = json_span(&import->doc, node, &size);
    if (!run)
        return error_no_memory(error);
    state_run_init(run);
    int code = number <= *last ? error_set(error, HF_ERR_BAD_DATA, "runs must have numbers that grow")
                               : state_run_parse(span, size, number, run, error);
    if (code == 0 && vec_push(&import->runs, run) < 0)
        code = error_no_memory(error);
    if (code < 0) {
        state_run_fini(run);
        mem_free(run);
    }
    *last = number;
    return code < 0 ? error_wrap(error, code, "run %llu", (unsigned long long)number) : 0;
}

static int take_each(struct import *import, const char *key,
                     int (*take)(struct import *, uint32_t, uint64_t *, struct hf_error *), struct hf_error *error) {
    const struct json_doc *doc = &import->doc;
    uint32_t array = json_member(doc, 0, key);
    uint64_t last = 0;
    int code = json_type_of(doc, array) == JSON_ARRAY ? 0 : refuse_foreign(error);
    for (uint32_t node = json_first(doc, array); code == 0 && node != JSON_NONE; node = json_after(doc, array, node))
        code = take(import, node, &last, error);
    return code;
}

static int read_document(struct import *import, const char *body, size_t body_bytes, struct hf_error *error) {
    static const char *const KNOWN[] = {"holdfast_state", "name", "keep", "versions", "runs", "damaged", NULL};
    static const struct json_limits LIMITS = {.max_depth = JSON_DEPTH_MAX};
    const struct json_doc *doc = &import->doc;
    int code = json_read(&import->doc, body, body_bytes, &LIMITS, error);
    if (code == 0)
        code = check_format(doc, error);
    if (code == 0)
        code = state_body_members(doc, 0, KNOWN, error);
    uint32_t keep = json_member(doc, 0, "keep");
    if (code == 0)
        code = state_body_number(doc, keep, "versions", 0, &import->keep_versions, error);
    if (code == 0)
        code = state_body_number(doc, keep, "max_age_ms", 0, &import->keep_age_ms, error);
    if (code == 0)
        code = take_each(import, "versions", take_version, error);
    if (code == 0)
        code = take_each(import, "runs", take_run, error);
    if (code == 0 && import->versions.count == 0 && (import->replace || import->runs.count == 0))
        code = error_set(error, HF_ERR_BAD_DATA, "it has no version");
    return code;
}

/* ---- taking ---- */

static int place_all(struct import *import, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    int code = 0;
    import->is_changed = 1;
    head->keep_versions = import->keep_versions > UINT32_MAX ? UINT32_MAX : (uint32_t)import->keep_versions;
    head->keep_age_ms = import->keep_age_ms;
    for (size_t i = 0; code == 0 && i < import->versions.count; i++)
        code = state_place_version(batch, head, import->versions.items[i], error);
    for (size_t i = 0; code == 0 && i < import->runs.count; i++)
        code = state_place_run(batch, head, import->runs.items[i], error);
    return code;
}

static int replace_newest(struct import *import, struct state_head *head, struct hf_batch *batch,
                          struct hf_error *error) {
    const struct state_version *version = import->versions.items[import->versions.count - 1];
    struct state_bytes bytes = state_bytes_of(version);
    uint64_t before = head->newest.version;
    char note[64];
    snprintf(note, sizeof note, "import of version %llu", (unsigned long long)version->meta.version);
    struct state_meta meta = {.code_version = version->meta.code_version, .note = note, .who = import->who};
    import->is_changed = head->is_damaged;
    int code = state_lease_check_free(import->store, head, 0, error);
    if (code == 0)
        code = state_change_save(import->store, head, batch, &bytes, &meta, error);
    import->is_changed |= head->newest.version != before;
    return code;
}

static int refuse_existing(const struct state_head *head, struct hf_error *error) {
    error_set(error, HF_ERR_EXISTS, "there is a state '%s' already", head->name);
    error_hint(error,
               "import it under another name, or with --replace: its newest version then becomes the newest here");
    return HF_ERR_EXISTS;
}

static int import_into(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct import *import = arg;
    int code = state_is_gone(import->store, head, error);
    if (code < 0)
        return code;
    if (code == 1)
        return place_all(import, head, batch, error);
    return import->replace ? replace_newest(import, head, batch, error) : refuse_existing(head, error);
}

int state_import(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                 size_t body_bytes, int replace, struct buf *ret_json, struct hf_error *error) {
    struct import import;
    struct state_head head;
    import_init(&import, store, caller);
    import.replace = replace;
    const struct state_change change = {
        .store = store, .name = name, .who = caller->who, .repair = 1, .change = import_into, .arg = &import};
    int code = read_document(&import, body, body_bytes, error);
    if (code == 0)
        code = state_change_commit(&change, &head, error);
    if (code == 0) {
        code = state_answer(store, &head, import.is_changed, ret_json, error);
        state_head_fini(&head);
    }
    import_fini(&import);
    return code < 0 ? error_wrap(error, code, "import state '%s'", name) : 0;
}

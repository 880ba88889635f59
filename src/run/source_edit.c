#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "run/code_check.h"
#include "run/source_store.h"
#include "store/store.h"

static const char *const OTHER_FIELDS[] = {"code", "note", "if_version", NULL};

struct edit_request {
    struct json_doc doc; /* without a document for a rollback */
    struct arena arena;
    const char *name, *who, *note;
    const char *code; /* NULL: as it is */
    size_t code_bytes;
    int64_t if_version; /* 0: any */
    int has_doc;
};

static int read_request(struct edit_request *request, const char *body, size_t body_bytes, struct hf_error *error) {
    int code = source_body_read(&request->doc, body, body_bytes, error);
    if (code < 0)
        return code;
    request->has_doc = 1;
    uint32_t text = json_member(&request->doc, 0, "code"), version = json_member(&request->doc, 0, "if_version");
    if (text != JSON_NONE) {
        request->code = json_to_text(&request->doc, text, &request->arena, &request->code_bytes);
        if (!request->code)
            return error_set(error, HF_ERR_INVALID, "field 'code' must be text");
    }
    request->note = json_member_text(&request->doc, 0, "note", &request->arena);
    if (version != JSON_NONE &&
        (json_to_i64(&request->doc, version, &request->if_version) < 0 || request->if_version < 1))
        return error_set(error, HF_ERR_INVALID, "field 'if_version' must be a version such as 3");
    return 0;
}

static int check_version(const struct edit_request *request, const struct source_spec *spec, struct hf_error *error) {
    if (request->if_version == 0 || request->if_version == spec->code_version)
        return 0;
    return error_set(error, HF_ERR_PRECONDITION, "the newest code version is %lld, not %lld",
                     (long long)spec->code_version, (long long)request->if_version);
}

/* 1 when the code differs from the newest version, 0 when it is the same or none was given. */
static int code_differs(struct hf_store *store, const struct edit_request *request, struct hf_error *error) {
    char *text = NULL;
    size_t bytes;
    int64_t version;
    if (!request->code)
        return 0;
    int code = source_code_get(store, request->name, 0, &text, &bytes, &version, error);
    if (code < 0)
        return code == HF_ERR_NOT_FOUND ? 1 : code;
    int differs = bytes != request->code_bytes || memcmp(text, request->code, bytes) != 0;
    mem_free(text);
    return differs;
}

static int put_code(struct hf_store *store, struct hf_batch *batch, const struct edit_request *request,
                    struct source_spec *spec, int64_t now_ms, struct hf_error *error) {
    struct source_code version = {.text = request->code,
                                  .bytes = request->code_bytes,
                                  .author = request->who,
                                  .note = request->note};
    int code = source_code_last_version(store, request->name, &version.version, error);
    if (code < 0)
        return code;
    spec->code_version = ++version.version;
    return source_code_put(batch, request->name, &version, now_ms, error);
}

static int spec_text(const struct source_spec *spec, struct buf *out) {
    struct json_writer writer;
    json_writer_init(&writer, out, 0);
    json_begin_object(&writer);
    source_spec_write(spec, &writer);
    json_end_object(&writer);
    return out->failed ? -1 : 0;
}

/* 1 when a field has another value than the stored one. */
static int fields_differ(struct source_entry *entry, const struct edit_request *request, struct hf_error *error) {
    if (!request->has_doc)
        return 0;
    BUF_AUTO struct buf before;
    BUF_AUTO struct buf after;
    buf_init(&before);
    buf_init(&after);
    int failed = spec_text(entry->spec, &before);
    int code = source_spec_change(entry->spec, &request->doc, OTHER_FIELDS, error);
    if (code < 0)
        return code;
    if (failed < 0 || spec_text(entry->spec, &after) < 0)
        return error_no_memory(error);
    return before.size != after.size || memcmp(before.data, after.data, before.size) != 0;
}

static int commit_edit(struct hf_store *store, const struct edit_request *request, struct source_entry *entry,
                       int has_new_code, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    struct hf_change_options options = {.condition = HF_IF_REVISION, .if_revision = entry->revision};
    int64_t now_ms = os_wall_ms(store_os(store));
    int code = hf_batch_new(request->who, &batch, error);
    if (code == 0 && has_new_code)
        code = put_code(store, batch, request, entry->spec, now_ms, error);
    entry->spec->updated_ms = now_ms;
    if (code == 0)
        code = source_spec_put(batch, entry->spec, &options, error);
    if (code == 0)
        code = hf_store_commit(store, &batch, NULL, error);
    hf_batch_free(&batch);
    return code;
}

struct edit_try {
    int is_checked;   /* the code is good; not to be checked again */
    int is_overtaken; /* somebody else changed the source in between */
};

static int try_on(struct hf_store *store, const struct edit_request *request, struct source_entry *entry,
                  struct edit_try *try, struct hf_error *error) {
    int code = check_version(request, entry->spec, error);
    if (code == 0 && request->code && entry->spec->kind != SOURCE_PYTHON)
        code = error_set(error, HF_ERR_INVALID, "field 'code' is for the kind 'python' only");
    if (code < 0)
        return code;
    int has_new_fields = fields_differ(entry, request, error);
    int has_new_code = has_new_fields < 0 ? has_new_fields : code_differs(store, request, error);
    if (has_new_code < 0)
        return has_new_code;
    if (has_new_code && !try->is_checked) {
        code = code_check_python(store_os(store), NULL, request->code, request->code_bytes, error);
        if (code < 0)
            return code;
        try->is_checked = 1;
    }
    if (!has_new_code && !has_new_fields)
        return 0;
    code = commit_edit(store, request, entry, has_new_code, error);
    try->is_overtaken = code == HF_ERR_PRECONDITION;
    return code;
}

static int edit(struct hf_store *store, const struct edit_request *request, struct hf_error *error) {
    struct edit_try try = {.is_overtaken = 1};
    int code = 0;
    for (int i = 0; i < SOURCE_TRIES && try.is_overtaken; i++) {
        struct source_entry entry = {.spec = NULL};
        try.is_overtaken = 0;
        code = source_entry_read(store, request->name, &entry, error);
        if (code == 0)
            code = try_on(store, request, &entry, &try, error);
        source_entry_fini(&entry);
    }
    return code;
}

int source_edit(struct hf_store *store, const char *who, const char *name, const char *body, size_t body_bytes,
                struct buf *ret_json, struct hf_error *error) {
    struct edit_request request = {.name = name, .who = who};
    json_init(&request.doc);
    arena_init(&request.arena);
    int code = read_request(&request, body, body_bytes, error);
    if (code == 0)
        code = edit(store, &request, error);
    if (code < 0)
        error_wrap(error, code, "edit source '%s'", name);
    else
        code = source_show(store, NULL, name, ret_json, error);
    arena_fini(&request.arena);
    json_fini(&request.doc);
    return code;
}

int source_rollback(struct hf_store *store, const char *who, const char *name, int64_t version, struct buf *ret_json,
                    struct hf_error *error) {
    char note[64];
    char *text = NULL;
    int64_t found;
    snprintf(note, sizeof note, "rollback to version %lld", (long long)version);
    struct edit_request request = {.name = name, .who = who, .note = note};
    struct source_entry entry = {.spec = NULL};
    int code = source_entry_read(store, name, &entry, error);
    if (code == 0 && version < 1)
        code = error_set(error, HF_ERR_INVALID, "versions begin with 1");
    if (code == 0)
        code = source_code_get(store, name, version, &text, &request.code_bytes, &found, error);
    if (code == 0) {
        request.code = text;
        code = edit(store, &request, error);
    }
    source_entry_fini(&entry);
    mem_free(text);
    if (code < 0)
        return error_wrap(error, code, "roll back source '%s'", name);
    return source_show(store, NULL, name, ret_json, error);
}

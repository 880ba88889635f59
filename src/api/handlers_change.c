/* Changing records: the commit is handed to the store's writer, which gives the reply when it is on disk. */
#include <string.h>

#include "api/handlers.h"
#include "api/internal_kind.h"
#include "base/text.h"

static int one_condition(struct api_call *call, struct hf_change_options *options, enum hf_condition condition) {
    if (options->condition != HF_ALWAYS)
        return error_set(&call->error, HF_ERR_INVALID, "read the conditions: more than one was given");
    options->condition = condition;
    return 0;
}

static int hash_condition(struct api_call *call, const char *hex, size_t bytes, struct hf_change_options *options) {
    char text[2 * HF_HASH_BYTES + 1] = "";
    if (bytes == 2 * HF_HASH_BYTES)
        memcpy(text, hex, bytes);
    if (bytes != 2 * HF_HASH_BYTES || text_unhex(text, HF_HASH_BYTES, options->if_hash) != 0)
        return error_set(&call->error, HF_ERR_INVALID, "read the hash '%.*s': %d hex digits are needed", (int)bytes,
                         hex, 2 * HF_HASH_BYTES);
    return one_condition(call, options, HF_IF_HASH);
}

static int match_condition(struct api_call *call, const char *etag, struct hf_change_options *options) {
    size_t bytes = strlen(etag);
    if (strcmp(etag, "*") == 0)
        return one_condition(call, options, HF_IF_PRESENT);
    if (bytes < 2 || etag[0] != '"' || etag[bytes - 1] != '"')
        return error_set(&call->error, HF_ERR_INVALID, "read If-Match '%s': one strong entity tag or * is needed",
                         etag);
    return hash_condition(call, etag + 1, bytes - 2, options);
}

static int absent_condition(struct api_call *call, struct hf_change_options *options) {
    const char *etag = call->parameter(call, "if-none-match");
    int is_new = 0;
    int code = handler_bool(call, "new", &is_new);
    if (code == 0 && etag && strcmp(etag, "*") != 0)
        return error_set(&call->error, HF_ERR_INVALID, "read If-None-Match '%s': only * is known here", etag);
    if (code == 0 && (is_new || etag))
        code = one_condition(call, options, HF_IF_ABSENT);
    return code;
}

static int read_conditions(struct api_call *call, struct hf_change_options *options) {
    const char *hash = call->parameter(call, "if-hash");
    const char *etag = call->parameter(call, "if-match");
    int code = handler_number(call, "if-revision", INT64_MAX, 0, &options->if_revision);
    if (code == 0 && call->parameter(call, "if-revision"))
        code = one_condition(call, options, HF_IF_REVISION);
    if (code == 0 && hash)
        code = hash_condition(call, hash, strlen(hash), options);
    if (code == 0 && etag)
        code = match_condition(call, etag, options);
    return code == 0 ? absent_condition(call, options) : code;
}

static void write_result(struct api_call *call, const struct hf_commit_result *result, int is_rehearsal) {
    struct json_writer json;
    char hash[2 * HF_HASH_BYTES + 1];
    int is_put = strcmp(call->operation->method, "PUT") == 0;
    text_hex(result->hash, HF_HASH_BYTES, hash);
    json_writer_init(&json, &call->reply, 0);
    json_begin_object(&json);
    json_put_string(&json, "kind", call->parameter(call, "kind"));
    json_put_string(&json, "id", call->parameter(call, "id"));
    json_put_i64(&json, "revision", (int64_t)result->revision);
    json_put_string(&json, "hash", is_put ? hash : NULL);
    json_put_bool(&json, "changed", result->changed);
    json_put_bool(&json, "created", result->created);
    json_put_bool(&json, "durable", !is_rehearsal);
    if (is_rehearsal)
        json_put_bool(&json, "dry_run", 1);
    json_end_object(&json);
    if (is_put)
        handler_add_etag(call, result->hash);
    handler_add_revision(call, result->revision);
}

/* In the store's writer thread. */
static void committed(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct api_call *call = arg;
    if (code == 0) {
        if (result->created)
            call->status = 201;
        write_result(call, result, 0);
    } else {
        error_copy(&call->error, error);
        if (code == HF_ERR_EXISTS && call->parameter(call, "if-none-match"))
            call->status = 412; /* what HTTP says of If-None-Match */
    }
    handler_reply(call, code);
}

/* ---- what would be done ---- */

static int check_conditions(struct api_call *call, const struct hf_change_options *options,
                            const struct hf_record *old) {
    if (options->condition == HF_IF_ABSENT && old)
        return error_set(&call->error, HF_ERR_EXISTS, "commit '%s/%s': there is one already", old->kind, old->id);
    if ((options->condition == HF_IF_PRESENT && !old) ||
        (options->condition == HF_IF_REVISION && (!old || old->revision != options->if_revision)) ||
        (options->condition == HF_IF_HASH && (!old || memcmp(old->hash, options->if_hash, HF_HASH_BYTES) != 0)))
        return error_set(&call->error, HF_ERR_PRECONDITION, "commit '%s/%s': it is not what was asked for",
                         call->parameter(call, "kind"), call->parameter(call, "id"));
    return 0;
}

static int hash_body(struct api_call *call, uint8_t ret_hash[HF_HASH_BYTES]) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf canonical;
    json_init(&doc);
    buf_init(&canonical);
    return json_hash(&doc, &canonical, call->body, call->body_bytes, NULL, ret_hash, &call->error);
}

static int rehearse(struct api_call *call, enum hf_what what, const struct hf_change_options *options) {
    struct hf_commit_result result = {.changed = 1};
    struct hf_record *old = NULL;
    int code = hf_store_get(call->context->store, call->parameter(call, "kind"), call->parameter(call, "id"), &old,
                            &call->error);
    if (code == HF_ERR_NOT_FOUND && what == HF_PUT) {
        error_clear(&call->error);
        result.created = 1;
        code = 0;
    }
    if (code == 0)
        code = check_conditions(call, options, old);
    if (code == 0 && what == HF_PUT)
        code = hash_body(call, result.hash);
    if (code == 0 && what == HF_PUT && old)
        result.changed = memcmp(result.hash, old->hash, HF_HASH_BYTES) != 0;
    if (code == 0) {
        result.revision = old ? old->revision : 0;
        write_result(call, &result, 1);
    }
    hf_record_free(&old);
    return code;
}

/* ---- doing it ---- */

static void change(struct api_call *call, enum hf_what what) {
    const char *kind = call->parameter(call, "kind");
    const char *id = call->parameter(call, "id");
    struct hf_change_options options = {0};
    struct hf_batch *batch = NULL;
    int is_rehearsal = 0;
    int code = internal_kind_check_write(kind, &call->error);
    if (code == 0)
        code = handler_check_document(call, call->body_bytes);
    if (code == 0)
        code = read_conditions(call, &options);
    if (code == 0)
        code = handler_bool(call, "dry-run", &is_rehearsal);
    if (code == 0 && is_rehearsal) {
        handler_reply(call, rehearse(call, what, &options));
        return;
    }
    if (code == 0)
        code = hf_batch_new(call->who, &batch, &call->error);
    if (code == 0 && what == HF_PUT)
        code = hf_batch_put(batch, kind, id, call->body, call->body_bytes, &options, &call->error);
    else if (code == 0)
        code = hf_batch_delete(batch, kind, id, &options, &call->error);
    if (code == 0) {
        hf_store_commit_async(call->context->store, &batch, committed, call);
        return;
    }
    hf_batch_free(&batch);
    api_reply(call, code);
}

void store_put_handler(struct api_call *call) {
    change(call, HF_PUT);
}

void store_rm_handler(struct api_call *call) {
    change(call, HF_DELETE);
}

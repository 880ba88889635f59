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

static void write_result(struct api_call *call, const struct hf_commit_result *result) {
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
    json_put_bool(&json, "durable", 1);
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
        write_result(call, result);
    } else {
        error_copy(&call->error, error);
        if (code == HF_ERR_EXISTS && call->parameter(call, "if-none-match"))
            call->status = 412; /* what HTTP says of If-None-Match */
    }
    handler_reply(call, code);
}

static void change(struct api_call *call, enum hf_what what) {
    const char *kind = call->parameter(call, "kind");
    const char *id = call->parameter(call, "id");
    struct hf_change_options options = {0};
    struct hf_batch *batch = NULL;
    int code = internal_kind_check_write(kind, &call->error);
    if (code == 0)
        code = read_conditions(call, &options);
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

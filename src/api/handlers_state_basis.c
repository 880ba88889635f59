/* The basis of a write as HTTP says it: If-Match and If-None-Match become the version that they mean. The store
 * compares that version again inside the commit, so nothing can come in between. */
#include <string.h>

#include "api/handlers_state.h"
#include "base/text.h"

static int check_tag(struct api_call *call, const char *etag) {
    size_t bytes = strlen(etag);
    if (strcmp(etag, "*") == 0 || (bytes >= 2 && etag[0] == '"' && strchr(etag + 1, '"') == etag + bytes - 1))
        return 0;
    return error_set(&call->error, HF_ERR_INVALID, "read If-Match '%.100s': one strong entity tag or * is needed",
                     etag);
}

static int refuse_match(struct api_call *call, const char *etag, const char *newest) {
    error_set(&call->error, HF_ERR_PRECONDITION, "match '%.100s': the state is not that one any more", etag);
    if (newest)
        return error_hint(&call->error, "its entity tag is \"%s\" now: get it, and change that", newest);
    return error_hint(&call->error, "nothing was saved under this name");
}

/* The newest version, when its digest is the one in the tag. */
static int version_of_tag(struct api_call *call, const char *etag, int64_t *ret_version) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf head;
    json_init(&doc);
    buf_init(&head);
    int code = check_tag(call, etag);
    if (code == 0)
        code = state_show(call->context->store, call->parameter(call, "name"), &head, &call->error);
    if (code == HF_ERR_NOT_FOUND)
        return refuse_match(call, etag, NULL);
    if (code == 0)
        code = json_read(&doc, buf_text(&head), head.size, NULL, &call->error);
    if (code != 0)
        return code;
    int64_t version = json_member_i64(&doc, 0, "version", 0);
    const char *digest = version > 0 ? json_member_text(&doc, 0, "digest", &call->arena) : NULL;
    size_t bytes = digest ? strlen(digest) : 0;
    int fits = strcmp(etag, "*") == 0 || (strlen(etag) == bytes + 2 && digest && memcmp(etag + 1, digest, bytes) == 0);
    if (!digest || !fits)
        return refuse_match(call, etag, digest);
    *ret_version = version;
    return 0;
}

static int read_headers(struct api_call *call, int *ret_given, int64_t *ret_version) {
    const char *match = call->parameter(call, "if-match");
    const char *none_match = call->parameter(call, "if-none-match");
    *ret_given = match || none_match;
    *ret_version = 0;
    if (match && none_match)
        return error_set(&call->error, HF_ERR_INVALID,
                         "read the conditions: If-Match and If-None-Match are both given");
    if (none_match && strcmp(none_match, "*") != 0)
        return error_set(&call->error, HF_ERR_INVALID, "read If-None-Match '%.100s': only * is known here", none_match);
    return match ? version_of_tag(call, match, ret_version) : 0;
}

/* In front of the first member; a body that is no object is left as it is, for those who read it to refuse. */
static void add_version(struct api_call *call, int64_t version, struct state_body *body) {
    static const char white[] = " \t\r\n";
    const char *begin = call->body, *end = call->body + call->body_bytes;
    while (begin < end && *begin && strchr(white, *begin))
        begin++;
    if (begin == end || *begin != '{')
        return;
    const char *first = ++begin;
    while (first < end && *first && strchr(white, *first))
        first++;
    buf_printf(&body->own, "{\"if_version\":%lld%s", (long long)version, first < end && *first == '}' ? "" : ",");
    buf_add(&body->own, begin, (size_t)(end - begin));
    body->text = buf_text(&body->own);
    body->bytes = body->own.size;
}

int state_body_of(struct api_call *call, struct state_body *ret_body) {
    int is_given = 0;
    int64_t version = 0;
    ret_body->text = call->body ? call->body : "";
    ret_body->bytes = call->body_bytes;
    int code = read_headers(call, &is_given, &version);
    if (code == 0 && is_given)
        add_version(call, version, ret_body);
    if (code == 0 && ret_body->own.failed)
        return error_set(&call->error, HF_ERR_NO_MEMORY, "read the body");
    return code;
}

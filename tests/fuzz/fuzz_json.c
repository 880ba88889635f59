/* read → canonical form → read again → the same canonical form and hash; and nothing else may happen. Build with
 * clang -fsanitize=fuzzer,address,undefined and give tests/data/json as the corpus. */
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(int is_right) {
    if (!is_right)
        abort();
}

/* A walk over all of it, so that every node's span and every decoded string is looked at. */
static void look_at_all(const struct json_doc *doc) {
    struct arena arena;
    arena_init(&arena);
    for (uint32_t node = 0; node < doc->count; node++) {
        size_t bytes;
        const char *span = json_span(doc, node, &bytes);
        check(bytes > 0 && span >= doc->text && span + bytes <= doc->text + doc->text_bytes);
        check(doc->nodes[node].next > node && doc->nodes[node].next <= doc->count);
        if (json_type_of(doc, node) != JSON_STRING)
            continue;
        size_t text_bytes;
        const char *text = json_to_text(doc, node, &arena, &text_bytes);
        check(text && text_bytes <= bytes - 2);
        check(json_is_string(doc, node, text) == (strlen(text) == text_bytes));
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf form, again, pretty;
    uint8_t hash[HASH_BYTES], hash_again[HASH_BYTES];
    json_init(&doc);
    buf_init(&form);
    buf_init(&again);
    buf_init(&pretty);
    struct hf_error error = {0};
    int code = json_hash(&doc, &form, (const char *)bytes, size, NULL, hash, &error);
    check(code == error.code);
    if (code < 0) {
        check((code == HF_ERR_BAD_JSON || code == HF_ERR_TOO_LARGE) && error.message[0]);
        return 0;
    }
    look_at_all(&doc);
    json_pretty(&doc, 0, 2, &pretty);
    check(json_hash(&doc, &again, form.data, form.size, NULL, hash_again, NULL) == 0);
    check(form.size <= size && form.size == again.size && memcmp(form.data, again.data, form.size) == 0);
    check(memcmp(hash, hash_again, sizeof hash) == 0);
    check(json_hash(&doc, &again, pretty.data, pretty.size, NULL, hash_again, NULL) == 0);
    check(memcmp(hash, hash_again, sizeof hash) == 0);
    return 0;
}

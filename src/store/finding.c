#include "store/finding.h"

#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"

enum finding_part finding_part_of(const char *what) {
    static const char *const owners[] = {"unmarked_change", "unmarked_new", "missing_in_owner"};
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
        if (strcmp(what, owners[i]) == 0)
            return FINDING_OWNER;
    return FINDING_STORED;
}

/* Every text with its NUL, and a byte that tells NULL from "". */
static void add_text(struct buf *to, const char *text) {
    buf_add_char(to, text ? '1' : '0');
    buf_add(to, text ? text : "", text ? strlen(text) + 1 : 1);
}

void finding_id(const struct hf_finding *finding, char ret_id[FINDING_ID_BYTES]) {
    BUF_AUTO struct buf key;
    uint8_t hash[HASH_BYTES];
    buf_init(&key);
    add_text(&key, finding->what);
    add_text(&key, finding->kind);
    add_text(&key, finding->id);
    add_text(&key, finding->path);
    hash_bytes(buf_text(&key), key.size, hash);
    text_hex(hash, sizeof hash, ret_id);
}

void finding_write(const struct finding_entry *entry, struct buf *out) {
    struct json_writer json;
    json_writer_init(&json, out, 0);
    json_begin_object(&json);
    json_put_string(&json, "what", entry->finding.what);
    json_put_string(&json, "kind", entry->finding.kind);
    json_put_string(&json, "id", entry->finding.id);
    json_put_string(&json, "path", entry->finding.path);
    json_put_string(&json, "text", entry->finding.text);
    json_put_string(&json, "action", entry->finding.action);
    json_put_time(&json, "found_at", entry->found_at_ms);
    json_put_i64(&json, "count", entry->count);
    json_put_time(&json, "gone_at", entry->gone_at_ms);
    json_end_object(&json);
}

static int64_t read_time(const struct json_doc *doc, const char *key, struct arena *arena) {
    const char *text = json_member_text(doc, 0, key, arena);
    int64_t ms = 0;
    return text && text_to_time(text, &ms) == 0 ? ms : 0;
}

int finding_read(const struct hf_record *record, struct arena *arena, struct finding_entry *ret_entry) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (!record->json || json_read(&doc, record->json, record->json_bytes, NULL, NULL) != 0)
        return -1;
    *ret_entry = (struct finding_entry){
        .finding = {.what = json_member_text(&doc, 0, "what", arena),
                    .kind = json_member_text(&doc, 0, "kind", arena),
                    .id = json_member_text(&doc, 0, "id", arena),
                    .path = json_member_text(&doc, 0, "path", arena),
                    .text = json_member_text(&doc, 0, "text", arena),
                    .action = json_member_text(&doc, 0, "action", arena)},
        .found_at_ms = read_time(&doc, "found_at", arena),
        .gone_at_ms = read_time(&doc, "gone_at", arena),
        .count = json_member_i64(&doc, 0, "count", 1),
    };
    return ret_entry->finding.what ? 0 : -1;
}

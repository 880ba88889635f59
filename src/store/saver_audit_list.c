/* What the owner holds: the subjects of an audit. */
#include "store/saver_audit.h"

#include <stdio.h>

#include "store/key.h"

enum { FIRST_ROOM = 1024 };

int saver_audit_add(struct audit *audit, struct saver_key *key, void *tag, enum verdict verdict) {
    if (audit->count == audit->room) {
        size_t room = audit->room ? audit->room * 2 : FIRST_ROOM;
        struct subject *larger = mem_realloc(audit->subjects, room, sizeof *larger);
        if (!larger)
            return error_no_memory(&audit->error);
        audit->subjects = larger;
        audit->room = room;
    }
    audit->subjects[audit->count++] = (struct subject){.key = key, .tag = tag, .verdict = (uint8_t)verdict};
    return 0;
}

void saver_audit_tell(struct audit *audit, const char *kind, const char *id, const char *what, const char *action,
                      const char *text) {
    const struct hf_finding finding = {.kind = kind, .id = id, .what = what, .text = text, .action = action};
    audit->findings++;
    if (audit->found)
        audit->found(audit->arg, &finding);
}

/* A key that cannot be is told of, and the audit goes on. */
static int is_acceptable(struct audit *audit, const char *kind, const char *id) {
    struct hf_error error = {0};
    char text[600];
    if (key_check(kind, id, &error) == 0)
        return 1;
    snprintf(text, sizeof text, "the owner holds a document that can never be saved: %s", error.message);
    saver_audit_tell(audit, NULL, NULL, "unmarked_new", "reported", text);
    return 0;
}

/* Locked. */
static int list_key(struct audit *audit, struct saver_key *key, void *tag) {
    if (key->flags & SAVER_LISTED)
        return 0;
    key->flags |= SAVER_LISTED | SAVER_SEEN;
    return saver_audit_add(audit, key, tag, SKIPPED);
}

static int list_new(struct audit *audit, const char *kind, const char *id, void *tag) {
    struct hf_saver *saver = audit->saver;
    struct saver_key *key = NULL;
    if (!is_acceptable(audit, kind, id))
        return 0;
    pthread_mutex_lock(&saver->lock);
    saver->has_garbage = 1; /* if he does not hold it after all */
    int code = saver_find_or_add(saver, kind, id, &key, &audit->error);
    if (code == 0)
        code = list_key(audit, key, tag);
    pthread_mutex_unlock(&saver->lock);
    return code;
}

static int list(void *arg, const char *kind, const char *id, void *tag) {
    struct audit *audit = arg;
    struct hf_saver *saver = audit->saver;
    int code = 0;
    size_t kind_bytes = kind ? strnlen(kind, HF_KIND_MAX + 1) : 0, id_bytes = id ? strnlen(id, HF_ID_MAX + 1) : 0;
    if (kind_bytes == 0 || kind_bytes > HF_KIND_MAX || id_bytes == 0 || id_bytes > HF_ID_MAX) {
        (void)is_acceptable(audit, kind, id);
        return 0;
    }
    uint64_t hash = saver_key_hash_of(kind, kind_bytes, id, id_bytes);
    if (hash % audit->shards != audit->shard)
        return 0;
    pthread_mutex_lock(&saver->lock);
    struct saver_key *key = saver_keys_find(&saver->keys, hash, kind, id);
    if (key)
        code = list_key(audit, key, tag);
    pthread_mutex_unlock(&saver->lock);
    return key ? code : list_new(audit, kind, id, tag);
}

/* Without a list of the owner's. */
static int list_known(struct audit *audit) {
    struct hf_saver *saver = audit->saver;
    size_t position = 0;
    int code = 0;
    pthread_mutex_lock(&saver->lock);
    for (struct saver_key *key; code == 0 && (key = saver_keys_next(&saver->keys, &position));)
        if (key->hash % audit->shards == audit->shard && (key->flags & SAVER_KNOWN))
            code = list_key(audit, key, key->tag);
    pthread_mutex_unlock(&saver->lock);
    return code;
}

int saver_audit_collect(struct audit *audit) {
    const struct hf_saver_options *options = &audit->saver->options;
    int code = options->each ? options->each(options->arg, list, audit) : list_known(audit);
    if (code == 0 || audit->error.code != 0)
        return audit->error.code;
    if (code > 0)
        return error_set(&audit->error, HF_ERR_BAD_DATA, "the owner could not list his documents (%d)", code);
    return error_set(&audit->error, code, "the owner could not list his documents: %s", hf_code_text(code));
}

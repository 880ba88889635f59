/* A look at what the owner holds: has a document changed that nobody marked?
 *
 * First the owner names his keys (without `each`: what is known is what he holds); then he is asked for the documents
 * of the shard, by two threads when there are many, and the text's hash is compared with that of the text last saved;
 * at the end it is decided, under the lock, what is a finding. A key that was marked in the meantime is none: who
 * changes a document and then marks it may be overtaken between the two. */
#include "store/saver_audit.h"

#include <signal.h>

enum { CHUNK = 64, AHEAD = 4, HELPED = 4096 /* documents: from so many on two threads ask */ };

/* ---- asking ---- */

static void note_unreadable(struct audit *audit, const struct saver_key *key, struct hf_error *error) {
    error_wrap(error, error->code, "look at '%s/%s'", key->kind, saver_key_id(key));
    pthread_mutex_lock(&audit->saver->lock);
    if (audit->error.code == 0)
        error_copy(&audit->error, error);
    pthread_mutex_unlock(&audit->saver->lock);
}

/* The text is another one: is the document? A text that is no JSON is a change, and the saver tells what is wrong. */
static int compare_documents(struct audit *audit, struct subject *subject, struct saver_scratch *scratch,
                             const char *text, size_t bytes, struct hf_error *error) {
    struct saver_key *key = subject->key;
    uint8_t hash[HF_HASH_BYTES];
    int code = json_hash(&scratch->json, &scratch->canonical, text, bytes, audit->saver->limits, hash, error);
    if (code == HF_ERR_NO_MEMORY)
        return code;
    subject->verdict = CHANGED;
    if (code != 0 || memcmp(hash, key->document_hash, sizeof hash) != 0)
        return 0;
    subject->verdict = SAME;
    key->text_hash = hash64(text, bytes, 0); /* ours to set: the key is AUDITED */
    key->text_bytes = (uint32_t)bytes;
    return 0;
}

static void ask(struct audit *audit, struct subject *subject, struct saver_scratch *scratch) {
    const struct saver_key *key = subject->key;
    const char *text = NULL;
    size_t bytes = 0;
    struct hf_error error = {0};
    int code = saver_ask(audit->saver, key, subject->tag, &scratch->document, &text, &bytes, &error);
    if (code == 0 && !subject->is_known)
        subject->verdict = NEW;
    else if (code == 0 && bytes == key->text_bytes && hash64(text, bytes, 0) == key->text_hash)
        subject->verdict = SAME;
    else if (code == 0)
        code = compare_documents(audit, subject, scratch, text, bytes, &error);
    else if (code == HF_ERR_NOT_FOUND)
        subject->verdict = subject->is_known ? MISSING : SKIPPED;
    saver_return(audit->saver, key, subject->tag, &scratch->document);
    if (code != 0 && error.code != 0)
        note_unreadable(audit, key, &error);
}

/* Locked. */
static void let_go(struct audit *audit, size_t first, size_t end) {
    int held = 0;
    for (size_t i = first; i < end; i++)
        if (audit->subjects[i].is_held) {
            audit->subjects[i].key->flags &= (uint16_t)~SAVER_AUDITED;
            held = 1;
        }
    if (held)
        pthread_cond_broadcast(&audit->saver->changed);
}

/* Locked. What is marked, or on its way, is the saver's affair. */
static size_t hold(struct audit *audit, size_t first) {
    size_t end = audit->count - first < CHUNK ? audit->count : first + CHUNK;
    for (size_t i = first; i < end; i++) {
        struct subject *subject = &audit->subjects[i];
        struct saver_key *key = subject->key;
        subject->is_held = (key->flags & (SAVER_DIRTY | SAVER_TAKEN)) == 0;
        if (!subject->is_held)
            continue;
        key->flags |= SAVER_AUDITED;
        subject->is_known = (key->flags & SAVER_KNOWN) != 0;
        subject->generation = key->generation;
    }
    return end;
}

/* Most of an audit is waiting for memory. What a tag points to is read first when the owner is asked; one that points
 * to nothing does no harm here. */
static void fetch(const struct audit *audit, size_t at) {
    if (at >= audit->count)
        return;
    __builtin_prefetch(audit->subjects[at].key);
    __builtin_prefetch(audit->subjects[at].tag);
}

static void *ask_some(void *arg) {
    struct audit *audit = arg;
    struct saver_scratch scratch;
    size_t first = 0, end = 0;
    saver_scratch_init(&scratch, audit->saver);
    do {
        pthread_mutex_lock(&audit->saver->lock);
        let_go(audit, first, end);
        first = audit->next;
        audit->next = end = hold(audit, first);
        pthread_mutex_unlock(&audit->saver->lock);
        for (size_t i = first; i < end; i++) {
            fetch(audit, i + AHEAD);
            if (audit->subjects[i].is_held)
                ask(audit, &audit->subjects[i], &scratch);
        }
    } while (first < end);
    saver_scratch_fini(&scratch);
    return NULL;
}

/* No helper is no failure. Signals are for the program's own threads. */
static void ask_all(struct audit *audit) {
    pthread_t helper;
    int is_helped = 0;
    if (audit->count >= HELPED && audit->saver->threads > 1) {
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        is_helped = pthread_create(&helper, NULL, ask_some, audit) == 0;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    ask_some(audit);
    if (is_helped)
        pthread_join(helper, NULL);
}

/* ---- deciding ---- */

/* Locked. */
static void decide(struct audit *audit, struct subject *subject) {
    struct hf_saver *saver = audit->saver;
    struct saver_key *key = subject->key;
    int is_asked = subject->verdict != SKIPPED && subject->verdict != MISSING;
    audit->audited += (uint64_t)is_asked;
    if ((key->flags & SAVER_DIRTY) || key->generation != subject->generation) {
        subject->verdict = SKIPPED;
    } else if (subject->verdict == CHANGED || subject->verdict == NEW) {
        key->tag = subject->tag;
        saver_mark_key(saver, key, saver->options.durability == HF_COMMIT ? HF_URGENT : HF_STANDARD);
        saver->health.unmarked_found++;
    }
}

/* Locked. Stored, of this shard, and not named by the owner. Whether memory was there for all of them. */
static int find_missing(struct audit *audit) {
    const int wants = audit->saver->options.each != NULL && audit->error.code == 0;
    size_t position = 0;
    int code = 0;
    for (struct saver_key *key; (key = saver_keys_next(&audit->saver->keys, &position));) {
        int is_missing = wants && (key->flags & (SAVER_KNOWN | SAVER_DIRTY | SAVER_SEEN)) == SAVER_KNOWN &&
                         key->hash % audit->shards == audit->shard;
        if (key->flags & (SAVER_SEEN | SAVER_LISTED)) /* what is not written need not come back from memory */
            key->flags &= (uint16_t) ~(SAVER_SEEN | SAVER_LISTED);
        if (is_missing && code == 0)
            code = saver_audit_add(audit, key, NULL, MISSING);
    }
    return code;
}

static void settle(struct audit *audit) {
    struct hf_saver *saver = audit->saver;
    struct saver_notice notice = {.level = 0};
    pthread_mutex_lock(&saver->lock);
    for (size_t i = 0; i < audit->count; i++)
        decide(audit, &audit->subjects[i]);
    (void)find_missing(audit);
    saver->is_auditing = 0;
    saver_judge_pressure(saver, &notice);
    pthread_mutex_unlock(&saver->lock);
    saver_tell(saver, &notice);
}

static void tell_all(struct audit *audit) {
    for (size_t i = 0; i < audit->count; i++) {
        const char *kind = audit->subjects[i].key->kind, *id = saver_key_id(audit->subjects[i].key);
        switch (audit->subjects[i].verdict) {
        case CHANGED:
            saver_audit_tell(audit, kind, id, "unmarked_change", "marked", "it changed, and nobody marked it");
            break;
        case NEW:
            saver_audit_tell(audit, kind, id, "unmarked_new", "marked", "it is new, and nobody marked it");
            break;
        case MISSING:
            saver_audit_tell(audit, kind, id, "missing_in_owner", "reported",
                             "it is stored, and the owner does not hold it");
            break;
        default:
            break;
        }
    }
}

static void begin(struct hf_saver *saver) {
    pthread_mutex_lock(&saver->audit_turn);
    pthread_mutex_lock(&saver->lock);
    saver->users++;
    saver->is_auditing = 1;
    pthread_mutex_unlock(&saver->lock);
}

static void end(struct hf_saver *saver) {
    pthread_mutex_lock(&saver->lock);
    saver_leave(saver);
    pthread_mutex_unlock(&saver->lock);
    pthread_mutex_unlock(&saver->audit_turn);
}

int saver_audit(struct hf_saver *saver, uint32_t shard, uint32_t shards, hf_finding_visit found, void *arg,
                uint64_t *ret_audited, uint64_t *ret_findings, struct hf_error *error) {
    struct audit audit = {.saver = saver, .shard = shard, .shards = shards, .found = found, .arg = arg};
    if (shard >= shards)
        return error_set(error, HF_ERR_INVALID, "there is no shard %u of %u", shard, shards);
    begin(saver);
    if (saver_audit_collect(&audit) == 0)
        ask_all(&audit);
    settle(&audit);
    tell_all(&audit);
    end(saver);
    mem_free(audit.subjects);
    if (audit.error.code != 0) {
        error_copy(error, &audit.error);
        return audit.error.code;
    }
    *ret_audited = audit.audited;
    *ret_findings = audit.findings;
    return 0;
}

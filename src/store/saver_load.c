/* All at once: taking what is stored when the owner starts, and marking everything that he holds. */
#include <stdio.h>

#include "store/key.h"
#include "store/saver_inside.h"

/* ---- load ---- */

struct load {
    struct hf_saver *saver;
    hf_record_visit visit;
    void *arg;
    uint64_t damaged;
    struct hf_error error; /* of ours, not of the visit's */
};

/* Locked. What the saver knows already is newer than the snapshot that is walked. */
static int remember(struct hf_saver *saver, const struct hf_record *record, uint64_t text_hash,
                    struct hf_error *error) {
    uint64_t hash = saver_key_hash(record->kind, record->id);
    if (saver_keys_find(&saver->keys, hash, record->kind, record->id))
        return 0;
    struct saver_key *key = saver_keys_add(&saver->keys, hash, record->kind, record->id);
    if (!key)
        return error_no_memory(error);
    key->flags = SAVER_KNOWN | (saver->is_auditing ? SAVER_SEEN : 0);
    key->text_hash = text_hash;
    key->text_bytes = (uint32_t)record->json_bytes;
    memcpy(key->document_hash, record->hash, sizeof key->document_hash);
    return 0;
}

static int load_one(void *arg, const struct hf_record *record, int code) {
    struct load *load = arg;
    if (code == 0) {
        uint64_t text_hash = hash64(record->json, record->json_bytes, 0);
        pthread_mutex_lock(&load->saver->lock);
        int result = remember(load->saver, record, text_hash, &load->error);
        pthread_mutex_unlock(&load->saver->lock);
        if (result != 0)
            return result;
    } else {
        load->damaged++;
    }
    return load->visit ? load->visit(load->arg, record, code) : 0;
}

static void tell_damaged(const struct load *load) {
    struct saver_notice notice = {.level = HF_CRITICAL};
    if (load->damaged == 0)
        return;
    snprintf(notice.text, sizeof notice.text, "load: %llu records are damaged and were not loaded",
             (unsigned long long)load->damaged);
    saver_tell(load->saver, &notice);
}

int hf_saver_load(struct hf_saver *saver, const char *kind, hf_record_visit visit, void *arg, struct hf_error *error) {
    struct load load = {.saver = saver, .visit = visit, .arg = arg};
    pthread_mutex_lock(&saver->lock);
    saver->users++;
    pthread_mutex_unlock(&saver->lock);
    int code = hf_store_scan(saver->store, kind, NULL, 0, load_one, &load, error);
    pthread_mutex_lock(&saver->lock);
    saver_leave(saver);
    pthread_mutex_unlock(&saver->lock);
    tell_damaged(&load);
    if (load.error.code == 0)
        return code;
    error_copy(error, &load.error);
    return error_wrap(error, load.error.code, "load");
}

/* ---- save all ---- */

struct marking {
    struct hf_saver *saver;
    struct hf_error error;
};

static int mark_listed(void *arg, const char *kind, const char *id, void *tag) {
    struct marking *marking = arg;
    struct hf_saver *saver = marking->saver;
    struct saver_key *key;
    int code = key_check(kind, id, &marking->error);
    if (code != 0)
        return error_wrap(&marking->error, code, "list '%s/%s'", kind ? kind : "", id ? id : "");
    pthread_mutex_lock(&saver->lock);
    code = saver_find_or_add(saver, kind, id, &key, &marking->error);
    if (code == 0) {
        key->tag = tag;
        saver_mark_key(saver, key, HF_STANDARD);
    }
    pthread_mutex_unlock(&saver->lock);
    return code;
}

static void mark_known(struct hf_saver *saver) {
    size_t position = 0;
    pthread_mutex_lock(&saver->lock);
    for (struct saver_key *key; (key = saver_keys_next(&saver->keys, &position));)
        if (key->flags & (SAVER_KNOWN | SAVER_DIRTY))
            saver_mark_key(saver, key, HF_STANDARD);
    pthread_mutex_unlock(&saver->lock);
}

static int mark_all(struct hf_saver *saver, struct hf_error *error) {
    struct marking marking = {.saver = saver};
    if (!saver->options.each) {
        mark_known(saver);
        return 0;
    }
    int code = saver->options.each(saver->options.arg, mark_listed, &marking);
    if (marking.error.code != 0) {
        error_copy(error, &marking.error);
        return marking.error.code;
    }
    if (code > 0)
        return error_set(error, HF_ERR_BAD_DATA, "the owner could not list his documents (%d)", code);
    if (code < 0)
        return error_set(error, code, "the owner could not list his documents: %s", hf_code_text(code));
    return 0;
}

static void be_quiet(struct hf_saver *saver, int quiet) {
    pthread_mutex_lock(&saver->lock);
    saver->quiet += (unsigned)quiet;
    pthread_mutex_unlock(&saver->lock);
}

/* What could be marked is saved also when the list came to no end. */
int hf_saver_save_all(struct hf_saver *saver, struct hf_error *error) {
    struct hf_error listing = {0};
    be_quiet(saver, 1);
    int listed = mark_all(saver, &listing);
    int code = hf_saver_flush(saver, error);
    be_quiet(saver, -1);
    if (code == 0 && listed != 0) {
        error_copy(error, &listing);
        code = listed;
    }
    return code == 0 ? 0 : error_wrap(error, code, "save all");
}

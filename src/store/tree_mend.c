/* What is done about a file that is not what was committed. Under the lock: index and files stand still meanwhile. */
#include <string.h>

#include "store/tree_backend.h"

struct mending {
    struct tree_backend *self;
    struct tree_worker *worker;
    const char *kind, *id;
    struct tree_path path;
    struct tree_look look;
    struct hf_record *record; /* NULL: there is none */
};

static int look(struct mending *m, enum tree_layout layout, struct hf_error *error) {
    m->worker->reader.layout = layout;
    int code = tree_look(&m->worker->reader, &m->path, &m->look, error);
    m->worker->reader.layout = TREE_LAYOUT_KIND;
    return code;
}

/* Writes the record's file, or moves away what stands there without a record; durable at once, for no event of it is
 * behind the mark. */
static int put_back(struct mending *m, struct hf_error *error) {
    struct tree_stage stage;
    struct tree_entry entry = {.kind = m->kind, .id = m->id};
    if (m->record) {
        entry.json = m->record->json;
        entry.json_bytes = m->record->json_bytes;
        memcpy(entry.hash, m->record->hash, sizeof entry.hash);
    }
    tree_stage_init(&stage, m->self, m->worker, 1);
    stage.durable = TREE_DURABLE_FILE;
    int code = tree_stage_add(&stage, &entry, error);
    if (code == 0)
        code = tree_stage_write(m->self, &stage, error);
    if (code == 0)
        tree_place(m->self, &stage);
    tree_stage_fini(m->self, &stage);
    return code;
}

/* What stood in the way of the file is in its way again. */
static int check_placed(struct mending *m, struct hf_error *error) {
    MEM_AUTO char *text = tree_pending_text(m->self, m->kind, m->id);
    return text ? error_set(error, HF_ERR_IO, "%s", text) : 0;
}

static int take(struct mending *m, enum store_mend *ret_mend, struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES],
                struct hf_error *error) {
    buf_clear(ret_json);
    buf_add(ret_json, m->worker->reader.bytes.data, m->worker->reader.bytes.size);
    if (ret_json->failed)
        return error_no_memory(error);
    if (m->record)
        memcpy(ret_if_hash, m->record->hash, HF_HASH_BYTES);
    else
        memset(ret_if_hash, 0, HF_HASH_BYTES);
    *ret_mend = STORE_MEND_TAKE;
    return 0;
}

static int put_back_and_say(struct mending *m, enum store_mend *ret_mend, struct hf_error *error) {
    int code = put_back(m, error);
    if (code == 0)
        code = check_placed(m, error);
    if (code == 0)
        *ret_mend = STORE_MEND_PUT_BACK;
    return code;
}

static int is_unreadable(const struct tree_look *look) {
    return look->code && look->code != HF_ERR_NOT_FOUND && look->code != HF_ERR_CORRUPT &&
           look->code != HF_ERR_TOO_LARGE;
}

static int mend_unknown(struct mending *m, enum store_mend *ret_mend, struct buf *ret_json,
                        uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error) {
    struct tree_backend *self = m->self;
    if (m->look.code && m->look.code != HF_ERR_NOT_FOUND) {
        tree_damage_set(self, m->kind, m->id, &m->look);
        return error_set(error, m->look.code, "it %s", m->look.text);
    }
    tree_damage_clear(self, m->kind, m->id);
    if (m->look.code)
        return 0;
    if (tree_options_is_ours(&self->options, m->kind))
        return put_back_and_say(m, ret_mend, error);
    return take(m, ret_mend, ret_json, ret_if_hash, error);
}

static int mend_known(struct mending *m, enum store_mend *ret_mend, struct buf *ret_json,
                      uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error) {
    if (m->look.code == 0 && memcmp(m->look.hash, m->record->hash, HF_HASH_BYTES) == 0) {
        tree_pending_clear(m->self, m->kind, m->id);
        return 0;
    }
    if (is_unreadable(&m->look))
        return error_set(error, m->look.code, "it %s", m->look.text);
    int code = m->look.code || m->self->options.layout == TREE_LAYOUT_KIND ? 0 : look(m, TREE_LAYOUT_WATCH, error);
    if (code)
        return code;
    MEM_AUTO char *pending = tree_pending_text(m->self, m->kind, m->id);
    if (m->look.code || pending || tree_options_is_ours(&m->self->options, m->kind))
        return put_back_and_say(m, ret_mend, error);
    return take(m, ret_mend, ret_json, ret_if_hash, error);
}

static int mend_locked(struct mending *m, enum store_mend *ret_mend, struct buf *ret_json,
                       uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error) {
    struct store_backend *inner = m->self->inner;
    int code = inner->ops->get(inner, STORE_COMMITTED, m->kind, m->id, 0, &m->record, error);
    if (code == HF_ERR_NOT_FOUND)
        error_clear(error);
    else if (code)
        return code;
    code = look(m, m->record ? TREE_LAYOUT_KIND : m->self->options.layout, error);
    if (code)
        return code;
    return m->record ? mend_known(m, ret_mend, ret_json, ret_if_hash, error)
                     : mend_unknown(m, ret_mend, ret_json, ret_if_hash, error);
}

int tree_mend(struct store_backend *backend, const char *kind, const char *id, enum store_mend *ret_mend,
              struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error) {
    struct tree_backend *self = (struct tree_backend *)backend;
    struct mending m = {.self = self, .kind = kind, .id = id};
    if (self->store_options.read_only)
        return error_set(error, HF_ERR_READ_ONLY, "the store was opened read-only");
    int code = tree_workers_new(self, 1, &m.worker, error);
    if (code)
        return code;
    tree_path_of(self->options.layout, kind, id, &m.path);
    *ret_mend = STORE_MEND_NOTHING;
    pthread_mutex_lock(&self->lock);
    code = mend_locked(&m, ret_mend, ret_json, ret_if_hash, error);
    pthread_mutex_unlock(&self->lock);
    hf_record_free(&m.record);
    tree_workers_free(&m.worker, 1);
    return code ? error_wrap(error, code, "mend the file of '%s/%s'", kind, id) : 0;
}

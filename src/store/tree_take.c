#include <string.h>

#include "store/tree_backend.h"

int tree_take_end(struct tree_taking *taking, int code, struct hf_error *error) {
    struct tree_backend *self = taking->self;
    if (!taking->is_begun)
        return code;
    if (code == 0)
        code = self->inner->ops->commit(self->inner, error);
    if (code == 0)
        self->revision++;
    else
        self->inner->ops->abort(self->inner);
    taking->is_begun = 0;
    taking->bytes = taking->count = 0;
    return code;
}

int tree_take(struct tree_taking *taking, const char *kind, const char *id, const struct buf *json,
              const uint8_t hash[HF_HASH_BYTES], const struct hf_record *replaces, struct hf_error *error) {
    struct tree_backend *self = taking->self;
    int64_t now_ms = os_wall_ms(self->os);
    struct store_change change = {
        .what = HF_PUT,
        .kind = kind,
        .id = id,
        .who = TREE_WHO_FOREIGN,
        .json = buf_text(json),
        .json_bytes = json->size,
        .revision = self->revision + 1,
        .at_ms = now_ms,
        .created_ms = replaces ? replaces->created_ms : now_ms,
    };
    memcpy(change.hash, hash, sizeof change.hash);
    int code = taking->is_begun ? 0 : self->inner->ops->begin(self->inner, error);
    if (code)
        return code;
    taking->is_begun = 1;
    code = self->inner->ops->put(self->inner, &change, error);
    taking->bytes += json->size;
    if (code == 0 && (taking->bytes >= TREE_BATCH_BYTES || ++taking->count >= TREE_BATCH_COUNT))
        code = tree_take_end(taking, 0, error);
    return code;
}

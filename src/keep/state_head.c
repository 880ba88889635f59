/* The head of a state as a record.
 *
 * Invariants
 *  1. A head that was not there is told from one that is damaged or lost: where versions are, a head was.
 *  2. It is put only under the condition that nobody put it since it was read. A damaged one may have no revision; then
 *     whoever repairs it enters a run too, whose number is given once. */
#include <string.h>

#include "keep/state_field.h"
#include "keep/state_inside.h"

enum { LOST_LOOKS = 3 }; /* before a head counts as lost */

void state_head_init(struct state_head *head, const char *name) {
    *head = (struct state_head){
        .name = name,
        .newest = {.run = "", .code_version = "", .note = "", .who = ""},
        .lease = {.run = "", .boot_id = "", .who = "", .reason = ""},
    };
    arena_init(&head->arena);
}

void state_head_fini(struct state_head *head) {
    arena_fini(&head->arena);
}

uint64_t state_head_kept(const struct state_head *head) {
    return head->oldest > 0 && head->newest.version >= head->oldest
               ? head->newest.version - head->oldest + 1 - head->gaps
               : 0;
}

/* ---- reading ---- */

static int read_lease(struct state_fields *head_fields, struct state_lease *lease, struct hf_error *error) {
    struct state_fields fields;
    if (!state_field_object(head_fields, "lease", &fields))
        return 0;
    *lease = (struct state_lease){
        .fence = state_field_number(&fields, "fence"),
        .run = state_field_text(&fields, "run"),
        .boot_id = state_field_text(&fields, "boot_id"),
        .who = state_field_text(&fields, "who"),
        .reason = state_field_text(&fields, "reason"),
        .pid = state_field_signed(&fields, "pid", 0),
        .start_ticks = state_field_number(&fields, "start_ticks"),
        .pidfd_inode = state_field_number(&fields, "pidfd_inode"),
        .taken_at_ms = state_field_time(&fields, "taken_at"),
        .renewed_boot_ms = state_field_signed(&fields, "renewed_boot_ms", 0),
        .ttl_ms = state_field_signed(&fields, "ttl_ms", 0),
        .saves = state_field_number(&fields, "saves"),
    };
    return state_field_end(&fields, error);
}

static int read_parts(struct state_fields *fields, struct state_head *head, struct hf_error *error) {
    struct state_fields meta, keep;
    int code = 0;
    if (state_field_object(fields, "meta", &meta)) {
        state_meta_read(&meta, &head->newest);
        code = state_field_end(&meta, error);
    }
    if (code == 0 && state_field_object(fields, "keep", &keep)) {
        uint64_t versions = state_field_number(&keep, "versions");
        head->keep_versions = versions > UINT32_MAX ? UINT32_MAX : (uint32_t)versions;
        head->keep_age_ms = state_field_signed(&keep, "max_age_ms", 0);
        code = state_field_end(&keep, error);
    }
    return code == 0 ? read_lease(fields, &head->lease, error) : code;
}

static int take(const struct json_doc *doc, struct state_head *head, struct hf_error *error) {
    struct state_fields fields = {.doc = doc, .object = 0, .arena = &head->arena};
    uint64_t version = state_field_number(&fields, "version");
    head->oldest = state_field_number(&fields, "oldest");
    head->gaps = state_field_number(&fields, "gaps");
    head->fence = state_field_number(&fields, "fence");
    head->last_run = state_field_number(&fields, "last_run");
    int code = read_parts(&fields, head, error);
    if (code == 0 && head->newest.version != version && !fields.wrong)
        fields.wrong = "version";
    return code == 0 ? state_field_end(&fields, error) : code;
}

static int read_record(const struct hf_record *record, struct state_head *head, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, record->json, record->json_bytes, NULL, error);
    if (code == 0)
        code = take(&doc, head, error);
    return code == 0 || code == HF_ERR_NO_MEMORY ? code : HF_ERR_CORRUPT;
}

static int stop_at_first(void *arg, const struct state_meta *meta, int code) {
    (void)meta, (void)code;
    *(int *)arg = 1;
    return 1;
}

/* Where versions are, a head should be. It may have come with the first of them just now: 1, then it is there if it is
 * looked for again. */
static int has_version(struct hf_store *store, const struct state_head *head, struct hf_error *error) {
    int has = 0;
    int code = state_version_each(store, head->name, stop_at_first, &has, error);
    return code < 0 ? code : has;
}

/* *ret_is_unknown: there is none, and whether there should be one cannot be found out. */
static int find_record(struct hf_store *store, struct state_head *head, struct hf_record **ret_record,
                       int *ret_is_unknown, struct hf_error *error) {
    for (int i = 0; i < LOST_LOOKS; i++) {
        int code = hf_store_get(store, STATE_KIND, head->name, ret_record, error);
        if (code != HF_ERR_NOT_FOUND)
            return code;
        int has = has_version(store, head, error);
        *ret_is_unknown = has < 0;
        if (has <= 0)
            return has < 0 ? has : HF_ERR_NOT_FOUND;
    }
    head->is_damaged = 1;
    return HF_ERR_NOT_FOUND;
}

/* A head that is damaged or lost is no error yet: is_damaged says so. */
static int read_head(struct hf_store *store, struct state_head *head, struct hf_error *error) {
    struct hf_record *record = NULL;
    int is_unknown = 0;
    int code = find_record(store, head, &record, &is_unknown, error);
    if (code == HF_ERR_NOT_FOUND || is_unknown)
        return is_unknown ? code : 0;
    head->exists = code == 0 || code == HF_ERR_CORRUPT;
    if (code == 0) {
        code = read_record(record, head, error);
        head->revision = record->revision;
    }
    hf_record_free(&record);
    head->is_damaged = code == HF_ERR_CORRUPT;
    return head->is_damaged ? 0 : code;
}

/* What was read of a damaged head is forgotten; what keeps others apart stays. */
static int repair_head(struct hf_store *store, struct state_head *head, struct hf_error *error) {
    struct state_head damaged = *head;
    state_head_init(head, damaged.name);
    head->arena = damaged.arena;
    head->exists = damaged.exists;
    head->revision = damaged.revision;
    head->is_damaged = 1;
    return state_head_gather(store, head, error);
}

int state_head_read(struct hf_store *store, const char *name, int repair, struct state_head *ret_head,
                    struct hf_error *error) {
    int code = state_check_name(name, error);
    if (code < 0)
        return code;
    struct state_head head;
    state_head_init(&head, NULL);
    head.name = arena_strdup(&head.arena, name);
    if (!head.name)
        return error_no_memory(error);
    code = read_head(store, &head, error);
    if (code < 0)
        error_wrap(error, code, "read state '%s'", name);
    else if (head.is_damaged && repair)
        code = repair_head(store, &head, error);
    else if (head.is_damaged)
        code = state_damaged(store, name, UINT64_MAX, head.exists ? "its head is damaged" : "its head is lost", error);
    if (code == 0)
        *ret_head = head;
    else
        state_head_fini(&head);
    return code;
}

/* ---- writing ---- */

static void write_lease(struct json_writer *json, const struct state_lease *lease) {
    json_put_string(json, "run", lease->run);
    json_put_i64(json, "fence", (int64_t)lease->fence);
    json_put_i64(json, "pid", lease->pid);
    json_put_i64(json, "start_ticks", (int64_t)lease->start_ticks);
    json_put_i64(json, "pidfd_inode", (int64_t)lease->pidfd_inode);
    json_put_string(json, "boot_id", lease->boot_id);
    json_put_time(json, "taken_at", lease->taken_at_ms);
    json_put_i64(json, "renewed_boot_ms", lease->renewed_boot_ms);
    json_put_i64(json, "ttl_ms", lease->ttl_ms);
    json_put_i64(json, "saves", (int64_t)lease->saves);
    json_put_string(json, "who", lease->who);
    json_put_string(json, "reason", lease->reason);
}

static void write_keep(struct json_writer *json, const struct state_head *head, uint32_t versions) {
    json_key(json, "keep");
    json_begin_object(json);
    json_put_i64(json, "versions", versions);
    json_put_i64(json, "max_age_ms", head->keep_age_ms);
    json_end_object(json);
}

/* 0: it is null, and nothing is to be written inside. */
static int begin_object_or_null(struct json_writer *json, const char *key, int is_there) {
    json_key(json, key);
    if (is_there)
        json_begin_object(json);
    else
        json_null(json);
    return is_there;
}

static void write_record(struct json_writer *json, const struct state_head *head) {
    json_begin_object(json);
    json_put_string(json, "name", head->name);
    json_put_i64(json, "version", (int64_t)head->newest.version);
    json_put_i64(json, "oldest", (int64_t)head->oldest);
    json_put_i64(json, "gaps", (int64_t)head->gaps);
    json_put_i64(json, "fence", (int64_t)head->fence);
    json_put_i64(json, "last_run", (int64_t)head->last_run);
    write_keep(json, head, head->keep_versions);
    if (begin_object_or_null(json, "lease", head->lease.fence > 0)) {
        write_lease(json, &head->lease);
        json_end_object(json);
    }
    if (begin_object_or_null(json, "meta", head->newest.version > 0)) {
        state_meta_write(json, &head->newest);
        json_end_object(json);
    }
    json_end_object(json);
}

int state_head_put(struct hf_batch *batch, const struct state_head *head, struct hf_error *error) {
    struct hf_change_options as_read = {.condition = HF_IF_ABSENT};
    if (head->revision > 0)
        as_read = (struct hf_change_options){.condition = HF_IF_REVISION, .if_revision = head->revision};
    else if (head->exists)
        as_read.condition = HF_IF_PRESENT;
    BUF_AUTO struct buf text;
    buf_init(&text);
    struct json_writer json;
    json_writer_init(&json, &text, 0);
    write_record(&json, head);
    if (text.failed)
        return error_no_memory(error);
    return hf_batch_put(batch, STATE_KIND, head->name, text.data, text.size, &as_read, error);
}

void state_head_write(struct hf_store *store, struct json_writer *json, const struct state_head *head) {
    json_put_string(json, "name", head->name);
    state_meta_write(json, &head->newest);
    write_keep(json, head, head->keep_versions ? head->keep_versions : STATE_KEEP_DEFAULT);
    if (begin_object_or_null(json, "lease", head->lease.fence > 0)) {
        write_lease(json, &head->lease);
        json_put_bool(json, "alive", state_lease_owner(store, &head->lease) == STATE_OWNER_ALIVE);
        json_end_object(json);
    }
    json_put_i64(json, "versions_kept", (int64_t)state_head_kept(head));
}

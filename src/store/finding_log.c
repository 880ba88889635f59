/* Invariants
 *  1. `sights` says of every id whether it is open or gone as far as the records say it, too: it changes only after the
 *     commit where a finding ends, and where one begins the next sight compares with the record again.
 *  2. A record is written only when it would say something else than it does, but for the time. */
#include "store/finding_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

static const char who[] = "auditor";

/* What is known of one finding in memory. */
struct sight {
    uint64_t round; /* in which it was seen last; 0: by an earlier auditor */
    uint64_t told;  /* the hash of what was told of it; 0: nothing yet */
    int64_t gone_at_ms;
    enum finding_part part;
    int is_reported; /* nothing was done about it */
    int is_structure;
};

static uint64_t hash_of_news(const struct hf_finding *finding) {
    const char *text = finding->text ? finding->text : "", *action = finding->action ? finding->action : "";
    return hash64(text, strlen(text), hash64(action, strlen(action), 0)) | 1;
}

static int no_memory(struct hf_error *error) {
    return error_set(error, HF_ERR_NO_MEMORY, "keep findings: memory is used up");
}

/* ---- records ---- */

/* *ret_is_there is 0 also for a record that cannot be read as one: it is written anew. */
static int get_entry(struct finding_log *log, const char *id, struct arena *arena, int *ret_is_there,
                     struct finding_entry *ret_entry, struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(log->store, FINDING_KIND, id, &record, error);
    *ret_is_there = code == 0 && finding_read(record, arena, ret_entry) == 0;
    hf_record_free(&record);
    if (code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT) {
        error_clear(error);
        return 0;
    }
    return code;
}

static int add_entry(struct finding_log *log, const char *id, const struct finding_entry *entry,
                     struct hf_error *error) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    finding_write(entry, &json);
    if (json.failed)
        return no_memory(error);
    int code = log->batch ? 0 : hf_batch_new(who, &log->batch, error);
    return code == 0 ? hf_batch_put(log->batch, FINDING_KIND, id, json.data, json.size, NULL, error) : code;
}

static int says_the_same(const struct hf_finding *a, const struct hf_finding *b) {
    return text_is_equal(a->text, b->text) && text_is_equal(a->action, b->action);
}

static int keep(struct finding_log *log, const char *id, const struct hf_finding *finding, struct hf_error *error) {
    struct arena arena;
    struct finding_entry entry = {.finding = {.what = NULL}};
    int is_there = 0;
    arena_init(&arena);
    int code = get_entry(log, id, &arena, &is_there, &entry, error);
    int is_open = is_there && entry.gone_at_ms == 0;
    if (code == 0 && !(is_open && says_the_same(&entry.finding, finding))) {
        struct finding_entry now = {.finding = *finding,
                                    .found_at_ms = is_open ? entry.found_at_ms : os_wall_ms(store_os(log->store)),
                                    .count = !is_there ? 1
                                             : is_open ? entry.count
                                                       : entry.count + 1};
        code = add_entry(log, id, &now, error);
    }
    arena_fini(&arena);
    return code;
}

/* ---- the log ---- */

static int is_reported(const struct hf_finding *finding) {
    return text_is_equal(finding->action, "reported");
}

static int is_structure(const struct hf_finding *finding) {
    return text_is_equal(finding->what, "bad_structure");
}

void finding_log_init(struct finding_log *log, struct hf_store *store, int without_records, hf_finding_visit tell,
                      void *arg) {
    *log =
        (struct finding_log){.store = store, .without_records = without_records, .tell = tell, .arg = arg, .round = 1};
    map_init(&log->sights);
}

void finding_log_fini(struct finding_log *log) {
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&log->sights, &at));)
        mem_free(entry->value);
    map_fini(&log->sights);
    hf_batch_free(&log->batch);
}

static struct sight *add_sight(struct finding_log *log, const char *id, enum finding_part part) {
    struct sight *sight = MEM_NEW(struct sight);
    if (sight && map_set(&log->sights, id, strlen(id), sight, NULL) != 0) {
        mem_free(sight);
        sight = NULL;
    }
    if (sight)
        sight->part = part;
    return sight;
}

static void tally(struct finding_log *log, const struct sight *sight, int by) {
    if (sight->gone_at_ms) {
        log->gone += (uint64_t)by;
        return;
    }
    log->open += (uint64_t)by;
    log->reported += sight->is_reported ? (uint64_t)by : 0;
    log->structure += sight->is_reported && sight->is_structure ? (uint64_t)by : 0;
}

static void remove_sight(struct finding_log *log, const char *id) {
    struct sight *sight = map_remove(&log->sights, id, strlen(id));
    if (sight)
        tally(log, sight, -1);
    mem_free(sight);
}

static int load_one(void *arg, const struct hf_record *record, int code) {
    struct finding_log *log = arg;
    struct arena arena;
    struct finding_entry entry;
    struct sight *sight = NULL;
    arena_init(&arena);
    if (code == 0 && !map_get(&log->sights, record->id, strlen(record->id)) &&
        finding_read(record, &arena, &entry) == 0)
        sight = add_sight(log, record->id, finding_part_of(entry.finding.what));
    if (sight) {
        sight->gone_at_ms = entry.gone_at_ms;
        sight->is_reported = is_reported(&entry.finding);
        sight->is_structure = is_structure(&entry.finding);
        tally(log, sight, 1);
    }
    arena_fini(&arena);
    return 0;
}

int finding_log_load(struct finding_log *log, struct hf_error *error) {
    if (log->is_loaded || log->without_records)
        return 0;
    int code = hf_store_scan(log->store, FINDING_KIND, NULL, 0, load_one, log, error);
    log->is_loaded = code == 0;
    return code == 0 ? 0 : error_wrap(error, code, "read earlier findings");
}

int finding_log_see(struct finding_log *log, const struct hf_finding *finding, struct hf_error *error) {
    char id[FINDING_ID_BYTES];
    finding_id(finding, id);
    struct sight *sight = map_get(&log->sights, id, strlen(id));
    if (sight && sight->round == log->round)
        return 0;
    struct sight before = {.gone_at_ms = 1};
    if (sight) {
        tally(log, sight, -1);
        before = *sight;
    } else if (!(sight = add_sight(log, id, finding_part_of(finding->what)))) {
        return no_memory(error);
    }
    uint64_t news = hash_of_news(finding);
    *sight = (struct sight){.round = log->round,
                            .told = news,
                            .part = sight->part,
                            .is_reported = is_reported(finding),
                            .is_structure = is_structure(finding)};
    tally(log, sight, 1);
    if (log->tell && (before.gone_at_ms || before.told != news))
        log->tell(log->arg, finding);
    return log->without_records ? 0 : keep(log, id, finding, error);
}

int finding_log_commit(struct finding_log *log, struct hf_error *error) {
    if (!log->batch)
        return 0;
    int code = hf_store_commit(log->store, &log->batch, NULL, error);
    return code == 0 ? 0 : error_wrap(error, code, "keep findings");
}

/* ---- what is gone ---- */

static int is_over(const struct finding_log *log, const struct sight *sight, unsigned whole_parts) {
    return sight->gone_at_ms == 0 && sight->round < log->round && (sight->part & whole_parts);
}

/* Into the batch: the record as it is, with the time. */
static int add_end(struct finding_log *log, const char *id, int64_t now_ms, struct hf_error *error) {
    struct arena arena;
    struct finding_entry entry;
    int is_there = 0;
    arena_init(&arena);
    int code = get_entry(log, id, &arena, &is_there, &entry, error);
    if (code == 0 && is_there) {
        entry.gone_at_ms = now_ms;
        code = add_entry(log, id, &entry, error);
    }
    arena_fini(&arena);
    return code;
}

static int end_all(struct finding_log *log, struct vec *ids, struct hf_error *error) {
    int64_t now_ms = os_wall_ms(store_os(log->store));
    int code = 0;
    for (size_t i = 0; i < ids->count && code == 0 && !log->without_records; i++)
        code = add_end(log, ids->items[i], now_ms, error);
    if (code == 0)
        code = finding_log_commit(log, error);
    hf_batch_free(&log->batch);
    for (size_t i = 0; i < ids->count && code == 0; i++) {
        const char *id = ids->items[i];
        struct sight *sight = map_get(&log->sights, id, strlen(id));
        if (log->without_records) {
            remove_sight(log, id);
        } else {
            tally(log, sight, -1);
            sight->gone_at_ms = now_ms;
            tally(log, sight, 1);
        }
    }
    return code;
}

/* Copies of the ids: the map must not change while it is walked. */
static int collect_over(struct finding_log *log, unsigned whole_parts, struct arena *arena, struct vec *ids) {
    struct map_entry *entry;
    for (size_t at = 0; (entry = map_next(&log->sights, &at));) {
        if (!is_over(log, entry->value, whole_parts))
            continue;
        char *id = arena_strdup(arena, entry->key);
        if (!id || vec_push(ids, id) != 0)
            return -1;
    }
    return 0;
}

static int is_gone_before(const void *a, const void *b) {
    const struct map_entry *const *left = a, *const *right = b;
    int64_t left_ms = ((const struct sight *)(*left)->value)->gone_at_ms;
    int64_t right_ms = ((const struct sight *)(*right)->value)->gone_at_ms;
    return left_ms < right_ms ? -1 : left_ms > right_ms;
}

/* The ids of the oldest of those that are gone, without those that are kept. */
static int collect_surplus(struct finding_log *log, struct arena *arena, struct vec *ids) {
    struct map_entry *entry;
    struct vec gone;
    int code = 0;
    vec_init(&gone);
    for (size_t at = 0; code == 0 && (entry = map_next(&log->sights, &at));)
        if (((struct sight *)entry->value)->gone_at_ms)
            code = vec_push(&gone, entry);
    if (code == 0 && gone.count > FINDINGS_GONE_KEPT)
        qsort(gone.items, gone.count, sizeof gone.items[0], is_gone_before);
    for (size_t i = 0; code == 0 && i + FINDINGS_GONE_KEPT < gone.count; i++) {
        char *id = arena_strdup(arena, ((struct map_entry *)gone.items[i])->key);
        code = id ? vec_push(ids, id) : -1;
    }
    vec_fini(&gone);
    return code;
}

static int add_removal(struct finding_log *log, const char *id, struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(log->store, FINDING_KIND, id, &record, error);
    hf_record_free(&record);
    if (code == HF_ERR_NOT_FOUND)
        return 0; /* somebody deleted it */
    if (code != 0 && code != HF_ERR_CORRUPT)
        return code;
    code = log->batch ? 0 : hf_batch_new(who, &log->batch, error);
    return code == 0 ? hf_batch_delete(log->batch, FINDING_KIND, id, NULL, error) : code;
}

static int remove_surplus(struct finding_log *log, struct arena *arena, struct hf_error *error) {
    struct vec ids;
    vec_init(&ids);
    int code = collect_surplus(log, arena, &ids) == 0 ? 0 : no_memory(error);
    for (size_t i = 0; code == 0 && i < ids.count; i++)
        code = add_removal(log, ids.items[i], error);
    if (code == 0)
        code = finding_log_commit(log, error);
    hf_batch_free(&log->batch);
    for (size_t i = 0; code == 0 && i < ids.count; i++)
        remove_sight(log, ids.items[i]);
    vec_fini(&ids);
    return code;
}

int finding_log_end_round(struct finding_log *log, unsigned whole_parts, struct hf_error *error) {
    struct arena arena;
    struct vec ids;
    arena_init(&arena);
    vec_init(&ids);
    int code = finding_log_commit(log, error);
    if (code == 0 && collect_over(log, whole_parts, &arena, &ids) != 0)
        code = no_memory(error);
    if (code == 0 && ids.count > 0)
        code = end_all(log, &ids, error);
    if (code == 0 && log->gone > FINDINGS_GONE_KEPT)
        code = remove_surplus(log, &arena, error);
    log->round++;
    vec_fini(&ids);
    arena_fini(&arena);
    return code;
}

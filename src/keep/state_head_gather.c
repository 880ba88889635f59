/* A damaged head, gathered again from what stands beside it.
 *
 * Invariants
 *  1. Numbers of versions and runs go on behind the highest that any of them names, whole or not.
 *  2. Nobody has the lease: who had it cannot be known, and what he saves is refused.
 *  3. How many versions were to be kept is not known either: as many as there are, at least. */
#include "keep/state_verb.h"

struct gathering {
    struct state_head *head;
    uint64_t count;
    int no_memory;
};

/* Texts live as long as the walk: of the newest they are copied. */
static int take_meta(struct gathering *gathering, const struct state_meta *meta) {
    struct state_head *head = gathering->head;
    head->newest = *meta;
    const char **texts[] = {&head->newest.run, &head->newest.code_version, &head->newest.note, &head->newest.who};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *copy = arena_strdup(&head->arena, *texts[i]);
        gathering->no_memory |= copy == NULL;
        *texts[i] = copy ? copy : "";
    }
    return gathering->no_memory;
}

static int add_version(void *arg, const struct state_meta *meta, int code) {
    struct gathering *gathering = arg;
    struct state_head *head = gathering->head;
    (void)code;
    if (gathering->count++ == 0)
        head->oldest = meta->version;
    if (meta->fence > head->fence)
        head->fence = meta->fence;
    return take_meta(gathering, meta);
}

int state_head_gather(struct hf_store *store, struct state_head *head, struct hf_error *error) {
    struct gathering gathering = {.head = head};
    int code = state_version_each(store, head->name, add_version, &gathering, error);
    if (code >= 0 && gathering.no_memory)
        return error_no_memory(error);
    BUF_AUTO struct buf runs;
    buf_init(&runs);
    if (code >= 0)
        code = state_numbers_of_runs(store, head->name, &runs, error);
    if (code < 0)
        return error_wrap(error, code, "gather state '%s'", head->name);
    if (runs.size > 0)
        head->last_run = state_numbers_at(&runs, state_numbers_count(&runs) - 1);
    if (head->last_run > head->fence)
        head->fence = head->last_run;
    head->last_run = head->fence;
    if (gathering.count > 0)
        head->gaps = head->newest.version - head->oldest + 1 - gathering.count;
    if (gathering.count >= STATE_KEEP_DEFAULT)
        head->keep_versions = (uint32_t)gathering.count + 1;
    return 0;
}

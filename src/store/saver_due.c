/* What is due, and in which order it is asked for. */
#include <stdlib.h>

#include "store/saver_inside.h"

static int64_t earlier(int64_t a, int64_t b) {
    return a < 0 || b < a ? b : a;
}

int64_t saver_due(const struct hf_saver *saver, int64_t now) {
    int64_t due = -1;
    if (saver->flushes)
        return 0;
    if (saver->has_stopped)
        return -1;
    if (saver->hurry != SAVER_NO_HURRY)
        return 0;
    if (saver->standard.first)
        due = earlier(due, saver->is_failing ? saver->retry_ms : saver->standard_due_ms);
    if (saver->bad.first)
        due = earlier(due, saver->bad_due_ms);
    return due < 0 ? -1 : due > now ? due - now : 0;
}

static size_t take_list(struct saver_list *from, struct saver_list *to) {
    size_t count = 0;
    for (struct saver_key *key = from->first; key; key = key->next, count++)
        key->flags |= SAVER_TAKEN;
    saver_list_move(from, to);
    return count;
}

/* Locked. What is due moves from the saver's lists to the cycle's. */
void saver_take_due(struct hf_saver *saver, struct saver_cycle *cycle, int everything) {
    int64_t now = saver_now(saver);
    everything |= saver->hurry == SAVER_HURRY_ALL;
    int64_t standard_ms = saver->is_failing ? saver->retry_ms : saver->standard_due_ms;
    take_list(&saver->urgent, &cycle->urgent);
    if (everything || now >= standard_ms)
        cycle->count += take_list(&saver->standard, &cycle->rest);
    if (everything || now >= saver->bad_due_ms)
        cycle->count += take_list(&saver->bad, &cycle->rest);
    saver->hurry = SAVER_NO_HURRY;
}

static uint64_t big_endian(const char *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return __builtin_bswap64(value);
}

static int compare_order(const void *a, const void *b) {
    const struct saver_order *left = a, *right = b;
    if (left->high != right->high)
        return left->high < right->high ? -1 : 1;
    if (left->low != right->low)
        return left->low < right->low ? -1 : 1;
    int order = strcmp(left->key->kind, right->key->kind);
    return order != 0 ? order : strcmp(saver_key_id(left->key), saver_key_id(right->key));
}

static struct saver_order order_of(struct saver_key *key) {
    char start[16] = {0};
    size_t bytes = key->kind_bytes + 1 + strlen(saver_key_id(key));
    memcpy(start, key->kind, bytes < sizeof start ? bytes : sizeof start);
    return (struct saver_order){.high = big_endian(start), .low = big_endian(start + 8), .key = key};
}

/* Without memory they are saved in the order in which they were marked. */
void saver_put_in_order(struct saver_cycle *cycle) {
    size_t count = 0;
    if (cycle->count > 1)
        cycle->items = mem_alloc(cycle->count * sizeof cycle->items[0]);
    if (!cycle->items) {
        cycle->count = 0;
        return;
    }
    for (struct saver_key *key = saver_list_pop(&cycle->rest); key; key = saver_list_pop(&cycle->rest))
        cycle->items[count++] = order_of(key);
    qsort(cycle->items, count, sizeof cycle->items[0], compare_order);
}

/* Locked. The next key that is to be asked for, or NULL. What becomes urgent while there is more to do goes first; it
 * alone does not prolong a cycle, or others would wait for ever. */
struct saver_key *saver_next_key(struct hf_saver *saver, struct saver_cycle *cycle) {
    int has_more = cycle->rest.first || cycle->next < cycle->count;
    struct saver_key *key = saver_list_pop(&cycle->urgent);
    if (!key && has_more)
        key = saver_list_pop(&saver->urgent);
    if (!key)
        key = saver_list_pop(&cycle->rest);
    if (!key && cycle->next < cycle->count)
        key = cycle->items[cycle->next++].key;
    return key;
}

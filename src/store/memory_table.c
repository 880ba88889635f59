#include "store/memory_table.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct version *version_new(const struct store_change *change, int with_document) {
    struct hf_record record = {
        .kind = change->kind,
        .id = change->id,
        .revision = change->revision,
        .created_ms = change->created_ms,
        .updated_ms = change->at_ms,
        .json = with_document ? change->json : NULL,
        .json_bytes = with_document && change->json ? change->json_bytes : 0,
        .who = change->who,
    };
    memcpy(record.hash, change->hash, sizeof record.hash);
    struct version *version = MEM_NEW(struct version);
    if (!version || store_record_copy(&record, &version->record, NULL) != 0) {
        mem_free(version);
        return NULL;
    }
    atomic_init(&version->users, 1);
    version->what = change->what;
    version->checksum = hash64(record.json, record.json_bytes, 0);
    return version;
}

struct version *version_use(struct version *version) {
    atomic_fetch_add(&version->users, 1);
    return version;
}

void version_drop(struct version *version) {
    if (!version || atomic_fetch_sub(&version->users, 1) > 1)
        return;
    hf_record_free(&version->record);
    mem_free(version);
}

int version_is_damaged(const struct version *version) {
    return hash64(version->record->json, version->record->json_bytes, 0) != version->checksum;
}

void table_init(struct table *table) {
    *table = (struct table){.chance = 1};
}

void table_fini(struct table *table) {
    for (struct slot *slot = table->first[0], *next; slot; slot = next) {
        next = slot->next[0];
        slot_free(slot);
    }
    table_init(table);
}

/* One more level with a chance of one in four. */
static int choose_height(struct table *table) {
    int height = 1;
    table->chance = table->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    for (uint64_t bits = table->chance >> 24; height < TABLE_HEIGHT && (bits & 3) == 0; bits >>= 2)
        height++;
    return height;
}

struct slot *table_make_slot(struct table *table, const char *kind, const char *id) {
    int height = choose_height(table);
    size_t links = (size_t)height * sizeof(struct slot *), kind_bytes = strlen(kind) + 1, id_bytes = strlen(id) + 1;
    struct slot *slot = mem_zalloc(1, sizeof *slot + links + kind_bytes + id_bytes);
    if (!slot)
        return NULL;
    char *texts = (char *)(slot + 1) + links;
    slot->height = height;
    slot->kind = memcpy(texts, kind, kind_bytes);
    slot->id = memcpy(texts + kind_bytes, id, id_bytes);
    return slot;
}

void slot_free(struct slot *slot) {
    if (!slot)
        return;
    version_drop(slot->current);
    for (struct version *version = slot->history, *older; version; version = older) {
        older = version->older;
        version_drop(version);
    }
    mem_free(slot);
}

static int compare(const struct slot *slot, const char *kind, const char *id) {
    int order = strcmp(slot->kind, kind);
    return order != 0 ? order : strcmp(slot->id, id);
}

/* On each level, the link that leads to the first slot not in front of (kind, id). */
static void find_links(struct table *table, const char *kind, const char *id, struct slot **links[TABLE_HEIGHT]) {
    struct slot **row = table->first;
    for (int level = TABLE_HEIGHT - 1; level >= 0; level--) {
        while (row[level] && compare(row[level], kind, id) < 0)
            row = row[level]->next;
        links[level] = &row[level];
    }
}

void table_insert(struct table *table, struct slot *slot) {
    struct slot **links[TABLE_HEIGHT];
    find_links(table, slot->kind, slot->id, links);
    for (int level = 0; level < slot->height; level++) {
        slot->next[level] = *links[level];
        *links[level] = slot;
    }
}

void table_remove(struct table *table, struct slot *slot) {
    struct slot **links[TABLE_HEIGHT];
    find_links(table, slot->kind, slot->id, links);
    for (int level = 0; level < slot->height; level++)
        *links[level] = slot->next[level];
}

/* The first slot that is not in front of (kind, id). */
static struct slot *find_from(const struct table *table, const char *kind, const char *id) {
    struct slot *const *row = table->first;
    for (int level = TABLE_HEIGHT - 1; level >= 0; level--)
        while (row[level] && compare(row[level], kind, id) < 0)
            row = row[level]->next;
    return row[0];
}

struct slot *table_find(const struct table *table, const char *kind, const char *id) {
    struct slot *slot = find_from(table, kind, id);
    return slot && compare(slot, kind, id) == 0 ? slot : NULL;
}

struct slot *table_behind(const struct table *table, const char *kind, const char *id) {
    struct slot *slot = find_from(table, kind, id);
    return slot && compare(slot, kind, id) == 0 ? slot->next[0] : slot;
}

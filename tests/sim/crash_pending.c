/* Invariants:
 * 1. `safe` holds every operation that the order calls durable, applied in the order in which they happened.
 * 2. An inode exists in `safe` from its creation on; only its name can be lost. */
#include "sim/crash_pending.h"

#include "base/mem.h"

#include <string.h>

void crash_pending_init(struct crash_pending *pending, const struct sim_record *record, enum crash_order order) {
    memset(pending, 0, sizeof *pending);
    pending->order = order;
    sim_image_copy(&record->start, &pending->safe);
    pending->safe_key = sim_image_hash(&pending->safe);
    for (size_t i = 0; i < record->count; i++)
        if (record->ops[i].inode >= pending->inode_count)
            pending->inode_count = record->ops[i].inode + 1;
    pending->is_mapped = sim_alloc(pending->inode_count);
    for (size_t i = 0; i < record->count; i++)
        if (record->ops[i].mapped)
            pending->is_mapped[record->ops[i].inode] = 1;
}

void crash_pending_fini(struct crash_pending *pending) {
    sim_image_fini(&pending->safe);
    mem_free(pending->ops);
    mem_free(pending->mapped);
    mem_free(pending->is_mapped);
}

static int is_entry_op(const struct sim_op *op) {
    return op->kind == SIM_SET_ENTRY || op->kind == SIM_REMOVE_ENTRY || op->kind == SIM_RENAME ||
           op->kind == SIM_EXCHANGE;
}

int crash_is_metadata(enum crash_order order, const struct sim_op *op) {
    return is_entry_op(op) || (order == CRASH_EXT4 && op->kind == SIM_TRUNCATE);
}

uint32_t crash_sectors(const struct sim_op *op) {
    if (op->kind != SIM_WRITE || !op->bytes)
        return 0;
    off_t last = op->offset + (off_t)op->bytes - 1;
    return (uint32_t)(last / SIM_SECTOR - op->offset / SIM_SECTOR + 1);
}

/* ---- applying ---------------------------------------------------------------------------------------------------- */

static int has_sector(struct crash_choice choice, uint32_t sector, uint32_t sectors) {
    if (choice.how == CRASH_FIRST)
        return sector < choice.sectors;
    if (choice.how == CRASH_LAST)
        return sector >= sectors - choice.sectors;
    return choice.how == CRASH_SOME && (crash_mix(choice.sectors, sector) & 1);
}

static void apply_torn(struct sim_image *image, const struct sim_op *op, struct crash_choice choice) {
    uint32_t sectors = crash_sectors(op);
    off_t end = op->offset + (off_t)op->bytes;
    if (choice.how == CRASH_ZEROS && sim_image_inode(image, op->inode)->size < end)
        sim_image_truncate(image, op->inode, end);
    for (uint32_t i = 0; i < sectors; i++) {
        off_t from = (op->offset / SIM_SECTOR + i) * SIM_SECTOR, to = from + SIM_SECTOR;
        from = from < op->offset ? op->offset : from;
        to = to > end ? end : to;
        if (has_sector(choice, i, sectors))
            sim_image_write(image, op->inode, op->data ? op->data + (from - op->offset) : NULL, (size_t)(to - from),
                            from);
    }
}

static void remove_if_names(struct sim_image *image, uint32_t folder, const char *name, uint32_t inode) {
    if (sim_image_find(image, folder, name) == inode)
        sim_image_remove_entry(image, folder, name);
}

static void apply(struct sim_image *image, const struct sim_op *op, struct crash_choice choice) {
    if (choice.how == CRASH_NOT)
        return;
    switch (op->kind) {
    case SIM_WRITE:
        if (choice.how == CRASH_WHOLE)
            sim_image_write(image, op->inode, op->data, op->bytes, op->offset);
        else
            apply_torn(image, op, choice);
        break;
    case SIM_TRUNCATE:
        sim_image_truncate(image, op->inode, op->offset);
        break;
    case SIM_SET_ENTRY:
        sim_image_set_entry(image, op->inode, op->name, op->target);
        break;
    case SIM_REMOVE_ENTRY:
        remove_if_names(image, op->inode, op->name, op->target);
        break;
    case SIM_RENAME:
        sim_image_set_entry(image, op->to_folder, op->to_name, op->target);
        remove_if_names(image, op->inode, op->name, op->target);
        break;
    case SIM_EXCHANGE:
        sim_image_set_entry(image, op->to_folder, op->to_name, op->target);
        sim_image_set_entry(image, op->inode, op->name, op->replaced);
        break;
    case SIM_FSYNC:
    case SIM_FDATASYNC:
    case SIM_SYNCFS:
    case SIM_ACK:
        break;
    }
}

/* ---- what a sync makes safe -------------------------------------------------------------------------------------- */

static int is_safe_strictly(struct crash_pending_op *pending, const struct sim_op *sync) {
    const struct sim_op *op = pending->op;
    if (sync->kind == SIM_SYNCFS)
        return 1;
    if (op->kind != SIM_RENAME && op->kind != SIM_EXCHANGE)
        return op->inode == sync->inode;
    pending->synced_from |= op->inode == sync->inode;
    pending->synced_to |= op->to_folder == sync->inode;
    return pending->synced_from && pending->synced_to;
}

/* fdatasync commits the journal only when the file's own size or name is waiting in it. */
static int commits_journal(const struct crash_pending *pending, const struct sim_op *sync) {
    if (sync->kind != SIM_FDATASYNC)
        return 1;
    off_t safe_size = sim_image_inode(&pending->safe, sync->inode)->size;
    for (size_t i = 0; i < pending->count; i++) {
        const struct sim_op *op = pending->ops[i].op;
        if (is_entry_op(op)
                ? op->target == sync->inode
                : op->inode == sync->inode && (op->kind == SIM_TRUNCATE || op->offset + (off_t)op->bytes > safe_size))
            return 1;
    }
    return 0;
}

static int is_safe(struct crash_pending *pending, struct crash_pending_op *op, const struct sim_op *sync, int journal) {
    if (pending->order == CRASH_STRICT || sync->kind == SIM_SYNCFS)
        return is_safe_strictly(op, sync);
    return crash_is_metadata(CRASH_EXT4, op->op) ? journal : op->op->inode == sync->inode;
}

static void settle(struct crash_pending *pending, const struct crash_pending_op *op) {
    apply(&pending->safe, op->op, (struct crash_choice){CRASH_WHOLE, 0});
    pending->safe_key += crash_mix(op->key, CRASH_WHOLE);
}

/* A rename over a file carries the data of the file that takes its place (auto_da_alloc). */
static void settle_renamed_data(struct crash_pending *pending, const struct sim_op *sync, int journal) {
    if (pending->order == CRASH_STRICT || !journal || sync->kind == SIM_SYNCFS)
        return;
    for (size_t i = 0; i < pending->count; i++) {
        const struct sim_op *rename = pending->ops[i].op;
        if (rename->kind != SIM_RENAME || !rename->replaced)
            continue;
        size_t kept = 0, upto = i;
        for (size_t j = 0; j < pending->count; j++) {
            const struct sim_op *op = pending->ops[j].op;
            if (j < upto && op->kind == SIM_WRITE && op->inode == rename->target)
                settle(pending, &pending->ops[j]);
            else
                pending->ops[kept++] = pending->ops[j];
        }
        i -= pending->count - kept;
        pending->count = kept;
    }
}

static void sync(struct crash_pending *pending, const struct sim_op *sync) {
    int journal = pending->order == CRASH_EXT4 && commits_journal(pending, sync);
    settle_renamed_data(pending, sync, journal);
    size_t kept = 0;
    for (size_t i = 0; i < pending->count; i++) {
        if (is_safe(pending, &pending->ops[i], sync, journal))
            settle(pending, &pending->ops[i]);
        else
            pending->ops[kept++] = pending->ops[i];
    }
    pending->count = kept;
}

static void push(struct crash_pending_op **ops, size_t *count, size_t *room, const struct sim_op *op, uint64_t key) {
    if (*count == *room) {
        *room = *room ? *room * 2 : 64;
        *ops = sim_grow(*ops, *room, sizeof(struct crash_pending_op));
    }
    (*ops)[(*count)++] = (struct crash_pending_op){.op = op, .key = key};
}

/* Only the newest bytes of a place count. */
static void push_mapped(struct crash_pending *pending, const struct sim_op *op, uint64_t key) {
    for (size_t i = 0; i < pending->mapped_count; i++) {
        const struct sim_op *old = pending->mapped[i].op;
        if (old->kind != op->kind || old->inode != op->inode || old->offset != op->offset || old->bytes != op->bytes)
            continue;
        memmove(pending->mapped + i, pending->mapped + i + 1,
                (--pending->mapped_count - i) * sizeof(struct crash_pending_op));
        break;
    }
    push(&pending->mapped, &pending->mapped_count, &pending->mapped_room, op, key);
}

int crash_pending_is_mapped(const struct crash_pending *pending, const struct sim_op *op) {
    return (op->kind == SIM_WRITE || op->kind == SIM_TRUNCATE) && pending->is_mapped[op->inode];
}

void crash_pending_take(struct crash_pending *pending, const struct sim_op *op, uint64_t key) {
    if (op->kind == SIM_SET_ENTRY && op->new_mode)
        sim_image_put_inode(&pending->safe, op->target, op->new_mode);
    if (op->kind == SIM_FSYNC || op->kind == SIM_FDATASYNC || op->kind == SIM_SYNCFS)
        sync(pending, op);
    else if (crash_pending_is_mapped(pending, op))
        push_mapped(pending, op, key);
    else if (op->kind != SIM_ACK)
        push(&pending->ops, &pending->count, &pending->room, op, key);
}

/* ---- the state that is chosen ------------------------------------------------------------------------------------ */

/* Memory that was mapped may have reached the disk whole, not at all, or in part: chosen by the rest of the state. */
static void choose_mapped(struct crash_pending *pending, uint64_t key) {
    for (size_t i = 0; i < pending->mapped_count; i++) {
        int part = (crash_mix(key, i) & 1) != 0;
        int whole = (key & 15) == 1 || ((key & 15) == 2 && part);
        pending->mapped[i].choice.how = whole ? CRASH_WHOLE : CRASH_NOT;
    }
}

static uint64_t key_of(const struct crash_pending_op *ops, size_t count) {
    uint64_t key = 0;
    for (size_t i = 0; i < count; i++)
        if (ops[i].choice.how != CRASH_NOT)
            key += crash_mix(ops[i].key, (uint64_t)ops[i].choice.sectors << 8 | ops[i].choice.how);
    return key;
}

uint64_t crash_pending_key(struct crash_pending *pending) {
    uint64_t key = pending->safe_key + key_of(pending->ops, pending->count);
    choose_mapped(pending, key);
    return key + key_of(pending->mapped, pending->mapped_count);
}

void crash_pending_image(const struct crash_pending *pending, struct sim_image *ret_image) {
    sim_image_copy(&pending->safe, ret_image);
    for (size_t i = 0; i < pending->mapped_count; i++)
        apply(ret_image, pending->mapped[i].op, pending->mapped[i].choice);
    for (size_t i = 0; i < pending->count; i++)
        apply(ret_image, pending->ops[i].op, pending->ops[i].choice);
}

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

static void touch(struct sim_image *image, const struct sim_op *op, uint32_t inode, enum sim_touch touch) {
    if (inode)
        sim_image_touch(image, inode, touch, op->at_ns);
}

static void apply_entry_to(struct sim_image *image, const struct sim_op *op) {
    sim_image_set_entry(image, op->to_folder, op->to_name, op->target);
    touch(image, op, op->to_folder, SIM_MODIFIED);
    touch(image, op, op->target, SIM_CHANGED);
    touch(image, op, op->replaced, SIM_CHANGED);
}

static void apply_entry_from(struct sim_image *image, const struct sim_op *op) {
    if (op->kind == SIM_EXCHANGE)
        sim_image_set_entry(image, op->inode, op->name, op->replaced);
    else
        remove_if_names(image, op->inode, op->name, op->target);
    touch(image, op, op->inode, SIM_MODIFIED);
}

static void apply_file(struct sim_image *image, const struct sim_op *op, struct crash_choice choice) {
    if (op->kind == SIM_TRUNCATE)
        sim_image_truncate(image, op->inode, op->offset);
    else if (choice.how == CRASH_WHOLE)
        sim_image_write(image, op->inode, op->data, op->bytes, op->offset);
    else
        apply_torn(image, op, choice);
    touch(image, op, op->inode, SIM_MODIFIED);
}

static void apply(struct sim_image *image, const struct sim_op *op, struct crash_choice choice, unsigned parts) {
    if (choice.how == CRASH_NOT)
        return;
    switch (op->kind) {
    case SIM_WRITE:
    case SIM_TRUNCATE:
        apply_file(image, op, choice);
        break;
    case SIM_SET_ENTRY:
        sim_image_set_entry(image, op->inode, op->name, op->target);
        touch(image, op, op->inode, SIM_MODIFIED);
        touch(image, op, op->target, op->new_mode ? SIM_MODIFIED : SIM_CHANGED);
        break;
    case SIM_REMOVE_ENTRY:
        remove_if_names(image, op->inode, op->name, op->target);
        touch(image, op, op->inode, SIM_MODIFIED);
        break;
    case SIM_RENAME:
    case SIM_EXCHANGE:
        if ((parts & CRASH_TO) && choice.how != CRASH_LAST)
            apply_entry_to(image, op);
        if ((parts & CRASH_FROM) && choice.how != CRASH_FIRST)
            apply_entry_from(image, op);
        break;
    case SIM_FSYNC:
    case SIM_FDATASYNC:
    case SIM_SYNCFS:
    case SIM_ACK:
        break;
    }
}

/* ---- what a sync makes safe -------------------------------------------------------------------------------------- */

static int is_move(const struct sim_op *op) {
    return op->kind == SIM_RENAME || op->kind == SIM_EXCHANGE;
}

int crash_is_move(const struct crash_pending_op *op) {
    return is_move(op->op) && op->op->inode != op->op->to_folder && op->parts == CRASH_BOTH;
}

static unsigned safe_strictly(const struct crash_pending_op *pending, const struct sim_op *sync) {
    const struct sim_op *op = pending->op;
    unsigned parts = op->inode == sync->inode ? CRASH_FROM : 0;
    if (sync->kind == SIM_SYNCFS || (parts && !is_move(op)))
        return CRASH_BOTH;
    if (is_move(op) && op->to_folder == sync->inode)
        parts |= CRASH_TO;
    return parts;
}

/* fdatasync commits the journal only when the file's own size or creation is waiting in it; fsync, when anything of the
 * file or folder is. What else waits goes with it. */
static int waits_in_journal(const struct sim_op *op, const struct sim_op *sync, off_t safe_size) {
    uint32_t inode = sync->inode;
    if (!is_entry_op(op))
        return op->inode == inode && (op->kind == SIM_TRUNCATE || op->offset + (off_t)op->bytes > safe_size);
    if (sync->kind == SIM_FDATASYNC)
        return op->target == inode && op->new_mode;
    return op->target == inode || op->inode == inode || (is_move(op) && op->to_folder == inode) ||
           (op->kind == SIM_EXCHANGE && op->replaced == inode);
}

static int commits_journal(const struct crash_pending *pending, const struct sim_op *sync) {
    off_t safe_size = sim_image_inode(&pending->safe, sync->inode)->size;
    for (size_t i = 0; i < pending->count; i++)
        if (waits_in_journal(pending->ops[i].op, sync, safe_size))
            return 1;
    return 0;
}

static unsigned safe_parts(const struct crash_pending *pending, const struct crash_pending_op *op,
                           const struct sim_op *sync, int journal) {
    if (pending->order == CRASH_STRICT || sync->kind == SIM_SYNCFS)
        return safe_strictly(op, sync) & op->parts;
    int is_safe = crash_is_metadata(CRASH_EXT4, op->op) ? journal : op->op->inode == sync->inode;
    return is_safe ? op->parts : 0;
}

static void settle(struct crash_pending *pending, const struct crash_pending_op *op, unsigned parts) {
    enum crash_how how = parts == CRASH_BOTH ? CRASH_WHOLE : parts == CRASH_TO ? CRASH_FIRST : CRASH_LAST;
    apply(&pending->safe, op->op, (struct crash_choice){CRASH_WHOLE, 0}, parts);
    pending->safe_key += crash_mix(op->key, how);
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
                settle(pending, &pending->ops[j], CRASH_BOTH);
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
        unsigned parts = safe_parts(pending, &pending->ops[i], sync, journal);
        if (parts)
            settle(pending, &pending->ops[i], parts);
        pending->ops[i].parts &= ~parts;
        if (pending->ops[i].parts)
            pending->ops[kept++] = pending->ops[i];
    }
    pending->count = kept;
}

static void push(struct crash_pending_op **ops, size_t *count, size_t *room, const struct sim_op *op, uint64_t key) {
    if (*count == *room) {
        *room = *room ? *room * 2 : 64;
        *ops = sim_grow(*ops, *room, sizeof(struct crash_pending_op));
    }
    (*ops)[(*count)++] = (struct crash_pending_op){.op = op, .key = key, .parts = CRASH_BOTH};
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
        apply(ret_image, pending->mapped[i].op, pending->mapped[i].choice, CRASH_BOTH);
    for (size_t i = 0; i < pending->count; i++)
        apply(ret_image, pending->ops[i].op, pending->ops[i].choice, pending->ops[i].parts);
}

/* The database and its WAL: bits, pages, the end. */
#include "fault/damage_inside.h"

#include <stdlib.h>

enum { PAGE_BYTES = 8192, FRAME_BYTES = PAGE_BYTES + 24, WAL_HEADER_BYTES = 32 };

/* Often where much hangs on a byte: the header, the beginning of a page or frame. */
static off_t choose_place(struct damage *damage) {
    off_t unit = damage->target == WAL ? FRAME_BYTES : PAGE_BYTES, first = damage->target == WAL ? WAL_HEADER_BYTES : 0;
    uint64_t units = (uint64_t)((damage->size - first) / unit);
    off_t at;
    switch (damage_draw(&damage->random, 4)) {
    case 0:
        at = (off_t)damage_draw(&damage->random, damage->target == WAL ? 32 : 110);
        break;
    case 1:
    case 2:
        at = first + (off_t)damage_draw(&damage->random, units) * unit + (off_t)damage_draw(&damage->random, 64);
        break;
    default:
        at = (off_t)damage_draw(&damage->random, (uint64_t)damage->size);
        break;
    }
    return at < damage->size ? at : damage->size - 1;
}

static void flip_bits(struct damage *damage) {
    unsigned count = damage_draw(&damage->random, 3) ? 1 : 1 + (unsigned)damage_draw(&damage->random, 8);
    off_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t byte;
        at = choose_place(damage);
        sim_image_read(damage->image, damage->inode, &byte, 1, at);
        byte ^= (uint8_t)(1u << damage_draw(&damage->random, 8));
        sim_image_write(damage->image, damage->inode, &byte, 1, at);
    }
    damage_say(damage, "bits flipped, the last", at, count);
}

static void overwrite(struct damage *damage, int with_zeros) {
    uint8_t noise[PAGE_BYTES];
    off_t at = choose_place(damage),
          bytes = 1 + (off_t)damage_draw(&damage->random, damage_draw(&damage->random, 2) ? 64 : 4096);
    bytes = at + bytes > damage->size ? damage->size - at : bytes;
    for (off_t i = 0; i < bytes; i++)
        noise[i] = with_zeros ? 0 : (uint8_t)damage_draw(&damage->random, 256);
    sim_image_write(damage->image, damage->inode, noise, (size_t)bytes, at);
    damage_say(damage, with_zeros ? "zeros" : "noise", at, bytes);
}

static off_t choose_page(struct damage *damage, off_t *ret_bytes) {
    off_t first = damage->target == WAL ? WAL_HEADER_BYTES : 0;
    *ret_bytes = damage->target == WAL ? FRAME_BYTES : PAGE_BYTES;
    return first + (off_t)damage_draw(&damage->random, (uint64_t)((damage->size - first) / *ret_bytes)) * *ret_bytes;
}

static void copy_page(struct damage *damage, int swap) {
    uint8_t one[FRAME_BYTES] = {0}, two[FRAME_BYTES] = {0};
    off_t bytes, from = choose_page(damage, &bytes), to = choose_page(damage, &bytes);
    sim_image_read(damage->image, damage->inode, one, (size_t)bytes, from);
    sim_image_read(damage->image, damage->inode, two, (size_t)bytes, to);
    sim_image_write(damage->image, damage->inode, one, (size_t)bytes, to);
    if (swap)
        sim_image_write(damage->image, damage->inode, two, (size_t)bytes, from);
    damage_say(damage, swap ? "pages swapped" : "a page of another place", to, from);
}

static void zero_page(struct damage *damage) {
    off_t bytes, at = choose_page(damage, &bytes);
    sim_image_write(damage->image, damage->inode, NULL, (size_t)bytes, at);
    damage_say(damage, "page of zeros", at, bytes);
}

static void cut(struct damage *damage) {
    off_t bytes, at = choose_page(damage, &bytes);
    if (damage_draw(&damage->random, 2))
        at = (off_t)damage_draw(&damage->random, (uint64_t)damage->size);
    sim_image_truncate(damage->image, damage->inode, at);
    damage_say(damage, "cut", at, damage->size);
}

static void grow(struct damage *damage) {
    uint8_t noise[1000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)damage_draw(&damage->random, 256);
    sim_image_write(damage->image, damage->inode, noise, sizeof noise, damage->size);
    damage_say(damage, "noise behind the end", damage->size, sizeof noise);
}

static void take_from_other(struct damage *damage) {
    uint32_t other =
        sim_image_find(&damage->base->other, damage_find_home(damage->base, &damage->base->other), damage->name);
    size_t bytes = other ? (size_t)sim_image_inode(&damage->base->other, other)->size : 0;
    char *copy = malloc(bytes + 1);
    if (!copy)
        abort();
    sim_image_truncate(damage->image, damage->inode, 0);
    if (other)
        sim_image_read(&damage->base->other, other, copy, bytes, 0);
    sim_image_write(damage->image, damage->inode, copy, bytes, 0);
    free(copy);
    damage_say(damage, "the file of another store", 0, (off_t)bytes);
}

/* The same page, or any. */
static void take_page_from_other(struct damage *damage) {
    uint8_t page[FRAME_BYTES] = {0};
    const struct sim_image *store = &damage->base->other;
    uint32_t other = sim_image_find(store, damage_find_home(damage->base, store), damage->name);
    off_t bytes, to = choose_page(damage, &bytes), size = other ? sim_image_inode(store, other)->size : 0;
    off_t first = damage->target == WAL ? WAL_HEADER_BYTES : 0, from = to;
    if (size >= first + bytes && (from + bytes > size || damage_draw(&damage->random, 2)))
        from = first + (off_t)damage_draw(&damage->random, (uint64_t)((size - first) / bytes)) * bytes;
    if (other)
        sim_image_read(store, other, page, (size_t)bytes, from);
    sim_image_write(damage->image, damage->inode, page, (size_t)bytes, to);
    damage_say(damage, "a page of another store", to, from);
}

static void remove_file(struct damage *damage) {
    sim_image_remove_entry(damage->image, damage->folder, damage->name);
    damage_say(damage, "deleted", 0, damage->size);
}

void damage_spoil_database(struct damage *damage) {
    switch (damage_draw(&damage->random, 40)) {
    case 0:
    case 1:
    case 2:
    case 3:
        cut(damage);
        break;
    case 4:
    case 5:
    case 6:
        copy_page(damage, 0);
        break;
    case 7:
    case 8:
    case 9:
        copy_page(damage, 1);
        break;
    case 10:
    case 11:
        zero_page(damage);
        break;
    case 12:
    case 13:
        take_page_from_other(damage);
        break;
    case 14:
        grow(damage);
        break;
    case 15:
        if (damage->target != DATABASE) /* that is simply another store */
            take_from_other(damage);
        else
            grow(damage);
        break;
    case 16:
        if (damage->target == WAL)
            remove_file(damage);
        else
            grow(damage);
        break;
    default:
        if (damage_draw(&damage->random, 2))
            flip_bits(damage);
        else
            overwrite(damage, (int)damage_draw(&damage->random, 2));
        break;
    }
}

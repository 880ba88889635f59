/* Which file is damaged. */
#include "fault/damage_inside.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const suffixes[TARGETS] = {"", "-wal", "-shm", ""};

void damage_say(struct damage *damage, const char *what, off_t at, off_t bytes) {
    snprintf(damage->what, 120, "%s: %s at %lld, %lld bytes", damage->name, what, (long long)at, (long long)bytes);
}

uint32_t damage_find_home(const struct damage_base *base, const struct sim_image *image) {
    uint32_t data = sim_image_find(image, SIM_ROOT, "data");
    return damage_is_tree(base) ? sim_image_find(image, sim_image_find(image, data, "tree"), ".holdfast") : data;
}

static enum target choose_target(struct damage *damage, int database_only) {
    if (database_only)
        return DATABASE;
    if (damage_is_tree(damage->base) && damage_draw(&damage->random, 6))
        return RECORD;
    if (damage_draw(&damage->random, 40) == 0)
        return SHM;
    return damage->base->shape->is_killed && damage_draw(&damage->random, 8) ? WAL : DATABASE;
}

enum target damage_spoil_file(const struct damage_base *base, struct sim_image *image, uint64_t seed, int database_only,
                              char what[120]) {
    struct damage damage = {.random = damage_mix(seed, 77), .base = base, .image = image, .what = what};
    damage.target = choose_target(&damage, database_only);
    damage.folder = damage_find_home(base, image);
    snprintf(damage.name, sizeof damage.name, "%s%s", damage_is_tree(base) ? "index.db" : "store.db",
             suffixes[damage.target]);
    if (damage.target == RECORD)
        damage.inode = damage_find_record(base, image, (int)damage_draw(&damage.random, (uint64_t)base->shape->keys),
                                          &damage.folder, damage.name);
    else
        damage.inode = sim_image_find(image, damage.folder, damage.name);
    damage.size = damage.inode ? sim_image_inode(image, damage.inode)->size : 0;
    snprintf(what, 120, "nothing");
    if (damage.size > 0 && damage.target == RECORD)
        damage_spoil_record(&damage);
    else if (damage.size > 0)
        damage_spoil_database(&damage);
    return damage.target;
}

unsigned char *damage_database(const struct damage_base *base, uint64_t seed, size_t *ret_size) {
    struct sim_image image;
    char what[120];
    sim_image_copy(&base->image, &image);
    damage_spoil_file(base, &image, seed, 1, what);
    uint32_t inode = sim_image_find(&image, damage_find_home(base, &image), "store.db");
    *ret_size = (size_t)sim_image_inode(&image, inode)->size;
    unsigned char *bytes = malloc(*ret_size + 1);
    if (!bytes)
        abort();
    sim_image_read(&image, inode, bytes, *ret_size, 0);
    if (*ret_size > 20)
        bytes[18] = bytes[19] = 1; /* no WAL: there is none beside it in memory */
    sim_image_fini(&image);
    return bytes;
}

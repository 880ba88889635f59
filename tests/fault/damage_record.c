/* A record's file in a tree. */
#include "fault/damage_inside.h"

#include <stdio.h>
#include <string.h>

uint32_t damage_find_record(const struct damage_base *base, const struct sim_image *image, int key,
                            uint32_t *ret_folder, char ret_name[64]) {
    char id[16], folder[16];
    uint32_t root = sim_image_find(image, sim_image_find(image, SIM_ROOT, "data"), "tree");
    int by_kind = strstr(base->shape->url, "layout=kind") != NULL;
    snprintf(id, sizeof id, "id-%d", key);
    snprintf(folder, sizeof folder, "%s", by_kind ? damage_kind_of(key) : id);
    snprintf(ret_name, 64, "%s.json", by_kind ? id : damage_kind_of(key));
    *ret_folder = sim_image_find(image, root, folder);
    return *ret_folder ? sim_image_find(image, *ret_folder, ret_name) : 0;
}

static void replace_text(struct damage *damage, const void *bytes, size_t size, const char *what) {
    sim_image_truncate(damage->image, damage->inode, 0);
    sim_image_write(damage->image, damage->inode, bytes, size, 0);
    damage_say(damage, what, 0, (off_t)size);
}

static void take_from_record(struct damage *damage) {
    char name[64], text[4096];
    uint32_t folder, other = 0;
    for (int i = 0; i < 50 && (other == 0 || other == damage->inode); i++)
        other =
            damage_find_record(damage->base, damage->image,
                               (int)damage_draw(&damage->random, (uint64_t)damage->base->shape->keys), &folder, name);
    size_t bytes = other ? sim_image_read(damage->image, other, text, sizeof text, 0) : 0;
    replace_text(damage, text, bytes, "the file of another record");
}

void damage_spoil_record(struct damage *damage) {
    static const off_t over_the_limit = 11 << 20;
    uint8_t byte;
    off_t at = (off_t)damage_draw(&damage->random, (uint64_t)damage->size);
    switch (damage_draw(&damage->random, 8)) {
    case 0:
        sim_image_truncate(damage->image, damage->inode, at);
        damage_say(damage, "cut", at, damage->size);
        break;
    case 1:
        sim_image_write(damage->image, damage->inode, NULL, (size_t)(damage->size - at), at);
        damage_say(damage, "zeros", at, damage->size - at);
        break;
    case 2:
        replace_text(damage, "", 0, "empty");
        break;
    case 3:
        take_from_record(damage);
        break;
    case 4:
        sim_image_truncate(damage->image, damage->inode, over_the_limit);
        damage_say(damage, "oversize", 0, over_the_limit);
        break;
    case 5:
        sim_image_remove_entry(damage->image, damage->folder, damage->name);
        damage_say(damage, "deleted", 0, damage->size);
        break;
    default:
        sim_image_read(damage->image, damage->inode, &byte, 1, at);
        byte ^= (uint8_t)(1u << damage_draw(&damage->random, 8));
        sim_image_write(damage->image, damage->inode, &byte, 1, at);
        damage_say(damage, "a bit flipped", at, 1);
        break;
    }
    if (damage_draw(&damage->random, 2)) /* by a program; rot leaves the times as they are */
        sim_image_touch(damage->image, damage->inode, SIM_MODIFIED,
                        sim_image_newest_ns(damage->image) + 60 * INT64_C(1000000000));
}

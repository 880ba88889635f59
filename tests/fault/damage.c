#include "fault/damage_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_COUNT = 2 };

const struct damage_shape damage_shapes[] = {
    {"closed", "sqlite:/data/store.db", 20, 24, 60, 600, 9, 0, 3},
    {"killed, all in the WAL", "sqlite:/data/store.db", 16, 24, 60, 600, 9, 1, 3},
    {"long documents", "sqlite:/data/store.db", 8, 10, 30, 12000, 4, 0, 2},
    {"long documents, killed", "sqlite:/data/store.db", 8, 10, 30, 12000, 4, 1, 0},
    {"many rows", "sqlite:/data/store.db", 14, 48, 110, 200, 0, 0, UINT32_MAX},
    {"tree, by kind", "tree:/data/tree?layout=kind&threads=1", 18, 16, 40, 300, 9, 0, 2},
    {"tree, watch, killed", "tree:/data/tree?layout=watch&threads=1", 18, 16, 40, 300, 9, 1, 2},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, 0},
};

int damage_is_tree(const struct damage_base *base) {
    return strncmp(base->shape->url, "tree:", 5) == 0;
}

static void must(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "damage: %s\n", error->message);
    abort();
}

uint64_t damage_mix(uint64_t a, uint64_t b) {
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) + b;
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 32;
}

uint64_t damage_draw(uint64_t *random, uint64_t below) {
    *random = damage_mix(*random, 0x632be5ab);
    return below ? *random % below : 0;
}

const char *damage_kind_of(int key) {
    return key % KIND_COUNT ? "watch" : "kept";
}

size_t damage_make_document(const struct damage_shape *shape, int key, int number, char **ret_json) {
    size_t fill = (size_t)shape->fill / 2 + damage_mix((uint64_t)number, (uint64_t)key) % (uint64_t)shape->fill;
    char *json = malloc(fill + 64);
    if (!json)
        abort();
    int used = snprintf(json, 64, "{\"key\":%d,\"n\":%d,\"fill\":\"", key, number);
    for (size_t i = 0; i < fill; i++)
        json[used + (int)i] = (char)('a' + (i * 7 + (size_t)number) % 26);
    memcpy(json + used + fill, "\"}", 3);
    *ret_json = json;
    return (size_t)used + fill + 2;
}

static int commit_step(const struct damage_base *base, struct hf_store *store, int step, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    int code = hf_batch_new("rot", &batch, error);
    for (int key = 0; key < base->shape->keys && code == 0; key++) {
        char id[16], *json = NULL;
        int number = base->numbers[step][key];
        if (number == base->numbers[step - 1][key])
            continue;
        snprintf(id, sizeof id, "id-%d", key);
        size_t bytes = damage_make_document(base->shape, key, number, &json);
        if (number)
            code = hf_batch_put(batch, damage_kind_of(key), id, json, bytes, NULL, error);
        else
            code = hf_batch_delete(batch, damage_kind_of(key), id, NULL, error);
        free(json);
    }
    return code == 0 ? hf_store_commit(store, &batch, NULL, error) : code;
}

static void fill_numbers(struct damage_base *base, int first_number) {
    const struct damage_shape *shape = base->shape;
    for (int step = 1; step <= shape->steps; step++) {
        int *now = base->numbers[step], key = (int)(damage_mix((uint64_t)step, 3) % (uint64_t)shape->keys);
        memcpy(now, base->numbers[step - 1], sizeof base->numbers[step]);
        if (shape->delete_one_in && step % shape->delete_one_in == 0 && now[key])
            now[key] = 0;
        else
            for (int i = 0; i < (step <= shape->keys ? 2 : 1); i++)
                now[(key + i * 5) % shape->keys] = first_number + step;
    }
}

static void run_steps(const struct damage_base *base, struct sim_process *process, struct hf_store **ret_store) {
    struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    struct hf_error error = {0};
    must(store_open(base->shape->url, NULL, &setup, ret_store, &error), &error);
    must(hf_store_keep_history(*ret_store, "kept", base->shape->keep, &error), &error);
    for (int step = 1; step <= base->shape->steps; step++)
        must(commit_step(base, *ret_store, step, &error), &error);
}

static void make_image(struct damage_base *base, int first_number, struct sim_image *ret_image) {
    struct sim_disk *disk = sim_disk_new((uint64_t)first_number);
    struct sim_process *process = sim_process_new(disk);
    struct hf_store *store = NULL;
    fill_numbers(base, first_number);
    run_steps(base, process, &store);
    if (base->shape->is_killed)
        sim_process_kill(process);
    hf_store_close(&store);
    sim_disk_image(disk, ret_image);
    sim_process_free(&process);
    sim_disk_free(&disk);
}

void damage_base_init(struct damage_base *base, const struct damage_shape *shape) {
    memset(base, 0, sizeof *base);
    base->name = shape->name;
    base->shape = shape;
    make_image(base, 5000, &base->other);
    make_image(base, 0, &base->image);
}

void damage_base_fini(struct damage_base *base) {
    sim_image_fini(&base->image);
    sim_image_fini(&base->other);
}

int damage_shape_is_possible(const struct damage_shape *shape) {
    struct hf_store *store = NULL;
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_process *process = sim_process_new(disk);
    struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    int code = store_open(shape->url, NULL, &setup, &store, NULL);
    hf_store_close(&store);
    sim_process_free(&process);
    sim_disk_free(&disk);
    return code != HF_ERR_INVALID;
}

/* What a file of a tree holds is laid out for people. */
static size_t without_space(const char *json, size_t json_bytes, char *to) {
    size_t bytes = 0;
    for (size_t i = 0; i < json_bytes; i++)
        if (json[i] != ' ' && json[i] != '\n')
            to[bytes++] = json[i];
    to[bytes] = '\0';
    return bytes;
}

static int number_of_text(const struct damage_base *base, const char *id, const char *json, size_t json_bytes,
                          int *ret_key) {
    int key = -1, said_key = -1, number = -1, is_there = 0;
    char *expected = NULL;
    if (sscanf(id, "id-%d", &key) != 1 || key < 0 || key >= base->shape->keys ||
        sscanf(json, "{\"key\":%d,\"n\":%d,", &said_key, &number) != 2 || said_key != key)
        return -1;
    for (int step = 1; step <= base->shape->steps; step++)
        is_there |= base->numbers[step][key] == number;
    if (!is_there)
        return -1;
    size_t bytes = damage_make_document(base->shape, key, number, &expected);
    is_there = bytes == json_bytes && memcmp(expected, json, bytes) == 0;
    free(expected);
    *ret_key = key;
    return is_there ? number : -1;
}

int damage_number_of(const struct damage_base *base, const char *id, const char *json, size_t json_bytes,
                     int *ret_key) {
    if (!damage_is_tree(base))
        return number_of_text(base, id, json, json_bytes, ret_key);
    char *plain = malloc(json_bytes + 1);
    if (!plain)
        abort();
    size_t bytes = without_space(json, json_bytes, plain);
    int number = number_of_text(base, id, plain, bytes, ret_key);
    free(plain);
    return number;
}

int damage_was_committed(const struct damage_base *base, const char *id, const char *json, size_t json_bytes) {
    int key;
    return damage_number_of(base, id, json, json_bytes, &key) >= 0;
}

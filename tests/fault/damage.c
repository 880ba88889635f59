#include "fault/damage.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "os/file.h"

enum { PAGE_BYTES = 8192, FRAME_BYTES = PAGE_BYTES + 24, WAL_HEADER_BYTES = 32, KIND_COUNT = 2 };

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

static int is_tree(const struct damage_base *base) {
    return strncmp(base->shape->url, "tree:", 5) == 0;
}

static void must(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "damage: %s\n", error->message);
    abort();
}

static uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) + b;
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 32;
}

static uint64_t draw(uint64_t *random, uint64_t below) {
    *random = mix(*random, 0x632be5ab);
    return below ? *random % below : 0;
}

/* ---- the store as it was -------------------------------------------------------------------------------------------
 */

static const char *kind_of(int key) {
    return key % KIND_COUNT ? "watch" : "kept";
}

/* The document of a number under a key: so its bytes are known from what they say. */
static size_t make_document(const struct damage_shape *shape, int key, int number, char **ret_json) {
    size_t fill = (size_t)shape->fill / 2 + mix((uint64_t)number, (uint64_t)key) % (uint64_t)shape->fill;
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
        size_t bytes = make_document(base->shape, key, number, &json);
        if (number)
            code = hf_batch_put(batch, kind_of(key), id, json, bytes, NULL, error);
        else
            code = hf_batch_delete(batch, kind_of(key), id, NULL, error);
        free(json);
    }
    return code == 0 ? hf_store_commit(store, &batch, NULL, error) : code;
}

static void fill_numbers(struct damage_base *base, int first_number) {
    const struct damage_shape *shape = base->shape;
    for (int step = 1; step <= shape->steps; step++) {
        int *now = base->numbers[step], key = (int)(mix((uint64_t)step, 3) % (uint64_t)shape->keys);
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
    size_t bytes = make_document(base->shape, key, number, &expected);
    is_there = bytes == json_bytes && memcmp(expected, json, bytes) == 0;
    free(expected);
    *ret_key = key;
    return is_there ? number : -1;
}

/* -1 when no such document was ever committed under the id. */
static int number_of(const struct damage_base *base, const char *id, const char *json, size_t json_bytes,
                     int *ret_key) {
    if (!is_tree(base))
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
    return number_of(base, id, json, json_bytes, &key) >= 0;
}

/* ---- damage --------------------------------------------------------------------------------------------------------
 */

enum target { DATABASE, WAL, SHM, RECORD, TARGETS };
static const char *const suffixes[TARGETS] = {"", "-wal", "-shm", ""};

struct damage {
    uint64_t random;
    const struct damage_base *base;
    struct sim_image *image;
    uint32_t folder, inode;
    char name[64];
    enum target target;
    off_t size;
    char *what;
};

static void say(struct damage *damage, const char *what, off_t at, off_t bytes) {
    snprintf(damage->what, 120, "%s: %s at %lld, %lld bytes", damage->name, what, (long long)at, (long long)bytes);
}

/* The folder of the database. */
static uint32_t find_home(const struct damage_base *base, const struct sim_image *image) {
    uint32_t data = sim_image_find(image, SIM_ROOT, "data");
    return is_tree(base) ? sim_image_find(image, sim_image_find(image, data, "tree"), ".holdfast") : data;
}

/* The file of a key, by the layout of the tree. */
static uint32_t find_record(const struct damage_base *base, const struct sim_image *image, int key,
                            uint32_t *ret_folder, char ret_name[64]) {
    char id[16], folder[16];
    uint32_t root = sim_image_find(image, sim_image_find(image, SIM_ROOT, "data"), "tree");
    int by_kind = strstr(base->shape->url, "layout=kind") != NULL;
    snprintf(id, sizeof id, "id-%d", key);
    snprintf(folder, sizeof folder, "%s", by_kind ? kind_of(key) : id);
    snprintf(ret_name, 64, "%s.json", by_kind ? id : kind_of(key));
    *ret_folder = sim_image_find(image, root, folder);
    return *ret_folder ? sim_image_find(image, *ret_folder, ret_name) : 0;
}

/* Often where much hangs on a byte: the header, the beginning of a page or frame. */
static off_t choose_place(struct damage *damage) {
    off_t unit = damage->target == WAL ? FRAME_BYTES : PAGE_BYTES, first = damage->target == WAL ? WAL_HEADER_BYTES : 0;
    uint64_t units = (uint64_t)((damage->size - first) / unit);
    off_t at;
    switch (draw(&damage->random, 4)) {
    case 0:
        at = (off_t)draw(&damage->random, damage->target == WAL ? 32 : 110);
        break;
    case 1:
    case 2:
        at = first + (off_t)draw(&damage->random, units) * unit + (off_t)draw(&damage->random, 64);
        break;
    default:
        at = (off_t)draw(&damage->random, (uint64_t)damage->size);
        break;
    }
    return at < damage->size ? at : damage->size - 1;
}

static void flip_bits(struct damage *damage) {
    unsigned count = draw(&damage->random, 3) ? 1 : 1 + (unsigned)draw(&damage->random, 8);
    off_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t byte;
        at = choose_place(damage);
        sim_image_read(damage->image, damage->inode, &byte, 1, at);
        byte ^= (uint8_t)(1u << draw(&damage->random, 8));
        sim_image_write(damage->image, damage->inode, &byte, 1, at);
    }
    say(damage, "bits flipped, the last", at, count);
}

static void overwrite(struct damage *damage, int with_zeros) {
    uint8_t noise[PAGE_BYTES];
    off_t at = choose_place(damage), bytes = 1 + (off_t)draw(&damage->random, draw(&damage->random, 2) ? 64 : 4096);
    bytes = at + bytes > damage->size ? damage->size - at : bytes;
    for (off_t i = 0; i < bytes; i++)
        noise[i] = with_zeros ? 0 : (uint8_t)draw(&damage->random, 256);
    sim_image_write(damage->image, damage->inode, noise, (size_t)bytes, at);
    say(damage, with_zeros ? "zeros" : "noise", at, bytes);
}

static off_t choose_page(struct damage *damage, off_t *ret_bytes) {
    off_t first = damage->target == WAL ? WAL_HEADER_BYTES : 0;
    *ret_bytes = damage->target == WAL ? FRAME_BYTES : PAGE_BYTES;
    return first + (off_t)draw(&damage->random, (uint64_t)((damage->size - first) / *ret_bytes)) * *ret_bytes;
}

static void copy_page(struct damage *damage, int swap) {
    uint8_t one[FRAME_BYTES] = {0}, two[FRAME_BYTES] = {0};
    off_t bytes, from = choose_page(damage, &bytes), to = choose_page(damage, &bytes);
    sim_image_read(damage->image, damage->inode, one, (size_t)bytes, from);
    sim_image_read(damage->image, damage->inode, two, (size_t)bytes, to);
    sim_image_write(damage->image, damage->inode, one, (size_t)bytes, to);
    if (swap)
        sim_image_write(damage->image, damage->inode, two, (size_t)bytes, from);
    say(damage, swap ? "pages swapped" : "a page of another place", to, from);
}

static void zero_page(struct damage *damage) {
    off_t bytes, at = choose_page(damage, &bytes);
    sim_image_write(damage->image, damage->inode, NULL, (size_t)bytes, at);
    say(damage, "page of zeros", at, bytes);
}

static void cut(struct damage *damage) {
    off_t bytes, at = choose_page(damage, &bytes);
    if (draw(&damage->random, 2))
        at = (off_t)draw(&damage->random, (uint64_t)damage->size);
    sim_image_truncate(damage->image, damage->inode, at);
    say(damage, "cut", at, damage->size);
}

static void grow(struct damage *damage) {
    uint8_t noise[1000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)draw(&damage->random, 256);
    sim_image_write(damage->image, damage->inode, noise, sizeof noise, damage->size);
    say(damage, "noise behind the end", damage->size, sizeof noise);
}

static void take_from_other(struct damage *damage) {
    uint32_t other = sim_image_find(&damage->base->other, find_home(damage->base, &damage->base->other), damage->name);
    size_t bytes = other ? (size_t)sim_image_inode(&damage->base->other, other)->size : 0;
    char *copy = malloc(bytes + 1);
    if (!copy)
        abort();
    sim_image_truncate(damage->image, damage->inode, 0);
    if (other)
        sim_image_read(&damage->base->other, other, copy, bytes, 0);
    sim_image_write(damage->image, damage->inode, copy, bytes, 0);
    free(copy);
    say(damage, "the file of another store", 0, (off_t)bytes);
}

/* The same page, or any. */
static void take_page_from_other(struct damage *damage) {
    uint8_t page[FRAME_BYTES] = {0};
    const struct sim_image *store = &damage->base->other;
    uint32_t other = sim_image_find(store, find_home(damage->base, store), damage->name);
    off_t bytes, to = choose_page(damage, &bytes), size = other ? sim_image_inode(store, other)->size : 0;
    off_t first = damage->target == WAL ? WAL_HEADER_BYTES : 0, from = to;
    if (size >= first + bytes && (from + bytes > size || draw(&damage->random, 2)))
        from = first + (off_t)draw(&damage->random, (uint64_t)((size - first) / bytes)) * bytes;
    if (other)
        sim_image_read(store, other, page, (size_t)bytes, from);
    sim_image_write(damage->image, damage->inode, page, (size_t)bytes, to);
    say(damage, "a page of another store", to, from);
}

static void remove_file(struct damage *damage) {
    sim_image_remove_entry(damage->image, damage->folder, damage->name);
    say(damage, "deleted", 0, damage->size);
}

static void do_damage(struct damage *damage) {
    switch (draw(&damage->random, 40)) {
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
        if (draw(&damage->random, 2))
            flip_bits(damage);
        else
            overwrite(damage, (int)draw(&damage->random, 2));
        break;
    }
}

/* ---- a record's file ---- */

static void replace_text(struct damage *damage, const void *bytes, size_t size, const char *what) {
    sim_image_truncate(damage->image, damage->inode, 0);
    sim_image_write(damage->image, damage->inode, bytes, size, 0);
    say(damage, what, 0, (off_t)size);
}

static void take_from_record(struct damage *damage) {
    char name[64], text[4096];
    uint32_t folder, other = 0;
    for (int i = 0; i < 50 && (other == 0 || other == damage->inode); i++)
        other = find_record(damage->base, damage->image,
                            (int)draw(&damage->random, (uint64_t)damage->base->shape->keys), &folder, name);
    size_t bytes = other ? sim_image_read(damage->image, other, text, sizeof text, 0) : 0;
    replace_text(damage, text, bytes, "the file of another record");
}

static void spoil_record(struct damage *damage) {
    static const off_t over_the_limit = 11 << 20;
    uint8_t byte;
    off_t at = (off_t)draw(&damage->random, (uint64_t)damage->size);
    switch (draw(&damage->random, 8)) {
    case 0:
        sim_image_truncate(damage->image, damage->inode, at);
        say(damage, "cut", at, damage->size);
        break;
    case 1:
        sim_image_write(damage->image, damage->inode, NULL, (size_t)(damage->size - at), at);
        say(damage, "zeros", at, damage->size - at);
        break;
    case 2:
        replace_text(damage, "", 0, "empty");
        break;
    case 3:
        take_from_record(damage);
        break;
    case 4:
        sim_image_truncate(damage->image, damage->inode, over_the_limit);
        say(damage, "oversize", 0, over_the_limit);
        break;
    case 5:
        sim_image_remove_entry(damage->image, damage->folder, damage->name);
        say(damage, "deleted", 0, damage->size);
        break;
    default:
        sim_image_read(damage->image, damage->inode, &byte, 1, at);
        byte ^= (uint8_t)(1u << draw(&damage->random, 8));
        sim_image_write(damage->image, damage->inode, &byte, 1, at);
        say(damage, "a bit flipped", at, 1);
        break;
    }
    if (draw(&damage->random, 2)) /* by a program; rot leaves the times as they are */
        sim_image_touch(damage->image, damage->inode, SIM_MODIFIED,
                        sim_image_newest_ns(damage->image) + 60 * INT64_C(1000000000));
}

/* ---- which file ---- */

static enum target choose_target(struct damage *damage, int database_only) {
    if (database_only)
        return DATABASE;
    if (is_tree(damage->base) && draw(&damage->random, 6))
        return RECORD;
    if (draw(&damage->random, 40) == 0)
        return SHM;
    return damage->base->shape->is_killed && draw(&damage->random, 8) ? WAL : DATABASE;
}

static enum target spoil_file(const struct damage_base *base, struct sim_image *image, uint64_t seed, int database_only,
                              char what[120]) {
    struct damage damage = {.random = mix(seed, 77), .base = base, .image = image, .what = what};
    damage.target = choose_target(&damage, database_only);
    damage.folder = find_home(base, image);
    snprintf(damage.name, sizeof damage.name, "%s%s", is_tree(base) ? "index.db" : "store.db", suffixes[damage.target]);
    if (damage.target == RECORD)
        damage.inode = find_record(base, image, (int)draw(&damage.random, (uint64_t)base->shape->keys), &damage.folder,
                                   damage.name);
    else
        damage.inode = sim_image_find(image, damage.folder, damage.name);
    damage.size = damage.inode ? sim_image_inode(image, damage.inode)->size : 0;
    snprintf(what, 120, "nothing");
    if (damage.size > 0 && damage.target == RECORD)
        spoil_record(&damage);
    else if (damage.size > 0)
        do_damage(&damage);
    return damage.target;
}

unsigned char *damage_database(const struct damage_base *base, uint64_t seed, size_t *ret_size) {
    struct sim_image image;
    char what[120];
    sim_image_copy(&base->image, &image);
    spoil_file(base, &image, seed, 1, what);
    uint32_t inode = sim_image_find(&image, find_home(base, &image), "store.db");
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

/* ---- judging -------------------------------------------------------------------------------------------------------
 */

struct judge {
    const struct damage_base *base;
    struct damage_verdict *verdict;
    struct hf_store *store;
    int scanned[DAMAGE_KEYS_MAX]; /* the number that a scan gave; 0: none */
    int got[DAMAGE_KEYS_MAX];     /* that a get gave; 0: none; -1: an error */
    int is_told;
    char key_told[DAMAGE_KEYS_MAX]; /* its file was told of */
    uint64_t findings;
};

static void complain(struct judge *judge, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct judge *judge, const char *format, ...) {
    va_list args;
    if (judge->verdict->complaint[0])
        return;
    va_start(args, format);
    vsnprintf(judge->verdict->complaint, DAMAGE_TEXT, format, args);
    va_end(args);
}

/* Damage has its names; anything else would send people the wrong way. */
static void judge_error(struct judge *judge, const char *step, int code, const struct hf_error *error) {
    judge->is_told = 1;
    if (code != HF_ERR_CORRUPT)
        complain(judge, "%s: %s: %s", step, hf_code_word(code), error->message);
}

/* Whether the opening or the check named the record: a file that another program changed is the record from then on. */
static int was_told(const struct judge *judge, const char *id) {
    int key = -1;
    return sscanf(id, "id-%d", &key) == 1 && key >= 0 && key < DAMAGE_KEYS_MAX && judge->key_told[key];
}

static int see_record(void *arg, const struct hf_record *record, int code) {
    struct judge *judge = arg;
    int key;
    if (code != 0) {
        judge->is_told = 1;
        if (code != HF_ERR_CORRUPT || record->json)
            complain(judge, "scan: a damaged row comes with code %d", code);
        return 0;
    }
    int number = number_of(judge->base, record->id, record->json, record->json_bytes, &key);
    if (number < 0 && was_told(judge, record->id))
        return 0;
    if (number < 0 || strcmp(record->kind, kind_of(key)) != 0)
        complain(judge, "scan: %s/%s is not what was committed: %.60s", record->kind, record->id, record->json);
    else
        judge->scanned[key] = number;
    return 0;
}

static int see_version(void *arg, const struct hf_record *record, int code) {
    struct judge *judge = arg;
    judge->is_told |= code != 0;
    if (code == 0 && record->json && !was_told(judge, record->id) &&
        !damage_was_committed(judge->base, record->id, record->json, record->json_bytes))
        complain(judge, "history: %s is not what was committed: %.60s", record->id, record->json);
    return 0;
}

static int see_event(void *arg, const struct hf_event *event) {
    (void)arg, (void)event;
    return 0;
}

static void see_finding(void *arg, const struct hf_finding *finding) {
    struct judge *judge = arg;
    int key = -1;
    if (!finding->what || !finding->text)
        complain(judge, "a finding without words");
    judge->findings++;
    if (finding->id && sscanf(finding->id, "id-%d", &key) == 1 && key >= 0 && key < DAMAGE_KEYS_MAX)
        judge->key_told[key] = 1;
}

static void look_by_get(struct judge *judge, int key) {
    char id[16];
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int found_key;
    snprintf(id, sizeof id, "id-%d", key);
    int code = hf_store_get(judge->store, kind_of(key), id, &record, &error);
    judge->got[key] = 0;
    if (code == 0) {
        judge->got[key] = number_of(judge->base, record->id, record->json, record->json_bytes, &found_key);
        if ((judge->got[key] < 0 || found_key != key) && !was_told(judge, id))
            complain(judge, "get: %s is not what was committed: %.60s", id, record->json);
    } else if (code != HF_ERR_NOT_FOUND) {
        judge->got[key] = -1;
        judge_error(judge, "get", code, &error);
    }
    hf_record_free(&record);
}

static void look_at_all(struct judge *judge) {
    struct hf_error error = {0};
    struct hf_check_result result = {0};
    int code = hf_store_check(judge->store, see_finding, judge, &result, &error);
    if (code != 0)
        judge_error(judge, "check", code, &error);
    judge->findings += code != 0;
    if (code == 0 && result.findings > judge->findings)
        complain(judge, "check: counts findings that it did not tell of");
    code = hf_store_scan(judge->store, NULL, NULL, 0, see_record, judge, &error);
    if (code != 0)
        judge_error(judge, "scan", code, &error);
    for (int key = 0; key < judge->base->shape->keys; key++) {
        char id[16];
        look_by_get(judge, key);
        snprintf(id, sizeof id, "id-%d", key);
        if (key % 4 == 0)
            code = hf_store_history(judge->store, kind_of(key), id, 0, see_version, judge, &error);
        if (code != 0)
            judge_error(judge, "history", code, &error);
        code = 0;
    }
    code = hf_store_events(judge->store, 0, 0, see_event, judge, &error);
    if (code != 0)
        judge_error(judge, "events", code, &error);
}

static int is_as_at(const struct judge *judge, uint64_t revision) {
    if (revision > (uint64_t)judge->base->shape->steps)
        return 0;
    for (int key = 0; key < judge->base->shape->keys; key++) {
        int number = judge->base->numbers[revision][key];
        if (judge->got[key] != number || judge->scanned[key] != number)
            return 0;
    }
    return 1;
}

static void weigh(struct judge *judge, enum target target, int is_read_only) {
    /* After a kill the owner writes files again that may not have reached the disk: what is mended so is not told. */
    int is_mended = judge->base->shape->is_killed && !is_read_only;
    if (target == RECORD && judge->findings == 0 && !is_mended && strcmp(judge->verdict->what, "nothing") != 0) {
        complain(judge, "neither the opening nor the check tells of it");
        return;
    }
    uint64_t revision = hf_store_revision(judge->store), last = (uint64_t)judge->base->shape->steps;
    if (is_as_at(judge, last)) {
        judge->verdict->is_told = judge->is_told || judge->findings > 0;
        return;
    }
    judge->verdict->is_told = judge->findings > 0;
    if (judge->findings > 0)
        return;
    judge->verdict->is_earlier = target == WAL && !judge->is_told && is_as_at(judge, revision);
    if (!judge->verdict->is_earlier)
        complain(judge, "not as committed at revision %" PRIu64 ", and check finds nothing%s", revision,
                 judge->is_told ? " (an error said so)" : "");
}

static void write_on(struct judge *judge) {
    struct hf_error error = {0};
    char *json = NULL;
    size_t bytes = make_document(judge->base->shape, 1, judge->base->numbers[1][1] + 1, &json);
    int code = hf_store_put(judge->store, kind_of(1), "id-1", json, bytes, NULL, &error);
    if (code != 0 && code != HF_ERR_CORRUPT && code != HF_ERR_FAILED && code != HF_ERR_IO)
        complain(judge, "put: %s: %s", hf_code_word(code), error.message);
    free(json);
}

static int is_good_refusal(int code) {
    return code == HF_ERR_CORRUPT || code == HF_ERR_NOT_OURS || code == HF_ERR_SCHEMA_NEWER;
}

void damage_try(const struct damage_base *base, uint64_t seed, struct damage_verdict *ret_verdict) {
    struct sim_image image;
    struct judge judge = {.base = base, .verdict = ret_verdict};
    struct hf_error error = {0};
    memset(ret_verdict, 0, sizeof *ret_verdict);
    sim_image_copy(&base->image, &image);
    enum target target = spoil_file(base, &image, seed, 0, ret_verdict->what);
    struct sim_disk *disk = sim_disk_from(&image, seed);
    struct sim_process *process = sim_process_new(disk);
    struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    struct hf_store_options options = {.struct_bytes = sizeof options,
                                       .read_only = mix(seed, 9) % 4 == 0,
                                       .found = see_finding,
                                       .found_arg = &judge};
    int code = store_open(base->shape->url, &options, &setup, &judge.store, &error);
    if (code == 0) {
        look_at_all(&judge);
        weigh(&judge, target, options.read_only);
        if (!options.read_only)
            write_on(&judge);
        hf_store_close(&judge.store);
    } else {
        ret_verdict->is_refused = 1;
        int is_gone = code == HF_ERR_NOT_FOUND && (strstr(ret_verdict->what, "-wal: deleted") ||
                                                   strstr(ret_verdict->what, "-wal: cut")); /* as at the first commit */
        if (!(is_good_refusal(code) || is_gone) || !error.message[0])
            complain(&judge, "open: %s: %s", hf_code_word(code), error.message);
    }
    if (sim_process_open_files(process))
        complain(&judge, "%u files are left open", sim_process_open_files(process));
    sim_process_free(&process);
    sim_disk_free(&disk);
    sim_image_fini(&image);
}

void damage_count(struct damage_tally *tally, const struct damage_verdict *verdict) {
    tally->variants++;
    tally->complaints += verdict->complaint[0] != '\0';
    tally->refused += verdict->is_refused != 0;
    tally->told += verdict->is_told != 0;
    tally->earlier += verdict->is_earlier != 0;
    tally->unharmed += !verdict->is_refused && !verdict->is_told && !verdict->is_earlier;
}

#include "sim/sim_disk_inside.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void op_fini(struct sim_op *op) {
    mem_free(op->data);
    mem_free(op->name);
    mem_free(op->to_name);
    mem_free(op->path);
}

void sim_record_free(struct sim_record **record) {
    if (!record || !*record)
        return;
    for (size_t i = 0; i < (*record)->count; i++)
        op_fini(&(*record)->ops[i]);
    sim_image_fini(&(*record)->start);
    mem_free((*record)->ops);
    mem_free(*record);
    *record = NULL;
}

static uint32_t put_folder(struct sim_image *image, uint32_t parent, const char *name) {
    uint32_t inode = sim_image_new_inode(image, S_IFDIR | 0755);
    sim_image_set_entry(image, parent, name, inode);
    return inode;
}

static void put_file(struct sim_image *image, uint32_t parent, const char *name, const char *text) {
    uint32_t inode = sim_image_new_inode(image, S_IFREG | 0444);
    sim_image_write(image, inode, text, strlen(text), 0);
    sim_image_set_entry(image, parent, name, inode);
}

/* What a process reads about itself and the machine. */
static void put_proc(struct sim_image *image) {
    char pid[24], stat[160];
    uint32_t proc = put_folder(image, SIM_ROOT, "proc");
    uint32_t random = put_folder(image, put_folder(image, put_folder(image, proc, "sys"), "kernel"), "random");
    put_file(image, random, "boot_id", "5d9c8b1e-0f4e-4c55-9d28-4a5a1f0b7c11\n");
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    snprintf(stat, sizeof stat, "%s (sim) S 1 %s %s 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0\n", pid, pid, pid);
    put_file(image, put_folder(image, proc, pid), "stat", stat);
    put_file(image, put_folder(image, proc, "self"), "stat", stat);
}

static struct sim_disk *disk_new(uint64_t seed) {
    struct sim_disk *disk = sim_alloc(sizeof *disk);
    pthread_mutex_init(&disk->mutex, NULL);
    disk->seed = seed;
    disk->now_ns = INT64_C(1767225600) * 1000000000;
    disk->phase = "";
    disk->user = geteuid();
    return disk;
}

struct sim_disk *sim_disk_new(uint64_t seed) {
    struct sim_disk *disk = disk_new(seed);
    sim_image_init(&disk->image);
    put_proc(&disk->image);
    put_folder(&disk->image, SIM_ROOT, "data");
    return disk;
}

static int64_t clock_after(const struct sim_image *image, uint64_t seed, int64_t otherwise_ns) {
    const int64_t hour_ns = INT64_C(3600) * 1000000000;
    int64_t newest_ns = sim_image_newest_ns(image);
    newest_ns = newest_ns ? newest_ns : otherwise_ns;
    return seed % 8 == 0 ? newest_ns - hour_ns : newest_ns + hour_ns;
}

struct sim_disk *sim_disk_from(const struct sim_image *image, uint64_t seed) {
    struct sim_disk *disk = disk_new(seed);
    sim_image_copy(image, &disk->image);
    for (uint32_t i = 1; i < disk->image.count; i++)
        if (disk->image.inodes[i])
            disk->used_bytes += disk->image.inodes[i]->size;
    disk->now_ns = clock_after(image, seed, disk->now_ns);
    return disk;
}

void sim_disk_free(struct sim_disk **disk) {
    if (!disk || !*disk)
        return;
    sim_record_free(&(*disk)->record);
    sim_image_fini(&(*disk)->image);
    for (size_t i = 0; i < (*disk)->map_count; i++) {
        mem_free((*disk)->maps[i]->memory);
        mem_free((*disk)->maps[i]);
    }
    mem_free((*disk)->maps);
    mem_free((*disk)->locks);
    pthread_mutex_destroy(&(*disk)->mutex);
    mem_free(*disk);
    *disk = NULL;
}

struct sim_process *sim_process_new(struct sim_disk *disk) {
    struct sim_process *process = sim_alloc(sizeof *process);
    process->os.ops = &sim_os_ops;
    process->os.context = process;
    process->disk = disk;
    return process;
}

const struct os *sim_process_os(struct sim_process *process) {
    return &process->os;
}

void sim_process_forget(struct sim_process *process, int fd) {
    struct sim_disk *disk = process->disk;
    struct sim_file *file = process->files[fd];
    size_t kept = 0;
    for (size_t i = 0; i < disk->lock_count; i++)
        if (disk->locks[i].owner != file)
            disk->locks[kept++] = disk->locks[i];
    disk->lock_count = kept;
    process->files[fd] = NULL;
    mem_free(file->path);
    mem_free(file);
}

static void forget_files(struct sim_process *process) {
    for (size_t fd = 0; fd < process->file_count; fd++)
        if (process->files[fd])
            sim_process_forget(process, (int)fd);
}

void sim_process_die(struct sim_process *process) {
    sim_disk_notice_maps(process->disk, 0);
    process->killed = 1;
    forget_files(process);
}

void sim_process_kill(struct sim_process *process) {
    pthread_mutex_lock(&process->disk->mutex);
    sim_process_die(process);
    pthread_mutex_unlock(&process->disk->mutex);
}

void sim_process_kill_at_sync(struct sim_process *process, unsigned n) {
    process->syncs_to_live = n;
}

int sim_process_is_killed(struct sim_process *process) {
    return process->killed;
}

void sim_process_free(struct sim_process **process) {
    if (!process || !*process)
        return;
    forget_files(*process);
    mem_free((*process)->files);
    mem_free(*process);
    *process = NULL;
}

unsigned sim_process_open_files(struct sim_process *process) {
    unsigned count = 0;
    for (size_t fd = 0; fd < process->file_count; fd++)
        count += process->files[fd] != NULL;
    return count;
}

void sim_process_set_lying(struct sim_process *process, int lying) {
    process->lying = lying;
}

uint64_t sim_disk_random(struct sim_disk *disk) {
    uint64_t z = disk->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct sim_op *sim_disk_note(struct sim_disk *disk, enum sim_op_kind kind, uint32_t inode, const char *path) {
    struct sim_record *record = disk->record;
    if (!record)
        return NULL;
    if (record->count == record->room) {
        record->room = record->room ? record->room * 2 : 256;
        record->ops = sim_grow(record->ops, record->room, sizeof(struct sim_op));
    }
    struct sim_op *op = &record->ops[record->count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->inode = inode;
    op->path = path ? sim_strdup(path) : NULL;
    op->phase = disk->phase;
    op->at_ns = disk->now_ns;
    return op;
}

static void notice_sector(struct sim_disk *disk, struct sim_map *map, size_t at, size_t bytes) {
    uint8_t old[SIM_SECTOR] = {0};
    off_t offset = map->offset + (off_t)at;
    sim_image_read(&disk->image, map->inode, old, bytes, offset);
    if (memcmp(old, map->memory + at, bytes) == 0)
        return;
    sim_image_write(&disk->image, map->inode, map->memory + at, bytes, offset);
    sim_image_touch(&disk->image, map->inode, SIM_MODIFIED, disk->now_ns);
    struct sim_op *op = sim_disk_note(disk, SIM_WRITE, map->inode, "map");
    if (!op)
        return;
    op->mapped = 1;
    op->offset = offset;
    op->bytes = bytes;
    op->data = sim_grow(NULL, bytes, 1);
    memcpy(op->data, map->memory + at, bytes);
}

/* Most of the memory is as it was: whole pages are compared first. */
static int is_page_noticed(const struct sim_disk *disk, const struct sim_map *map, size_t at) {
    static const uint8_t zeros[SIM_PAGE];
    const struct sim_inode *inode = sim_image_inode(&disk->image, map->inode);
    size_t page = (size_t)(map->offset + (off_t)at) / SIM_PAGE;
    int is_whole = (map->offset + (off_t)at) % SIM_PAGE == 0 && map->bytes - at >= SIM_PAGE &&
                   inode->size - map->offset - (off_t)at >= SIM_PAGE;
    int is_hole = page >= inode->page_count || !inode->pages[page];
    return is_whole && memcmp(is_hole ? zeros : inode->pages[page]->bytes, map->memory + at, SIM_PAGE) == 0;
}

static void notice_map(struct sim_disk *disk, struct sim_map *map) {
    off_t size = sim_image_inode(&disk->image, map->inode)->size;
    for (size_t at = 0; at < map->bytes && map->offset + (off_t)at < size;) {
        if (is_page_noticed(disk, map, at)) {
            at += SIM_PAGE;
            continue;
        }
        size_t bytes = map->bytes - at < SIM_SECTOR ? map->bytes - at : SIM_SECTOR;
        if (map->offset + (off_t)(at + bytes) > size)
            bytes = (size_t)(size - map->offset) - at;
        notice_sector(disk, map, at, bytes);
        at += SIM_SECTOR;
    }
}

void sim_disk_notice_maps(struct sim_disk *disk, uint32_t inode) {
    for (size_t i = 0; i < disk->map_count; i++)
        if (!inode || disk->maps[i]->inode == inode)
            notice_map(disk, disk->maps[i]);
}

void sim_disk_file_changed(struct sim_disk *disk, uint32_t inode) {
    for (size_t i = 0; i < disk->map_count; i++) {
        struct sim_map *map = disk->maps[i];
        if (map->inode != inode)
            continue;
        size_t got = sim_image_read(&disk->image, inode, map->memory, map->bytes, map->offset);
        memset(map->memory + got, 0, map->bytes - got);
    }
}

void sim_disk_record(struct sim_disk *disk) {
    pthread_mutex_lock(&disk->mutex);
    sim_disk_notice_maps(disk, 0);
    sim_record_free(&disk->record);
    disk->record = sim_alloc(sizeof *disk->record);
    sim_image_copy(&disk->image, &disk->record->start);
    pthread_mutex_unlock(&disk->mutex);
}

struct sim_record *sim_disk_take_record(struct sim_disk *disk) {
    pthread_mutex_lock(&disk->mutex);
    sim_disk_notice_maps(disk, 0);
    struct sim_record *record = disk->record;
    disk->record = NULL;
    pthread_mutex_unlock(&disk->mutex);
    return record;
}

void sim_mark_ack(struct sim_disk *disk, int64_t ack) {
    pthread_mutex_lock(&disk->mutex);
    sim_disk_notice_maps(disk, 0);
    struct sim_op *op = sim_disk_note(disk, SIM_ACK, 0, NULL);
    if (op)
        op->ack = ack;
    pthread_mutex_unlock(&disk->mutex);
}

void sim_mark_phase(struct sim_disk *disk, const char *phase) {
    pthread_mutex_lock(&disk->mutex);
    disk->phase = phase;
    pthread_mutex_unlock(&disk->mutex);
}

void sim_disk_image(struct sim_disk *disk, struct sim_image *ret_image) {
    pthread_mutex_lock(&disk->mutex);
    sim_disk_notice_maps(disk, 0);
    sim_image_copy(&disk->image, ret_image);
    pthread_mutex_unlock(&disk->mutex);
}

void sim_disk_advance_ms(struct sim_disk *disk, int64_t ms) {
    pthread_mutex_lock(&disk->mutex);
    disk->now_ns += ms * 1000000;
    pthread_mutex_unlock(&disk->mutex);
}

void sim_disk_set_room(struct sim_disk *disk, int64_t bytes) {
    pthread_mutex_lock(&disk->mutex);
    disk->room_bytes = bytes;
    pthread_mutex_unlock(&disk->mutex);
}

void sim_disk_set_read_only(struct sim_disk *disk, int read_only) {
    pthread_mutex_lock(&disk->mutex);
    disk->read_only = read_only;
    pthread_mutex_unlock(&disk->mutex);
}

#include "sim/naive_saver.h"

#include "os/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCHES = 6, SAVES = 24, WATCH_BYTES = 2500 };

/* The n-th save is of watch (n - 1) % WATCHES. */
static size_t make_watch(int64_t number, char json[WATCH_BYTES + 64]) {
    int used = snprintf(json, 64, "{\"n\":%" PRId64 ",\"title\":\"", number);
    memset(json + used, 'a' + (int)(number % 26), WATCH_BYTES);
    memcpy(json + used + WATCH_BYTES, "\"}", 3);
    return (size_t)used + WATCH_BYTES + 2;
}

static void must(int code, const char *step) {
    if (code >= 0)
        return;
    fprintf(stderr, "naive_saver: %s: %s\n", step, strerror(-code));
    abort();
}

static int make_temporary(const struct os *os, int folder, char name[32]) {
    uint32_t random = 0;
    must(os_random(os, &random, sizeof random), "random");
    snprintf(name, 32, "json-%08" PRIx32 ".tmp", random);
    int fd = os_open(os, folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    must(fd, "mkstemp");
    return fd;
}

static void save(const struct os *os, int64_t number, int with_fsync) {
    char json[WATCH_BYTES + 64], folder_path[32], temporary[32];
    struct stat stat;
    snprintf(folder_path, sizeof folder_path, "/data/watch%d", (int)((number - 1) % WATCHES));
    int code = os_mkdir(os, AT_FDCWD, folder_path, 0777);
    must(code == -EEXIST ? 0 : code, "makedirs");
    int folder = os_open(os, AT_FDCWD, folder_path, O_RDONLY | O_DIRECTORY, 0);
    must(folder, "open folder");
    int is_new = os_stat_at(os, folder, "watch.json", &stat) == -ENOENT;
    int fd = make_temporary(os, folder, temporary);
    must((int)os_write(os, fd, json, make_watch(number, json)), "write");
    if (with_fsync)
        must(os_fsync(os, fd), "fsync");
    os_close(os, fd);
    must(os_rename(os, folder, temporary, folder, "watch.json", 0), "replace");
    if (is_new)
        must(os_fsync(os, folder), "fsync folder");
    os_close(os, folder);
}

struct sim_record *naive_saver_record(uint64_t seed, int with_fsync) {
    struct sim_disk *disk = sim_disk_new(seed);
    struct sim_process *process = sim_process_new(disk);
    sim_disk_record(disk);
    sim_mark_phase(disk, "save");
    for (int64_t i = 1; i <= SAVES; i++) {
        save(sim_process_os(process), i, with_fsync);
        sim_mark_ack(disk, i);
    }
    struct sim_record *record = sim_disk_take_record(disk);
    sim_process_free(&process);
    sim_disk_free(&disk);
    return record;
}

/* The save that a watch is from; 0: there is none; -1: it is torn. */
static int64_t number_of(const struct os *os, int watch) {
    char path[48], expected[WATCH_BYTES + 64];
    struct buf BUF_AUTO bytes;
    struct hf_error error = {0};
    int64_t number = 0;
    buf_init(&bytes);
    snprintf(path, sizeof path, "/data/watch%d/watch.json", watch);
    if (file_read(os, AT_FDCWD, path, 1 << 20, &bytes, &error) != 0)
        return error.system_errno == ENOENT ? 0 : -1;
    if (bytes.size == 0 || sscanf(buf_text(&bytes), "{\"n\":%" SCNd64, &number) != 1)
        return -1;
    size_t expected_bytes = make_watch(number, expected);
    return bytes.size == expected_bytes && memcmp(bytes.data, expected, expected_bytes) == 0 ? number : -1;
}

int64_t naive_saver_verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    (void)arg;
    struct sim_process *process = sim_process_new(disk);
    int64_t found = SAVES;
    for (int watch = 0; watch < WATCHES && found >= 0; watch++) {
        int64_t number = number_of(sim_process_os(process), watch);
        int64_t next = number == 0 ? watch + 1 : number + WATCHES; /* the save that it lacks */
        found = number < 0 ? -1 : next - 1 < found ? next - 1 : found;
        if (number < 0)
            snprintf(text, CRASH_TEXT, "watch %d is torn", watch);
    }
    sim_process_free(&process);
    return found;
}

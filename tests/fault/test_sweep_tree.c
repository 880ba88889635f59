/* Every call of a tree to the system, failing in every way, once and for ever: the error names the cause, what was
 * acknowledged is there, files and index are alike once the fault is gone, nothing is left beside them, and the same
 * thing works. */
#include "fault/call_sweep.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdio.h>

#define TREE "/data/t"

static const char *const paths[SWEEP_KEYS] = {TREE "/s.json", TREE "/a/watch.json", TREE "/b/watch.json"};

static void use(struct sweep *sweep) {
    for (int i = 0; i < 4; i++) /* new, replaced, deleted, new again */
        sweep_commit(sweep);
    if (sweep->store)
        sweep_look(sweep, "read");
    sweep_rest(sweep);
    sweep_commit(sweep);
    sweep_reopen(sweep);
    sweep_commit(sweep);
}

/* The file holds the number; 0 is "there is none". */
static int has_file(struct sweep *sweep, const char *path, int64_t number) {
    struct buf text BUF_AUTO;
    int64_t found = 0;
    char fill = 0;
    buf_init(&text);
    int code = file_read(sim_process_os(sweep->process), AT_FDCWD, path, 1000, &text, NULL);
    if (code == 0 && sscanf(buf_text(&text), "{\n  \"n\": %" SCNd64 ",\n  \"fill\": \"%c\"\n}", &found, &fill) != 2)
        return 0;
    return (code == 0 || code == HF_ERR_NOT_FOUND) && found == number;
}

static int count_entry(void *arg, const char *name, unsigned char d_type) {
    (void)name, (void)d_type;
    ++*(int *)arg;
    return 0;
}

static void expect_empty(struct sweep *sweep, const char *folder) {
    const struct os *os = sim_process_os(sweep->process);
    int count = 0, fd = os_open(os, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || os_list(os, fd, count_entry, &count) != 0 || count != 0)
        sweep_complain(sweep, "'%s' has %d entries", folder, count);
    if (fd >= 0)
        os_close(os, fd);
}

static void look_at_files(struct sweep *sweep) {
    for (int i = 0; i < SWEEP_KEYS; i++)
        if (!has_file(sweep, paths[i], sweep_number_of(sweep, &sweep->subject->keys[i], "at the end")))
            sweep_complain(sweep, "at the end: '%s' is not what the index has", paths[i]);
    expect_empty(sweep, TREE "/.holdfast/staged");
}

int main(void) {
    const struct sweep_subject subject = {
        .url = "tree:" TREE "?layout=watch&threads=1",
        .keys = {{"settings", "s"}, {"watch", "a"}, {"watch", "b"}},
        .fill_bytes = 1,
        .deletes = 1,
        .is_told_of_unsupported = 1,
        .use = use,
        .look_at_end = look_at_files,
    };
    return call_sweep_run("a tree and failing calls", &subject);
}

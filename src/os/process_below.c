/* What a process has started, by the parents that the kernel names. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/text.h"
#include "os/file.h"
#include "os/process_stat.h"

struct row {
    pid_t pid, parent;
    uint64_t start_ticks;
};

struct table {
    const struct os *os;
    struct buf rows; /* of struct row */
};

static int add_row(void *arg, const char *name, unsigned char d_type) {
    (void)d_type;
    struct table *table = arg;
    struct process_stat stat;
    uint64_t pid;
    if (text_to_u64(name, &pid) != 0 || pid == 0 || pid > INT32_MAX ||
        process_stat_read(table->os, (pid_t)pid, &stat, NULL) != 0 || process_stat_has_ended(&stat))
        return 0;
    struct row row = {.pid = (pid_t)pid, .parent = stat.parent, .start_ticks = stat.start_ticks};
    buf_add(&table->rows, &row, sizeof row);
    return table->rows.failed ? -ENOMEM : 0;
}

static int read_table(struct table *table, struct hf_error *error) {
    int fd;
    int code = file_open_folder(table->os, AT_FDCWD, "/proc", &fd, error);
    if (code != 0)
        return code;
    int result = os_list(table->os, fd, add_row, table);
    (void)os_close(table->os, fd);
    return result == 0 ? 0 : error_set_errno(error, result, "list the processes");
}

/* The pidfd is opened first and the start time asked again: between the two the number cannot have changed hands. The
 * parent may be another by now: the one that it had was visited before it. */
static void visit_row(const struct os *os, const struct row *row, void (*visit)(void *arg, int pidfd), void *arg) {
    int pidfd = os_pidfd_open(os, row->pid);
    if (pidfd < 0)
        return;
    struct process_stat stat;
    if (process_stat_read(os, row->pid, &stat, NULL) == 0 && stat.start_ticks == row->start_ticks)
        visit(arg, pidfd);
    (void)os_close(os, pidfd);
}

int process_each_below(const struct os *os, pid_t pid, void (*visit)(void *arg, int pidfd), void *arg,
                       struct hf_error *error) {
    struct table table = {.os = os};
    struct buf BUF_AUTO found; /* of pid_t: whose children are still to be looked for */
    buf_init(&table.rows);
    buf_init(&found);
    buf_add(&found, &pid, sizeof pid);
    int code = read_table(&table, error);
    for (size_t at = 0; code == 0 && at < found.size / sizeof pid; at++) {
        pid_t parent;
        memcpy(&parent, found.data + at * sizeof parent, sizeof parent);
        struct row *rows = (void *)table.rows.data;
        for (size_t i = 0; i < table.rows.size / sizeof *rows; i++) {
            if (rows[i].parent != parent || rows[i].pid == pid)
                continue;
            visit_row(os, &rows[i], visit, arg);
            buf_add(&found, &rows[i].pid, sizeof rows[i].pid);
            rows[i].parent = 0; /* each once, whatever was read while numbers were used again */
        }
        if (found.failed)
            code = error_no_memory(error);
    }
    buf_fini(&table.rows);
    return code == 0 ? 0 : error_wrap(error, code, "find what process %d started", (int)pid);
}

void process_adopt_orphans(void) {
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static int is_one_of(const pid_t *own, pid_t pid) {
    while (*own != 0 && *own != pid)
        own++;
    return *own != 0;
}

/* Without taking it first: the kernel names the same one again until it is reaped, so an own child that has ended is
 * left for the next look. */
void process_reap_orphans(const pid_t *own) {
    siginfo_t info;
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
            is_one_of(own, info.si_pid))
            return;
        (void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    }
}

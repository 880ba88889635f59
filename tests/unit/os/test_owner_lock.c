#include "scratch.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "os/file.h"

/* A process of its own that takes the lock, says so, and waits to be killed. */
static pid_t start_holder(const struct scratch *scratch) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct owner_lock *lock;
        int result = owner_lock_take(os_real(), scratch->fd, &lock, NULL);
        if (write(ends[1], result == 0 ? "y" : "n", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    char answer = 0;
    assert_int_equal(read(ends[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    (void)close(ends[0]);
    (void)close(ends[1]);
    return pid;
}

static void end_holder(pid_t pid) {
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void second_process_is_refused_and_told_who_holds_it(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct owner_lock *lock = NULL;
    struct hf_error error;
    struct process_identity holder;
    char text[64];
    pid_t pid = start_holder(&scratch);
    int fds = count_open_fds();
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, &error), HF_ERR_LOCKED);
    assert_null(lock);
    (void)snprintf(text, sizeof text, "process %d owns it", (int)pid);
    assert_non_null(strstr(error.message, text));
    assert_int_equal(process_identify(os_real(), pid, &holder, NULL), 0);
    assert_non_null(strstr(error.message, holder.boot_id));
    assert_non_null(strstr(error.message, "started 20"));
    assert_true(error.hint[0] != '\0');
    assert_int_equal(hf_code_exit_status(error.code), 75);
    assert_int_equal(count_open_fds(), fds);
    end_holder(pid);
    scratch_remove(&scratch);
}

static void kill_9_frees_it_at_once(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct owner_lock *lock;
    for (int i = 0; i < 20; i++) {
        pid_t pid = start_holder(&scratch), found = 0;
        assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, &found), 1);
        assert_int_equal(found, pid);
        end_holder(pid);
        assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, NULL), 0);
        assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, NULL), 0);
        owner_lock_release(&lock);
        assert_null(lock);
    }
    scratch_remove(&scratch);
}

static void one_process_cannot_take_it_twice(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct owner_lock *lock, *second = NULL;
    assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, NULL), 0);
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, NULL), 0);
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &second, NULL), HF_ERR_LOCKED);
    assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, NULL), 1);
    owner_lock_release(&lock);
    owner_lock_release(&lock);
    owner_lock_release(NULL);
    assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, NULL), 0);
    scratch_remove(&scratch);
}

static void what_stands_in_the_file_decides_nothing(void **state) {
    (void)state;
    static const char *const contents[] = {
        "",
        "{",
        "{\"pid\":1,\"start_ticks\":1,\"boot_id\":\"00000000-0000-0000-0000-000000000000\",\"started_at\":null}",
        "{\"pid\":-5}",
        "{\"pid\":99999999999999}",
        "{\"pid\":\"x\",\"boot_id\":7,\"started_at\":[]}",
        "[]",
        "\x01\x02\xff garbage",
    };
    struct scratch scratch = scratch_make();
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        struct owner_lock *lock;
        pid_t pid = -1;
        scratch_write(&scratch, "lock", contents[i], 0600);
        assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, &pid), 0);
        assert_int_equal(pid, -1);
        assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, NULL), 0);
        struct hf_error error;
        struct owner_lock *second;
        scratch_write(&scratch, "lock", contents[i], 0600); /* the holder's words get lost: still held */
        assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, &pid), 1);
        assert_int_equal(owner_lock_take(os_real(), scratch.fd, &second, &error), HF_ERR_LOCKED);
        assert_non_null(strstr(error.message, i == 2 ? "process 1 owns it" : "another process owns it"));
        owner_lock_release(&lock);
    }
    scratch_remove(&scratch);
}

static void file_names_the_holder_and_nothing_else(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct owner_lock *lock;
    char long_text[2000];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    scratch_write(&scratch, "lock", long_text, 0600);
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, NULL), 0);
    struct buf BUF_AUTO buf, expected;
    buf_init(&buf);
    buf_init(&expected);
    struct process_identity self;
    assert_int_equal(process_identify(os_real(), getpid(), &self, NULL), 0);
    buf_printf(&expected, "{\"pid\":%d,\"start_ticks\":%llu,\"boot_id\":\"%s\",\"started_at\":\"20", (int)getpid(),
               (unsigned long long)self.start_ticks, self.boot_id);
    const char *text = scratch_read(&scratch, "lock", &buf);
    assert_int_equal(strncmp(text, buf_text(&expected), expected.size), 0);
    assert_string_equal(text + strlen(text) - 4, "Z\"}\n");
    owner_lock_release(&lock);
    scratch_remove(&scratch);
}

static void links_and_folders_are_refused(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct owner_lock *lock;
    struct hf_error error;
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    scratch_write(&scratch, "precious", "kept", 0600);
    assert_int_equal(symlinkat("precious", scratch.fd, "lock"), 0);
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, &error), HF_ERR_UNSAFE_PATH);
    assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, NULL), -ELOOP);
    assert_string_equal(scratch_read(&scratch, "precious", &buf), "kept");
    assert_int_equal(unlinkat(scratch.fd, "lock", 0), 0);
    assert_int_equal(mkfifoat(scratch.fd, "lock", 0600), 0);
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, &error), HF_ERR_UNSAFE_PATH);
    scratch_remove(&scratch);
}

static int no_locks(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    (void)os, (void)fd, (void)lock, (void)offset, (void)bytes;
    return -ENOLCK;
}

static void a_file_system_without_locks_is_named(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct owner_lock *lock;
    struct hf_error error;
    struct os_ops ops = *os_real()->ops;
    ops.lock_range = no_locks;
    struct os os = {.ops = &ops};
    assert_int_equal(owner_lock_take(&os, scratch.fd, &lock, &error), HF_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "cannot lock a file"));
    scratch_remove(&scratch);
}

static int must_not_lock(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    (void)os, (void)fd, (void)lock, (void)offset, (void)bytes;
    fail_msg("asking took a lock");
    return -EAGAIN;
}

static void asking_takes_nothing(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct os_ops ops = *os_real()->ops;
    ops.lock_range = must_not_lock;
    struct os os = {.ops = &ops};
    struct owner_lock *lock;
    assert_int_equal(owner_lock_is_held(&os, scratch.fd, NULL), 0);
    assert_int_equal(count_entries(scratch.fd), 0); /* and makes nothing */
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, NULL), 0);
    assert_int_equal(owner_lock_is_held(&os, scratch.fd, NULL), 1);
    owner_lock_release(&lock);
    assert_int_equal(owner_lock_is_held(&os, scratch.fd, NULL), 0);
    scratch_remove(&scratch);
}

static void a_child_does_not_keep_it(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct owner_lock *lock;
    assert_int_equal(owner_lock_take(os_real(), scratch.fd, &lock, NULL), 0);
    struct os_spawn spawn = plain_spawn(ARGV("sleep", "1000"));
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    owner_lock_release(&lock);
    assert_int_equal(owner_lock_is_held(os_real(), scratch.fd, NULL), 0);
    assert_int_equal(os_pidfd_signal(os_real(), child.pidfd, SIGKILL), 0);
    (void)wait_for(&child);
    scratch_remove(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_process_is_refused_and_told_who_holds_it),
        cmocka_unit_test(kill_9_frees_it_at_once),
        cmocka_unit_test(one_process_cannot_take_it_twice),
        cmocka_unit_test(what_stands_in_the_file_decides_nothing),
        cmocka_unit_test(file_names_the_holder_and_nothing_else),
        cmocka_unit_test(links_and_folders_are_refused),
        cmocka_unit_test(a_file_system_without_locks_is_named),
        cmocka_unit_test(asking_takes_nothing),
        cmocka_unit_test(a_child_does_not_keep_it),
    };
    return cmocka_run_group_tests_name("os/owner_lock", tests, NULL, NULL);
}

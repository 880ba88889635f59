#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A child that sleeps, with a nonce of its own. */
struct sleeper {
    struct os_child child;
    char nonce[33];
    struct process_identity identity;
};

static struct sleeper sleeper_start(const char *const *argv) {
    struct sleeper sleeper;
    assert_int_equal(process_make_nonce(os_real(), sleeper.nonce, NULL), 0);
    char variable[64];
    (void)snprintf(variable, sizeof variable, "HOLDFAST_NONCE=%s", sleeper.nonce);
    struct os_spawn spawn = plain_spawn(argv);
    spawn.environment = ARGV("PATH=/usr/bin:/bin", variable, "Z=last");
    assert_int_equal(os_spawn(os_real(), &spawn, &sleeper.child), 0);
    assert_int_equal(process_identify(os_real(), sleeper.child.pid, &sleeper.identity, NULL), 0);
    return sleeper;
}

static void sleeper_end(struct sleeper *sleeper) {
    assert_int_equal(os_pidfd_signal(os_real(), sleeper->child.pidfd, SIGKILL), 0);
    (void)wait_for(&sleeper->child);
}

static void identity_says_all_the_kernel_knows(void **state) {
    (void)state;
    struct sleeper sleeper = sleeper_start(ARGV("sleep", "1000")), other = sleeper_start(ARGV("sleep", "1000"));
    int fds = count_open_fds();
    struct process_identity *identity = &sleeper.identity;
    char boot_id[40];
    assert_int_equal(process_boot_id(os_real(), boot_id, NULL), 0);
    assert_int_equal(strlen(boot_id), 36);
    assert_string_equal(identity->boot_id, boot_id);
    assert_int_equal(identity->pid, sleeper.child.pid);
    assert_string_equal(identity->nonce, sleeper.nonce);
    assert_true(identity->start_ticks > 0);
    struct stat stat, other_stat;
    assert_int_equal(fstat(sleeper.child.pidfd, &stat), 0);
    assert_int_equal(fstat(other.child.pidfd, &other_stat), 0);
    if (stat.st_ino != other_stat.st_ino)
        assert_int_equal(identity->pidfd_inode, stat.st_ino);
    else
        assert_int_equal(identity->pidfd_inode, 0); /* one number for all: it says nothing */
    assert_string_not_equal(other.nonce, sleeper.nonce);
    struct process_identity self;
    assert_int_equal(process_identify(os_real(), getpid(), &self, NULL), 0);
    assert_int_equal(self.pid, getpid());
    assert_int_equal(count_open_fds(), fds);
    sleeper_end(&sleeper);
    sleeper_end(&other);
}

static ino_t one_inode_fstat_of_pidfds = 4711;

static int old_kernel_fstat(const struct os *os, int fd, struct stat *ret_stat) {
    int result = os_real()->ops->fstat(os, fd, ret_stat);
    if (result == 0 && !S_ISDIR(ret_stat->st_mode))
        ret_stat->st_ino = one_inode_fstat_of_pidfds;
    return result;
}

static void inode_is_left_out_where_all_are_the_same(void **state) {
    (void)state;
    struct os_ops ops = *os_real()->ops;
    ops.fstat = old_kernel_fstat;
    struct os os = {.ops = &ops};
    struct sleeper sleeper = sleeper_start(ARGV("sleep", "1000"));
    struct process_identity identity;
    assert_int_equal(process_identify(&os, sleeper.child.pid, &identity, NULL), 0);
    assert_int_equal(identity.pidfd_inode, 0);
    assert_int_equal(process_compare(&os, &identity), PROCESS_SAME); /* by the nonce */
    assert_int_equal(process_compare(&os, &sleeper.identity), PROCESS_SAME);
    sleeper_end(&sleeper);
}

static void recognises_only_the_very_same_process(void **state) {
    (void)state;
    struct sleeper sleeper = sleeper_start(ARGV("sleep", "1000"));
    assert_int_equal(process_compare(os_real(), &sleeper.identity), PROCESS_SAME);
    struct process_identity then = sleeper.identity;
    then.boot_id[0] = then.boot_id[0] == 'a' ? 'b' : 'a';
    assert_int_equal(process_compare(os_real(), &then), PROCESS_GONE);
    then = sleeper.identity;
    then.start_ticks++;
    assert_int_equal(process_compare(os_real(), &then), PROCESS_OTHER);
    then = sleeper.identity;
    then.nonce[5] = then.nonce[5] == '0' ? '1' : '0';
    assert_int_equal(process_compare(os_real(), &then), PROCESS_OTHER);
    then = sleeper.identity;
    if (then.pidfd_inode != 0) {
        then.pidfd_inode++;
        assert_int_equal(process_compare(os_real(), &then), PROCESS_OTHER);
        then.pidfd_inode--;
        then.nonce[0] = '\0';
        assert_int_equal(process_compare(os_real(), &then), PROCESS_SAME); /* the inode is unique */
    }
    then = sleeper.identity;
    then.nonce[0] = '\0';
    then.pidfd_inode = 0;
    assert_int_equal(process_compare(os_real(), &then), PROCESS_UNKNOWN); /* pid and tick are not enough */
    sleeper_end(&sleeper);
}

/* The pid was given to another process in the same tick: all that differs is the nonce, and the inode where there is
 * one. */
static void reused_pid_in_the_same_tick_is_somebody_else(void **state) {
    (void)state;
    struct sleeper first = sleeper_start(ARGV("sleep", "1000")), second = sleeper_start(ARGV("sleep", "1000"));
    struct process_identity then = first.identity;
    then.pid = second.identity.pid;
    then.start_ticks = second.identity.start_ticks;
    assert_int_equal(process_compare(os_real(), &then), PROCESS_OTHER);
    then.pidfd_inode = 0;
    assert_int_equal(process_compare(os_real(), &then), PROCESS_OTHER);
    sleeper_end(&first);
    sleeper_end(&second);
}

static void ended_processes_are_gone(void **state) {
    (void)state;
    struct sleeper sleeper = sleeper_start(ARGV("sleep", "1000"));
    assert_int_equal(os_pidfd_signal(os_real(), sleeper.child.pidfd, SIGKILL), 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PIDFD, (id_t)sleeper.child.pidfd, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_compare(os_real(), &sleeper.identity), PROCESS_GONE); /* a zombie */
    struct process_identity identity = {.pid = -1};
    assert_int_equal(process_identify(os_real(), sleeper.child.pid, &identity, NULL), 0);
    assert_int_equal(identity.start_ticks, sleeper.identity.start_ticks);
    (void)wait_for(&sleeper.child);
    struct hf_error error;
    identity.pid = -1;
    assert_int_equal(process_compare(os_real(), &sleeper.identity), PROCESS_GONE);
    assert_int_equal(process_identify(os_real(), sleeper.child.pid, &identity, &error), HF_ERR_NOT_FOUND);
    assert_int_equal(identity.pid, -1);
    assert_int_equal(process_identify(os_real(), 0, &identity, &error), HF_ERR_NOT_FOUND);
    assert_int_equal(process_identify(os_real(), -1, &identity, &error), HF_ERR_NOT_FOUND);
}

static void names_with_brackets_and_spaces_confuse_nobody(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    char path[128];
    struct stat stat;
    (void)snprintf(path, sizeof path, "%s/a) R 1 (b", scratch.path);
    assert_int_equal(symlink("/usr/bin/sleep", path), 0);
    assert_int_equal(fstatat(AT_FDCWD, path, &stat, 0), 0);
    struct sleeper odd = sleeper_start(ARGV(path, "1000")), plain = sleeper_start(ARGV("sleep", "1000"));
    uint64_t apart = plain.identity.start_ticks - odd.identity.start_ticks;
    assert_true(odd.identity.start_ticks > 1 && apart < 6000); /* started within a minute of each other */
    assert_int_equal(process_compare(os_real(), &odd.identity), PROCESS_SAME);
    sleeper_end(&odd);
    sleeper_end(&plain);
    scratch_remove(&scratch);
}

static pthread_mutex_t thread_gate = PTHREAD_MUTEX_INITIALIZER;
static pid_t thread_number;

static void *wait_in_thread(void *arg) {
    (void)arg;
    __atomic_store_n(&thread_number, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    (void)pthread_mutex_lock(&thread_gate);
    (void)pthread_mutex_unlock(&thread_gate);
    return NULL;
}

static void number_of_a_thread_is_no_process(void **state) {
    (void)state;
    pthread_t thread;
    (void)pthread_mutex_lock(&thread_gate);
    assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, NULL), 0);
    pid_t number;
    while ((number = __atomic_load_n(&thread_number, __ATOMIC_SEQ_CST)) == 0)
        os_sleep_ms(os_real(), 1);
    struct process_identity identity;
    assert_int_equal(process_identify(os_real(), number, &identity, NULL), HF_ERR_NOT_FOUND);
    (void)pthread_mutex_unlock(&thread_gate);
    (void)pthread_join(thread, NULL);
}

static void process_without_its_nonce_is_known_by_inode_only(void **state) {
    (void)state;
    struct sleeper sleeper = sleeper_start(ARGV("sh", "-c", "read x; exec env -i /bin/sleep 1000 </dev/null"));
    /* stdin is /dev/null: read ends at once, and exec drops the environment; the same process all the while */
    struct process_identity now;
    do
        assert_int_equal(process_identify(os_real(), sleeper.child.pid, &now, NULL), 0);
    while (now.nonce[0] != '\0');
    struct process_identity then = now;
    memcpy(then.nonce, sleeper.nonce, sizeof then.nonce);
    assert_int_equal(process_compare(os_real(), &then), now.pidfd_inode != 0 ? PROCESS_SAME : PROCESS_UNKNOWN);
    then.pidfd_inode = 0;
    assert_int_equal(process_compare(os_real(), &then), PROCESS_UNKNOWN);
    sleeper_end(&sleeper);
}

struct found {
    pid_t pids[8];
    int count, stop;
};

static int find(void *arg, pid_t pid) {
    struct found *found = arg;
    assert_true(found->count < 8);
    found->pids[found->count++] = pid;
    return found->stop;
}

static void nonce_finds_what_left_the_group(void **state) {
    (void)state;
    struct sleeper sleeper = sleeper_start(ARGV("sh", "-c", "setsid sh -c 'sleep 1000 & wait' & sleep 1000; true"));
    struct sleeper other = sleeper_start(ARGV("sleep", "1000"));
    struct found found;
    int left_group = 0;
    do { /* until the four of them are there */
        found = (struct found){0};
        assert_int_equal(process_find_by_nonce(os_real(), sleeper.nonce, find, &found, NULL), 0);
        left_group = 0;
        for (int i = 0; i < found.count; i++)
            left_group += getpgid(found.pids[i]) != sleeper.child.pid;
        os_sleep_ms(os_real(), 1);
    } while (found.count < 4 || left_group < 2);
    assert_int_equal(found.count, 4);
    found = (struct found){.stop = 55};
    assert_int_equal(process_find_by_nonce(os_real(), sleeper.nonce, find, &found, NULL), 55);
    assert_int_equal(found.count, 1);
    do {
        found = (struct found){0};
        assert_int_equal(process_find_by_nonce(os_real(), sleeper.nonce, find, &found, NULL), 0);
        for (int i = 0; i < found.count; i++)
            (void)kill(found.pids[i], SIGKILL);
        os_sleep_ms(os_real(), 1);
    } while (found.count > 0);
    (void)wait_for(&sleeper.child);
    assert_int_equal(process_compare(os_real(), &other.identity), PROCESS_SAME);
    assert_int_equal(process_find_by_nonce(os_real(), "", find, &found, NULL), HF_ERR_INVALID);
    sleeper_end(&other);
}

static void nonces_are_hex_and_differ(void **state) {
    (void)state;
    char a[33], b[33];
    assert_int_equal(process_make_nonce(os_real(), a, NULL), 0);
    assert_int_equal(process_make_nonce(os_real(), b, NULL), 0);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
    assert_int_equal(strlen(a), 32);
    assert_string_not_equal(a, b);
}

/* Whatever cannot be read, nobody else is ever taken for the same, and nobody who lives for gone. */
static void faults_never_make_a_stranger_the_same(void **state) {
    (void)state;
    static const int errors[] = {EIO, EMFILE, EACCES, ENOMEM, 0};
    struct sleeper sleeper = sleeper_start(ARGV("sleep", "1000")), other = sleeper_start(ARGV("sleep", "1000"));
    struct process_identity stranger = other.identity;
    stranger.pid = sleeper.identity.pid;
    stranger.start_ticks = sleeper.identity.start_ticks;
    struct os_fault *fault;
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    const struct os *os = os_fault_os(fault);
    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
        for (uint64_t n = 1, failed = 1; failed > 0; n++) {
            struct os_fault_plan plan = {.fail_at = n, .error = errors[e]};
            int fds = count_open_fds();
            os_fault_set(fault, &plan);
            enum process_match matched = process_compare(os, &sleeper.identity);
            assert_true(matched == PROCESS_SAME || matched == PROCESS_UNKNOWN);
            os_fault_set(fault, &plan);
            matched = process_compare(os, &stranger);
            assert_true(matched == PROCESS_OTHER || matched == PROCESS_UNKNOWN);
            failed = os_fault_calls(fault) >= n;
            assert_int_equal(count_open_fds(), fds);
        }
    }
    os_fault_free(&fault);
    sleeper_end(&sleeper);
    sleeper_end(&other);
}

static void wait_gives_the_end_of_a_child(void **state) {
    (void)state;
    struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", "exit 3"));
    struct os_child child;
    int status = -1;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    assert_int_equal(process_wait(os_real(), child.pidfd, 600000, &status), PROCESS_ENDED);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_int_equal(process_wait(os_real(), child.pidfd, 600000, &status), -ECHILD);
    assert_int_equal(close(child.pidfd), 0);
}

static void wait_kills_who_takes_too_long(void **state) {
    (void)state;
    struct sleeper sleeper = sleeper_start(ARGV("sleep", "1000"));
    int status = -1;
    assert_int_equal(process_wait(os_real(), sleeper.child.pidfd, 20, &status), PROCESS_LATE);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_int_equal(close(sleeper.child.pidfd), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_says_all_the_kernel_knows),
        cmocka_unit_test(inode_is_left_out_where_all_are_the_same),
        cmocka_unit_test(recognises_only_the_very_same_process),
        cmocka_unit_test(reused_pid_in_the_same_tick_is_somebody_else),
        cmocka_unit_test(ended_processes_are_gone),
        cmocka_unit_test(names_with_brackets_and_spaces_confuse_nobody),
        cmocka_unit_test(number_of_a_thread_is_no_process),
        cmocka_unit_test(process_without_its_nonce_is_known_by_inode_only),
        cmocka_unit_test(nonce_finds_what_left_the_group),
        cmocka_unit_test(nonces_are_hex_and_differ),
        cmocka_unit_test(faults_never_make_a_stranger_the_same),
        cmocka_unit_test(wait_gives_the_end_of_a_child),
        cmocka_unit_test(wait_kills_who_takes_too_long),
    };
    return cmocka_run_group_tests_name("os/process", tests, NULL, NULL);
}

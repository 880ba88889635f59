/* Trees of processes without a cgroup: every child carries a nonce in its environment, and hands it on to its own. */
#include <signal.h>
#include <string.h>

#include "run/world_real.h"

struct tree_kill {
    struct world_real *world;
    const char *nonce;
    int alive;
};

/* Between the look and the signal the pid may become somebody else's: a pidfd is held, and the nonce read again. */
static int kill_one(void *arg, pid_t pid) {
    struct tree_kill *kill = arg;
    const struct os *os = kill->world->os;
    struct process_identity identity;
    int pidfd = os_pidfd_open(os, pid);
    if (pidfd < 0)
        return 0;
    if (process_identify(os, pid, &identity, NULL) == 0 && strcmp(identity.nonce, kill->nonce) == 0) {
        os_pidfd_signal(os, pidfd, SIGKILL);
        kill->alive++;
    }
    os_close(os, pidfd);
    return 0;
}

int world_kill_by_nonce(struct world_real *world, const char *nonce) {
    struct tree_kill kill = {world, nonce, 0};
    struct hf_error error;
    if (nonce[0] != '\0' && process_find_by_nonce(world->os, nonce, kill_one, &kill, &error) < 0)
        return kill.alive + 1; /* not looked through: as if something lived */
    return kill.alive;
}

/* The group's number is safe only while its leader holds it. */
static enum process_match kill_leader(struct world_real *world, const struct process_identity *then) {
    enum process_match match = then->pid > 0 ? process_compare(world->os, then) : PROCESS_GONE;
    if (match != PROCESS_SAME)
        return match;
    int pidfd = os_pidfd_open(world->os, then->pid);
    if (pidfd < 0)
        return PROCESS_GONE;
    match = process_compare(world->os, then);
    if (match == PROCESS_SAME) {
        os_group_signal(world->os, then->pid, SIGKILL);
        os_pidfd_signal(world->os, pidfd, SIGKILL);
    }
    os_close(world->os, pidfd);
    return match;
}

enum process_match world_end_left(struct run_world *base, const struct process_identity *then) {
    struct world_real *world = (struct world_real *)base;
    char boot_id[40];
    if (then->nonce[0] == '\0')
        return PROCESS_GONE;
    int is_other_boot = then->boot_id[0] != '\0' && process_boot_id(world->os, boot_id, NULL) == 0 &&
                        strcmp(boot_id, then->boot_id) != 0;
    if (is_other_boot)
        return PROCESS_GONE;
    int alive = 0;
    if (world->cgroups) {
        (void)cgroup_kill(world->cgroups, then->nonce, NULL);
        alive += !cgroup_is_empty(world->cgroups, then->nonce);
    }
    enum process_match leader = kill_leader(world, then);
    alive += world_kill_by_nonce(world, then->nonce);
    if (alive > 0 || leader == PROCESS_SAME)
        return PROCESS_SAME;
    if (leader == PROCESS_UNKNOWN)
        return leader;
    if (world->cgroups)
        cgroup_remove(world->cgroups, then->nonce);
    return PROCESS_GONE;
}

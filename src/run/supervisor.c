#include "run/supervisor.h"

#include "base/mem.h"
#include "run/fleet.h"
#include "run/world_real.h"
#include "store/store.h"

struct supervisor {
    struct world_real *world;
    struct fleet *fleet;
};

static void store_changed(void *arg) {
    fleet_wake(arg);
}

int supervisor_new(struct hf_store *store, struct loop *loop, const struct supervisor_options *options,
                   void (*restored)(void *arg, const char *report_json), void *arg, struct supervisor **ret_supervisor,
                   struct hf_error *error) {
    struct world_options world_options = {.os = store_os(store),
                                          .loop = loop,
                                          .store = store,
                                          .data_dir = options->data_dir,
                                          .python = options->python,
                                          .log = options->log,
                                          .log_arg = options->log_arg};
    struct supervisor *supervisor = MEM_NEW(struct supervisor);
    if (!supervisor)
        return error_set(error, HF_ERR_NO_MEMORY, "make the supervisor");
    int code = world_real_new(&world_options, &supervisor->world, error);
    if (code == 0)
        code = fleet_new(store, &supervisor->world->world, &supervisor->fleet, error);
    if (code == 0) { /* watched before it is read: nothing falls in between */
        supervisor->fleet->on_broken = options->store_failed;
        supervisor->fleet->on_broken_arg = options->store_failed_arg;
        code = mailbox_watch(supervisor->world->mailbox, store_changed, supervisor->fleet, error);
    }
    if (code == 0)
        code = fleet_start(supervisor->fleet, restored, arg, error);
    if (code < 0) {
        supervisor_free(&supervisor);
        return error_wrap(error, code, "start the supervisor");
    }
    *ret_supervisor = supervisor;
    return 0;
}

void supervisor_stop(struct supervisor *supervisor, void (*done)(void *arg), void *arg) {
    fleet_stop(supervisor->fleet, done, arg);
}

struct unsaved *supervisor_unsaved(struct supervisor *supervisor) {
    return supervisor->fleet->owner.unsaved;
}

void supervisor_free(struct supervisor **supervisor) {
    if (!*supervisor)
        return;
    fleet_free(&(*supervisor)->fleet);
    world_real_free(&(*supervisor)->world);
    mem_free(*supervisor);
    *supervisor = NULL;
}

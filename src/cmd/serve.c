/* The daemon: opens the store, restores and supervises the sources, serves HTTP, ends in order. */
#include "cmd/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/http.h"
#include "base/text.h"
#include "keep/state.h"
#include "os/file.h"
#include "os/loop.h"
#include "run/source.h"
#include "run/supervisor.h"
#include "run/unsaved.h"
#include "store/store.h"

enum { HEALTH_CHECK_MS = 1000 };

struct daemon {
    const struct command_invocation *invocation;
    struct hf_store *store;
    struct loop *loop;
    struct supervisor *supervisor;
    struct http_server *server;
    struct command_audit audit;
    struct hf_auditor *auditor;
    struct api_context context;
    struct loop_signal *on_term, *on_int;
    struct loop_timer *health_timer;
    int is_stopping;
    int exit_code; /* an hf_code */
    struct hf_error error;
};

static void log_line(void *arg, const char *line) {
    char now[TEXT_TIME_BYTES];
    (void)arg;
    text_time(os_wall_ms(os_real()), now);
    flockfile(stderr); /* several threads log */
    fprintf(stderr, "%s ", now);
    command_print_safely(line, strlen(line), stderr);
    fputc('\n', stderr);
    funlockfile(stderr);
}

static void supervisor_stopped(void *arg) {
    struct daemon *daemon = arg;
    loop_stop(daemon->loop);
}

static void stop(struct daemon *daemon) {
    if (daemon->is_stopping)
        return;
    daemon->is_stopping = 1;
    http_server_close(&daemon->server);
    if (daemon->supervisor)
        supervisor_stop(daemon->supervisor, supervisor_stopped, daemon);
    else
        loop_stop(daemon->loop);
}

static void signalled(void *arg, int number) {
    log_line(NULL, number == SIGINT ? "interrupted: stopping the sources" : "terminated: stopping the sources");
    stop(arg);
}

/* A store that failed in a commit trusts nothing any more: the next start reads only what is durable. */
static void store_failed(void *arg, const struct hf_error *error) {
    struct daemon *daemon = arg;
    if (daemon->exit_code != 0)
        return;
    daemon->exit_code = HF_ERR_FAILED;
    error_copy(&daemon->error, error);
    stop(daemon);
}

/* The supervisor tells of its own commits; a commit that came by HTTP is noticed here. */
static void look_at_health(void *arg) {
    struct daemon *daemon = arg;
    struct hf_error error = {0};
    if (store_health(daemon->store, &error) == 0)
        loop_timer_set(daemon->health_timer, HEALTH_CHECK_MS);
    else
        store_failed(daemon, &error);
}

static void print_signin(struct daemon *daemon) {
    BUF_AUTO struct buf path;
    struct hf_error error = {0};
    buf_init(&path);
    if (http_server_make_signin(daemon->server, API_SCOPE_ADMIN, &path, &error) != 0)
        command_print_error(daemon->invocation, &error);
    else
        printf("sign in once: %s%s\n", daemon->context.address, buf_text(&path));
}

static void open_doors(struct daemon *daemon) {
    const struct command_invocation *invocation = daemon->invocation;
    const char *listen = invocation->listen ? invocation->listen : "127.0.0.1:7420";
    struct http_options options = {.listen = strcmp(listen, "none") == 0 ? NULL : listen,
                                   .socket_path = invocation->globals.socket_path,
                                   .log = log_line};
    int code = http_server_open(&daemon->context, &options, &daemon->server, &daemon->error);
    if (code != 0) {
        daemon->exit_code = code;
        stop(daemon);
        return;
    }
    printf("holdfast ready on %s\n", daemon->context.address);
    if (invocation->signin && options.listen)
        print_signin(daemon);
    fflush(stdout);
}

static void restored(void *arg, const char *report_json) {
    struct daemon *daemon = arg;
    (void)report_json; /* the supervisor has logged a line per source */
    if (!daemon->is_stopping)
        open_doors(daemon);
}

static int open_store(struct daemon *daemon, struct hf_error *error) {
    const char *data_dir = daemon->invocation->globals.data_dir;
    struct hf_store_options options = {.struct_bytes = sizeof options, .max_document_bytes = STATE_DOCUMENT_BYTES};
    BUF_AUTO struct buf url;
    buf_init(&url);
    int code = file_make_folders(os_real(), data_dir, 0700, error);
    if (code != 0)
        return error_wrap(error, code, "make the data directory '%s'", data_dir);
    buf_printf(&url, "sqlite:%s/store.db", data_dir);
    code = hf_store_open(buf_text(&url), &options, &daemon->store, error);
    if (code == 0)
        code = source_declare_kinds(daemon->store, error);
    return code == 0 ? state_declare_kinds(daemon->store, error) : code;
}

/* Results that sources hold back on purpose are unsaved, and that is as it should be. */
static void look_at_unsaved(void *arg, struct hf_health *ret_health) {
    const struct daemon *daemon = arg;
    struct unsaved_runs runs = {0};
    uint64_t sources = 0;
    unsaved_total(daemon->context.unsaved, &runs, &sources);
    *ret_health = (struct hf_health){.status = HF_HEALTHY, .dirty = (uint64_t)runs.runs};
    if (runs.runs > 0)
        ret_health->oldest_unsaved_ms = os_wall_ms(os_real()) - runs.since_ms;
}

static int start(struct daemon *daemon, struct hf_error *error) {
    int code = command_read_audit(daemon->invocation, &daemon->audit, error);
    if (code == 0)
        code = open_store(daemon, error);
    daemon->audit.log = log_line;
    if (code == 0)
        code = command_open_auditor(&daemon->audit, daemon->store, &daemon->auditor, error);
    if (code != 0)
        return code;
    code = loop_new(os_real(), &daemon->loop, error);
    if (code != 0)
        return code;
    if (loop_signal_new(daemon->loop, SIGTERM, signalled, daemon, &daemon->on_term) != 0 ||
        loop_signal_new(daemon->loop, SIGINT, signalled, daemon, &daemon->on_int) != 0 ||
        loop_timer_new(daemon->loop, look_at_health, daemon, &daemon->health_timer) != 0)
        return error_set(error, HF_ERR_NO_MEMORY, "set up the loop");
    loop_timer_set(daemon->health_timer, HEALTH_CHECK_MS);
    daemon->context = (struct api_context){.store = daemon->store,
                                           .os = os_real(),
                                           .data_dir = daemon->invocation->globals.data_dir,
                                           .has_supervisor = 1,
                                           .auditor = daemon->auditor,
                                           .started_ms = os_wall_ms(os_real())};
    struct supervisor_options options = {.data_dir = daemon->invocation->globals.data_dir,
                                         .log = log_line,
                                         .store_failed = store_failed,
                                         .store_failed_arg = daemon};
    code = supervisor_new(daemon->store, daemon->loop, &options, restored, daemon, &daemon->supervisor, error);
    if (code == 0) {
        daemon->context.unsaved = supervisor_unsaved(daemon->supervisor);
        daemon->context.health = look_at_unsaved;
        daemon->context.health_arg = daemon;
    }
    return code;
}

int command_serve(const struct command_invocation *invocation) {
    struct daemon daemon = {.invocation = invocation};
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    int code = start(&daemon, &daemon.error);
    if (code == 0) {
        loop_run(daemon.loop);
        code = daemon.exit_code;
    }
    http_server_close(&daemon.server);
    hf_auditor_close(&daemon.auditor);
    supervisor_free(&daemon.supervisor);
    loop_timer_free(&daemon.health_timer);
    loop_signal_free(&daemon.on_term);
    loop_signal_free(&daemon.on_int);
    loop_free(&daemon.loop);
    hf_store_close(&daemon.store);
    if (code != 0)
        command_print_error(invocation, &daemon.error);
    return code == 0 ? 0 : hf_code_exit_status(code);
}

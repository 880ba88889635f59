/* An operation on the store itself, when no daemon runs: the same handler, in this process. */
#include "cmd/command.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file.h"
#include "run/source.h"

/* Handlers may answer from the store's writer thread. */
struct waiting {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int is_finished;
};

static void finish(struct api_call *call) {
    struct waiting *waiting = call->finish_context;
    pthread_mutex_lock(&waiting->mutex);
    waiting->is_finished = 1;
    pthread_cond_signal(&waiting->cond);
    pthread_mutex_unlock(&waiting->mutex);
}

static const char *parameter(const struct api_call *call, const char *name) {
    return command_value_of(call->parameter_context, name);
}

/* Reading does not make a store where there is none; writing does. */
static int open_store(const struct command_invocation *invocation, struct hf_store **ret_store,
                      struct hf_error *error) {
    const char *data_dir = invocation->globals.data_dir;
    int is_reading = strcmp(invocation->operation->method, "GET") == 0;
    MEM_AUTO char *url = NULL;
    struct hf_store_options options = {.struct_bytes = sizeof options};
    struct stat stat;
    BUF_AUTO struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s/store.db", data_dir);
    int found = os_stat_at(os_real(), AT_FDCWD, buf_text(&text), &stat);
    if (is_reading && found == -ENOENT) {
        error_set(error, HF_ERR_NOT_FOUND, "open the store in '%s': there is none yet", data_dir);
        return error_hint(error, "name another folder with --data, or start a daemon: holdfast serve");
    }
    if (!is_reading) {
        int code = file_make_folders(os_real(), data_dir, 0700, error);
        if (code != 0)
            return error_wrap(error, code, "make the data directory '%s'", data_dir);
    }
    buf_clear(&text);
    buf_printf(&text, "sqlite:%s/store.db", data_dir);
    url = buf_take(&text);
    if (!url)
        return error_set(error, HF_ERR_NO_MEMORY, "open the store in '%s'", data_dir);
    int code = hf_store_open(url, &options, ret_store, error);
    if (is_reading && (code == HF_ERR_READ_ONLY || code == HF_ERR_PERMISSION)) {
        options.read_only = 1;
        error_clear(error);
        code = hf_store_open(url, &options, ret_store, error);
    }
    return code;
}

static int call_handler(const struct command_invocation *invocation, const struct command_request *request,
                        struct api_context *context, struct command_reply *reply) {
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    char who[32];
    struct api_call call = {.context = context,
                            .operation = invocation->operation,
                            .who = who,
                            .scope = API_SCOPE_ADMIN,
                            .body = request->has_body ? buf_text(&request->body) : NULL,
                            .body_bytes = request->body.size,
                            .parameter = parameter,
                            .parameter_context = (void *)invocation,
                            .finish = finish,
                            .finish_context = &waiting};
    snprintf(who, sizeof who, "uid:%u", (unsigned)geteuid());
    arena_init(&call.arena);
    buf_init(&call.reply);
    invocation->operation->handler(&call);
    pthread_mutex_lock(&waiting.mutex);
    while (!waiting.is_finished)
        pthread_cond_wait(&waiting.cond, &waiting.mutex);
    pthread_mutex_unlock(&waiting.mutex);
    reply->status = call.status;
    reply->body = call.reply;
    snprintf(reply->content_type, sizeof reply->content_type, "%s",
             call.content_type ? call.content_type : "application/json");
    arena_fini(&call.arena);
    return 0;
}

int command_run_locally(const struct command_invocation *invocation, const struct command_request *request,
                        struct command_reply *reply, struct hf_error *error) {
    struct hf_store *store = NULL;
    int code = open_store(invocation, &store, error);
    if (code != 0)
        return code;
    code = source_declare_kinds(store, error);
    if (code == 0) {
        struct api_context context = {.store = store, .os = os_real(), .data_dir = invocation->globals.data_dir};
        code = call_handler(invocation, request, &context, reply);
    }
    hf_store_close(&store);
    return code;
}

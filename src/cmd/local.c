/* An operation on the store itself, when no daemon runs: the same handler, in this process. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/talk.h"

struct command_local_call {
    const struct command_invocation *invocation;
    const struct command_request *request;
    struct api_context context;
    struct api_call api;
    char who[32];
    /* Handlers may answer from the store's writer thread. */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int is_finished;
};

static void finish(struct api_call *api) {
    struct command_local_call *call = api->finish_context;
    pthread_mutex_lock(&call->mutex);
    call->is_finished = 1;
    pthread_cond_signal(&call->cond);
    pthread_mutex_unlock(&call->mutex);
}

static const char *parameter(const struct api_call *api, const char *name) {
    const struct command_local_call *call = api->parameter_context;
    if (call->request->is_rehearsal && strcmp(name, "dry-run") == 0)
        return "true";
    return command_value_of(call->invocation, name);
}

int command_local_begin(struct command_way *way, const struct command_request *request,
                        struct command_local_call **ret_call, struct hf_error *error) {
    const struct command_invocation *invocation = way->invocation;
    struct command_local_call *call = MEM_NEW(struct command_local_call);
    if (!call)
        return error_set(error, HF_ERR_NO_MEMORY, "carry out the operation");
    call->invocation = invocation;
    call->request = request;
    call->context =
        (struct api_context){.store = way->store, .os = os_real(), .data_dir = invocation->globals.data_dir};
    call->api = (struct api_call){.context = &call->context,
                                  .operation = invocation->operation,
                                  .who = call->who,
                                  .scope = API_SCOPE_ADMIN,
                                  .peer_uid = geteuid(),
                                  .peer_pid = getpid(),
                                  .body = request->has_body ? buf_text(&request->body) : NULL,
                                  .body_bytes = request->body.size,
                                  .parameter = parameter,
                                  .parameter_context = call,
                                  .finish = finish,
                                  .finish_context = call,
                                  .progress = progress_step,
                                  .progress_arg = &invocation->talk->progress};
    snprintf(call->who, sizeof call->who, "uid:%u", (unsigned)geteuid());
    pthread_mutex_init(&call->mutex, NULL);
    pthread_cond_init(&call->cond, NULL);
    arena_init(&call->api.arena);
    buf_init(&call->api.reply);
    invocation->operation->handler(&call->api);
    *ret_call = call;
    return 0;
}

void command_local_end(struct command_local_call **call, struct command_reply *reply) {
    struct command_local_call *self = *call;
    pthread_mutex_lock(&self->mutex);
    while (!self->is_finished)
        pthread_cond_wait(&self->cond, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
    reply->status = self->api.status;
    reply->body = self->api.reply;
    snprintf(reply->content_type, sizeof reply->content_type, "%s",
             self->api.content_type ? self->api.content_type : "application/json");
    arena_fini(&self->api.arena);
    pthread_mutex_destroy(&self->mutex);
    pthread_cond_destroy(&self->cond);
    mem_free(self);
    *call = NULL;
}

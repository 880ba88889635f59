#include "crash/state_script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keep/state_inside.h"
#include "os/file.h"
#include "store/store.h"

enum { TTL_MS = 5 * SCRIPT_STEP_MS / 2, BODY_BYTES = 1024 };

const char *const script_names[2] = {"a", "b"};
static const struct state_caller ME = {.who = "script"};

const char *script_act_name(enum script_act act) {
#define SCRIPT_WORD_OF_ACT(name) #name,
    static const char *const words[] = {SCRIPT_ACTS(SCRIPT_WORD_OF_ACT)};
    return words[act];
}

/* ---- one step ---------------------------------------------------------------------------------------------------- */

struct acting {
    struct hf_store *store;
    const struct script_step *step;
    const char *name, *other;
    uint64_t fence, version, oldest; /* of the head */
    uint64_t newest_fence;
    char basis[64], body[BODY_BYTES];
    struct buf *answer;
};

static const char *say(struct acting *acting, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *say(struct acting *acting, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(acting->body, sizeof acting->body, format, args);
    va_end(args);
    if (bytes < 0 || bytes >= (int)sizeof acting->body)
        abort();
    return acting->body;
}

typedef int (*body_verb)(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                         size_t body_bytes, struct buf *ret_json, struct hf_error *error);

static int ask(struct acting *acting, body_verb verb, const char *body, struct hf_error *error) {
    return verb(acting->store, &ME, acting->name, body, strlen(body), acting->answer, error);
}

static int look_at_head(struct acting *acting, struct hf_error *error) {
    struct state_head head;
    int code = state_head_read(acting->store, acting->name, 0, &head, error);
    if (code < 0)
        return code;
    acting->fence = head.lease.fence;
    acting->newest_fence = head.fence;
    acting->version = head.newest.version;
    acting->oldest = head.oldest;
    state_head_fini(&head);
    snprintf(acting->basis, sizeof acting->basis, acting->fence ? "\"fence\":%" PRIu64 : "\"if_version\":%" PRIu64,
             acting->fence ? acting->fence : acting->version);
    return 0;
}

static int begin(struct acting *acting, struct hf_error *error) {
    const char *how = acting->step->act == SCRIPT_BEGIN ? "\"on_overlap\":\"steal\"" : "\"overlap\":\"skip\"";
    return ask(acting, state_run_begin, say(acting, "{%s,\"ttl_ms\":%d,\"command\":[\"collect\"]}", how, TTL_MS),
               error);
}

static int renew(struct acting *acting, struct hf_error *error) {
    say(acting, "{\"fence\":%" PRIu64 "}", acting->fence ? acting->fence : 999999);
    return state_run_renew(acting->store, acting->name, acting->body, strlen(acting->body), acting->answer, error);
}

static int set(struct acting *acting, struct hf_error *error) {
    uint64_t number = acting->step->number;
    char value[96];
    if (acting->step->act == SCRIPT_SET_BYTES)
        snprintf(value, sizeof value, "\"base64\":\"gAJ9%04" PRIu64 "\"", number);
    else
        snprintf(value, sizeof value, "\"value\":{\"n\":%" PRIu64 ",\"of\":\"%s\",\"kept\":true}", number,
                 acting->name);
    return ask(acting, state_set, say(acting, "{%s,%s,\"note\":\"step %" PRIu64 "\"}", value, acting->basis, number),
               error);
}

/* 0 only when it is refused. */
static int set_late(struct acting *acting, struct hf_error *error) {
    uint64_t late = acting->newest_fence > 1 ? acting->newest_fence - 1 : 999999;
    int code = ask(acting, state_set, say(acting, "{\"value\":\"late\",\"fence\":%" PRIu64 "}", late), error);
    return code == 0 ? error_set(error, HF_ERR_INTERNAL, "a run that was overtaken has saved") : code;
}

static int merge(struct acting *acting, struct hf_error *error) {
    return ask(acting, state_merge,
               say(acting, "{\"patch\":{\"n\":%" PRIu64 ",\"kept\":null},%s}", acting->step->number, acting->basis),
               error);
}

static int put_records_apart(struct acting *acting, struct hf_error *error) {
    char json[32];
    int bytes = snprintf(json, sizeof json, "%" PRIu64, acting->step->number);
    return hf_store_put(acting->store, "item", acting->name, json, (size_t)bytes, NULL, error);
}

/* A record that comes and goes. */
static int is_flipped(struct acting *acting, struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(acting->store, "flip", acting->name, &record, error);
    hf_record_free(&record);
    return code == HF_ERR_NOT_FOUND ? 0 : code < 0 ? code : 1;
}

static int commit(struct acting *acting, struct hf_error *error) {
    static const char *const FLIPS[] = {"\"doc\":{}", "\"delete\":true"};
    uint64_t number = acting->step->number;
    char value[64] = "";
    int flip = is_flipped(acting, error);
    int code = acting->step->is_torn ? put_records_apart(acting, error) : 0;
    if (flip < 0 || code < 0)
        return flip < 0 ? flip : code;
    if (acting->step->act == SCRIPT_COMMIT)
        snprintf(value, sizeof value, "\"value\":{\"items\":%" PRIu64 "},", number);
    return ask(acting, state_commit,
               say(acting,
                   "{%s\"records\":[{\"kind\":\"item\",\"id\":\"%s\",\"doc\":%" PRIu64 "},"
                   "{\"kind\":\"flip\",\"id\":\"%s\",%s}],%s}",
                   value, acting->name, number, acting->name, FLIPS[flip], acting->basis),
               error);
}

static int end(struct acting *acting, struct hf_error *error) {
    uint64_t fence = acting->fence ? acting->fence : 999999;
    int code = 0;
    if (acting->step->act == SCRIPT_END_FAILED)
        return ask(acting, state_run_end,
                   say(acting, "{\"fence\":%" PRIu64 ",\"outcome\":\"failed\",\"exit_code\":3}", fence), error);
    if (acting->step->is_torn)
        code = set(acting, error);
    return code < 0 ? code
                    : ask(acting, state_run_end,
                          say(acting, "{\"fence\":%" PRIu64 ",\"value\":{\"end\":%" PRIu64 "},\"records\":7}", fence,
                              acting->step->number),
                          error);
}

static int import(struct acting *acting, struct hf_error *error) {
    BUF_AUTO struct buf exported;
    buf_init(&exported);
    int code = state_export(acting->store, acting->name, 0, &exported, error);
    return code < 0 ? code
                    : state_import(acting->store, &ME, acting->other, exported.data, exported.size,
                                   acting->step->act == SCRIPT_IMPORT_REPLACE, acting->answer, error);
}

static int move(struct acting *acting, struct hf_error *error) {
    if (!acting->step->is_torn)
        return state_move(acting->store, &ME, acting->name, acting->other, acting->answer, error);
    int code = state_copy(acting->store, &ME, acting->name, acting->other, 1, acting->answer, error);
    return code < 0 ? code : state_clear(acting->store, &ME, acting->name, 1, 1, acting->answer, error);
}

static int act(struct acting *acting, struct hf_error *error) {
    enum script_act what = acting->step->act;
    switch (what) {
    case SCRIPT_BEGIN:
    case SCRIPT_BEGIN_FREE:
        return begin(acting, error);
    case SCRIPT_RENEW:
        return renew(acting, error);
    case SCRIPT_SET:
    case SCRIPT_SET_BYTES:
        return set(acting, error);
    case SCRIPT_SET_LATE:
        return set_late(acting, error);
    case SCRIPT_MERGE:
        return merge(acting, error);
    case SCRIPT_COMMIT:
    case SCRIPT_COMMIT_RECORDS:
        return commit(acting, error);
    case SCRIPT_END:
    case SCRIPT_END_FAILED:
        return end(acting, error);
    case SCRIPT_ROLLBACK:
        return state_rollback(acting->store, &ME, acting->name, acting->oldest ? acting->oldest : 1, 0, 1,
                              acting->answer, error);
    case SCRIPT_KEEP:
        return ask(acting, state_keep, say(acting, "{\"versions\":%d}", 2 + (int)(acting->step->number % 3)), error);
    case SCRIPT_COPY:
    case SCRIPT_COPY_HISTORY:
        return state_copy(acting->store, &ME, acting->name, acting->other, what == SCRIPT_COPY_HISTORY, acting->answer,
                          error);
    case SCRIPT_MOVE:
        return move(acting, error);
    case SCRIPT_IMPORT:
    case SCRIPT_IMPORT_REPLACE:
        return import(acting, error);
    default:
        return state_clear(acting->store, &ME, acting->name, 1, what == SCRIPT_PURGE, acting->answer, error);
    }
}

int script_do(struct hf_store *store, const struct script_step *step, struct hf_error *error) {
    BUF_AUTO struct buf answer;
    buf_init(&answer);
    struct acting acting = {.store = store,
                            .step = step,
                            .name = script_names[step->name],
                            .other = script_names[1 - step->name],
                            .answer = &answer};
    int code = look_at_head(&acting, error);
    return code == 0 ? act(&acting, error) : code;
}

int script_is_refusal(int code) {
    return code == HF_ERR_CONFLICT || code == HF_ERR_PRECONDITION || code == HF_ERR_EXISTS ||
           code == HF_ERR_NOT_FOUND || code == HF_ERR_BAD_DATA;
}

/* ---- a short life ------------------------------------------------------------------------------------------------ */

static const struct script_step LIFE[SCRIPT_LIFE_STEPS] = {
    {.act = SCRIPT_KEEP},
    {.act = SCRIPT_BEGIN},
    {.act = SCRIPT_SET},
    {.act = SCRIPT_MERGE},
    {.act = SCRIPT_RENEW},
    {.act = SCRIPT_COMMIT},
    {.act = SCRIPT_BEGIN_FREE},
    {.act = SCRIPT_COMMIT_RECORDS},
    {.act = SCRIPT_BEGIN},
    {.act = SCRIPT_SET_LATE},
    {.act = SCRIPT_SET_BYTES},
    {.act = SCRIPT_END},
    {.act = SCRIPT_ROLLBACK},
    {.act = SCRIPT_COPY},
    {.act = SCRIPT_CLEAR, .name = 1},
    {.act = SCRIPT_IMPORT},
    {.act = SCRIPT_SET},
    {.act = SCRIPT_IMPORT_REPLACE},
    {.act = SCRIPT_PURGE, .name = 1},
    {.act = SCRIPT_COPY_HISTORY},
    {.act = SCRIPT_PURGE},
    {.act = SCRIPT_MOVE, .name = 1},
    {.act = SCRIPT_BEGIN},
    {.act = SCRIPT_END_FAILED},
};

struct script_step script_life_step(size_t i) {
    struct script_step step = LIFE[i];
    step.number = i;
    return step;
}

int script_life_code(size_t i) {
    return LIFE[i].act == SCRIPT_BEGIN_FREE || LIFE[i].act == SCRIPT_SET_LATE ? HF_ERR_CONFLICT : 0;
}

/* ---- where it is ------------------------------------------------------------------------------------------------- */

static void must(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "state_script: %s\n", error->message);
    abort();
}

void script_boot(struct sim_disk *disk) {
    static const char FOLDER[] = "/proc/sys/kernel/random", ID[] = "00000000-1111-2222-3333-444444444444\n";
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    struct hf_error error = {0};
    int fd;
    must(file_make_folders(os, FOLDER, 0755, &error), &error);
    must(file_open_folder(os, AT_FDCWD, FOLDER, &fd, &error), &error);
    must(file_replace(os, fd, "boot_id", ID, sizeof ID - 1, 0644, &error), &error);
    (void)os_close(os, fd);
    sim_process_free(&process);
}

int script_open(const struct os *os, struct hf_store **ret_store, struct hf_error *error) {
    const struct store_setup setup = {.os = os, .without_thread = 1};
    int code = store_open("sqlite:/data/store.db", NULL, &setup, ret_store, error);
    return code == 0 ? state_declare_kinds(*ret_store, error) : code;
}

/* Records one by one, from the store itself or page by page through the daemon: what is held at once is bounded. */
#include <string.h>

#include "api/handlers.h"
#include "api/internal_kind.h"
#include "api/record_row.h"
#include "base/text.h"
#include "cmd/talk.h"

enum { PAGE_ROWS = 1000, ENOUGH = 1 };

struct walk {
    struct command_way *way;
    const char *kind;
    uint64_t limit, count; /* limit 0: all */
    command_record_visit visit;
    void *arg;
    struct hf_error *error;
};

static int give(struct walk *walk, const struct hf_record *record, const char *problem) {
    walk->count++;
    progress_step(&walk->way->invocation->talk->progress, walk->count, 0);
    int code = walk->visit(walk->arg, record, problem);
    return code != 0 ? code : walk->limit && walk->count == walk->limit ? ENOUGH : 0;
}

/* ---- from the store itself ---- */

static int visit_record(void *arg, const struct hf_record *record, int code) {
    struct walk *walk = arg;
    struct hf_error scratch = {0};
    if (!walk->kind && internal_kind_check_read(record->kind, NULL) != 0)
        return 0;
    return give(walk, record, code ? store_explain_damage(walk->way->store, record, code, &scratch) : NULL);
}

static int each_of_store(struct walk *walk, const char *after) {
    struct hf_error scanned = {0};
    int code = hf_store_scan(walk->way->store, walk->kind, after, 0, visit_record, walk, &scanned);
    if (scanned.code != 0)
        error_copy(walk->error, &scanned);
    return code;
}

/* ---- through the daemon ---- */

static int give_row(struct walk *walk, const struct json_doc *doc, uint32_t item, struct arena *arena) {
    struct record_row row;
    arena_reset(arena);
    int code = record_row_read(doc, item, arena, &row, walk->error);
    return code == 0 ? give(walk, &row.record, row.problem) : error_wrap(walk->error, code, "read the daemon's reply");
}

static int each_of_page(struct walk *walk, const struct buf *body, struct json_doc *doc, struct arena *arena) {
    static const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    int code = json_read(doc, buf_text(body), body->size, &limits, walk->error);
    if (code != 0)
        return error_wrap(walk->error, code, "read the daemon's reply");
    for (uint32_t item = json_first(doc, 0); item != JSON_NONE && code == 0; item = json_after(doc, 0, item))
        code = give_row(walk, doc, item, arena);
    return code;
}

static void first_target(const struct walk *walk, const char *after, struct buf *target) {
    uint64_t rows = walk->limit && walk->limit < PAGE_ROWS ? walk->limit : PAGE_ROWS;
    buf_add_text(target, "/api/v1/records");
    if (walk->kind) {
        buf_add_char(target, '/');
        command_add_encoded(target, walk->kind);
    }
    buf_printf(target, "?limit=%llu", (unsigned long long)rows);
    if (after) {
        buf_add_text(target, "&after=");
        command_add_encoded(target, after);
    }
}

static int each_of_daemon(struct walk *walk, const char *after) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf target;
    struct arena arena;
    struct command_reply reply;
    int code = 0;
    json_init(&doc);
    buf_init(&target);
    arena_init(&arena);
    for (first_target(walk, after, &target); code == 0 && target.size > 0;) {
        struct command_request request = {.target = buf_text(&target)};
        code = command_call(walk->way, &request, &reply, walk->error);
        if (code != 0)
            break;
        code = each_of_page(walk, &reply.body, &doc, &arena);
        buf_fini(&reply.body);
        buf_clear(&target);
        buf_add_text(&target, reply.next);
    }
    if (code == 0 && target.failed)
        code = error_set(walk->error, HF_ERR_NO_MEMORY, "list the records");
    arena_fini(&arena);
    return code;
}

static int read_limit(const struct command_invocation *invocation, uint64_t *ret_limit, struct hf_error *error) {
    const char *text = command_value_of(invocation, "limit");
    if (text && text_to_u64(text, ret_limit) != 0)
        return error_set(error, HF_ERR_INVALID, "read '--limit %s': a whole number is needed", text);
    return 0;
}

int command_each_record(struct command_way *way, const char *kind, command_record_visit visit, void *arg,
                        struct hf_error *error) {
    const char *after = command_value_of(way->invocation, "after");
    struct walk walk = {.way = way, .kind = kind, .visit = visit, .arg = arg, .error = error};
    int code = read_limit(way->invocation, &walk.limit, error);
    if (code == 0 && kind)
        code = internal_kind_check_read(kind, error);
    if (code == 0)
        code = way->store ? each_of_store(&walk, after) : each_of_daemon(&walk, after);
    return code == ENOUGH ? 0 : code;
}

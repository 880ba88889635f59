/* store import: JSON lines, taken in batches.
 *
 * Invariants
 *  1. A batch is taken whole or not at all, and the next is handed over when the one before was answered: behind a line
 *     that was refused nothing is taken.
 *  2. A file that can be read twice is first gone through without writing, to its end: what can be known to go wrong is
 *     known before anything is taken.
 *  3. What was taken is told of, whatever ends it. */
#include <stdio.h>
#include <string.h>

#include "api/internal_kind.h"
#include "api/record_row.h"
#include "base/map.h"
#include "cmd/lines.h"
#include "cmd/talk.h"

enum { BATCH_LINES = 1000, BATCH_BYTES = 1 << 20, KEYS_NEEDED = 1 };

/* Lines that go to the store together. */
struct shipment {
    struct command_request request;
    struct command_call call;
    uint64_t first_line, last_line, count;
    int is_under_way;
};

struct importer {
    const struct command_invocation *invocation;
    struct command_way *way;
    struct hf_error *error;
    struct lines lines;
    struct shipment shipments[2]; /* one is filled while the other is on its way */
    int filling;
    /* checking a line */
    struct json_doc doc, scratch;
    struct buf canonical, key, last_key;
    struct arena arena;
    struct map keys; /* those that were there, once they came out of order */
    int is_out_of_order;
    /* what came of it */
    uint64_t written, same, taken_line;
};

/* ---- shipping ---- */

static int end_shipment(struct importer *importer, struct shipment *shipment) {
    JSON_AUTO struct json_doc doc;
    struct command_reply reply;
    json_init(&doc);
    if (!shipment->is_under_way)
        return 0;
    shipment->is_under_way = 0;
    int code = command_call_end(&shipment->call, &reply, importer->error);
    if (code != 0)
        return error_wrap(importer->error, code, "import '%s', lines %llu to %llu", importer->lines.path,
                          (unsigned long long)shipment->first_line, (unsigned long long)shipment->last_line);
    code = json_read(&doc, buf_text(&reply.body), reply.body.size, NULL, importer->error);
    if (code == 0) {
        importer->written += (uint64_t)json_member_i64(&doc, 0, "written", 0);
        importer->same += (uint64_t)json_member_i64(&doc, 0, "same", 0);
        importer->taken_line = shipment->last_line;
    }
    buf_fini(&reply.body);
    buf_clear(&shipment->request.body);
    shipment->count = 0;
    return code;
}

/* Hands over what was gathered, when the one before has been answered. */
static int ship(struct importer *importer) {
    struct shipment *shipment = &importer->shipments[importer->filling];
    struct shipment *before = &importer->shipments[!importer->filling];
    int code = end_shipment(importer, before);
    if (code != 0 || shipment->count == 0)
        return code;
    buf_add_char(&shipment->request.body, ']');
    if (shipment->request.body.failed)
        return error_set(importer->error, HF_ERR_NO_MEMORY, "import '%s'", importer->lines.path);
    shipment->request.has_body = 1;
    code = command_call_begin(importer->way, &shipment->request, &shipment->call, importer->error);
    shipment->is_under_way = code == 0;
    importer->filling = !importer->filling;
    return code;
}

static int ship_all(struct importer *importer) {
    int code = ship(importer);
    return code == 0 ? end_shipment(importer, &importer->shipments[!importer->filling]) : code;
}

static int add_line(struct importer *importer, const char *line, size_t bytes) {
    struct shipment *shipment = &importer->shipments[importer->filling];
    int code = 0;
    if (shipment->count > 0 && (shipment->count == BATCH_LINES || shipment->request.body.size + bytes > BATCH_BYTES))
        code = ship(importer);
    if (code != 0)
        return code;
    shipment = &importer->shipments[importer->filling];
    if (shipment->count == 0)
        shipment->first_line = importer->lines.number;
    buf_add_char(&shipment->request.body, shipment->count ? ',' : '[');
    buf_add(&shipment->request.body, line, bytes);
    shipment->last_line = importer->lines.number;
    shipment->count++;
    return 0;
}

/* ---- checking ---- */

/* A key comes once. Exports are in order, so that looking back by one is enough; others have every key remembered. */
static int check_key(struct importer *importer, const struct hf_record *record) {
    buf_clear(&importer->key);
    buf_printf(&importer->key, "%s/%s", record->kind, record->id);
    int order = importer->last_key.size ? strcmp(buf_text(&importer->last_key), buf_text(&importer->key)) : -1;
    int is_twice = order == 0;
    if (order > 0 && !importer->is_out_of_order)
        return KEYS_NEEDED;
    if (importer->is_out_of_order) {
        void *old = NULL;
        if (map_set(&importer->keys, importer->key.data, importer->key.size, importer, &old) != 0)
            return error_set(importer->error, HF_ERR_NO_MEMORY, "remember the keys");
        is_twice = old != NULL;
    }
    struct buf other = importer->last_key;
    importer->last_key = importer->key;
    importer->key = other;
    if (is_twice)
        return error_set(importer->error, HF_ERR_BAD_DATA, "'%s' comes twice", buf_text(&importer->last_key));
    return 0;
}

static int check_line(struct importer *importer, const char *line, size_t bytes) {
    static const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    struct hf_error *error = importer->error;
    struct record_row row;
    arena_reset(&importer->arena);
    int code = json_read(&importer->doc, line, bytes, &limits, error);
    if (code == 0)
        code = record_row_read(&importer->doc, 0, &importer->arena, &row, error);
    if (code == 0)
        code = importer->way->store ? internal_kind_check_read(row.record.kind, error)
                                    : internal_kind_check_write(row.record.kind, error);
    if (code == 0)
        code = record_row_check(&row, &importer->scratch, &importer->canonical, error);
    if (code == 0 && importer->lines.is_regular)
        code = check_key(importer, &row.record);
    if (code < 0)
        return error_wrap(error, code, "import '%s', line %llu", importer->lines.path,
                          (unsigned long long)importer->lines.number);
    return code;
}

/* ---- a pass over the lines ---- */

static int is_blank(const char *line, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (!strchr(" \t\r", line[i]) || line[i] == '\0')
            return 0;
    }
    return 1;
}

/* What stands before a bad line is taken all the same, unless nothing is to be written. */
static int end_early(struct importer *importer, int code, int is_rehearsal) {
    struct hf_error *error = importer->error, later = {0};
    importer->error = &later;
    int ended = is_rehearsal ? 0 : ship_all(importer);
    importer->error = error;
    if (ended != 0)
        error_copy(error, &later);
    return ended != 0 ? ended : code;
}

/* What is still on its way when something else went wrong. */
static void wait_for_shipments(struct importer *importer) {
    struct hf_error *error = importer->error, ignored = {0};
    importer->error = &ignored;
    for (int i = 0; i < 2; i++)
        (void)end_shipment(importer, &importer->shipments[i]);
    importer->error = error;
}

static void begin_pass(struct importer *importer, const char *what, int is_rehearsal) {
    const struct command_invocation *invocation = importer->invocation;
    progress_begin(&invocation->talk->progress, what, "bytes", invocation->globals.quiet);
    importer->written = importer->same = importer->taken_line = 0;
    importer->filling = 0;
    for (int i = 0; i < 2; i++) {
        importer->shipments[i].request.is_rehearsal = is_rehearsal;
        importer->shipments[i].count = 0;
        buf_clear(&importer->shipments[i].request.body);
    }
    buf_clear(&importer->last_key);
    if (importer->lines.is_regular)
        lines_rewind(&importer->lines);
}

static int take_lines(struct importer *importer, int is_rehearsal, int checks) {
    struct lines *lines = &importer->lines;
    const char *line;
    size_t bytes;
    for (;;) {
        int got = lines_next(lines, &line, &bytes, importer->error);
        if (got == 0)
            return ship_all(importer);
        if (got == 1 && is_blank(line, bytes))
            continue;
        int code = got == 1 && checks ? check_line(importer, line, bytes) : got < 0 ? got : 0;
        if (code < 0)
            return end_early(importer, code, is_rehearsal);
        if (code == 0)
            code = add_line(importer, line, bytes);
        if (code != 0)
            return code;
        progress_step(&importer->invocation->talk->progress, (uint64_t)lines->offset,
                      lines->is_regular ? (uint64_t)lines->size : 0);
    }
}

static int pass_over(struct importer *importer, int is_rehearsal, int checks) {
    begin_pass(importer, is_rehearsal ? "checking" : "importing", is_rehearsal);
    int code = take_lines(importer, is_rehearsal, checks);
    wait_for_shipments(importer);
    progress_clear(&importer->invocation->talk->progress);
    return code;
}

/* The whole file, before anything is written. */
static int rehearse(struct importer *importer) {
    int code = pass_over(importer, 1, 1);
    if (code == KEYS_NEEDED) {
        importer->is_out_of_order = 1;
        code = pass_over(importer, 1, 1);
    }
    return code;
}

static int import_lines(struct importer *importer) {
    int is_rehearsal = command_has(importer->invocation, "dry-run");
    int code = importer->lines.is_regular ? rehearse(importer) : pass_over(importer, is_rehearsal, 1);
    if (code != 0 || !importer->lines.is_regular || is_rehearsal)
        return code;
    return pass_over(importer, 0, 0);
}

static int say_what_was_taken(const struct importer *importer, int code) {
    unsigned long long line = importer->taken_line;
    if (importer->shipments[0].request.is_rehearsal || line == 0)
        return error_wrap(importer->error, code, "nothing was taken");
    return error_wrap(importer->error, code, "lines 1 to %llu were taken, nothing behind them", line);
}

static void show_result(const struct importer *importer) {
    struct command_reply reply = {.status = 200};
    struct json_writer json;
    buf_init(&reply.body);
    json_writer_init(&json, &reply.body, 0);
    json_begin_object(&json);
    json_put_i64(&json, "records", (int64_t)(importer->written + importer->same));
    json_put_i64(&json, "written", (int64_t)importer->written);
    json_put_i64(&json, "same", (int64_t)importer->same);
    if (command_has(importer->invocation, "dry-run"))
        json_put_bool(&json, "dry_run", 1);
    json_end_object(&json);
    command_render(importer->invocation, &reply);
    buf_fini(&reply.body);
}

static void importer_init(struct importer *importer) {
    json_init(&importer->doc);
    json_init(&importer->scratch);
    buf_init(&importer->canonical);
    buf_init(&importer->key);
    buf_init(&importer->last_key);
    arena_init(&importer->arena);
    map_init(&importer->keys);
    for (int i = 0; i < 2; i++)
        buf_init(&importer->shipments[i].request.body);
}

static void importer_fini(struct importer *importer) {
    json_fini(&importer->doc);
    json_fini(&importer->scratch);
    buf_fini(&importer->canonical);
    buf_fini(&importer->key);
    buf_fini(&importer->last_key);
    arena_fini(&importer->arena);
    map_fini(&importer->keys);
    for (int i = 0; i < 2; i++)
        buf_fini(&importer->shipments[i].request.body);
}

int command_import(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_way way = {.fd = -1};
    struct importer importer = {.invocation = invocation, .way = &way, .error = error};
    int code = lines_open(command_value_of(invocation, "records"), &importer.lines, error);
    if (code != 0)
        return code;
    importer_init(&importer);
    code = command_way_open(invocation, &way, error);
    if (code == 0) {
        code = import_lines(&importer);
        if (code == 0)
            show_result(&importer);
        else
            code = say_what_was_taken(&importer, code);
    }
    command_way_close(&way);
    importer_fini(&importer);
    lines_close(&importer.lines);
    return code;
}

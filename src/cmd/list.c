/* store list: rows are printed as they come, in bounded memory. */
#include <stdio.h>
#include <string.h>

#include "api/record_row.h"
#include "cmd/talk.h"

enum { BLOCK_ROWS = 1000, BLOCK_BYTES = 4 << 20 }; /* of a table that are laid out together */

struct lister {
    const struct command_invocation *invocation;
    struct hf_error *error;
    struct json_doc doc;
    struct buf row, block, out;
    struct arena arena;
    uint64_t count, block_rows;
    int has_header;
};

static const struct json_limits row_limits = {.max_depth = JSON_DEPTH_MAX};

static int check_output(struct lister *lister) {
    if (lister->row.failed || lister->block.failed || lister->out.failed)
        return error_set(lister->error, HF_ERR_NO_MEMORY, "list the records");
    if (ferror(stdout))
        return error_set(lister->error, HF_ERR_IO, "write output: the reader is gone or the disk is full");
    return 0;
}

static void print_block(struct lister *lister) {
    if (lister->block_rows == 0)
        return;
    buf_add_char(&lister->block, ']');
    arena_reset(&lister->arena);
    if (json_read(&lister->doc, buf_text(&lister->block), lister->block.size, &row_limits, lister->error) == 0)
        command_print_table(&lister->doc, lister->invocation->operation->columns, !lister->has_header, &lister->arena);
    lister->has_header = 1;
    lister->block_rows = 0;
    buf_clear(&lister->block);
}

static void add_to_block(struct lister *lister) {
    buf_add_char(&lister->block, lister->block_rows++ ? ',' : '[');
    buf_add(&lister->block, lister->row.data, lister->row.size);
    if (lister->block_rows == BLOCK_ROWS || lister->block.size > BLOCK_BYTES)
        print_block(lister);
}

/* One of an array: further in by a level. Line feeds stand between tokens only. */
static void print_item(struct lister *lister) {
    fputs(lister->count ? ",\n  " : "[\n  ", stdout);
    json_pretty(&lister->doc, 0, 2, &lister->out);
    for (const char *line = buf_text(&lister->out), *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        end += *end == '\n';
        fwrite(line, 1, (size_t)(end - line), stdout);
        if (end[-1] == '\n')
            fputs("  ", stdout);
    }
}

static int print_json(struct lister *lister) {
    int code = json_read(&lister->doc, buf_text(&lister->row), lister->row.size, &row_limits, lister->error);
    buf_clear(&lister->out);
    if (code != 0)
        return code;
    if (lister->invocation->globals.format == OUTPUT_JSON) {
        print_item(lister);
    } else {
        json_pretty(&lister->doc, 0, 0, &lister->out);
        buf_add_char(&lister->out, '\n');
        fwrite(buf_text(&lister->out), 1, lister->out.size, stdout);
    }
    return 0;
}

static int visit_record(void *arg, const struct hf_record *record, const char *problem) {
    struct lister *lister = arg;
    struct json_writer json;
    int code = 0;
    if (problem) {
        fflush(stdout);
        talk_damage(lister->invocation->talk, record, problem);
        return 0;
    }
    buf_clear(&lister->row);
    json_writer_init(&json, &lister->row, 0);
    record_row_write(&json, record, NULL);
    if (lister->invocation->globals.format == OUTPUT_TABLE)
        add_to_block(lister);
    else
        code = print_json(lister);
    lister->count++;
    return code == 0 ? check_output(lister) : code;
}

static void end_output(struct lister *lister) {
    int is_json = lister->invocation->globals.format == OUTPUT_JSON;
    print_block(lister);
    if (is_json)
        fputs(lister->count ? "\n]\n" : "[]\n", stdout);
}

static int list_with(struct command_way *way, struct hf_error *error) {
    const struct command_invocation *invocation = way->invocation;
    struct command_talk *talk = invocation->talk;
    struct lister lister = {.invocation = invocation, .error = error};
    const char *kind = command_value_of(invocation, "kind");
    json_init(&lister.doc);
    buf_init(&lister.row);
    buf_init(&lister.block);
    buf_init(&lister.out);
    arena_init(&lister.arena);
    int code = command_each_record(way, kind, visit_record, &lister, error);
    if (code == 0)
        end_output(&lister);
    arena_fini(&lister.arena);
    buf_fini(&lister.out);
    buf_fini(&lister.block);
    buf_fini(&lister.row);
    json_fini(&lister.doc);
    if (code != 0)
        return code;
    fflush(stdout);
    if (talk->damaged)
        talk_say(invocation, "%llu %s, %llu damaged", (unsigned long long)lister.count, talk_records(lister.count),
                 (unsigned long long)talk->damaged);
    else
        talk_say(invocation, "%llu %s", (unsigned long long)lister.count, talk_records(lister.count));
    return talk->damaged ? 1 : 0;
}

int command_list(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_way way;
    invocation->talk->kind = command_value_of(invocation, "kind");
    int code = command_way_open(invocation, &way, error);
    if (code == 0)
        code = list_with(&way, error);
    command_way_close(&way);
    return code;
}

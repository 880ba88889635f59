/* After a start of the daemon: what ran is ended where it still lives, and what is wanted runs again. */
#include <stdio.h>

#include "run/life.h"

static void add_item(struct buf *items, const char *name, const char *reason) {
    struct json_writer writer;
    if (items->size > 0)
        buf_add_char(items, ',');
    json_writer_init(&writer, items, 0);
    if (!reason) {
        json_string(&writer, name);
        return;
    }
    json_begin_object(&writer);
    json_put_string(&writer, "name", name);
    json_put_string(&writer, "reason", reason);
    json_end_object(&writer);
}

void fleet_note_restored(struct life *life, const char *result, const char *reason) {
    struct fleet *fleet = life->fleet;
    struct source_state *state = &life->state;
    struct buf *items = result[0] == 'r' ? &fleet->restored : result[0] == 's' ? &fleet->skipped : &fleet->failed;
    life->is_undecided = 0;
    snprintf(state->restore_result, sizeof state->restore_result, "%s", result);
    snprintf(state->restore_reason, sizeof state->restore_reason, "%s", reason ? reason : "");
    state->restore_at = fleet->world->ops->wall_ms(fleet->world);
    add_item(items, life->name, reason);
    fleet_log(fleet, "source '%s': %s%s%s", life->name, result, reason ? ": " : "", reason ? reason : "");
    fleet->undecided--;
    fleet_check_later(fleet);
}

void fleet_note_unreadable(struct fleet *fleet, const char *name, const char *reason) {
    if (fleet->is_reported)
        return;
    add_item(&fleet->failed, name, reason);
    fleet_log(fleet, "source '%s': failed: %s", name, reason);
}

void fleet_restore_lives(struct fleet *fleet) {
    fleet->undecided = fleet->lives.count;
    for (size_t i = 0; i < fleet->lives.count; i++)
        ((struct life *)fleet->lives.items[i])->is_undecided = 1;
    for (size_t i = 0; i < fleet->lives.count; i++)
        life_begin(fleet->lives.items[i]);
    fleet_check_later(fleet);
}

void fleet_report_restored(struct fleet *fleet) {
    if (fleet->is_reported || fleet->undecided > 0)
        return;
    fleet->is_reported = 1;
    BUF_AUTO struct buf report;
    buf_init(&report);
    buf_printf(&report, "{\"restored\":[%s],\"skipped\":[%s],\"failed\":[%s]}", buf_text(&fleet->restored),
               buf_text(&fleet->skipped), buf_text(&fleet->failed));
    if (fleet->on_restored)
        fleet->on_restored(fleet->on_restored_arg, buf_text(&report));
}

/* After a start of the daemon: what ran is ended where it still lives, and what is wanted runs again. */
#include "run/fleet.h"

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

void fleet_note_restored(struct life_owner *owner, const char *name, const char *result, const char *reason) {
    struct fleet *fleet = (struct fleet *)owner;
    struct buf *items = result[0] == 'r' ? &fleet->restored : result[0] == 's' ? &fleet->skipped : &fleet->failed;
    add_item(items, name, reason);
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

/* A store that refuses the result for now must not keep the others waiting. */
static int is_noted(const struct life *life) {
    return life->saved_change >= life->note_change || life->saved_change == life->change || life->is_refused;
}

void fleet_report_restored(struct fleet *fleet) {
    if (fleet->is_reported || fleet->undecided > 0)
        return;
    while (fleet->noted_lives < fleet->lives.count && is_noted(fleet->lives.items[fleet->noted_lives]))
        fleet->noted_lives++;
    if (fleet->noted_lives < fleet->lives.count)
        return;
    fleet->is_reported = 1;
    BUF_AUTO struct buf report;
    buf_init(&report);
    buf_printf(&report, "{\"restored\":[%s],\"skipped\":[%s],\"failed\":[%s]}", buf_text(&fleet->restored),
               buf_text(&fleet->skipped), buf_text(&fleet->failed));
    if (fleet->on_restored)
        fleet->on_restored(fleet->on_restored_arg, buf_text(&report));
}

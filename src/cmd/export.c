/* store export: records as JSON lines, the same bytes from whatever store they come. */
#include "api/record_row.h"
#include "cmd/output.h"
#include "cmd/talk.h"

struct exporter {
    const struct command_invocation *invocation;
    struct hf_error *error;
    struct output output;
    struct json_doc scratch;
    uint64_t count;
};

static int visit_record(void *arg, const struct hf_record *record, const char *problem) {
    struct exporter *exporter = arg;
    if (problem) {
        talk_damage(exporter->invocation->talk, record, problem);
        return 0;
    }
    exporter->count++;
    int code = record_line_write(&exporter->scratch, record, &exporter->output.bytes, exporter->error);
    return code == 0 ? output_step(&exporter->output, exporter->error) : code;
}

static int export_with(struct command_way *way, struct hf_error *error) {
    const struct command_invocation *invocation = way->invocation;
    struct command_talk *talk = invocation->talk;
    const char *path = command_value_of(invocation, "file");
    struct exporter exporter = {.invocation = invocation, .error = error};
    int code = output_open(path ? path : "-", &exporter.output, error);
    if (code != 0)
        return code;
    json_init(&exporter.scratch);
    progress_begin(&talk->progress, "exporting", "records", invocation->globals.quiet);
    code = command_each_record(way, command_value_of(invocation, "kind"), visit_record, &exporter, error);
    if (code == 0)
        code = output_commit(&exporter.output, error);
    output_close(&exporter.output);
    json_fini(&exporter.scratch);
    if (code != 0)
        return code;
    talk_say(invocation, "%llu %s exported, %llu damaged", (unsigned long long)exporter.count,
             talk_records(exporter.count), (unsigned long long)talk->damaged);
    return talk->damaged ? 1 : 0;
}

int command_export(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_way way;
    invocation->talk->kind = command_value_of(invocation, "kind");
    int code = command_way_open(invocation, &way, error);
    if (code == 0)
        code = export_with(&way, error);
    command_way_close(&way);
    return code;
}

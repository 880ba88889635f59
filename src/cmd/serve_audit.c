/* The daemon's auditor: its options, and what it says in the log. */
#include "cmd/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *value_of(const char *given, const char *name) {
    const char *text = given ? given : getenv(name);
    return text && text[0] ? text : NULL;
}

static int read_interval(const char *text, struct command_audit *audit, struct hf_error *error) {
    int64_t ms = 0;
    audit->is_off = text && (strcmp(text, "off") == 0 || strcmp(text, "0") == 0);
    if (!text || audit->is_off)
        return 0;
    if (text_to_duration_ms(text, &ms) != 0 || ms >= UINT32_MAX) {
        error_set(error, HF_ERR_INVALID, "read the audit interval '%s': it is not a duration of at most 49 days", text);
        return error_hint(error, "write 10s, 5m, 1h or off");
    }
    audit->is_off = ms == 0;
    audit->options.interval_ms = (uint32_t)ms;
    return 0;
}

static int read_shards(const char *text, struct command_audit *audit, struct hf_error *error) {
    uint64_t shards = 0;
    if (!text)
        return 0;
    if (text_to_u64(text, &shards) != 0 || shards < 1 || shards > 1000)
        return error_set(error, HF_ERR_INVALID, "read the audit shards '%s': a number from 1 to 1000 is needed", text);
    audit->options.shards = (uint32_t)shards;
    return 0;
}

int command_read_audit(const struct command_invocation *invocation, struct command_audit *ret_audit,
                       struct hf_error *error) {
    struct command_audit audit = {.options = {.struct_bytes = sizeof audit.options}};
    int code = read_interval(value_of(invocation->audit_interval, "HOLDFAST_AUDIT_INTERVAL"), &audit, error);
    if (code == 0)
        code = read_shards(value_of(invocation->audit_shards, "HOLDFAST_AUDIT_SHARDS"), &audit, error);
    if (code == 0)
        *ret_audit = audit;
    return code;
}

/* In the auditor's thread. */
static void log_finding(void *arg, const struct hf_finding *finding) {
    const struct command_audit *audit = arg;
    BUF_AUTO struct buf line;
    buf_init(&line);
    buf_printf(&line, "audit: %s", finding->what);
    if (finding->kind && finding->id)
        buf_printf(&line, " in '%s/%s'", finding->kind, finding->id);
    if (finding->path)
        buf_printf(&line, " in the file '%s'", finding->path);
    buf_printf(&line, ": %s (%s)", finding->text, finding->action);
    audit->log(NULL, buf_text(&line));
}

int command_open_auditor(struct command_audit *audit, struct hf_store *store, struct hf_auditor **ret_auditor,
                         struct hf_error *error) {
    audit->options.found = log_finding;
    audit->options.arg = audit;
    return audit->is_off ? 0 : hf_auditor_open(store, &audit->options, ret_auditor, error);
}

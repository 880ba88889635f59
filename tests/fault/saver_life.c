#include "fault/saver_life.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault/failing_memory.h"

enum { BATCH = 10, THINGS_OF_A_SHORT_LIFE = 3 };

struct sweep sweep;

void sweep_complain(const char *format, ...) {
    va_list args;
    if (sweep.complaint[0])
        return;
    va_start(args, format);
    vsnprintf(sweep.complaint, sizeof sweep.complaint, format, args);
    va_end(args);
}

static void take_fault_away(void) {
    static const struct os_fault_plan none = {0};
    if (sweep.is_gone)
        return;
    sweep.is_gone = 1;
    if (!sweep.fault) {
        failing_memory_heal();
        return;
    }
    sweep.calls = os_fault_calls(sweep.fault);
    os_fault_set(sweep.fault, &none);
}

static void judge(const char *step, int code, const struct hf_error *error) {
    sweep.errors++;
    if (sweep.is_gone)
        sweep_complain("%s still fails with the fault gone: %s (%s)", step, error->message, hf_code_word(code));
    else if (code != error->code || !error->message[0] || code == HF_ERR_INTERNAL)
        sweep_complain("%s: not a typed error: %s (%s, returned %s)", step, error->message, hf_code_word(error->code),
                       hf_code_word(code));
    else if (!sweep.fault && code != HF_ERR_NO_MEMORY && !strstr(error->message, "memory"))
        sweep_complain("%s: does not name the cause: %s (%s)", step, error->message, hf_code_word(code));
}

/* ---- the owner ---- */

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    struct thing *thing = &sweep.things[atoi(id)];
    (void)arg, (void)kind, (void)tag;
    if (!thing->text[0])
        return HF_ERR_NOT_FOUND;
    if (thing->is_lent) {
        sweep.lent++;
        hf_document_lend(document, thing->text, strlen(thing->text));
    } else {
        hf_document_add(document, thing->text, 2);
        hf_document_add(document, thing->text + 2, strlen(thing->text) - 2);
    }
    return 0;
}

static void returned(void *arg, const char *kind, const char *id, void *tag) {
    (void)arg, (void)kind, (void)id, (void)tag;
    sweep.lent--;
}

static int each(void *arg, hf_key_visit visit, void *visit_arg) {
    int code = 0;
    (void)arg;
    for (int i = 0; i < THINGS && code == 0; i++)
        if (sweep.things[i].text[0])
            code = visit(visit_arg, "watch", sweep.things[i].id, NULL);
    return code;
}

static void set_text(int number, int turn) {
    struct thing *thing = &sweep.things[number];
    snprintf(thing->id, sizeof thing->id, "%d", number);
    thing->is_lent = number % 2;
    int used = snprintf(thing->text, sizeof thing->text, "{\"n\":%d,\"turn\":%d,\"fill\":\"", number, turn);
    memset(thing->text + used, 'a' + turn, 1000);
    memcpy(thing->text + used + 1000, "\"}", 3);
}

/* What could not be remembered is marked again later, as an owner would do. */
static void mark(int number) {
    struct hf_error error = {0};
    struct thing *thing = &sweep.things[number];
    enum hf_urgency urgency = number % 5 == 0 ? HF_URGENT : HF_STANDARD;
    int code = hf_saver_mark(sweep.saver, "watch", thing->id, NULL, urgency, &error);
    thing->is_unmarked = code != 0;
    if (code != 0)
        judge("mark", code, &error);
}

/* ---- steps ---- */

static int try_open(struct hf_error *error) {
    struct store_setup setup = {.os = sweep.os, .without_thread = 1};
    struct saver_setup saver_setup = {.without_thread = 1};
    const struct hf_saver_options options = {.struct_bytes = sizeof options,
                                             .batch = BATCH,
                                             .give = give,
                                             .returned = returned,
                                             .each = each,
                                             .who = "sweep"};
    int code = store_open(sweep.url, NULL, &setup, &sweep.store, error);
    if (code == 0 && sweep.arm)
        sweep.arm();
    sweep.arm = NULL;
    if (code == 0)
        code = saver_open_with(sweep.store, &options, &saver_setup, &sweep.saver, error);
    if (code != 0)
        hf_store_close(&sweep.store);
    return code;
}

static int open_both(void) {
    struct hf_error error = {0};
    int code = try_open(&error);
    if (code == 0)
        return 0;
    judge("open", code, &error);
    take_fault_away();
    code = try_open(&error);
    if (code != 0)
        judge("open again", code, &error);
    return code;
}

static void flush(void) {
    struct hf_error error = {0};
    int code = hf_saver_flush(sweep.saver, &error);
    if (code != 0)
        judge("flush", code, &error);
}

static void load(void) {
    struct hf_error error = {0};
    int code = hf_saver_load(sweep.saver, "watch", NULL, NULL, &error);
    if (code != 0)
        judge("load", code, &error);
}

static void audit(void) {
    struct hf_error error = {0};
    uint64_t audited, findings;
    int code = saver_audit(sweep.saver, 0, 1, NULL, NULL, &audited, &findings, &error);
    if (code != 0)
        judge("audit", code, &error);
}

/* The owner still holds everything: a new saver over the store, opened again, takes it from him. */
static void start_over(void) {
    hf_saver_abandon(&sweep.saver);
    hf_store_close(&sweep.store);
    if (open_both() != 0)
        return;
    for (int i = 0; i < THINGS; i++)
        mark(i);
}

static int is_any_unmarked(void) {
    int count = 0;
    for (int i = 0; i < THINGS; i++)
        count += sweep.things[i].is_unmarked;
    return count > 0;
}

static void mark_again(void) {
    for (int i = 0; i < THINGS; i++)
        if (sweep.things[i].is_unmarked)
            mark(i);
}

static void close_both(void) {
    struct hf_error error = {0};
    int code = hf_saver_close(&sweep.saver, &error);
    if (code != 0) {
        if (code != HF_ERR_FAILED) /* that lasts longer than its cause */
            judge("close", code, &error);
        take_fault_away();
        mark_again();
        if (code == HF_ERR_FAILED)
            start_over();
        code = hf_saver_close(&sweep.saver, &error);
        if (code == HF_ERR_FAILED) { /* it stopped only now */
            start_over();
            code = hf_saver_close(&sweep.saver, &error);
        }
        if (code != 0)
            judge("close again", code, &error);
    }
    hf_saver_abandon(&sweep.saver);
    hf_store_close(&sweep.store);
}

static void go_on(void) {
    saver_step(sweep.saver);
    flush();
    load();
    for (int i = 0; i < 8; i++) {
        set_text(i, 2);
        if (i % 3 == 0)
            sweep.things[i].text[0] = '\0';
        mark(i);
    }
    flush();
    set_text(20, 3); /* the audit has to find it */
    audit();
    flush();
    mark(20);
}

void sweep_scenario(void) {
    int things = sweep.only_opens ? THINGS_OF_A_SHORT_LIFE : THINGS;
    for (int i = 0; i < THINGS; i++) {
        set_text(i, 1);
        if (i >= things)
            sweep.things[i].text[0] = '\0';
    }
    if (open_both() != 0)
        return;
    for (int i = 0; i < things; i++)
        mark(i);
    if (!sweep.only_opens)
        go_on();
    if (is_any_unmarked()) { /* marks that could not be remembered are the owner's to repeat */
        take_fault_away();
        mark_again();
    }
    close_both();
}

/* ---- as a new process would find it ---- */

static void count_finding(void *arg, const struct hf_finding *finding) {
    (void)arg;
    sweep_complain("check: %s: %s", finding->what, finding->text);
}

static void expect_as_owned(const struct thing *thing) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int code = hf_store_get(sweep.store, "watch", thing->id, &record, &error);
    if (code != (thing->text[0] ? 0 : HF_ERR_NOT_FOUND))
        sweep_complain("'%s': %s", thing->id, code == 0 ? "it was deleted, and is there" : error.message);
    else if (code == 0 && strcmp(record->json, thing->text) != 0)
        sweep_complain("'%s': not what the owner holds: %.30s", thing->id, record->json);
    hf_record_free(&record);
}

void sweep_verify(void) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    take_fault_away();
    if (sweep.lent != 0)
        sweep_complain("%d of what was lent was not returned", sweep.lent);
    if (open_both() != 0)
        return;
    for (int i = 0; i < THINGS; i++)
        expect_as_owned(&sweep.things[i]);
    if (hf_store_check(sweep.store, count_finding, NULL, &result, &error) != 0)
        sweep_complain("check: %s", error.message);
    hf_saver_abandon(&sweep.saver);
    hf_store_close(&sweep.store);
}

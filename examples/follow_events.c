/* Keeps a counter that several programs may raise at once, and follows what changes in the store.
 *
 *   cc follow_events.c $(pkg-config --cflags --libs holdfast) -o follow_events
 *   ./follow_events sqlite:counters.db
 *
 * A record is read, changed and put back only when nobody else changed it meanwhile; otherwise it is read again. */
#include <holdfast.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hf_error error;

static void must(int code) {
    if (code >= 0)
        return;
    fprintf(stderr, "follow_events: %s\n%s\n", error.message, error.hint);
    exit(hf_code_exit_status(code));
}

static int raise_counter(struct hf_store *store, const char *id) {
    struct hf_record *record = NULL;
    struct hf_batch *batch = NULL;
    struct hf_change_options only_if = {.condition = HF_IF_ABSENT};
    char json[64];
    long count = 0;
    int code = hf_store_get(store, "counter", id, &record, &error);
    if (code != 0 && code != HF_ERR_NOT_FOUND)
        must(code);
    if (record) {
        count = strtol(strchr(record->json, ':') + 1, NULL, 10);
        only_if = (struct hf_change_options){.condition = HF_IF_REVISION, .if_revision = record->revision};
    }
    hf_record_free(&record);
    snprintf(json, sizeof json, "{\"count\":%ld}", count + 1);
    must(hf_batch_new("follow_events", &batch, &error));
    must(hf_batch_put(batch, "counter", id, json, strlen(json), &only_if, &error));
    code = hf_store_commit(store, &batch, NULL, &error); /* 0: it is on disk */
    if (code == HF_ERR_PRECONDITION || code == HF_ERR_EXISTS)
        return 0; /* somebody was faster */
    must(code);
    return 1;
}

static int show_event(void *arg, const struct hf_event *event) {
    (void)arg;
    printf("%llu %s %s/%s by %s\n", (unsigned long long)event->revision, event->what == HF_PUT ? "put" : "delete",
           event->kind, event->id, event->who);
    return 0;
}

int main(int argc, char **argv) {
    struct hf_store *store = NULL;
    must(hf_store_open(argc > 1 ? argv[1] : "memory:", NULL, &store, &error));
    uint64_t seen = hf_store_revision(store);
    must(hf_store_keep_history(store, "counter", 10, &error));
    for (int i = 0; i < 3; i++) {
        while (!raise_counter(store, "visits"))
            continue;
    }
    must(hf_store_events(store, seen, 0, show_event, NULL, &error));
    hf_store_close(&store);
    return 0;
}

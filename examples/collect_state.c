/* A collector that cron starts: it finds its state again, takes what is new, and saves after each step together with
 * what it took, so that a crash neither loses an item nor takes one twice.
 *
 *   cc collect_state.c $(pkg-config --cflags --libs holdfast) -o collect_state
 *   ./collect_state sqlite:items.db       (and again: it goes on from there) */
#include <holdfast.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hf_error error;

static void must(int code) {
    if (code == 0)
        return;
    fprintf(stderr, "collect_state: %s\n%s\n", error.message, error.hint);
    exit(hf_code_exit_status(code)); /* the lease is free when this process has ended */
}

/* The item and the state that says it was taken: one commit, both or neither. */
static void take_item(struct hf_store *store, const struct hf_state_lease *lease, long number) {
    struct hf_state_save_options options = {.struct_bytes = sizeof options, .lease = lease, .who = "collect_state"};
    char id[32], json[64], state[64];
    snprintf(id, sizeof id, "%08ld", number);
    snprintf(json, sizeof json, "{\"number\":%ld}", number);
    snprintf(state, sizeof state, "{\"last\":%ld}", number);
    must(hf_batch_new(options.who, &options.with, &error));
    must(hf_batch_put(options.with, "item", id, json, strlen(json), NULL, &error));
    must(hf_state_save(store, "collector", state, strlen(state), &options, NULL, &error));
}

int main(int count, char **arguments) {
    const struct hf_state_lease_options options = {.struct_bytes = sizeof options, .reason = "crontab"};
    struct hf_store *store = NULL;
    struct hf_state_lease *lease = NULL;
    struct hf_state_value *value = NULL;
    must(hf_store_open(count > 1 ? arguments[1] : "sqlite:items.db", NULL, &store, &error));
    must(hf_state_lease_take(store, "collector", &options, &lease, &error)); /* fails while another run lives */
    must(hf_state_default(store, "collector", "{\"last\":0}", 10, &value, &error));
    long last = strtol(strchr(value->bytes, ':') + 1, NULL, 10);
    for (long number = last + 1; number <= last + 10; number++)
        take_item(store, lease, number);
    printf("%s: items %ld to %ld, after version %d\n", hf_state_lease_run(lease), last + 1, last + 10,
           (int)value->version);
    hf_state_value_free(&value);
    must(hf_state_lease_release(store, &lease, "ok", &error));
    hf_store_close(&store);
    return 0;
}

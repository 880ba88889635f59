/* A collector's round, load the state of 10 KB and save the next one durably, against one fdatasync of the same bytes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "holdfast.h"
#include "keep/state.h"
#include "measure.h"

enum { STATE_BYTES = 10 * 1024, SAVES = 300, ROUNDS = 7, LOG_BYTES = 16 << 20 };

static void well(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "bench_state: %s\n", error->message);
    exit(1);
}

/* JSON of that size, other each time. */
static void make_state(char *state, unsigned turn) {
    size_t at = (size_t)snprintf(state, STATE_BYTES, "{\"turn\":%u,\"seen\":[0", turn);
    for (unsigned i = 0; at < STATE_BYTES - 16; i++)
        at += (size_t)snprintf(state + at, STATE_BYTES - at, ",%u", 100000 + (turn * 7919 + i * 104729) % 900000);
    memcpy(state + at, "]}", 3);
}

static double with_holdfast(struct hf_store *store, const struct hf_state_lease *lease) {
    struct hf_error error = {0};
    struct hf_state_save_options options = {.struct_bytes = sizeof options, .lease = lease};
    static unsigned turn;
    static char state[STATE_BYTES + 1];
    double start = seconds_now();
    for (int i = 0; i < SAVES; i++) {
        struct hf_state_value *value = NULL;
        well(hf_state_default(store, "bench", "{}", 2, &value, &error), &error);
        make_state(state, ++turn);
        well(hf_state_save(store, "bench", state, strlen(state), &options, NULL, &error), &error);
        hf_state_value_free(&value);
    }
    return (seconds_now() - start) / SAVES;
}

static double with_one_sync(int log) {
    static char state[STATE_BYTES + 1];
    static off_t at;
    static unsigned turn;
    double start = seconds_now();
    for (int i = 0; i < SAVES; i++) {
        make_state(state, ++turn);
        write_fully(log, state, strlen(state), at);
        must(fdatasync(log) == 0, "fdatasync");
        at = (at + STATE_BYTES) % (LOG_BYTES / 2);
    }
    return (seconds_now() - start) / SAVES;
}

/* Its blocks are written: what is written over them later changes no metadata. */
static int make_log(void) {
    static char block[1 << 20];
    int fd = open_file("log", O_CREAT | O_TRUNC);
    for (off_t at = 0; at < LOG_BYTES; at += (off_t)sizeof block)
        write_fully(fd, block, sizeof block, at);
    must(fsync(fd) == 0, "fsync");
    return fd;
}

int main(void) {
    struct hf_error error = {0};
    struct hf_store *store = NULL;
    struct hf_state_lease *lease = NULL;
    double ours[ROUNDS], limit[ROUNDS];
    int log = make_log();
    well(hf_store_open("sqlite:store.db", NULL, &store, &error), &error);
    well(state_declare_kinds(store, &error), &error);
    well(hf_state_lease_take(store, "bench", NULL, &lease, &error), &error);
    (void)with_holdfast(store, lease);
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = with_one_sync(log) * 1e6;
        ours[i] = with_holdfast(store, lease) * 1e6;
    }
    double value = median(ours, ROUNDS), bound = median(limit, ROUNDS);
    report("state_load_save_10k", value, "us", bound, value / bound);
    well(hf_state_lease_release(store, &lease, NULL, &error), &error);
    hf_store_close(&store);
    close(log);
    return 0;
}

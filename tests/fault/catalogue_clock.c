/* S23: a clock that jumps. */
#include "fault/catalogue.h"

#include <stdio.h>

static const struct os_ops *plain_ops; /* of the simulated disk */

static int64_t wall_ns; /* what the wall clock says */

static int64_t now_as_set(const struct os *os, enum os_clock clock) {
    return clock == OS_CLOCK_WALL ? wall_ns : plain_ops->now_ns(os, clock);
}

struct order {
    uint64_t revision;
    int count;
};

static int follow_order(void *arg, const struct hf_event *event) {
    struct order *order = arg;
    assert_true(event->revision > order->revision);
    order->revision = event->revision;
    order->count++;
    return 0;
}

static int count_version(void *arg, const struct hf_record *record, int code) {
    char json[32];
    int *count = arg;
    snprintf(json, sizeof json, "{\"n\":%d}", 7 - *count);
    assert_int_equal(code, 0);
    assert_string_equal(record->json, json); /* newest first, whatever the clock said */
    ++*count;
    return 0;
}

void S23_clock_that_jumps(void **state) {
    static const int64_t seconds[] = {
        1767225600, 1767225600 - 3600, 1767225600 + 10LL * 365 * 86400, 0, 1483228799, 1483228799, 0x7fffffff + 1LL,
    };
    enum { JUMPS = sizeof seconds / sizeof *seconds };
    BEGIN(world);
    struct order order = {0};
    int versions = 0;
    plain_ops = sim_process_os(world.process)->ops;
    world.ops.now_ns = now_as_set;
    wall_ns = seconds[0] * 1000000000;
    world_must_open(&world);
    for (int i = 0; i < JUMPS; i++) {
        char json[32];
        wall_ns = seconds[i] * 1000000000;
        snprintf(json, sizeof json, "{\"n\":%d}", i + 1);
        assert_int_equal(hf_store_keep_history(world.store, "watch", 100, NULL), 0);
        world_must_put(&world, "watch", "a", json);
        world_reopen(&world);
        world_expect(&world, "watch", "a", json);
    }
    assert_int_equal(hf_store_revision(world.store), JUMPS);
    assert_int_equal(hf_store_events(world.store, 0, 0, follow_order, &order, NULL), 0);
    assert_int_equal(order.count, JUMPS); /* none was removed for being old */
    assert_int_equal(hf_store_history(world.store, "watch", "a", 0, count_version, &versions, NULL), 0);
    assert_int_equal(versions, JUMPS);
    assert_int_equal(world_findings(&world), 0);
    END(world);
}

/* S3 to S8: calls that fail. */
#include "fault/catalogue.h"

#include <errno.h>
#include <string.h>

#include "sim/share.h"

enum { TRANSFERS = 1 << OS_CALL_READ | 1 << OS_CALL_WRITE };

static uint64_t calls_of_a_life(const char *url, unsigned call_mask) {
    struct world world;
    world_init(&world, url);
    world_count(&world, call_mask);
    world_live(&world);
    uint64_t calls = os_fault_calls(world.fault);
    world_fini(&world);
    return calls;
}

static void live_through(const char *url, unsigned call_mask, int once, int error) {
    uint64_t calls = calls_of_a_life(url, call_mask);
    uint64_t step = calls / SAMPLES + 1, hit = 0;
    assert_true(calls > 5);
    for (uint64_t call = 1; call <= calls; call += step) {
        struct world world;
        world_init(&world, url);
        world_fail(&world, call_mask, call, once, error);
        world_live(&world);
        hit += os_fault_failed(world.fault) > 0;
        world_fini(&world);
    }
    assert_true(hit * 2 > calls / step); /* single bytes cannot be cut, and listing is not interrupted */
}

void S3_short_write_and_interrupt_at_each_call(void **state) {
    live_through(*state, TRANSFERS, 1, 0);
    live_through(*state, TRANSFERS, 0, 0); /* from there on every one is short */
    live_through(*state, 0, 1, EINTR);     /* any call, not only reads and writes */
}

static void fill_disk_at(const char *url, uint64_t call, int error, int code_wanted) {
    enum { MANY = 1000 };
    struct world world;
    world_init(&world, url);
    world_must_open(&world);
    world_must_put(&world, "watch", "old", "{\"n\":1}");
    world_fail(&world, 1 << OS_CALL_WRITE | 1 << OS_CALL_TRUNCATE, call, 0, error);
    int code = world_commit_many(&world, "m", MANY, 0);
    if (code != 0)
        world_expect_error(&world, code, code_wanted, strerror(error));
    int there = world_count_many(&world, "m", MANY, 0);
    if (code != 0) {
        assert_int_equal(hf_code_http_status(code), 507);
        assert_true(hf_code_is_retryable(code));
        assert_int_equal(there, 0);
    } else {
        assert_int_equal(there, MANY); /* what failed was not needed for it */
    }
    world_expect(&world, "watch", "old", "{\"n\":1}");
    world_heal(&world); /* somebody made room: it works again as it is */
    assert_int_equal(world_commit_many(&world, "m", MANY, 0), 0);
    assert_int_equal(world_count_many(&world, "m", MANY, 0), MANY);
    world_reopen(&world);
    assert_int_equal(world_count_many(&world, "m", MANY, 0), MANY);
    assert_int_equal(world_findings(&world), 0);
    assert_int_equal(world_count_files(&world, ".tmp") + world_count_files(&world, "staged/"), 0);
    world_fini(&world);
}

void S4_no_space_and_quota_at_each_write_of_a_thousand(void **state) {
    struct world world;
    world_init(&world, *state);
    world_must_open(&world);
    world_must_put(&world, "watch", "old", "{\"n\":1}");
    world_count(&world, 1 << OS_CALL_WRITE | 1 << OS_CALL_TRUNCATE);
    assert_int_equal(world_commit_many(&world, "m", 1000, 0), 0);
    uint64_t calls = os_fault_calls(world.fault), step = calls / share_of(12, 6) + 1;
    world_fini(&world);
    assert_true(calls >= 3);
    for (uint64_t call = 1; call <= calls; call += step) {
        fill_disk_at(*state, call, ENOSPC, HF_ERR_NO_SPACE);
        fill_disk_at(*state, call, EDQUOT, HF_ERR_QUOTA);
    }
}

static void fail_sync_at(const char *url, uint64_t call, int error) {
    struct world world;
    world_init(&world, url);
    world_must_open(&world);
    world_must_put(&world, "watch", "acked", "{\"n\":1}");
    world_fail(&world, 1 << OS_CALL_SYNC, call, 1, error);
    int code = world_put(&world, "watch", "acked", "{\"n\":2}");
    if (code == HF_ERR_NO_SPACE) { /* met before the commit: that file is gone, and another takes its place */
        assert_true(error == ENOSPC);
        world_expect(&world, "watch", "acked", "{\"n\":1}");
        world_must_put(&world, "watch", "acked", "{\"n\":2}");
        code = 0;
    } else if (os_fault_failed(world.fault) && code != 0) {
        uint64_t calls = os_fault_calls(world.fault);
        assert_int_equal(hf_code_http_status(code), 503);
        code = world_put(&world, "watch", "acked", "{\"n\":3}");
        world_expect_error(&world, code, HF_ERR_FAILED, "");
        assert_int_equal(os_fault_calls(world.fault), calls); /* not asked again: it would say that all is well */
        assert_int_equal(world_get(&world, "watch", "acked"), 0);
    }
    world_kill(&world);
    world_must_open(&world);
    struct hf_record *record = NULL;
    assert_int_equal(hf_store_get(world.store, "watch", "acked", &record, NULL), 0);
    assert_true(strcmp(record->json, "{\"n\":2}") == 0 || (code != 0 && strcmp(record->json, "{\"n\":1}") == 0));
    hf_record_free(&record);
    world_must_put(&world, "watch", "acked", "{\"n\":4}");
    assert_int_equal(world_findings(&world), 0);
    world_fini(&world);
}

void S5_sync_that_fails_is_not_asked_again(void **state) {
    for (uint64_t call = 1; call <= 3; call++) {
        fail_sync_at(*state, call, EIO);
        fail_sync_at(*state, call, ENOSPC);
    }
}

void S6_close_that_fails_after_a_good_sync(void **state) {
    BEGIN(world);
    world_fail(&world, 1 << OS_CALL_CLOSE, 1, 0, EIO);
    world_live(&world);
    assert_true(os_fault_failed(world.fault) > 0);
    END(world);
}

void S7_read_only_in_the_middle(void **state) {
    BEGIN(world);
    world_must_open(&world);
    world_must_put(&world, "watch", "a", "{\"n\":1}");
    for (int round = 0; round < 3; round++) {
        sim_disk_set_read_only(world.disk, 1);
        int code = world_put(&world, "watch", "a", round % 2 ? "{\"n\":1}" : "{\"n\":2}");
        world_expect_error(&world, code, HF_ERR_READ_ONLY, ""); /* the very next write */
        assert_int_equal(hf_code_http_status(code), 503);
        assert_string_equal(hf_code_word(code), "store_readonly");
        store_pump(world.store);
        world_expect(&world, "watch", "a", round % 2 ? "{\"n\":2}" : "{\"n\":1}"); /* reading goes on */
        assert_int_equal(world_findings(&world), 0);
        sim_disk_set_read_only(world.disk, 0);
        world_must_put(&world, "watch", "a", round % 2 ? "{\"n\":1}" : "{\"n\":2}"); /* by itself */
    }
    world_reopen(&world);
    world_expect(&world, "watch", "a", "{\"n\":2}");
    END(world);
}

void S8_no_descriptor_is_free(void **state) {
    BEGIN(world);
    world_must_open(&world);
    world_must_put(&world, "watch", "a", "{\"n\":1}");
    for (int error = EMFILE; error; error = error == EMFILE ? ENFILE : 0) {
        world_fail(&world, 1 << OS_CALL_OPEN, 1, 0, error);
        world_expect(&world, "watch", "a", "{\"n\":1}"); /* a reader is always open */
        int code = world_put(&world, "watch", "b", "{\"n\":1}");
        if (code != 0) {
            world_expect_error(&world, code, HF_ERR_TOO_MANY_FILES, "");
            assert_int_equal(hf_code_http_status(code), 503);
            assert_true(hf_code_is_retryable(code));
        }
        store_pump(world.store);
        assert_int_equal(store_health(world.store, NULL), 0);
        world_heal(&world);
        world_must_put(&world, "watch", "b", "{\"n\":1}");
        world_reopen(&world);
        assert_int_equal(world_findings(&world), 0);
    }
    hf_store_close(&world.store);
    world_fail(&world, 1 << OS_CALL_OPEN, 1, 0, EMFILE);
    world_expect_error(&world, world_open(&world), HF_ERR_TOO_MANY_FILES, "");
    END(world);
}

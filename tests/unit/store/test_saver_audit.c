/* The audit of what the owner holds: what nobody marked is found, marked and told of; what is marked, or only written
 * differently, is not; nothing is ever deleted by it. */
#include "saver_fixture.h"

#include "base/hash.h"

static struct {
    unsigned count;
    struct found {
        char what[32], id[40], action[16];
    } list[64];
} found;

static void collect(void *arg, const struct hf_finding *finding) {
    (void)arg;
    assert_true(found.count < 64);
    struct found *one = &found.list[found.count++];
    snprintf(one->what, sizeof one->what, "%s", finding->what);
    snprintf(one->id, sizeof one->id, "%s", finding->id ? finding->id : "");
    snprintf(one->action, sizeof one->action, "%s", finding->action);
    assert_non_null(finding->text);
}

static uint64_t audit(uint32_t shard, uint32_t shards) {
    struct hf_error error = {0};
    uint64_t audited = 99999, findings = 99999;
    found.count = 0;
    if (saver_audit(world.saver, shard, shards, collect, NULL, &audited, &findings, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(findings, found.count);
    return audited;
}

static void expect_found(const char *what, const char *id, const char *action) {
    for (unsigned i = 0; i < found.count; i++)
        if (strcmp(found.list[i].id, id) == 0 && strcmp(found.list[i].what, what) == 0 &&
            strcmp(found.list[i].action, action) == 0)
            return;
    fail_msg("'%s' of '%s' was not found", what, id);
}

static int setup_listed(void **state) {
    int code = setup(state);
    world.options.each = each;
    open_again();
    return code;
}

static void test_unmarked_change(void **state) {
    (void)state;
    change("a", "{\"n\":1}");
    change("b", "{\"n\":1}");
    flush();
    hold("a", "{\"n\":2}"); /* and forgets to mark it */
    assert_int_equal(audit(0, 1), 2);
    assert_int_equal(found.count, 1);
    expect_found("unmarked_change", "a", "marked");
    assert_int_equal(health().unmarked_found, 1);
    assert_int_equal(saver_due_in_ms(world.saver), INTERVAL);
    assert_int_equal(audit(0, 1), 1); /* it is marked now */
    assert_int_equal(found.count, 0);
    pass(INTERVAL);
    saver_step(world.saver);
    expect_stored("a", "{\"n\":2}");
}

static void test_unmarked_new(void **state) {
    (void)state;
    hold("a", "1");
    audit(0, 1);
    assert_int_equal(found.count, 1);
    expect_found("unmarked_new", "a", "marked");
    flush();
    expect_stored("a", "1");
    audit(0, 1);
    assert_int_equal(found.count, 0);
}

static void test_missing_in_owner(void **state) {
    (void)state;
    change("a", "1");
    change("b", "1");
    flush();
    hold("a", NULL);
    assert_int_equal(audit(0, 1), 1);
    assert_int_equal(found.count, 1);
    expect_found("missing_in_owner", "a", "reported");
    flush();
    expect_stored("a", "1"); /* deleting is the owner's affair */
    mark("a");
    audit(0, 1);
    assert_int_equal(found.count, 0); /* it is marked */
    flush();
    expect_stored("a", NULL);
    audit(0, 1);
    assert_int_equal(found.count, 0);
}

static void test_without_a_list(void **state) {
    (void)state;
    world.options.each = NULL;
    open_again();
    change("a", "1");
    change("b", "1");
    flush();
    hold("a", "2");
    hold("b", NULL);
    hold("c", "1"); /* nobody can know of it */
    assert_int_equal(audit(0, 1), 1);
    assert_int_equal(found.count, 2);
    expect_found("unmarked_change", "a", "marked");
    expect_found("missing_in_owner", "b", "reported");
}

static void test_written_differently(void **state) {
    (void)state;
    change("a", "{\"a\":1,\"b\":2}");
    flush();
    hold("a", "{ \"b\":2, \"a\":1 }");
    audit(0, 1);
    assert_int_equal(found.count, 0);
    mark("a");
    flush();
    assert_int_equal(health().total_saves, 1);
}

static void test_not_json(void **state) {
    (void)state;
    change("a", "1");
    flush();
    hold("a", "1 2");
    audit(0, 1);
    expect_found("unmarked_change", "a", "marked");
    flush_fails(HF_ERR_BAD_JSON);
    assert_int_equal(health().dirty, 1);
}

/* By the hash of the key: every key once in as many audits as there are shards, however the set grows. */
static void test_shards(void **state) {
    uint64_t sum = 0;
    (void)state;
    change_many(1000, 1);
    flush();
    for (uint32_t shard = 0; shard < 5; shard++) {
        uint64_t audited = audit(shard, 5);
        assert_true(audited > 100 && audited < 300);
        sum += audited;
        change_many(1000 + shard * 10, 1);
        flush();
    }
    assert_true(sum >= 1000 && sum <= 1040);
    hold("0007", "[]");
    uint32_t its = (uint32_t)(hash64("thing/0007", 10, 0) % 5);
    for (uint32_t shard = 0; shard < 5; shard++) {
        audit(shard, 5);
        assert_int_equal(found.count, shard == its);
    }
    hold("0007", NULL);
    flush();
    world.things[0].code = 0;
    uint64_t audited, findings;
    assert_int_equal(saver_audit(world.saver, 5, 5, NULL, NULL, &audited, &findings, NULL), HF_ERR_INVALID);
}

static void mark_it(struct thing *thing) {
    world.while_giving = NULL;
    mark(thing->id);
}

/* He had changed it, and was about to mark it. */
static void test_overtaken(void **state) {
    (void)state;
    change("a", "1");
    flush();
    hold("a", "2");
    world.while_giving = mark_it;
    audit(0, 1);
    assert_int_equal(found.count, 0);
    assert_int_equal(health().unmarked_found, 0);
    flush();
    expect_stored("a", "2");
}

static void test_owner_fails(void **state) {
    struct hf_error error = {0};
    uint64_t audited = 7, findings = 7;
    (void)state;
    change("a", "1");
    change("b", "1");
    flush();
    hold("a", "2");
    thing_of("b")->code = HF_ERR_PERMISSION;
    found.count = 0;
    /* What could not be looked at is never "clean"; the others were looked at. */
    assert_int_equal(saver_audit(world.saver, 0, 1, collect, NULL, &audited, &findings, &error), HF_ERR_PERMISSION);
    assert_ptr_equal(strstr(error.message, "look at 'thing/b'"), error.message);
    assert_int_equal(audited, 7);
    expect_found("unmarked_change", "a", "marked");
    thing_of("b")->code = 0;
    world.each_code = HF_ERR_UNAVAILABLE;
    change("c", "1");
    flush();
    hold("c", NULL);
    found.count = 0;
    assert_int_equal(saver_audit(world.saver, 0, 1, collect, NULL, &audited, &findings, &error), HF_ERR_UNAVAILABLE);
    assert_int_equal(found.count, 0); /* half a list says nothing of what is missing */
}

static void test_impossible_keys(void **state) {
    (void)state;
    hold("a/b", "1");
    hold("ok", "1");
    audit(0, 1);
    assert_int_equal(found.count, 2);
    expect_found("unmarked_new", "", "reported");
    expect_found("unmarked_new", "ok", "marked");
}

static void test_lends_are_returned(void **state) {
    (void)state;
    hold("a", "1")->is_lent = 1;
    hold("b", "?")->is_lent = 1;
    mark("a");
    mark("b");
    flush_fails(HF_ERR_BAD_JSON);
    hold("a", "2");
    hold("c", "1")->is_lent = 1;
    audit(0, 1);
    for (unsigned i = 0; i < world.count; i++) {
        assert_true(world.things[i].given > 0);
        assert_int_equal(world.things[i].given, world.things[i].returned);
    }
}

static void test_listed_twice(void **state) {
    (void)state;
    hold("a", "1");
    world.things[world.count++] = (struct thing){.id = "a", .kind = "thing", .text = strdup("1")};
    audit(0, 1);
    assert_int_equal(found.count, 1);
}

/* The store's copy is rotten: what the owner holds is written again, though he has not changed it. */
static void test_damaged_is_written_again(void **state) {
    (void)state;
    change("a", "1");
    flush();
    assert_int_equal(saver_mark_held(world.saver, "thing", "b"), HF_ERR_NOT_FOUND);
    assert_int_equal(saver_mark_held(world.saver, "thing", ""), HF_ERR_BAD_ID);
    assert_int_equal(saver_mark_held(world.saver, "thing", "a"), 0);
    world.damaged = "a";
    flush();
    assert_int_equal(health().total_saves, 2);
    assert_int_equal(hf_store_revision(world.store), 2);
    world.damaged = NULL;
    expect_stored("a", "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup_listed, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(unmarked_change),
        TEST(unmarked_new),
        TEST(missing_in_owner),
        TEST(without_a_list),
        TEST(written_differently),
        TEST(not_json),
        TEST(shards),
        TEST(overtaken),
        TEST(owner_fails),
        TEST(impossible_keys),
        TEST(lends_are_returned),
        TEST(listed_twice),
        TEST(damaged_is_written_again),
    };
    return cmocka_run_group_tests_name("audit of the owner", tests, NULL, NULL);
}

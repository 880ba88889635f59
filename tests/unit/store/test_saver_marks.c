/* What the saver does with marks that come while it saves, with one that waits for the disk, and with documents that
 * are lent to it. */
#include "saver_fixture.h"

/* ---- a mark while the key is being saved ---- */

static void mark_same(struct thing *thing) {
    world.while_giving = NULL;
    pass(5); /* the time at which it was taken is what counts */
    free(thing->text);
    thing->text = strdup("{\"n\":2}");
    mark(thing->id);
}

static void test_mark_of_the_same_key(void **state) {
    (void)state;
    change("a", "{\"n\":1}");
    pass(INTERVAL);
    world.while_giving = mark_same;
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("a", "{\"n\":1}");
    assert_int_equal(health().dirty, 1);
    assert_int_equal(saver_due_in_ms(world.saver), INTERVAL - 5);
    pass(INTERVAL);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("a", "{\"n\":2}");
    assert_int_equal(health().dirty, 0);
}

static void mark_other(struct thing *thing) {
    (void)thing;
    world.while_giving = NULL;
    hold("u", "2");
    mark_as("u", HF_URGENT);
    change("s", "3");
}

static void test_mark_of_another_key(void **state) {
    (void)state;
    change_many(120, 1);
    pass(INTERVAL);
    world.while_giving = mark_other;
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("0119", "{\"n\":1,\"turn\":1}");
    expect_stored("u", "2"); /* urgent: the cycle that runs takes it */
    expect_stored("s", NULL);
    assert_int_equal(saver_due_in_ms(world.saver), 0); /* the hurry is looked after, and then it is quiet */
    assert_int_equal(saver_step(world.saver), 0);
    assert_int_equal(saver_due_in_ms(world.saver), INTERVAL);
}

static void test_urgent_mark_at_the_end_of_a_cycle(void **state) {
    (void)state;
    change("a", "1");
    pass(INTERVAL);
    world.while_giving = mark_other;
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("u", NULL);
    assert_int_equal(saver_due_in_ms(world.saver), 0);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("u", "2");
    assert_int_equal(saver_due_in_ms(world.saver), INTERVAL);
}

static void delete_it(struct thing *thing) {
    world.while_giving = NULL;
    hold(thing->id, NULL);
    mark(thing->id);
}

static void test_deletion_while_it_is_saved(void **state) {
    (void)state;
    change("a", "1");
    world.while_giving = delete_it; /* he gave the text, and then deletes it */
    pass(INTERVAL);
    thing_of("a")->is_lent = 0;
    saver_step(world.saver);
    flush();
    expect_stored("a", NULL);
    assert_int_equal(health().dirty, 0);
}

/* ---- to be on disk when the mark returns ---- */

static void test_commit(void **state) {
    struct hf_error error = {0};
    (void)state;
    world.options.durability = HF_COMMIT;
    open_again();
    change("a", "1");
    expect_stored("a", "1");
    hold("a", "{");
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", thing_of("a"), HF_STANDARD, &error), HF_ERR_BAD_JSON);
    assert_non_null(strstr(error.message, "'thing/a'"));
    assert_int_equal(health().dirty, 1);
    world.begin_code = HF_ERR_NO_SPACE;
    hold("a", "2");
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", thing_of("a"), HF_STANDARD, &error), HF_ERR_NO_SPACE);
    hold("b", "2");
    assert_int_equal(hf_saver_mark(world.saver, "thing", "b", thing_of("b"), HF_STANDARD, &error), HF_ERR_NO_SPACE);
    world.begin_code = 0;
    pass(INTERVAL);
    assert_int_equal(saver_step(world.saver), 1); /* it stayed marked, and is saved without being asked */
    expect_stored("b", "2");
    flush();
    expect_stored("a", "2");
    change("a", NULL);
    expect_stored("a", NULL);
}

/* ---- what is lent ---- */

static void test_lends_are_returned(void **state) {
    (void)state;
    hold("good", "{}")->is_lent = 1;
    hold("bad", "{")->is_lent = 1;
    hold("refused", "[]")->is_lent = 1;
    thing_of("refused")->code = HF_ERR_PERMISSION;
    hold("gone", "[]")->is_lent = 1;
    thing_of("gone")->code = HF_ERR_NOT_FOUND;
    for (unsigned i = 0; i < world.count; i++)
        mark(world.things[i].id);
    assert_int_not_equal(hf_saver_flush(world.saver, NULL), 0);
    for (unsigned i = 0; i < world.count; i++) {
        assert_true(world.things[i].given > 0);
        assert_int_equal(world.things[i].returned, world.things[i].given);
    }
    world.begin_code = HF_ERR_NO_SPACE;
    hold("good", "[1]");
    mark("good");
    assert_int_equal(hf_saver_flush(world.saver, NULL), HF_ERR_BAD_JSON); /* 'bad' comes first */
}

struct misuse {
    int lends, adds;
};

static int give_wrongly(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    const struct misuse *misuse = tag;
    (void)arg, (void)kind, (void)id;
    for (int i = 0; i < misuse->adds; i++)
        hf_document_add(document, "1", 1);
    for (int i = 0; i < misuse->lends; i++)
        hf_document_lend(document, "1", 1);
    return 0;
}

static unsigned returns;
static void count_return(void *arg, const char *kind, const char *id, void *tag) {
    (void)arg, (void)kind, (void)id, (void)tag;
    returns++;
}

static void test_misuse_of_documents(void **state) {
    static struct misuse twice = {2, 0}, both = {1, 1}, none = {0, 0}, pieces = {0, 3};
    struct hf_error error = {0};
    (void)state;
    world.options.give = give_wrongly;
    world.options.returned = count_return;
    open_again();
    returns = 0;
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", &twice, HF_STANDARD, NULL), 0);
    assert_int_equal(hf_saver_flush(world.saver, &error), HF_ERR_INVALID);
    assert_int_equal(returns, 2);
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", &both, HF_STANDARD, NULL), 0);
    assert_int_equal(hf_saver_flush(world.saver, &error), HF_ERR_INVALID);
    assert_int_equal(returns, 3);
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", &none, HF_STANDARD, NULL), 0);
    assert_int_equal(hf_saver_flush(world.saver, &error), HF_ERR_BAD_JSON);
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", &pieces, HF_STANDARD, NULL), 0);
    assert_int_equal(hf_saver_flush(world.saver, &error), 0);
    expect_stored("a", "111");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(mark_of_the_same_key),
        TEST(mark_of_another_key),
        TEST(urgent_mark_at_the_end_of_a_cycle),
        TEST(deletion_while_it_is_saved),
        TEST(commit),
        TEST(lends_are_returned),
        TEST(misuse_of_documents),
    };
    return cmocka_run_group_tests_name("marks and lends of the saver", tests, NULL, NULL);
}

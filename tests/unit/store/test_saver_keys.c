/* The table of keys: against a plain list, through growth, removal and sweeping; and what a key costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "store/saver_keys.h"

enum { IDS = 3000, STEPS = 60000 };

static struct saver_key *find(const struct saver_keys *keys, const char *id) {
    return saver_keys_find(keys, saver_key_hash("thing", id), "thing", id);
}

static void test_against_a_list(void **state) {
    static uint8_t is_there[IDS];
    struct saver_keys keys = {0};
    size_t count = 0, position = 0;
    char id[40];
    (void)state;
    for (uint64_t step = 0; step < STEPS; step++) {
        unsigned number = (unsigned)(hash64(&step, sizeof step, 1) % IDS);
        snprintf(id, sizeof id, "%u", number);
        struct saver_key *key = find(&keys, id);
        assert_int_equal(key != NULL, is_there[number]);
        if (!key) {
            key = saver_keys_add(&keys, saver_key_hash("thing", id), "thing", id);
            assert_string_equal(key->kind, "thing");
            assert_string_equal(saver_key_id(key), id);
            key->flags = SAVER_KNOWN;
        } else {
            saver_keys_remove(&keys, key);
        }
        is_there[number] ^= 1;
    }
    for (unsigned i = 0; i < IDS; i++)
        count += is_there[i];
    assert_int_equal(keys.count, count);
    for (struct saver_key *key; (key = saver_keys_next(&keys, &position)); count--)
        key->flags = count % 3 == 0 ? SAVER_DIRTY : 0;
    assert_int_equal(count, 0);
    saver_keys_sweep(&keys);
    position = 0;
    for (struct saver_key *key; (key = saver_keys_next(&keys, &position)); count++)
        assert_int_equal(key->flags, SAVER_DIRTY);
    assert_int_equal(keys.count, count);
    saver_keys_fini(&keys);
}

static void test_kinds_and_ids_do_not_mix(void **state) {
    struct saver_keys keys = {0};
    (void)state;
    struct saver_key *key = saver_keys_add(&keys, 7, "ab", "c");
    assert_ptr_equal(saver_keys_find(&keys, 7, "ab", "c"), key);
    assert_null(saver_keys_find(&keys, 7, "a", "bc"));
    assert_null(saver_keys_find(&keys, 8, "ab", "c"));
    assert_int_not_equal(saver_key_hash("ab", "c"), saver_key_hash("a", "bc"));
    assert_int_equal(saver_key_hash("ab", "c"), hash64("ab/c", 4, 0));
    saver_keys_fini(&keys);
}

static void test_lists(void **state) {
    struct saver_keys keys = {0};
    struct saver_list one = {0}, other = {0};
    (void)state;
    struct saver_key *a = saver_keys_add(&keys, 1, "a", "a"), *b = saver_keys_add(&keys, 2, "a", "b");
    assert_null(saver_list_pop(&one));
    saver_list_push(&one, a);
    saver_list_move(&one, &other);
    saver_list_move(&one, &other);
    saver_list_push(&one, b);
    saver_list_move(&one, &other);
    assert_ptr_equal(saver_list_pop(&other), a);
    assert_ptr_equal(saver_list_pop(&other), b);
    assert_null(saver_list_pop(&other));
    saver_keys_fini(&keys);
}

static void test_cost_of_a_key(void **state) {
    enum { KEYS = 100000 }; /* just over three quarters of a power of two: the table is at its emptiest */
    struct saver_keys keys = {0};
    char id[40];
    (void)state;
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(id, sizeof id, "%08x-1111-2222-3333-%012x", i * 2654435761u, i);
        assert_int_equal(strlen(id), 36);
        assert_non_null(saver_keys_add(&keys, saver_key_hash("watch", id), "watch", id));
    }
    size_t each = (mallinfo2().uordblks + mallinfo2().hblkhd - before) / KEYS;
    printf("# %zu bytes for a key\n", each);
    assert_true(each < 150);
    saver_keys_fini(&keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_list),
                                       cmocka_unit_test(test_kinds_and_ids_do_not_mix), cmocka_unit_test(test_lists),
                                       cmocka_unit_test(test_cost_of_a_key)};
    return cmocka_run_group_tests_name("the saver's keys", tests, NULL, NULL);
}

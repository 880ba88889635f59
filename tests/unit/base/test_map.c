#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 3000, STEPS = 60000 };

static void empty_map(void **state) {
    (void)state;
    struct map map;
    size_t position = 0;
    map_init(&map);
    assert_null(map_get(&map, "a", 1));
    assert_null(map_remove(&map, "a", 1));
    assert_null(map_next(&map, &position));
    map_fini(&map);
}

static void sets_replaces_removes(void **state) {
    (void)state;
    struct map map;
    int a = 0, b = 0;
    void *old = &b;
    map_init(&map);
    assert_int_equal(map_set(&map, "key", 3, &a, &old), 0);
    assert_null(old);
    assert_int_equal(map_set(&map, "key", 3, &b, &old), 0);
    assert_ptr_equal(old, &a);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(map_get(&map, "key", 3), &b);
    assert_null(map_get(&map, "ke", 2));
    assert_null(map_get(&map, "key\0", 4));
    assert_ptr_equal(map_remove(&map, "key", 3), &b);
    assert_null(map_get(&map, "key", 3));
    assert_int_equal(map.count, 0);
    map_fini(&map);
}

static void keys_may_hold_any_bytes(void **state) {
    (void)state;
    struct map map;
    int a = 0, b = 0, c = 0;
    map_init(&map);
    assert_int_equal(map_set(&map, "", 0, &a, NULL), 0);
    assert_int_equal(map_set(&map, "\0", 1, &b, NULL), 0);
    assert_int_equal(map_set(&map, "\0\0", 2, &c, NULL), 0);
    assert_ptr_equal(map_get(&map, NULL, 0), &a);
    assert_ptr_equal(map_get(&map, "\0", 1), &b);
    assert_ptr_equal(map_get(&map, "\0\0", 2), &c);
    map_fini(&map);
}

static size_t key_of(unsigned number, char key[16]) {
    return (size_t)snprintf(key, 16, "key-%u", number);
}

/* Against an array, with as many removals as settings, so that holes are closed in all ways. */
static void agrees_with_a_plain_array(void **state) {
    (void)state;
    static char values[KEYS];
    static void *model[KEYS];
    struct map map;
    uint32_t random = 12345;
    size_t count = 0;
    map_init(&map);
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned number = (random >> 8) % (step < STEPS / 2 ? KEYS : 40);
        char key[16];
        size_t bytes = key_of(number, key);
        assert_ptr_equal(map_get(&map, key, bytes), model[number]);
        if (random >> 31) {
            void *old;
            assert_int_equal(map_set(&map, key, bytes, &values[number], &old), 0);
            assert_ptr_equal(old, model[number]);
            count += model[number] == NULL;
            model[number] = &values[number];
        } else {
            assert_ptr_equal(map_remove(&map, key, bytes), model[number]);
            count -= model[number] != NULL;
            model[number] = NULL;
        }
        assert_int_equal(map.count, count);
    }
    size_t position = 0, seen = 0;
    for (struct map_entry *entry; (entry = map_next(&map, &position)); seen++) {
        unsigned number = (unsigned)((char *)entry->value - values);
        char key[16];
        assert_int_equal(entry->key_bytes, key_of(number, key));
        assert_string_equal(entry->key, key);
        assert_ptr_equal(model[number], entry->value);
    }
    assert_int_equal(seen, count);
    map_fini(&map);
}

static void vec_keeps_the_order(void **state) {
    (void)state;
    static char items[100];
    struct vec vec;
    vec_init(&vec);
    for (int i = 0; i < 100; i++)
        assert_int_equal(vec_push(&vec, &items[i]), 0);
    vec_remove(&vec, 99);
    vec_remove(&vec, 0);
    vec_remove(&vec, 49);
    assert_int_equal(vec.count, 97);
    for (int i = 0; i < 97; i++)
        assert_ptr_equal(vec.items[i], &items[i < 49 ? i + 1 : i + 2]);
    vec_fini(&vec);
    assert_int_equal(vec.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map),
        cmocka_unit_test(sets_replaces_removes),
        cmocka_unit_test(keys_may_hold_any_bytes),
        cmocka_unit_test(agrees_with_a_plain_array),
        cmocka_unit_test(vec_keeps_the_order),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}

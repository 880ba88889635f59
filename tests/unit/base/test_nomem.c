/* Every allocation fails once, and then for ever from there on: each call says so, nothing is lost, what was there
 * stays usable. Linked with --wrap for malloc, calloc, realloc and free. */
#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void __real_free(void *block);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void __wrap_free(void *block);

static struct {
    long calls, fail_at, live;
    int for_ever;
} faults;

static int fails(void) {
    faults.calls++;
    return faults.fail_at && (faults.calls == faults.fail_at || (faults.for_ever && faults.calls > faults.fail_at));
}

static void *count_live(void *block) {
    faults.live += block != NULL;
    return block;
}

void *__wrap_malloc(size_t bytes) {
    return fails() ? NULL : count_live(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return fails() ? NULL : count_live(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *old, size_t bytes) {
    if (fails())
        return NULL;
    return old ? __real_realloc(old, bytes) : count_live(__real_realloc(old, bytes));
}

void __wrap_free(void *block) {
    faults.live -= block != NULL;
    __real_free(block);
}

/* Runs the scenario with each allocation failing in turn, until it runs through without reaching the failing one. A
 * scenario returns 0 when everything worked, anything else when a call said that memory is used up. */
static void fail_each_allocation(int (*scenario)(void)) {
    for (int for_ever = 0; for_ever <= 1; for_ever++) {
        long fail_at = 0, calls;
        do {
            fail_at++;
            memset(&faults, 0, sizeof faults);
            faults.fail_at = fail_at;
            faults.for_ever = for_ever;
            int result = scenario();
            calls = faults.calls;
            faults.fail_at = 0;
            assert_int_equal(faults.live, 0);
            assert_int_equal(result != 0, calls >= fail_at);
        } while (calls >= fail_at);
        assert_true(fail_at > 1);
    }
}

/* Enough keys, out of order, that they are sorted on the heap. */
static const char *large_object(size_t *ret_bytes) {
    static char text[8000];
    size_t size = 0;
    for (unsigned i = 0; i < 300; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s\"k%u\":[%u]", i ? "," : "{", i * 7919u % 1009, i);
    text[size++] = '}';
    *ret_bytes = size;
    return text;
}

static int read_and_hash(void) {
    size_t bytes;
    const char *text = large_object(&bytes);
    struct json_doc doc;
    struct buf scratch;
    struct hf_error error = {0};
    uint8_t hash[HASH_BYTES];
    json_init(&doc);
    buf_init(&scratch);
    int code = json_hash(&doc, &scratch, text, bytes, NULL, hash, &error);
    if (code < 0) {
        assert_int_equal(code, HF_ERR_NO_MEMORY);
        assert_int_equal(error.code, HF_ERR_NO_MEMORY);
        assert_non_null(strstr(error.message, "memory is used up"));
        faults.fail_at = 0; /* the same document and buffer work again as soon as there is memory */
        assert_int_equal(json_hash(&doc, &scratch, text, bytes, NULL, hash, &error), 0);
    }
    json_fini(&doc);
    buf_fini(&scratch);
    return code;
}

static void json_reading_and_hashing(void **state) {
    (void)state;
    for (int for_ever = 0; for_ever <= 1; for_ever++) {
        int code;
        long fail_at = 0;
        do {
            memset(&faults, 0, sizeof faults);
            faults.fail_at = ++fail_at;
            faults.for_ever = for_ever;
            code = read_and_hash();
            assert_int_equal(faults.live, 0);
        } while (code < 0);
        assert_true(fail_at > 5);
    }
}

static int canonical_of_a_read_document(void) {
    static const char text[] = "{\"b\":[1,2],\"a\":\"\\u0041\"}";
    struct json_doc doc;
    struct buf out;
    json_init(&doc);
    buf_init(&out);
    int code = json_read(&doc, text, sizeof text - 1, NULL, NULL);
    if (code == 0) {
        code = json_canonical(&doc, 0, &out);
        assert_int_equal(code, out.failed ? HF_ERR_NO_MEMORY : 0);
    }
    json_fini(&doc);
    buf_fini(&out);
    return code;
}

static void json_canonical_form(void **state) {
    (void)state;
    fail_each_allocation(canonical_of_a_read_document);
}

static int looking_into_a_document(void) {
    static const char text[] =
        "[\"caf\\u00e9\",0.10000000000000000000000000000000000000000000000000000000000000000001]";
    struct json_doc doc;
    struct arena arena;
    double value;
    json_init(&doc);
    arena_init(&arena);
    int result = json_read(&doc, text, sizeof text - 1, NULL, NULL);
    if (result == 0 && (!json_to_text(&doc, 1, &arena, NULL) || json_to_double(&doc, 2, &value) < 0))
        result = -1;
    json_fini(&doc);
    arena_fini(&arena);
    return result;
}

static void json_looking(void **state) {
    (void)state;
    fail_each_allocation(looking_into_a_document);
}

static int writing(void) {
    struct buf out;
    struct json_writer writer;
    buf_init(&out);
    json_writer_init(&writer, &out, 2);
    json_begin_array(&writer);
    for (int i = 0; i < 200; i++)
        json_i64(&writer, i);
    json_double(&writer, 0.5);
    json_string(&writer, "x");
    json_end_array(&writer);
    int failed = out.failed;
    char *text = buf_take(&out);
    assert_int_equal(text == NULL, failed);
    mem_free(text);
    return failed;
}

static void json_writing(void **state) {
    (void)state;
    fail_each_allocation(writing);
}

static int filling_a_map(void) {
    static char values[50];
    struct map map;
    int failures = 0;
    map_init(&map);
    for (int i = 0; i < 50; i++) {
        char key[16];
        size_t bytes = (size_t)snprintf(key, sizeof key, "key %d", i), count = map.count;
        void *old = &failures;
        if (map_set(&map, key, bytes, &values[i], &old) < 0) {
            failures++;
            assert_int_equal(map.count, count);
            assert_ptr_equal(old, &failures);
            assert_null(map_get(&map, key, bytes));
            assert_null(map_remove(&map, key, bytes));
        } else {
            assert_ptr_equal(map_get(&map, key, bytes), &values[i]);
        }
    }
    assert_int_equal(map.count + (size_t)failures, 50);
    map_fini(&map);
    return failures;
}

static void map_setting(void **state) {
    (void)state;
    fail_each_allocation(filling_a_map);
}

static int filling_a_vec(void) {
    static char items[100];
    struct vec vec;
    int failures = 0;
    vec_init(&vec);
    for (int i = 0; i < 100; i++) {
        if (vec_push(&vec, &items[i]) < 0)
            failures++;
        else
            assert_ptr_equal(vec.items[vec.count - 1], &items[i]);
    }
    assert_int_equal(vec.count + (size_t)failures, 100);
    vec_fini(&vec);
    return failures;
}

static void vec_pushing(void **state) {
    (void)state;
    fail_each_allocation(filling_a_vec);
}

static int filling_a_buf(void) {
    struct buf buf;
    size_t size = 0;
    buf_init(&buf);
    for (int i = 0; i < 300; i++) {
        buf_printf(&buf, "%d,", i);
        if (!buf.failed)
            size = buf.size;
    }
    assert_int_equal(buf.size, size);
    assert_int_equal(strlen(buf_text(&buf)), size);
    int failed = buf.failed;
    char *text = buf_take(&buf);
    assert_int_equal(text == NULL, failed);
    mem_free(text);
    return failed;
}

static void buf_adding(void **state) {
    (void)state;
    fail_each_allocation(filling_a_buf);
}

static int taking_an_empty_buf(void) {
    struct buf buf;
    buf_init(&buf);
    char *text = buf_take(&buf);
    mem_free(text);
    return text ? 0 : -1;
}

static void buf_taking(void **state) {
    (void)state;
    fail_each_allocation(taking_an_empty_buf);
}

static int using_an_arena(void) {
    struct arena arena;
    int failures = 0;
    arena_init(&arena);
    for (int i = 0; i < 50; i++)
        failures += arena_alloc(&arena, 1000) == NULL;
    failures += arena_strdup(&arena, "x") == NULL;
    failures += arena_printf(&arena, "%09999d", 1) == NULL;
    failures += arena_zalloc(&arena, 100, 1000) == NULL;
    arena_reset(&arena);
    arena_fini(&arena);
    return failures;
}

static void arena_allocating(void **state) {
    (void)state;
    fail_each_allocation(using_an_arena);
}

static int copying(void) {
    char *a = mem_strdup("a"), *b = mem_dup("b", 1);
    int *c = MEM_NEW(int);
    int failures = !a + !b + !c;
    mem_free(a);
    mem_free(b);
    mem_free(c);
    return failures;
}

static void mem_copying(void **state) {
    (void)state;
    fail_each_allocation(copying);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_reading_and_hashing),
        cmocka_unit_test(json_canonical_form),
        cmocka_unit_test(json_looking),
        cmocka_unit_test(json_writing),
        cmocka_unit_test(map_setting),
        cmocka_unit_test(vec_pushing),
        cmocka_unit_test(buf_adding),
        cmocka_unit_test(buf_taking),
        cmocka_unit_test(arena_allocating),
        cmocka_unit_test(mem_copying),
    };
    return cmocka_run_group_tests_name("nomem", tests, NULL, NULL);
}

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    char *block = mem_strdup("kept");
    assert_null(mem_alloc(SIZE_MAX));
    assert_null(mem_alloc((size_t)PTRDIFF_MAX + 1));
    assert_null(mem_zalloc(SIZE_MAX / 2, 3));
    assert_null(mem_zalloc(SIZE_MAX, 1));
    assert_null(mem_realloc(block, SIZE_MAX / 4, 8));
    assert_null(mem_realloc(block, 1, SIZE_MAX));
    assert_null(mem_dup(block, SIZE_MAX));
    assert_string_equal(block, "kept");
    mem_free(block);
}

static void nothing_is_still_a_pointer_of_its_own(void **state) {
    (void)state;
    void *a = mem_alloc(0), *b = mem_alloc(0), *c = mem_zalloc(0, 8), *d = mem_realloc(NULL, 0, 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_non_null(c);
    assert_non_null(d);
    d = mem_realloc(d, 0, 0);
    assert_non_null(d);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(d);
    mem_free(NULL);
}

static void copies_end_in_nul(void **state) {
    (void)state;
    char *copy = mem_dup("a\0b", 3), *empty = mem_dup(NULL, 0);
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(empty, "");
    uint32_t *zeros = mem_zalloc(100, sizeof *zeros);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    mem_free(copy);
    mem_free(empty);
    mem_free(zeros);
}

static void scope_end_frees(void **state) {
    (void)state;
    MEM_AUTO char *text = mem_strdup("the leak check sees it when this is not freed");
    MEM_AUTO char *nothing = NULL;
    assert_non_null(text);
    assert_null(nothing);
}

static void arena_is_aligned_and_does_not_overlap(void **state) {
    (void)state;
    enum { BLOCKS = 2000 };
    struct arena arena;
    arena_init(&arena);
    uint8_t *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = arena_alloc(&arena, i % 97);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i & 0xFF), i % 97);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t j = 0; j < i % 97; j++)
            assert_int_equal(blocks[i][j], i & 0xFF);
    assert_ptr_not_equal(arena_alloc(&arena, 0), arena_alloc(&arena, 0));
    arena_fini(&arena);
    assert_null(arena.blocks);
}

static void arena_gives_large_blocks_and_refuses_overflow(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *large = arena_alloc(&arena, 5000000);
    assert_non_null(large);
    memset(large, 1, 5000000);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 20));
    assert_null(arena_alloc(&arena, (size_t)PTRDIFF_MAX));
    assert_null(arena_zalloc(&arena, SIZE_MAX / 2, 3));
    assert_null(arena_strndup(&arena, "x", SIZE_MAX));
    assert_non_null(arena_alloc(&arena, 8));
    arena_fini(&arena);
}

static void arena_reset_keeps_one_block(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena);
    arena_reset(&arena);
    for (int i = 0; i < 1000; i++)
        assert_non_null(arena_alloc(&arena, 100));
    arena_reset(&arena);
    assert_non_null(arena.blocks);
    assert_int_equal(arena.used, 0);
    struct arena_block *kept = arena.blocks;
    assert_non_null(arena_alloc(&arena, 100));
    assert_ptr_equal(arena.blocks, kept);
    arena_fini(&arena);
    arena_fini(&arena);
}

static void arena_texts(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_string_equal(arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(arena_strdup(&arena, ""), "");
    assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(arena_printf(&arena, "%d-%s", 5, "x"), "5-x");
    char *text = arena_printf(&arena, "%0*d", 10000, 7);
    assert_int_equal(strlen(text), 10000);
    uint64_t *zeros = arena_zalloc(&arena, 10, sizeof *zeros);
    for (int i = 0; i < 10; i++)
        assert_int_equal(zeros[i], 0);
    arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(nothing_is_still_a_pointer_of_its_own),
        cmocka_unit_test(copies_end_in_nul),
        cmocka_unit_test(scope_end_frees),
        cmocka_unit_test(arena_is_aligned_and_does_not_overlap),
        cmocka_unit_test(arena_gives_large_blocks_and_refuses_overflow),
        cmocka_unit_test(arena_reset_keeps_one_block),
        cmocka_unit_test(arena_texts),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}

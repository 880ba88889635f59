#include "base/hash.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

static void xxh3_of_nothing_is_the_published_one(void **state) {
    (void)state;
    uint8_t hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    hash_bytes("", 0, hash);
    text_hex(hash, sizeof hash, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    hash_bytes(NULL, 0, hash);
    text_hex(hash, sizeof hash, hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    assert_true(hash64("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash64("a", 1, 0) != hash64("a", 1, 1));
}

/* The code chosen for this processor gives what the plain code gives, at every length around its strides. */
static void same_as_the_plain_code(void **state) {
    (void)state;
    static uint8_t bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 7);
    for (size_t size = 0; size <= sizeof bytes; size += size < 600 ? 1 : 61) {
        uint8_t hash[HASH_BYTES];
        XXH128_canonical_t plain;
        hash_bytes(bytes, size, hash);
        XXH128_canonicalFromHash(&plain, XXH3_128bits(bytes, size));
        assert_memory_equal(hash, plain.digest, HASH_BYTES);
        assert_true(hash64(bytes, size, 7) == XXH3_64bits_withSeed(bytes, size, 7));
    }
}

static void blake2b_is_the_published_one(void **state) {
    (void)state;
    char hex[DIGEST_HEX];
    digest_hex("", 0, hex);
    assert_string_equal(hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    digest_hex("abc", 3, hex);
    assert_string_equal(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES];
    digest_bytes("abc", 3, a);
    digest_bytes("abc", 3, b);
    assert_int_equal(digest_is_equal(a, b), 1);
    for (int i = 0; i < DIGEST_BYTES; i++) {
        b[i] ^= 0x80;
        assert_int_equal(digest_is_equal(a, b), 0);
        b[i] ^= 0x80;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xxh3_of_nothing_is_the_published_one),
        cmocka_unit_test(same_as_the_plain_code),
        cmocka_unit_test(blake2b_is_the_published_one),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}

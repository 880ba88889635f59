#include "base/hash.h"

#include "base/text.h"

#include <sodium.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

void hash_bytes(const void *bytes, size_t size, uint8_t ret_hash[HASH_BYTES]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    for (int i = 0; i < HASH_BYTES; i++)
        ret_hash[i] = canonical.digest[i];
}

uint64_t hash64(const void *bytes, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, size, seed);
}

/* sodium_init picks the fastest code for this processor; it may be called again and by many threads. Without it the
 * result is the same, only slower, so that its failure does not matter. */
void digest_bytes(const void *bytes, size_t size, uint8_t ret_digest[DIGEST_BYTES]) {
    (void)!sodium_init();
    crypto_generichash(ret_digest, DIGEST_BYTES, bytes, size, NULL, 0);
}

void digest_hex(const void *bytes, size_t size, char ret_hex[DIGEST_HEX]) {
    uint8_t digest[DIGEST_BYTES];
    digest_bytes(bytes, size, digest);
    text_hex(digest, sizeof digest, ret_hex);
}

int digest_is_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES]) {
    return sodium_memcmp(a, b, DIGEST_BYTES) == 0;
}

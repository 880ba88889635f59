/* The two hashes: XXH3-128 for change detection, BLAKE2b-256 (libsodium) where someone might cheat. */
#ifndef HF_BASE_HASH_H
#define HF_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_BYTES = 16, DIGEST_BYTES = 32, DIGEST_HEX = 65 };

void hash_bytes(const void *bytes, size_t size, uint8_t ret_hash[HASH_BYTES]); /* canonical (big-endian) form */
uint64_t hash64(const void *bytes, size_t size, uint64_t seed);

void digest_bytes(const void *bytes, size_t size, uint8_t ret_digest[DIGEST_BYTES]);
void digest_hex(const void *bytes, size_t size, char ret_hex[DIGEST_HEX]);
int digest_is_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES]); /* constant time */

#endif

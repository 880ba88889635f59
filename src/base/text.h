/* Small things about text and time stamps. Pure functions. */
#ifndef HF_BASE_TEXT_H
#define HF_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

int text_is_utf8(const char *text, size_t bytes); /* strict: no overlong forms, no surrogates, at most U+10FFFF */
void text_hex(const uint8_t *bytes, size_t size, char *out); /* out: 2*size+1 */
int text_unhex(const char *hex, size_t size, uint8_t *out);  /* size: of out; the hex must be 2*size long; -1 if not */
int text_to_u64(const char *text, uint64_t *ret_value);      /* whole text, decimal digits only; -1 if not */
int text_is_equal(const char *a, const char *b);             /* NULL equals NULL only */

/* "2026-11-22T16:00:00.123Z" (RFC 3339, UTC), 25 bytes with its NUL. */
enum { TEXT_TIME_BYTES = 32 };
void text_time(int64_t unix_ms, char out[TEXT_TIME_BYTES]);
int text_to_time(const char *text, int64_t *ret_unix_ms); /* the same form, milliseconds optional; -1 if not */

/* Durations as people write them: "500ms", "5s", "2m", "1h", "1d", "1.5s". Bare numbers are seconds. At most 10 years.
 * -1 if not. */
int text_to_duration_ms(const char *text, int64_t *ret_ms);
void text_duration(int64_t ms, char out[TEXT_TIME_BYTES]); /* "1.5s", "2m", "3h 5m" */

#endif

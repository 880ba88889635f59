/* Base64 (RFC 4648, section 4), with padding. */
#ifndef HF_BASE_BASE64_H
#define HF_BASE_BASE64_H

#include "base/buf.h"

void base64_add(struct buf *out, const void *bytes, size_t size);
/* Adds the bytes. -1 when the text is not canonical base64 (another character, wrong padding, bits behind the end):
 * then nothing was added. */
int base64_decode(const char *text, size_t size, struct buf *out);

#endif

/* Pickles of Python, looked at from outside: nothing in them is ever executed. */
#ifndef HF_DATA_PICKLE_H
#define HF_DATA_PICKLE_H

#include "base/error.h"

/* Whether the bytes begin as a pickle of protocol 2 or later does. (Older ones begin with anything.) */
int pickle_is(const void *bytes, size_t size);

/* Walks from opcode to opcode (protocols 0 to 5). 0 when it ends with STOP, and the bytes end there. Errors: BAD_DATA
 * when it is cut short, goes on behind its end, or has an opcode that there is not; SCHEMA_NEWER for a later protocol.
 * What the opcodes do with each other is not looked at. */
int pickle_check(const void *bytes, size_t size, struct hf_error *error);

#endif

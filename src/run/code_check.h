/* Whether a python source's code can be run, without running it. */
#ifndef HF_RUN_CODE_CHECK_H
#define HF_RUN_CODE_CHECK_H

#include "base/error.h"
#include "os/os.h"

/* BAD_DATA with line and reason; TOO_LARGE; TIMEOUT; EXEC when there is no python3. Waits for a child, five seconds at
 * most. python NULL: "python3" in PATH. */
int code_check_python(const struct os *os, const char *python, const char *code, size_t code_bytes,
                      struct hf_error *error);

#endif

/* A file that is written whole or not at all: into a temporary file beside it, synced, then renamed. "-" is standard
 * output. Invariants: the name is old or new, never a mix; what stands under the name and is no regular file (a device,
 * a link) is not replaced; nothing temporary is left by an end in order. */
#ifndef HF_CMD_OUTPUT_H
#define HF_CMD_OUTPUT_H

#include "base/buf.h"
#include "base/error.h"
#include "os/file.h"

struct output {
    int fd, folder_fd; /* folder_fd -1: standard output */
    const char *path;
    char temporary[FILE_TEMPORARY_BYTES + 1];
    struct buf bytes; /* that were not written yet: the caller adds to them */
};
int output_open(const char *path, struct output *ret_output, struct hf_error *error);
/* Writes what has gathered when it is enough. */
int output_step(struct output *output, struct hf_error *error);
/* Makes the file be there under its name. */
int output_commit(struct output *output, struct hf_error *error);
void output_close(struct output *output); /* without a commit: as if nothing had been */
/* All of it at once. path NULL: standard output. */
int output_write(const char *path, const struct buf *bytes, struct hf_error *error);

#endif

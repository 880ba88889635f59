/* The WAL before SQLite sees it.
 *
 * SQLite takes the first bad frame for what a power cut left and forgets all behind it. One flipped bit would so undo
 * commits that were acknowledged, and nobody would be told. What a power cut can leave is less:
 *  1. Nothing is written behind a WAL's header before that is synced (sqlite_io.c), and it lies in one sector. So bytes
 *     behind a bad header are damage.
 *  2. One transaction is written and synced at a time. So behind a bad frame there are those of the one transaction
 *     that was never acknowledged, and one commit among them at most.
 *  3. The checksum of a frame continues that of the frame before. So what an earlier transaction left there, one that
 *     never came about either, does not hang together with it.
 *  4. The first transaction of each WAL holds the first page, and so the tag of its database.
 * Two commits that hang together behind a bad frame are damage. Rot in the newest transaction looks like a power cut
 * and is not told. */
#include "base/mem.h"
#include "store/sqlite_backend.h"
#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES = 32, FRAME_HEADER_BYTES = 24, BLOCK_FRAMES = 16, PAGE_BYTES_MAX = 65536 };
enum { AT_PAGE_BYTES = 8, AT_SALT = 16, AT_CHECKSUM = 24, SALT_BYTES = 8 };                       /* of the header */
enum { AT_PAGE = 0, AT_COMMIT = 4, AT_FRAME_SALT = 8, AT_FRAME_CHECKSUM = 16, SUMMED_BYTES = 8 }; /* of a frame */
enum { AT_TAG = 48 };     /* of the database's first page: sqlite_header.c */
#define MAGIC 0x377f0682u /* the last bit: words are big-endian */

struct checksum {
    uint32_t s0, s1;
};

struct wal {
    const struct os *os;
    int fd;
    uint32_t tag; /* of the database; 0: not known */
    uint8_t header[HEADER_BYTES];
    int big_endian;
    size_t frame_bytes;
    int is_broken;          /* a bad frame was met */
    int is_linked;          /* the last frame hangs together with the one before */
    off_t broken_at;        /* where frames last ceased to */
    struct checksum before; /* as the frame before has it */
    int commits;            /* of the frames that hang together up to there */
};

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t word(const uint8_t *at, int big_endian) {
    uint32_t value = get32(at);
    return big_endian ? value : __builtin_bswap32(value);
}

static struct checksum sum(const struct wal *wal, const uint8_t *bytes, size_t size, struct checksum checksum) {
    for (size_t i = 0; i < size; i += 8) {
        checksum.s0 += word(bytes + i, wal->big_endian) + checksum.s1;
        checksum.s1 += word(bytes + i + 4, wal->big_endian) + checksum.s0;
    }
    return checksum;
}

static struct checksum stored_at(const uint8_t *bytes) {
    return (struct checksum){get32(bytes), get32(bytes + 4)};
}

static int is_equal(struct checksum a, struct checksum b) {
    return a.s0 == b.s0 && a.s1 == b.s1;
}

static int is_zero(const uint8_t *bytes, size_t size) {
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static int header_is_good(struct wal *wal) {
    uint32_t magic = get32(wal->header), page_bytes = get32(wal->header + AT_PAGE_BYTES);
    wal->big_endian = magic & 1;
    if ((magic & ~1u) != MAGIC || page_bytes < 512 || page_bytes > PAGE_BYTES_MAX || page_bytes & (page_bytes - 1))
        return 0;
    wal->frame_bytes = FRAME_HEADER_BYTES + page_bytes;
    wal->before = sum(wal, wal->header, AT_CHECKSUM, (struct checksum){0, 0});
    return is_equal(wal->before, stored_at(wal->header + AT_CHECKSUM));
}

static int damaged(struct hf_error *error, const char *why) {
    error_set(error, HF_ERR_CORRUPT, "the WAL is damaged: %s", why);
    error_hint(error, "keep a copy of the database and its '-wal' as they are, then restore a backup");
    return HF_ERR_CORRUPT;
}

static int is_foreign(const struct wal *wal, const uint8_t *frame) {
    uint32_t tag = get32(frame + FRAME_HEADER_BYTES + AT_TAG);
    return get32(frame + AT_PAGE) == 1 && tag != 0 && wal->tag != 0 && tag != wal->tag;
}

static int refuse_middle(const struct wal *wal, struct hf_error *error) {
    char why[96];
    snprintf(why, sizeof why, "the frame at byte %lld is bad, and acknowledged commits stand behind it",
             (long long)wal->broken_at);
    return damaged(error, why);
}

/* A frame and how it hangs together with the one before. */
static int take_frame(struct wal *wal, const uint8_t *frame, off_t at, struct hf_error *error) {
    int is_of_this = memcmp(frame + AT_FRAME_SALT, wal->header + AT_SALT, SALT_BYTES) == 0;
    struct checksum stored = stored_at(frame + AT_FRAME_CHECKSUM);
    int is_linked = 0;
    if (is_of_this) {
        struct checksum checksum = sum(wal, frame, SUMMED_BYTES, wal->before);
        checksum = sum(wal, frame + FRAME_HEADER_BYTES, wal->frame_bytes - FRAME_HEADER_BYTES, checksum);
        is_linked = is_equal(checksum, stored);
    }
    if (!is_linked && wal->is_linked)
        wal->broken_at = at;
    wal->is_linked = is_linked;
    wal->is_broken |= !is_linked;
    int is_commit = is_of_this && get32(frame + AT_COMMIT) != 0;
    wal->commits = is_linked ? wal->commits + is_commit : 0; /* a torn frame may have kept its mark of a commit */
    wal->before = stored;
    if (is_linked && is_foreign(wal, frame))
        return damaged(error, "it belongs to another database");
    if (wal->is_broken && wal->commits >= 2)
        return refuse_middle(wal, error);
    return 0;
}

static int take_frames(struct wal *wal, uint8_t *block, struct hf_error *error) {
    off_t at = HEADER_BYTES;
    for (;;) {
        ssize_t got = file_pread_full(wal->os, wal->fd, block, BLOCK_FRAMES * wal->frame_bytes, at);
        if (got < 0)
            return error_set_errno(error, (int)got, "read the WAL");
        for (size_t frame = 0; (frame + 1) * wal->frame_bytes <= (size_t)got; frame++) {
            size_t in_block = frame * wal->frame_bytes;
            int code = take_frame(wal, block + in_block, at + (off_t)in_block, error);
            if (code)
                return code;
        }
        if ((size_t)got < BLOCK_FRAMES * wal->frame_bytes)
            return 0;
        at += got;
    }
}

static int refuse_content(struct wal *wal, uint8_t *block, struct hf_error *error) {
    for (off_t at = HEADER_BYTES;;) {
        ssize_t got = file_pread_full(wal->os, wal->fd, block, PAGE_BYTES_MAX, at);
        if (got < 0)
            return error_set_errno(error, (int)got, "read the WAL");
        if (!is_zero(block, (size_t)got))
            return damaged(error, "its header is bad, and what stands behind it cannot be read");
        if (got < PAGE_BYTES_MAX)
            return 0;
        at += got;
    }
}

static int check_open(struct wal *wal, struct hf_error *error) {
    ssize_t got = file_pread_full(wal->os, wal->fd, wal->header, HEADER_BYTES, 0);
    if (got < 0)
        return error_set_errno(error, (int)got, "read the WAL");
    if (got < HEADER_BYTES)
        return 0;
    int is_good = header_is_good(wal);
    MEM_AUTO uint8_t *block = mem_alloc(is_good ? BLOCK_FRAMES * wal->frame_bytes : PAGE_BYTES_MAX);
    if (!block)
        return error_set(error, HF_ERR_NO_MEMORY, "read the WAL: memory is used up");
    return is_good ? take_frames(wal, block, error) : refuse_content(wal, block, error);
}

int sqlite_wal_check(struct sqlite_backend *self, struct hf_error *error) {
    struct wal wal = {.os = self->os, .tag = self->tag, .is_linked = 1};
    char name[512];
    snprintf(name, sizeof name, "%s-wal", self->name);
    wal.fd = OS_AGAIN(os_open(self->os, self->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0));
    if (wal.fd == -ENOENT)
        return 0;
    if (wal.fd < 0)
        return error_set_errno(error, wal.fd, "open '%s'", name + 2);
    int code = check_open(&wal, error);
    os_close(self->os, wal.fd);
    return code;
}

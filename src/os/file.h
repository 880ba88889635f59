/* Files done right: whole reads and writes, atomic replace, folders, the owner lock. Everything goes through struct os.
 */
#ifndef HF_OS_FILE_H
#define HF_OS_FILE_H

#include "base/buf.h"
#include "base/error.h"
#include "os/os.h"

/* Loop over EINTR and short counts. 0 or negative errno; file_pread_full gives the bytes read (short only at the end).
 */
ssize_t file_pread_full(const struct os *os, int fd, void *to, size_t bytes, off_t offset);
int file_pwrite_full(const struct os *os, int fd, const void *from, size_t bytes, off_t offset);

/* Reads a whole regular file of at most max_bytes. Never follows a link in the last component. Replaces what is in
 * *ret_bytes. Errors: NOT_FOUND, UNSAFE_PATH (a link), BAD_DATA (not a regular file), TOO_LARGE, PERMISSION,
 * TOO_MANY_FILES, IO, NO_MEMORY. */
int file_read(const struct os *os, int dir_fd, const char *path, size_t max_bytes, struct buf *ret_bytes,
              struct hf_error *error);

/* Replaces a file so that old or new is there after a power cut, never a mix: temporary file with a random name in the
 * same folder (O_EXCL, O_NOFOLLOW), write, fsync, rename, fsync of the folder. The temporary file is removed on
 * failure. `name` is one component (else BAD_ID); a link of that name is not replaced (UNSAFE_PATH). */
int file_replace(const struct os *os, int dir_fd, const char *name, const void *bytes, size_t size, mode_t mode,
                 struct hf_error *error);

/* A random name for a temporary file. 0 or negative errno. */
enum { FILE_TEMPORARY_BYTES = 40 };
int file_temporary_name(const struct os *os, char name[FILE_TEMPORARY_BYTES + 1]);

/* Removes temporary files that file_replace left when the power went: ours by name and by owner, and at least so old.
 */
int file_remove_leftovers(const struct os *os, int dir_fd, int64_t min_age_ms, struct hf_error *error);

/* Renames to a name that must be free (EXISTS). Where the file system cannot do that in one step, by link and unlink,
 * for a folder by an empty folder in its place; never by a blind rename. The caller syncs the folders. */
int file_rename_new(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                    struct hf_error *error);

/* Makes a folder and its parents, each synced into its parent. An existing folder is fine; anything else is not: a link
 * as the last component is UNSAFE_PATH (parents may be links). */
int file_make_folders(const struct os *os, const char *path, mode_t mode, struct hf_error *error);

/* Opens a folder for use as dir_fd. A link as the last component is UNSAFE_PATH; "link/" follows it, on the caller's
 * word. */
int file_open_folder(const struct os *os, int dir_fd, const char *path, int *ret_fd, struct hf_error *error);

int file_sync_folder(const struct os *os, int dir_fd, struct hf_error *error);

/* Tries what a store needs of the file system of a folder: a rename replaces or keeps what is there, as it is told, and
 * a folder can be synced. Leaves nothing behind but, after a power cut, an empty temporary file; removes such ones.
 * Errors: UNSUPPORTED with what cannot be done, and those of the calls. */
int file_probe(const struct os *os, int dir_fd, struct hf_error *error);
/* Whether a call's negative errno says that the file system cannot do such a thing at all; and the error for that:
 * "the file system cannot WHAT". */
int file_is_lacking(int negative_errno);
int file_lacks(struct hf_error *error, const char *what);

/* Walks a tree below dir_fd, following no link, depth first, entries of a folder in no order. `path` is relative. A
 * folder comes behind what is in it, so a visit may remove what it is given. What vanishes meanwhile is left out. A
 * value of the visit that is not 0 stops the walk and is returned. Errors: TOO_LARGE (nested deeper than
 * FILE_WALK_DEPTH). */
enum { FILE_WALK_DEPTH = 128 };
typedef int (*file_visit)(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat);
int file_walk(const struct os *os, int dir_fd, file_visit visit, void *arg, struct hf_error *error);

/* The owner's lock of a folder: a kernel lock on FOLDER/lock for as long as it is open; the file names the holder as
 * JSON
 * {"pid","start_ticks","boot_id","started_at"}. Errors: LOCKED with the holder in the message and what to do in the
 * hint. */
struct owner_lock;
int owner_lock_take(const struct os *os, int dir_fd, struct owner_lock **ret_lock, struct hf_error *error);
/* For reading a folder that nobody owns: keeps owners away for as long as it is held, writes nothing. Errors: LOCKED
 * when somebody owns it. Where there is no lock file (a store that was copied alone) nothing can be held, and 0 is
 * returned. */
int owner_lock_share(const struct os *os, int dir_fd, struct owner_lock **ret_lock, struct hf_error *error);
void owner_lock_release(struct owner_lock **lock);
/* 1 when it is held, 0 when not, a negative errno when that cannot be found out. Takes nothing. *ret_pid may be NULL;
 * it is 0 when the holder has not written its name yet. */
int owner_lock_is_held(const struct os *os, int dir_fd, pid_t *ret_pid);

#endif

/* What is on a simulated disk at one moment: files and folders as inodes, cheap to copy (pages and inodes are shared
 * until one side changes them), with a hash of everything that can be reached from the root, times included. Not
 * thread-safe; copies may live in other threads. Memory that is used up aborts: this is for tests only. */
#ifndef HF_SIM_SIM_IMAGE_H
#define HF_SIM_SIM_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SIM_PAGE = 4096, SIM_SECTOR = 512, SIM_ROOT = 1 };

struct sim_page {
    uint32_t references;
    uint64_t hash; /* 0: not known */
    uint8_t bytes[SIM_PAGE];
};

struct sim_entry {
    char *name;
    uint32_t inode;
};

struct sim_inode {
    uint32_t references;
    mode_t mode;
    off_t size;
    struct sim_page **pages; /* a NULL page is zeros */
    size_t page_count;
    struct sim_entry *entries; /* folders */
    size_t entry_count;
    uint64_t hash; /* of a file's bytes; 0: not known */
    int64_t modified_ns, changed_ns;
};

struct sim_image {
    struct sim_inode **inodes; /* by number; 0 is never used, 1 is the root */
    uint32_t count, room;
};

void sim_image_init(struct sim_image *image); /* an empty root */
void sim_image_fini(struct sim_image *image);
void sim_image_copy(const struct sim_image *from, struct sim_image *ret_image);

uint32_t sim_image_new_inode(struct sim_image *image, mode_t mode);
void sim_image_put_inode(struct sim_image *image, uint32_t inode, mode_t mode); /* under this very number */
const struct sim_inode *sim_image_inode(const struct sim_image *image, uint32_t inode);

/* 0 when there is no such entry. */
uint32_t sim_image_find(const struct sim_image *image, uint32_t folder, const char *name);
void sim_image_set_entry(struct sim_image *image, uint32_t folder, const char *name, uint32_t inode);
void sim_image_remove_entry(struct sim_image *image, uint32_t folder, const char *name);

size_t sim_image_read(const struct sim_image *image, uint32_t inode, void *to, size_t bytes, off_t offset);
/* from NULL: zeros. */
void sim_image_write(struct sim_image *image, uint32_t inode, const void *from, size_t bytes, off_t offset);
void sim_image_truncate(struct sim_image *image, uint32_t inode, off_t size);

/* Times are as coarse as a kernel's. */
enum { SIM_TICK_NS = 4000000 };
enum sim_touch { SIM_CHANGED, SIM_MODIFIED }; /* names and such only, or what is in it too */
void sim_image_touch(struct sim_image *image, uint32_t inode, enum sim_touch touch, int64_t now_ns);
unsigned sim_image_names(const struct sim_image *image, uint32_t inode); /* how many entries name it */
int64_t sim_image_newest_ns(const struct sim_image *image);              /* the last change of anything */

/* Equal for equal trees; what cannot be reached from the root, and inode numbers, do not count. */
uint64_t sim_image_hash(struct sim_image *image);

/* Writes the tree below an existing folder of the real file system, for people to look at. */
void sim_image_save(const struct sim_image *image, const char *folder);

/* Allocates or aborts. */
void *sim_alloc(size_t bytes);
void *sim_grow(void *old, size_t count, size_t bytes);
char *sim_strdup(const char *text);

#endif

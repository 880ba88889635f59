#include "sim/sim_image.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void *or_abort(void *block) {
    if (!block) {
        fputs("sim: memory is used up\n", stderr);
        abort();
    }
    return block;
}

void *sim_alloc(size_t bytes) {
    return or_abort(mem_zalloc(1, bytes ? bytes : 1));
}

void *sim_grow(void *old, size_t count, size_t bytes) {
    return or_abort(mem_realloc(old, count, bytes));
}

char *sim_strdup(const char *text) {
    return or_abort(mem_strdup(text));
}

static void page_drop(struct sim_page *page) {
    if (page && __atomic_sub_fetch(&page->references, 1, __ATOMIC_ACQ_REL) == 0)
        mem_free(page);
}

static void inode_drop(struct sim_inode *inode) {
    if (!inode || __atomic_sub_fetch(&inode->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < inode->page_count; i++)
        page_drop(inode->pages[i]);
    for (size_t i = 0; i < inode->entry_count; i++)
        mem_free(inode->entries[i].name);
    mem_free(inode->pages);
    mem_free(inode->entries);
    mem_free(inode);
}

static struct sim_inode *inode_new(mode_t mode) {
    struct sim_inode *inode = sim_alloc(sizeof *inode);
    inode->references = 1;
    inode->mode = mode;
    return inode;
}

static struct sim_inode *inode_copy(const struct sim_inode *from) {
    struct sim_inode *inode = inode_new(from->mode);
    inode->size = from->size;
    inode->hash = from->hash;
    inode->modified_ns = from->modified_ns;
    inode->changed_ns = from->changed_ns;
    inode->page_count = from->page_count;
    inode->entry_count = from->entry_count;
    if (from->page_count) {
        inode->pages = sim_grow(NULL, from->page_count, sizeof(struct sim_page *));
        memcpy(inode->pages, from->pages, from->page_count * sizeof(struct sim_page *));
    }
    for (size_t i = 0; i < inode->page_count; i++)
        if (inode->pages[i])
            __atomic_add_fetch(&inode->pages[i]->references, 1, __ATOMIC_RELAXED);
    if (from->entry_count)
        inode->entries = sim_grow(NULL, from->entry_count, sizeof(struct sim_entry));
    for (size_t i = 0; i < inode->entry_count; i++) {
        inode->entries[i].inode = from->entries[i].inode;
        inode->entries[i].name = sim_strdup(from->entries[i].name);
    }
    return inode;
}

/* The inode for writing: no other image shares it afterwards. */
static struct sim_inode *inode_own(struct sim_image *image, uint32_t number) {
    struct sim_inode *inode = image->inodes[number];
    if (__atomic_load_n(&inode->references, __ATOMIC_ACQUIRE) == 1)
        return inode;
    struct sim_inode *own = inode_copy(inode);
    inode_drop(inode);
    image->inodes[number] = own;
    return own;
}

void sim_image_init(struct sim_image *image) {
    memset(image, 0, sizeof *image);
    sim_image_put_inode(image, SIM_ROOT, S_IFDIR | 0755);
}

void sim_image_fini(struct sim_image *image) {
    for (uint32_t i = 0; i < image->count; i++)
        inode_drop(image->inodes[i]);
    mem_free(image->inodes);
    memset(image, 0, sizeof *image);
}

void sim_image_copy(const struct sim_image *from, struct sim_image *ret_image) {
    struct sim_image copy = {.count = from->count, .room = from->count};
    copy.inodes = sim_grow(NULL, from->count, sizeof(struct sim_inode *));
    for (uint32_t i = 0; i < from->count; i++) {
        copy.inodes[i] = from->inodes[i];
        if (copy.inodes[i])
            __atomic_add_fetch(&copy.inodes[i]->references, 1, __ATOMIC_RELAXED);
    }
    *ret_image = copy;
}

void sim_image_put_inode(struct sim_image *image, uint32_t number, mode_t mode) {
    if (number >= image->room) {
        uint32_t room = number + 8;
        image->inodes = sim_grow(image->inodes, room, sizeof(struct sim_inode *));
        memset(image->inodes + image->room, 0, (room - image->room) * sizeof(struct sim_inode *));
        image->room = room;
    }
    for (; image->count <= number; image->count++)
        image->inodes[image->count] = NULL;
    inode_drop(image->inodes[number]);
    image->inodes[number] = inode_new(mode);
}

uint32_t sim_image_new_inode(struct sim_image *image, mode_t mode) {
    uint32_t number = image->count;
    sim_image_put_inode(image, number, mode);
    return number;
}

const struct sim_inode *sim_image_inode(const struct sim_image *image, uint32_t number) {
    return number < image->count ? image->inodes[number] : NULL;
}

static struct sim_entry *entry_find(const struct sim_inode *folder, const char *name) {
    for (size_t i = 0; i < folder->entry_count; i++)
        if (strcmp(folder->entries[i].name, name) == 0)
            return &folder->entries[i];
    return NULL;
}

uint32_t sim_image_find(const struct sim_image *image, uint32_t folder, const char *name) {
    const struct sim_inode *inode = sim_image_inode(image, folder);
    struct sim_entry *entry = inode ? entry_find(inode, name) : NULL;
    return entry ? entry->inode : 0;
}

void sim_image_set_entry(struct sim_image *image, uint32_t folder, const char *name, uint32_t number) {
    struct sim_inode *inode = inode_own(image, folder);
    struct sim_entry *entry = entry_find(inode, name);
    if (!entry) {
        inode->entries = sim_grow(inode->entries, inode->entry_count + 1, sizeof(struct sim_entry));
        entry = &inode->entries[inode->entry_count++];
        entry->name = sim_strdup(name);
    }
    entry->inode = number;
}

void sim_image_remove_entry(struct sim_image *image, uint32_t folder, const char *name) {
    struct sim_inode *inode = inode_own(image, folder);
    struct sim_entry *entry = entry_find(inode, name);
    if (!entry)
        return;
    mem_free(entry->name);
    *entry = inode->entries[--inode->entry_count];
}

size_t sim_image_read(const struct sim_image *image, uint32_t number, void *to, size_t bytes, off_t offset) {
    const struct sim_inode *inode = image->inodes[number];
    if (offset >= inode->size)
        return 0;
    if ((off_t)bytes > inode->size - offset)
        bytes = (size_t)(inode->size - offset);
    for (size_t done = 0; done < bytes;) {
        size_t page = (size_t)(offset + (off_t)done) / SIM_PAGE, inside = (size_t)(offset + (off_t)done) % SIM_PAGE;
        size_t part = SIM_PAGE - inside < bytes - done ? SIM_PAGE - inside : bytes - done;
        if (page < inode->page_count && inode->pages[page])
            memcpy((char *)to + done, inode->pages[page]->bytes + inside, part);
        else
            memset((char *)to + done, 0, part);
        done += part;
    }
    return bytes;
}

static struct sim_page *page_own(struct sim_inode *inode, size_t number) {
    if (number >= inode->page_count) {
        inode->pages = sim_grow(inode->pages, number + 1, sizeof(struct sim_page *));
        while (inode->page_count <= number)
            inode->pages[inode->page_count++] = NULL;
    }
    struct sim_page *page = inode->pages[number];
    if (!page || __atomic_load_n(&page->references, __ATOMIC_ACQUIRE) != 1) {
        struct sim_page *own = or_abort(mem_alloc(sizeof *own));
        own->references = 1;
        if (page)
            memcpy(own->bytes, page->bytes, SIM_PAGE);
        else
            memset(own->bytes, 0, SIM_PAGE);
        page_drop(page);
        inode->pages[number] = page = own;
    }
    page->hash = 0;
    return page;
}

static void drop_page(struct sim_inode *inode, size_t number) {
    if (number < inode->page_count) {
        page_drop(inode->pages[number]);
        inode->pages[number] = NULL;
    }
}

void sim_image_write(struct sim_image *image, uint32_t number, const void *from, size_t bytes, off_t offset) {
    struct sim_inode *inode = inode_own(image, number);
    inode->hash = 0;
    for (size_t done = 0; done < bytes;) {
        size_t at = (size_t)offset + done, inside = at % SIM_PAGE;
        size_t part = SIM_PAGE - inside < bytes - done ? SIM_PAGE - inside : bytes - done;
        if (from)
            memcpy(page_own(inode, at / SIM_PAGE)->bytes + inside, (const char *)from + done, part);
        else if (part == SIM_PAGE)
            drop_page(inode, at / SIM_PAGE); /* whole pages of zeros cost nothing */
        else
            memset(page_own(inode, at / SIM_PAGE)->bytes + inside, 0, part);
        done += part;
    }
    if (bytes && offset + (off_t)bytes > inode->size)
        inode->size = offset + (off_t)bytes;
}

void sim_image_truncate(struct sim_image *image, uint32_t number, off_t size) {
    struct sim_inode *inode = inode_own(image, number);
    inode->hash = 0;
    size_t pages = (size_t)(size + SIM_PAGE - 1) / SIM_PAGE;
    while (inode->page_count > pages)
        page_drop(inode->pages[--inode->page_count]);
    if (size < inode->size && size % SIM_PAGE && inode->page_count == pages && inode->pages[pages - 1])
        memset(page_own(inode, pages - 1)->bytes + size % SIM_PAGE, 0, SIM_PAGE - (size_t)(size % SIM_PAGE));
    inode->size = size;
}

void sim_image_touch(struct sim_image *image, uint32_t number, enum sim_touch touch, int64_t now_ns) {
    struct sim_inode *inode = inode_own(image, number);
    inode->changed_ns = now_ns - now_ns % SIM_TICK_NS;
    if (touch == SIM_MODIFIED)
        inode->modified_ns = inode->changed_ns;
}

unsigned sim_image_names(const struct sim_image *image, uint32_t number) {
    unsigned names = 0;
    for (uint32_t i = 1; i < image->count; i++)
        for (size_t j = 0; image->inodes[i] && j < image->inodes[i]->entry_count; j++)
            names += image->inodes[i]->entries[j].inode == number;
    return names;
}

int64_t sim_image_newest_ns(const struct sim_image *image) {
    int64_t newest_ns = 0;
    for (uint32_t i = 1; i < image->count; i++)
        if (image->inodes[i] && image->inodes[i]->changed_ns > newest_ns)
            newest_ns = image->inodes[i]->changed_ns;
    return newest_ns;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    a ^= b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2);
    a ^= a >> 30;
    a *= 0xbf58476d1ce4e5b9u;
    a ^= a >> 27;
    a *= 0x94d049bb133111ebu;
    return a ^ (a >> 31);
}

static uint64_t zero_hash(void) {
    static uint64_t known;
    static const uint8_t zeros[SIM_PAGE];
    uint64_t hash = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!hash) {
        hash = hash64(zeros, SIM_PAGE, 1);
        __atomic_store_n(&known, hash, __ATOMIC_RELAXED);
    }
    return hash;
}

static uint64_t page_hash(struct sim_page *page) {
    if (!page)
        return zero_hash();
    uint64_t hash = __atomic_load_n(&page->hash, __ATOMIC_RELAXED);
    if (!hash) {
        hash = hash64(page->bytes, SIM_PAGE, 1);
        __atomic_store_n(&page->hash, hash, __ATOMIC_RELAXED);
    }
    return hash;
}

static uint64_t file_hash(struct sim_inode *inode) {
    uint64_t hash = __atomic_load_n(&inode->hash, __ATOMIC_RELAXED);
    if (hash)
        return hash;
    size_t pages = (size_t)(inode->size + SIM_PAGE - 1) / SIM_PAGE;
    hash = mix(7, (uint64_t)inode->size);
    for (size_t i = 0; i < pages; i++)
        hash = mix(hash, page_hash(i < inode->page_count ? inode->pages[i] : NULL));
    __atomic_store_n(&inode->hash, hash, __ATOMIC_RELAXED);
    return hash;
}

static uint64_t tree_hash(struct sim_image *image, uint32_t number) {
    struct sim_inode *inode = image->inodes[number];
    uint64_t times = mix((uint64_t)inode->changed_ns, (uint64_t)inode->modified_ns);
    if (!S_ISDIR(inode->mode))
        return mix(file_hash(inode), times);
    uint64_t sum = times; /* entries have no order */
    for (size_t i = 0; i < inode->entry_count; i++) {
        uint64_t name = hash64(inode->entries[i].name, strlen(inode->entries[i].name), 2);
        sum += mix(name, tree_hash(image, inode->entries[i].inode));
    }
    return mix(sum, inode->entry_count);
}

uint64_t sim_image_hash(struct sim_image *image) {
    return tree_hash(image, SIM_ROOT);
}

static void save_tree(const struct sim_image *image, uint32_t number, const char *path) {
    const struct sim_inode *inode = sim_image_inode(image, number);
    char below[4096];
    if (S_ISDIR(inode->mode)) {
        mkdir(path, 0700);
        for (size_t i = 0; i < inode->entry_count; i++) {
            snprintf(below, sizeof below, "%s/%s", path, inode->entries[i].name);
            save_tree(image, inode->entries[i].inode, below);
        }
        return;
    }
    FILE *file = fopen(path, "wb");
    uint8_t *bytes = sim_alloc((size_t)inode->size);
    sim_image_read(image, number, bytes, (size_t)inode->size, 0);
    if (!file || fwrite(bytes, 1, (size_t)inode->size, file) != (size_t)inode->size)
        fprintf(stderr, "sim: cannot save '%s'\n", path);
    if (file)
        fclose(file);
    mem_free(bytes);
}

void sim_image_save(const struct sim_image *image, const char *folder) {
    save_tree(image, SIM_ROOT, folder);
}

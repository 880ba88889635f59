/* What a tree remembers of files that are not as they should be: committed ones that could not be written yet, and
 * damaged ones that no record stands for. */
#include "store/tree_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tree_key(const char *kind, const char *id, char ret_key[TREE_KEY_BYTES]) {
    snprintf(ret_key, TREE_KEY_BYTES, "%s/%s", kind, id);
}

void tree_key_split(char *key, const char **ret_kind, const char **ret_id) {
    char *slash = strchr(key, '/'); /* a kind has none */
    *slash = '\0';
    *ret_kind = key;
    *ret_id = slash + 1;
}

void tree_path_text(const struct tree_path *path, char ret_text[TREE_PATH_BYTES]) {
    snprintf(ret_text, TREE_PATH_BYTES, "%s%s%s", path->folder, path->folder[0] ? "/" : "", path->name);
}

static void set(struct map *map, const char *key, void *take_value, struct tree_backend *self) {
    void *old = NULL;
    if (!take_value || map_set(map, key, strlen(key), take_value, &old) != 0) {
        mem_free(take_value);
        atomic_store(&self->cannot_settle, 1); /* it is not remembered: opening again finds it by its event */
    }
    mem_free(old);
}

static void clear(struct tree_backend *self, struct map *map, const char *kind, const char *id) {
    char key[TREE_KEY_BYTES];
    tree_key(kind, id, key);
    pthread_mutex_lock(&self->maps);
    if (map->count)
        mem_free(map_remove(map, key, strlen(key)));
    pthread_mutex_unlock(&self->maps);
}

void tree_pending_set(struct tree_backend *self, const char *kind, const char *id, const char *text) {
    char key[TREE_KEY_BYTES];
    tree_key(kind, id, key);
    pthread_mutex_lock(&self->maps);
    set(&self->pending, key, mem_strdup(text), self);
    pthread_mutex_unlock(&self->maps);
}

void tree_pending_clear(struct tree_backend *self, const char *kind, const char *id) {
    clear(self, &self->pending, kind, id);
}

void tree_maps_clear(struct tree_backend *self, const char *kind, const char *id) {
    char key[TREE_KEY_BYTES];
    pthread_mutex_lock(&self->maps);
    if (self->pending.count || self->damaged.count) {
        tree_key(kind, id, key);
        mem_free(map_remove(&self->pending, key, strlen(key)));
        mem_free(map_remove(&self->damaged, key, strlen(key)));
    }
    pthread_mutex_unlock(&self->maps);
}

char *tree_pending_text(struct tree_backend *self, const char *kind, const char *id) {
    char key[TREE_KEY_BYTES], *copy = NULL;
    tree_key(kind, id, key);
    pthread_mutex_lock(&self->maps);
    const char *text = self->pending.count ? map_get(&self->pending, key, strlen(key)) : NULL;
    if (text)
        copy = mem_strdup(text);
    pthread_mutex_unlock(&self->maps);
    return copy;
}

size_t tree_pending_count(struct tree_backend *self) {
    pthread_mutex_lock(&self->maps);
    size_t count = self->pending.count;
    pthread_mutex_unlock(&self->maps);
    return count;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_keys(const struct map *map, struct vec *keys) {
    const struct map_entry *entry;
    size_t position = 0;
    while ((entry = map_next(map, &position)) != NULL) {
        char *copy = mem_strdup(entry->key);
        if (!copy || vec_push(keys, copy) != 0) {
            mem_free(copy);
            return -1;
        }
    }
    return 0;
}

static int sorted_keys(struct tree_backend *self, const struct map *map, struct vec *keys, struct hf_error *error) {
    pthread_mutex_lock(&self->maps);
    int result = add_keys(map, keys);
    pthread_mutex_unlock(&self->maps);
    if (result != 0)
        return error_no_memory(error);
    if (keys->count > 1)
        qsort(keys->items, keys->count, sizeof *keys->items, compare_keys);
    return 0;
}

int tree_pending_keys(struct tree_backend *self, struct vec *keys, struct hf_error *error) {
    return sorted_keys(self, &self->pending, keys, error);
}

int tree_damage_keys(struct tree_backend *self, struct vec *keys, struct hf_error *error) {
    return sorted_keys(self, &self->damaged, keys, error);
}

void tree_key_vec_fini(struct vec *keys) {
    for (size_t i = 0; i < keys->count; i++)
        mem_free(keys->items[i]);
    vec_fini(keys);
}

/* A file that cannot be read is one thing to its reader; for a record's code there are two. */
static int code_of(const struct tree_look *look) {
    return look->code == HF_ERR_PERMISSION ? HF_ERR_PERMISSION : HF_ERR_CORRUPT;
}

void tree_damage_set(struct tree_backend *self, const char *kind, const char *id, const struct tree_look *look) {
    char key[TREE_KEY_BYTES];
    struct tree_path path;
    struct buf text BUF_AUTO;
    tree_path_of(self->options.layout, kind, id, &path);
    tree_key(kind, id, key);
    buf_init(&text);
    buf_printf(&text, "file '%s%s%s' %s", path.folder, path.folder[0] ? "/" : "", path.name, look->text);
    struct tree_damage *damage = text.failed ? NULL : mem_alloc(sizeof *damage + text.size + 1);
    if (damage) {
        damage->code = code_of(look);
        memcpy(damage->text, text.data, text.size + 1);
    }
    pthread_mutex_lock(&self->maps);
    set(&self->damaged, key, damage, self);
    pthread_mutex_unlock(&self->maps);
}

void tree_damage_clear(struct tree_backend *self, const char *kind, const char *id) {
    clear(self, &self->damaged, kind, id);
}

int tree_damage_find(struct tree_backend *self, const char *kind, const char *id, struct hf_error *error) {
    char key[TREE_KEY_BYTES];
    int code = 0;
    tree_key(kind, id, key);
    pthread_mutex_lock(&self->maps);
    const struct tree_damage *damage = self->damaged.count ? map_get(&self->damaged, key, strlen(key)) : NULL;
    if (damage) {
        code = error_set(error, damage->code, "%s", damage->text);
        error_hint(error, "mend or remove the file, or put the record: what is there is kept aside then");
    }
    pthread_mutex_unlock(&self->maps);
    return damage ? (code ? code : damage->code) : 0;
}

static void free_map(struct map *map) {
    struct map_entry *entry;
    size_t position = 0;
    while ((entry = map_next(map, &position)) != NULL)
        mem_free(entry->value);
    map_fini(map);
}

void tree_maps_fini(struct tree_backend *self) {
    free_map(&self->pending);
    free_map(&self->damaged);
}

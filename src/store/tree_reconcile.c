/* What other programs did to the files while the store was closed, and everything that they wrote before it was first
 * opened.
 *
 * Invariants
 *  1. Every record file is looked at whose time is not well before the mark's, that the index does not know, or that
 *     is not listed though the index knows it.
 *  2. Nothing of another program is lost: a good file becomes a revision, or is kept aside before ours is put back; a
 *     damaged one is left where it is when the index has nothing better.
 *  3. A file that could not be made what was committed is not taken for an edit: what it holds is older.
 *  4. Only names are held for the whole tree. Documents are held for as many files as are being read at once. */
#include <stdio.h>
#include <string.h>

#include "store/tree_backend.h"

enum { AHEAD_EACH = 8, PROGRESS_EVERY = 128 };
static const int64_t slack_ns = INT64_C(2000000000); /* coarse clocks, and those of vfat */

struct todo {
    const char *kind, *id; /* borrowed */
    int is_known;
};

struct slot {
    struct tree_look look;
    struct buf text;
};

struct reconcile {
    struct tree_backend *self;
    const struct tree_mark *mark;
    struct hf_error *error;
    struct tree_keys keys; /* on disk */
    uint8_t *is_known;     /* of each */
    uint8_t *is_suspect;
    size_t next;        /* while the index is read */
    struct vec missing; /* "KIND/ID": not listed */
    struct todo *todo;
    size_t count;
    struct slot *slots;
    size_t ahead;
    struct tree_taking taking;
    struct vec back; /* "KIND/ID": the index's documents are to be written */
};

static int no_memory(struct reconcile *re) {
    return error_no_memory(re->error);
}

/* ---- what is told ---- */

static void tell(struct reconcile *re, const char *kind, const char *id, const char *what, const char *text,
                 const char *action) {
    const struct hf_store_options *options = &re->self->store_options;
    struct tree_path path;
    char name[TREE_PATH_BYTES];
    if (!options->found)
        return;
    tree_path_of(re->self->options.layout, kind, id, &path);
    tree_path_text(&path, name);
    const struct hf_finding finding = {
        .kind = kind, .id = id, .what = what, .text = text, .path = name, .action = action};
    options->found(options->found_arg, &finding);
}

/* ---- the index against the names ---- */

static int order_of(const struct tree_key *key, const struct hf_record *record) {
    int order = strcmp(key->kind, record->kind);
    return order ? order : strcmp(key->id, record->id);
}

static int add_key(struct vec *vec, const char *kind, const char *id) {
    char key[TREE_KEY_BYTES];
    tree_key(kind, id, key);
    char *copy = mem_strdup(key);
    if (copy && vec_push(vec, copy) == 0)
        return 0;
    mem_free(copy);
    return -1;
}

static int match(void *arg, const struct hf_record *record, int code) {
    struct reconcile *re = arg;
    while (re->next < re->keys.count && order_of(&re->keys.items[re->next], record) < 0)
        re->next++;
    if (re->next < re->keys.count && order_of(&re->keys.items[re->next], record) == 0) {
        re->is_known[re->next] = 1;
        re->is_suspect[re->next++] = code != 0; /* the file may mend the index */
        return 0;
    }
    return add_key(&re->missing, record->kind, record->id) == 0 ? 0 : no_memory(re);
}

static int list(struct reconcile *re) {
    struct tree_backend *self = re->self;
    const struct store_range all = {.kind = NULL};
    int code = tree_names_list(self, self->store_options.found, self->store_options.found_arg, &re->keys, re->error);
    if (code)
        return code;
    re->is_known = mem_zalloc(re->keys.count + 1, 1);
    re->is_suspect = mem_zalloc(re->keys.count + 1, 1);
    if (!re->is_known || !re->is_suspect)
        return no_memory(re);
    return self->inner->ops->scan(self->inner, &all, match, re, re->error);
}

/* ---- which files are to be read ---- */

static int suspect(void *arg, unsigned worker, size_t index) {
    struct reconcile *re = arg;
    struct tree_path path;
    char text[TREE_PATH_BYTES];
    struct stat stat;
    (void)worker;
    if (!re->is_known[index] || re->is_suspect[index])
        return 0;
    tree_path_of(re->self->options.layout, re->keys.items[index].kind, re->keys.items[index].id, &path);
    tree_path_text(&path, text);
    int result = OS_AGAIN(os_stat_at(re->self->os, re->self->root_fd, text, &stat));
    int64_t changed_ns = tree_ctime_ns(&stat);
    re->is_suspect[index] = result != 0 || !S_ISREG(stat.st_mode) || changed_ns >= re->mark->at_ns - slack_ns;
    return 0;
}

static int find_suspects(struct reconcile *re) {
    struct tree_backend *self = re->self;
    if (re->mark->is_taking || !re->mark->is_there) {
        memset(re->is_suspect, 1, re->keys.count);
        return 0;
    }
    const struct tree_crew crew = {.threads = self->options.threads, .ahead = 1024, .work = suspect, .arg = re};
    return tree_crew_run(&crew, re->keys.count, re->error);
}

static int make_todo(struct reconcile *re) {
    size_t count = re->missing.count;
    for (size_t i = 0; i < re->keys.count; i++)
        count += !re->is_known[i] || re->is_suspect[i];
    re->todo = mem_zalloc(count + 1, sizeof *re->todo);
    if (!re->todo)
        return no_memory(re);
    for (size_t i = 0; i < re->keys.count; i++)
        if (!re->is_known[i] || re->is_suspect[i])
            re->todo[re->count++] = (struct todo){re->keys.items[i].kind, re->keys.items[i].id, re->is_known[i]};
    for (size_t i = 0; i < re->missing.count; i++) {
        struct todo *todo = &re->todo[re->count++];
        todo->is_known = 1;
        tree_key_split(re->missing.items[i], &todo->kind, &todo->id);
    }
    return 0;
}

/* ---- reading them ---- */

static int look(struct reconcile *re, struct tree_reader *reader, const struct todo *todo, enum tree_layout layout,
                struct slot *slot, struct hf_error *error) {
    struct tree_path path;
    tree_path_of(re->self->options.layout, todo->kind, todo->id, &path);
    reader->layout = layout;
    int code = tree_look(reader, &path, &slot->look, error);
    reader->layout = TREE_LAYOUT_KIND;
    struct buf read = reader->bytes;
    reader->bytes = slot->text;
    slot->text = read;
    return code;
}

/* A record's file is compared with the record first, whatever else it says of itself. */
static int read_file(void *arg, unsigned worker, size_t index) {
    struct reconcile *re = arg;
    const struct todo *todo = &re->todo[index];
    struct tree_worker *own = &re->self->workers[worker];
    return look(re, &own->reader, todo, todo->is_known ? TREE_LAYOUT_KIND : re->self->options.layout,
                &re->slots[index % re->ahead], &own->error);
}

/* Told of when it was tried: what is to be told stands behind the key, each text with its end. */
static int put_back(struct reconcile *re, const struct todo *todo, const char *what, const char *text) {
    char key[TREE_KEY_BYTES];
    tree_key(todo->kind, todo->id, key);
    size_t key_bytes = strlen(key) + 1, what_bytes = strlen(what) + 1, text_bytes = strlen(text) + 1;
    char *item = mem_alloc(key_bytes + what_bytes + text_bytes);
    if (!item || vec_push(&re->back, item) != 0) {
        mem_free(item);
        return no_memory(re);
    }
    memcpy(item, key, key_bytes);
    memcpy(item + key_bytes, what, what_bytes);
    memcpy(item + key_bytes + what_bytes, text, text_bytes);
    return 0;
}

static void tell_of_back(struct reconcile *re) {
    for (size_t i = 0; i < re->back.count; i++) {
        const char *kind, *id;
        char *key = re->back.items[i], *what = key + strlen(key) + 1;
        if (!what[0])
            continue;
        tree_key_split(key, &kind, &id);
        MEM_AUTO char *hindrance = tree_pending_text(re->self, kind, id);
        tell(re, kind, id, what, hindrance ? hindrance : what + strlen(what) + 1, hindrance ? "reported" : "put_back");
    }
}

/* Without a record: taken, moved aside when the files of this kind are ours alone, or left. */
static int settle_unknown(struct reconcile *re, const struct todo *todo, const struct slot *slot) {
    struct tree_backend *self = re->self;
    if (slot->look.code == HF_ERR_NOT_FOUND)
        return 0; /* it has gone meanwhile */
    if (slot->look.code) {
        tree_damage_set(self, todo->kind, todo->id, &slot->look);
        tell(re, todo->kind, todo->id, slot->look.what, slot->look.text, "reported");
        return 0;
    }
    if (!re->mark->is_taking && tree_options_is_ours(&self->options, todo->kind)) {
        tell(re, todo->kind, todo->id, "foreign_file", "was added by another program", "kept_aside");
        return put_back(re, todo, "", "");
    }
    if (!re->mark->is_taking)
        tell(re, todo->kind, todo->id, "foreign_file", "was added by another program", "taken");
    return tree_take(&re->taking, todo->kind, todo->id, &slot->text, slot->look.hash, NULL, re->error);
}

static int settle_changed(struct reconcile *re, const struct todo *todo, struct slot *slot,
                          const struct hf_record *head) {
    struct tree_backend *self = re->self;
    if (self->options.layout == TREE_LAYOUT_WATCH) {
        int code = look(re, &self->workers[0].reader, todo, TREE_LAYOUT_WATCH, slot, re->error);
        if (code)
            return code;
        if (slot->look.code)
            return put_back(re, todo, slot->look.what ? slot->look.what : "damaged_file", slot->look.text);
    }
    if (!re->mark->is_taking && tree_options_is_ours(&self->options, todo->kind))
        return put_back(re, todo, "foreign_edit", "was changed by another program");
    tell(re, todo->kind, todo->id, "foreign_edit", "was changed by another program", "taken");
    return tree_take(&re->taking, todo->kind, todo->id, &slot->text, slot->look.hash, head, re->error);
}

static int settle_known(struct reconcile *re, const struct todo *todo, struct slot *slot) {
    struct store_backend *inner = re->self->inner;
    const struct tree_look *look = &slot->look;
    struct hf_record *head = NULL;
    if (look->code == HF_ERR_NOT_FOUND || look->code == HF_ERR_CORRUPT || look->code == HF_ERR_TOO_LARGE)
        return put_back(re, todo, look->what, look->text);
    if (look->code) { /* what cannot be read is not written over either */
        tell(re, todo->kind, todo->id, look->what, look->text, "reported");
        return 0;
    }
    int code = inner->ops->get(inner, STORE_COMMITTED, todo->kind, todo->id, 0, &head, re->error);
    if (code == 0 && memcmp(head->hash, look->hash, HF_HASH_BYTES) != 0)
        code = settle_changed(re, todo, slot, head);
    else if (code == HF_ERR_CORRUPT || code == HF_ERR_NOT_FOUND) /* the file is better than a damaged index */
        code = tree_take(&re->taking, todo->kind, todo->id, &slot->text, look->hash, NULL, re->error);
    hf_record_free(&head);
    return code;
}

/* 1: its file could not be made what was committed. What it holds is older, whoever wrote it. */
static int settle_pending(struct reconcile *re, const struct todo *todo) {
    MEM_AUTO char *hindrance = tree_pending_text(re->self, todo->kind, todo->id);
    if (hindrance)
        tell(re, todo->kind, todo->id, "pending_file", hindrance, "reported");
    return hindrance != NULL;
}

static int settle_file(void *arg, size_t index) {
    struct reconcile *re = arg;
    const struct hf_store_options *options = &re->self->store_options;
    const struct todo *todo = &re->todo[index];
    struct slot *slot = &re->slots[index % re->ahead];
    int code = settle_pending(re, todo) ? 0
               : todo->is_known         ? settle_known(re, todo, slot)
                                        : settle_unknown(re, todo, slot);
    size_t done = index + 1;
    if (code == 0 && options->progress && (done % PROGRESS_EVERY == 0 || done == re->count) &&
        options->progress(options->progress_arg, done, re->count) != 0)
        code = error_set(re->error, HF_ERR_CANCELLED, "reading the files was given up");
    return code;
}

static int read_files(struct reconcile *re) {
    struct tree_backend *self = re->self;
    struct hf_error found = {0};
    re->ahead = (size_t)self->options.threads * AHEAD_EACH;
    re->slots = mem_zalloc(re->ahead, sizeof *re->slots);
    if (!re->slots)
        return no_memory(re);
    for (unsigned i = 0; i < self->options.threads; i++)
        error_clear(&self->workers[i].error);
    const struct tree_crew crew = {
        .threads = self->options.threads, .ahead = re->ahead, .work = read_file, .done = settle_file, .arg = re};
    int code = tree_crew_run(&crew, re->count, &found);
    for (unsigned i = 0; i < self->options.threads && code; i++)
        if (self->workers[i].error.code == code)
            error_copy(&found, &self->workers[i].error);
    if (code && found.code)
        error_copy(re->error, &found);
    return tree_take_end(&re->taking, code, re->error);
}

static void fini(struct reconcile *re) {
    for (size_t i = 0; re->slots && i < re->ahead; i++)
        buf_fini(&re->slots[i].text);
    mem_free(re->slots);
    mem_free(re->todo);
    mem_free(re->is_known);
    mem_free(re->is_suspect);
    tree_key_vec_fini(&re->missing);
    tree_key_vec_fini(&re->back);
    tree_keys_fini(&re->keys);
}

int tree_reconcile(struct tree_backend *self, const struct tree_mark *mark, struct hf_error *error) {
    struct hf_error found = {0};
    struct reconcile re = {.self = self, .mark = mark, .error = &found, .taking = {.self = self}};
    vec_init(&re.missing);
    vec_init(&re.back);
    int code = list(&re);
    if (code == 0)
        code = find_suspects(&re);
    if (code == 0)
        code = make_todo(&re);
    if (code == 0)
        code = read_files(&re);
    if (code == 0 && re.back.count)
        code = tree_write_keys(self, &re.back, 0, &found);
    if (code == 0)
        tell_of_back(&re);
    if (code)
        error_copy(error, &found);
    atomic_store(&self->record_count, re.keys.count + re.missing.count);
    fini(&re);
    return code ? error_wrap(error, code, "look at the files") : 0;
}

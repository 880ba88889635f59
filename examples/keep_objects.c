/* Keeps a thousand objects safe: the program holds them, changes them and marks them; the saver writes them.
 *
 *   cc keep_objects.c $(pkg-config --cflags --libs holdfast) -o keep_objects
 *   ./keep_objects sqlite:objects.db      (and again: it goes on from there) */
#include <holdfast.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct object {
    char id[8];
    long visits;
} objects[1000];

static struct hf_error error;
static void must(int code) {
    if (code == 0)
        return;
    fprintf(stderr, "keep_objects: %s\n%s\n", error.message, error.hint);
    exit(hf_code_exit_status(code));
}

/* The saver asks for an object as it is now. The tag is what it was marked with. */
static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    char json[64];
    (void)arg, (void)kind;
    snprintf(json, sizeof json, "{\"id\":\"%s\",\"visits\":%ld}", id, ((struct object *)tag)->visits);
    hf_document_add(document, json, strlen(json));
    return 0;
}

/* At the start: what an earlier run saved. */
static int take(void *arg, const struct hf_record *record, int code) {
    if (code == 0)
        objects[atoi(record->id)].visits = atol(strstr(record->json, "\"visits\":") + 9);
    *(int *)arg += code == 0;
    return 0;
}

int main(int count, char **arguments) {
    const struct hf_saver_options options = {.struct_bytes = sizeof options, .give = give, .who = "keep_objects"};
    struct hf_store *store = NULL;
    struct hf_saver *saver = NULL;
    struct hf_health health;
    int loaded = 0;
    must(hf_store_open(count > 1 ? arguments[1] : "sqlite:objects.db", NULL, &store, &error));
    must(hf_saver_open(store, &options, &saver, &error));
    must(hf_saver_load(saver, "object", take, &loaded, &error));
    for (int i = 0; i < 1000; i++) {
        snprintf(objects[i].id, sizeof objects[i].id, "%03d", i);
        if (loaded == 0 || i % 10 == 0)
            objects[i].visits++;
        must(hf_saver_mark(saver, "object", objects[i].id, &objects[i], HF_STANDARD, &error));
    }
    must(hf_saver_flush(saver, &error)); /* without it: within ten seconds, or when it is closed */
    hf_saver_health(saver, &health);
    printf("%d loaded, %d saved, %d unchanged\n", loaded, (int)health.total_saves, (int)health.total_unchanged);
    must(hf_saver_close(&saver, &error));
    hf_store_close(&store);
}

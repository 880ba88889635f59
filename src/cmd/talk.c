#include "cmd/talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { KEY_BYTES = HF_KIND_MAX + HF_ID_MAX + 2 };

void talk_init(struct command_talk *talk) {
    *talk = (struct command_talk){.damaged = 0};
    map_init(&talk->told);
}

void talk_fini(struct command_talk *talk) {
    progress_clear(&talk->progress);
    map_fini(&talk->told);
}

static int is_damage(const char *what) {
    static const char *const words[] = {"bad_checksum", "bad_hash",     "bad_json",      "bad_structure",
                                        "lost_record",  "damaged_file", "oversize_file", "unreadable_file"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is_equal(what, words[i]))
            return 1;
    }
    return 0;
}

/* Whether it is the first time. When memory is used up it is told of again: better than not at all. */
static int is_news(struct command_talk *talk, const char *kind, const char *id) {
    char key[KEY_BYTES];
    int length = snprintf(key, sizeof key, "%s/%s", kind, id);
    if (map_get(&talk->told, key, (size_t)length))
        return 0;
    (void)map_set(&talk->told, key, (size_t)length, talk, NULL);
    return 1;
}

static void count(struct command_talk *talk, const char *kind) {
    talk->damaged += !talk->kind || !kind || strcmp(talk->kind, kind) == 0;
}

/* On one line: a file's name may hold line feeds. */
static void print(const char *text) {
    for (size_t bytes; *text; text += bytes) {
        bytes = strcspn(text, "\n");
        command_print_safely(text, bytes, stderr);
        if (text[bytes] == '\n')
            fprintf(stderr, "\\x%02x", text[bytes++]);
    }
}

static void print_key(const char *kind, const char *id) {
    print(kind);
    fputc('/', stderr);
    print(id);
    fputs(": ", stderr);
}

void talk_finding(void *arg, const struct hf_finding *finding) {
    struct command_talk *talk = arg;
    int has_key = finding->kind && finding->id;
    if (has_key && !is_news(talk, finding->kind, finding->id))
        return;
    if (is_damage(finding->what))
        count(talk, finding->kind);
    progress_clear(&talk->progress);
    if (has_key) {
        print_key(finding->kind, finding->id);
    } else {
        print(finding->path ? finding->path : "the store");
        fputs(": ", stderr);
    }
    fprintf(stderr, "%s: ", finding->what);
    if (has_key && finding->path) {
        print(finding->path);
        fputc(' ', stderr);
    }
    print(finding->text ? finding->text : "");
    if (finding->action && strcmp(finding->action, "reported") != 0)
        fprintf(stderr, " (%s)", finding->action);
    fputc('\n', stderr);
}

void talk_damage(struct command_talk *talk, const struct hf_record *record, const char *problem) {
    if (!is_news(talk, record->kind, record->id))
        return;
    count(talk, record->kind);
    progress_clear(&talk->progress);
    print_key(record->kind, record->id);
    print(problem);
    fputc('\n', stderr);
}

void talk_say(const struct command_invocation *invocation, const char *format, ...) {
    char text[1024];
    va_list args;
    if (invocation->globals.quiet)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    progress_clear(&invocation->talk->progress);
    fputs("holdfast: ", stderr);
    print(text);
    fputc('\n', stderr);
}

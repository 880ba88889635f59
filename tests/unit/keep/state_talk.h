/* What the tests of the verbs share: bodies and answers as text in which ' stands for ". */
#ifndef HF_UNIT_KEEP_STATE_TALK_H
#define HF_UNIT_KEEP_STATE_TALK_H

#include "unit/keep/state_stage.h"

#include "keep/state_verb.h"

static struct buf answer; /* of the last verb */
static const struct state_caller ME = {.who = "me"};

static inline const char *body_of(const char *text) {
    static char body[8192];
    size_t bytes = strlen(text);
    assert_true(bytes < sizeof body);
    for (size_t i = 0; i <= bytes; i++)
        body[i] = text[i] == '\'' ? '"' : text[i];
    return body;
}
/* The two arguments of a body. */
#define BODY(text) body_of(text), strlen(text)

/* A verb, and the code that it must end with. Its last two arguments are left out. */
#define VERB(stage, expected, verb, ...)                                                                               \
    do {                                                                                                               \
        buf_clear(&answer);                                                                                            \
        assert_code((stage), (expected), verb((stage)->store, __VA_ARGS__, &answer, &(stage)->error));                 \
    } while (0)

static inline int answer_has(const char *part) {
    return answer.data && strstr(answer.data, body_of(part)) != NULL;
}

static inline void assert_has(const char *part) {
    if (!answer_has(part))
        fail_msg("<%s> is not in: %s", part, buf_text(&answer));
}

static inline void assert_lacks(const char *part) {
    if (answer_has(part))
        fail_msg("<%s> is in: %s", part, buf_text(&answer));
}

static inline void assert_answer(const char *text) {
    if (strcmp(buf_text(&answer), body_of(text)) != 0)
        fail_msg("not <%s> but: %s", text, buf_text(&answer));
}

static inline int talk_setup(void **state) {
    buf_init(&answer);
    return stage_memory(state);
}

static inline int talk_teardown(void **state) {
    buf_fini(&answer);
    return stage_teardown(state);
}

#define TALK_TEST(test) cmocka_unit_test_setup_teardown(test, talk_setup, talk_teardown)

/* Saves a text (in which ' is ") as the newest version. */
static inline void talk_save(struct stage *stage, const char *name, const char *text) {
    stage_save_text(stage, name, body_of(text));
}

static inline void talk_expect(struct stage *stage, const char *name, const char *text, uint64_t version) {
    stage_expect_text(stage, name, body_of(text), version);
}

/* Puts another document in the place of a stored one. */
static inline void talk_damage(struct stage *stage, const char *kind, const char *id) {
    assert_code(stage, 0, hf_store_put(stage->store, kind, id, "{}", 2, NULL, &stage->error));
}

static inline void talk_damage_version(struct stage *stage, const char *name, uint64_t version) {
    char id[HF_ID_MAX + 1];
    state_number_id(name, version, id);
    talk_damage(stage, STATE_VERSION_KIND, id);
}

static inline int talk_count_one(void *arg, const struct hf_record *record, int code) {
    (void)record, (void)code;
    ++*(uint64_t *)arg;
    return 0;
}

static inline uint64_t talk_count(struct stage *stage, const char *kind) {
    uint64_t count = 0;
    assert_code(stage, 0, hf_store_scan(stage->store, kind, NULL, 0, talk_count_one, &count, &stage->error));
    return count;
}

/* Begins a run of a process that is this one (pid 0: of none, for ttl_ms); gives its fence. */
static inline uint64_t talk_begin(struct stage *stage, const char *name, const char *body) {
    const struct state_caller owner = {.who = "runner", .pid = strstr(body, "ttl_ms") ? 0 : getpid()};
    VERB(stage, 0, state_run_begin, &owner, name, BODY(body));
    const char *fence = strstr(answer.data, "\"fence\":");
    assert_non_null(fence);
    return strtoull(fence + 8, NULL, 10);
}

#endif

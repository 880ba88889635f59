/* Events and watches. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "conform.h"

static void events_go_by_revision(struct conform *c) {
    const struct change changes[] = {
        {HF_PUT, "thing", "z", "1", ALWAYS},
        {HF_DELETE, "thing", "a", NULL, ALWAYS},
        {HF_PUT, "thing", "b", "1", ALWAYS},
    };
    put(c, "thing", "a", "1");
    assert_int_equal(commit_changes(c, changes, 3, NULL, NULL), 0);
    put(c, "thing", "a", "3");
    expect_events(c, 0, 0, "1+thing/a 2+thing/z 2-thing/a 2+thing/b 3+thing/a ");
    expect_events(c, 1, 0, "2+thing/z 2-thing/a 2+thing/b 3+thing/a ");
    expect_events(c, 2, 0, "3+thing/a ");
    expect_events(c, 3, 0, "");
    expect_events(c, 99, 0, "");
    expect_events(c, 0, 2, "1+thing/a 2+thing/z ");
    expect_events(c, 2, 99, "3+thing/a ");
}

struct seen {
    struct hf_event event;
    char who[16];
};

static int note_event(void *arg, const struct hf_event *event) {
    struct seen *seen = arg;
    seen->event = *event;
    snprintf(seen->who, sizeof seen->who, "%s", event->who);
    return 0;
}

static void an_event_tells_who_when_and_which(struct conform *c) {
    struct seen seen = {0};
    struct hf_record *record = NULL;
    put(c, "thing", "a", "1");
    assert_int_equal(get(c, "thing", "a", &record), 0);
    assert_int_equal(events(c, 0, 0, note_event, &seen), 0);
    assert_int_equal(seen.event.revision, 1);
    assert_int_equal(seen.event.at_ms, record->updated_ms);
    assert_memory_equal(seen.event.hash, record->hash, HF_HASH_BYTES);
    assert_string_equal(seen.who, "tester");
    hf_record_free(&record);
}

static int count_event(void *arg, const struct hf_event *event) {
    (void)event;
    ++*(uint64_t *)arg;
    return 0;
}

enum { MANY = 1024, KEPT = 10 };

static void note_code(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    (void)result, (void)error;
    if (code != 0)
        ++*(int *)arg;
}

/* As many commits as bring about a trim, in one group. */
static void commit_many(struct conform *c) {
    int failed = 0;
    char json[16];
    for (int i = 0; i < MANY; i++) {
        struct hf_batch *batch = NULL;
        snprintf(json, sizeof json, "%d", i);
        assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
        assert_int_equal(hf_batch_put(batch, "thing", "a", json, strlen(json), NULL, NULL), 0);
        hf_store_commit_async(c->store, &batch, note_code, &failed);
    }
    assert_int_equal(store_pump(c->store), MANY);
    assert_int_equal(failed, 0);
}

static void old_events_are_compacted(struct conform *c) {
    const struct hf_store_options options = {.struct_bytes = sizeof options, .events_keep = KEPT};
    struct hf_error error = {0};
    uint64_t count = 0;
    conform_open_without_thread(c, &options);
    commit_many(c);
    uint64_t newest = hf_store_revision(c->store);
    assert_int_equal(newest, MANY);
    int code;
    do
        code = hf_store_events(c->store, 0, 0, count_event, &count, &error);
    while (conform_is_flake(c, code));
    assert_int_equal(code, HF_ERR_COMPACTED);
    assert_true(error.hint[0]);
    assert_int_equal(count, 0);
    assert_int_equal(events(c, newest - KEPT, 0, count_event, &count), 0);
    assert_int_equal(count, KEPT);
    if (!c->is_durable)
        return;
    conform_reopen(c, &options);
    assert_int_equal(hf_store_revision(c->store), newest);
    assert_int_equal(events(c, 0, 0, count_event, &count), HF_ERR_COMPACTED);
    assert_int_equal(events(c, newest, 0, count_event, &count), 0);
}

struct watcher {
    atomic_uint_fast64_t revision;
    atomic_int calls;
};

static void note_change(void *arg, uint64_t revision) {
    struct watcher *watcher = arg;
    atomic_store(&watcher->revision, revision);
    atomic_fetch_add(&watcher->calls, 1);
}

/* A watch is called after the answers: the second commit's answer comes after the first one's watches. */
static void settle(struct conform *c) {
    static const struct change nothing = {HF_DELETE, "thing", "never there", NULL, ALWAYS};
    assert_int_equal(commit_changes(c, &nothing, 1, NULL, NULL), HF_ERR_NOT_FOUND);
}

static void a_watch_is_called_after_each_change(struct conform *c) {
    static struct watcher one, two;
    static struct hf_watch *first, *second; /* open still when the test begins again; their store is closed then */
    hf_watch_close(&first);
    hf_watch_close(&second);
    atomic_store(&one.calls, 0);
    atomic_store(&two.calls, 0);
    assert_int_equal(hf_store_watch(c->store, note_change, &one, &first, NULL), 0);
    assert_int_equal(hf_store_watch(c->store, note_change, &two, &second, NULL), 0);
    put(c, "thing", "a", "1");
    settle(c);
    assert_int_equal(atomic_load(&one.revision), 1);
    assert_int_equal(atomic_load(&two.revision), 1);
    hf_watch_close(&first);
    assert_null(first);
    int calls = atomic_load(&one.calls);
    put(c, "thing", "a", "2");
    settle(c);
    assert_int_equal(atomic_load(&one.calls), calls);
    assert_int_equal(atomic_load(&two.revision), 2);
    calls = atomic_load(&two.calls);
    put(c, "thing", "a", " 2 "); /* changes nothing */
    settle(c);
    assert_int_equal(atomic_load(&two.calls), calls);
    hf_watch_close(&second);
}

const struct conform_case conform_event_cases[] = {
    {"events go by revision", events_go_by_revision, 0},
    {"an event tells who, when and which", an_event_tells_who_when_and_which, 0},
    {"old events are compacted", old_events_are_compacted, UINT32_MAX},
    {"a watch is called after each change", a_watch_is_called_after_each_change, 0},
    {NULL, NULL, 0},
};

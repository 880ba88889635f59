/* S17, S18: behind the saver. */
#include "fault/catalogue.h"

#include <pthread.h>
#include <stdio.h>

struct owner {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    int number;  /* in the document */
    int asked;   /* how often it was given */
    int is_held; /* give waits */
};

static int give_number(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    struct owner *owner = arg;
    char json[32];
    (void)kind, (void)id, (void)tag;
    pthread_mutex_lock(&owner->mutex);
    int bytes = snprintf(json, sizeof json, "{\"n\":%d}", owner->number);
    owner->asked++;
    pthread_cond_broadcast(&owner->moved);
    while (owner->is_held)
        pthread_cond_wait(&owner->moved, &owner->mutex);
    pthread_mutex_unlock(&owner->mutex);
    hf_document_add(document, json, (size_t)bytes);
    return 0;
}

static void change(struct owner *owner, int number) {
    pthread_mutex_lock(&owner->mutex);
    owner->number = number;
    pthread_mutex_unlock(&owner->mutex);
}

static void hold(struct owner *owner, int is_held) {
    pthread_mutex_lock(&owner->mutex);
    owner->is_held = is_held;
    pthread_cond_broadcast(&owner->moved);
    pthread_mutex_unlock(&owner->mutex);
}

static void wait_until_asked(struct owner *owner, int times) {
    pthread_mutex_lock(&owner->mutex);
    while (owner->asked < times)
        pthread_cond_wait(&owner->moved, &owner->mutex);
    pthread_mutex_unlock(&owner->mutex);
}

static struct hf_saver *open_saver(struct world *world, struct owner *owner, uint32_t interval_ms) {
    struct store_setup setup = {.os = os_fault_os(world->fault)};
    struct hf_saver_options options = {
        .struct_bytes = sizeof options, .interval_ms = interval_ms, .threads = 1, .give = give_number, .arg = owner};
    struct hf_saver *saver = NULL;
    if (store_open(world->url, NULL, &setup, &world->store, &world->error) != 0 ||
        hf_saver_open(world->store, &options, &saver, &world->error) != 0)
        fail_msg("%s", world->error.message);
    return saver;
}

static void mark(struct hf_saver *saver, enum hf_urgency urgency) {
    assert_int_equal(hf_saver_mark(saver, "watch", "a", NULL, urgency, NULL), 0);
}

void S17_marked_while_a_save_runs_and_fails(void **state) {
    struct owner owner = {.mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER, .number = 1};
    struct hf_health health;
    BEGIN(world);
    struct hf_saver *saver = open_saver(&world, &owner, 50);
    hold(&owner, 1);
    mark(saver, HF_URGENT);
    wait_until_asked(&owner, 1); /* it has the first document, and is not done with it */
    change(&owner, 2);
    mark(saver, HF_STANDARD);
    world_fail(&world, 1 << OS_CALL_WRITE, 1, 0, ENOSPC);
    hold(&owner, 0);
    assert_int_equal(hf_saver_flush(saver, &world.error), HF_ERR_NO_SPACE);
    sim_disk_advance_ms(world.disk, 2000);
    hf_saver_health(saver, &health);
    assert_int_equal(health.dirty, 1);
    assert_true(health.oldest_unsaved_ms >= 2000); /* of the oldest, not of the newest mark */
    assert_int_equal(health.last_error.code, HF_ERR_NO_SPACE);
    world_heal(&world);
    for (int i = 0; i < 1000 && health.dirty; i++) { /* of itself, without another mark */
        os_sleep_ms(os_real(), 10);
        sim_disk_advance_ms(world.disk, 10);
        hf_saver_health(saver, &health);
    }
    assert_int_equal(health.dirty, 0);
    world_expect(&world, "watch", "a", "{\"n\":2}");
    assert_int_equal(hf_saver_close(&saver, &world.error), 0);
    END(world);
}

void S18_every_save_fails(void **state) {
    struct owner owner = {.mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER, .number = 1};
    struct hf_health before, health;
    BEGIN(world);
    struct hf_saver *saver = open_saver(&world, &owner, 3600 * 1000);
    mark(saver, HF_STANDARD);
    assert_int_equal(hf_saver_flush(saver, &world.error), 0);
    hf_saver_health(saver, &before);
    assert_int_equal(before.status, HF_HEALTHY);
    world_fail(&world, 1 << OS_CALL_WRITE, 1, 0, ENOSPC);
    change(&owner, 2);
    mark(saver, HF_STANDARD);
    for (int i = 1; i <= 3; i++) {
        sim_disk_advance_ms(world.disk, 1000);
        assert_int_equal(hf_saver_flush(saver, &world.error), HF_ERR_NO_SPACE);
        hf_saver_health(saver, &health);
        assert_int_equal(health.status, HF_HEALTH_WARNING);
        assert_int_equal(health.last_error.code, HF_ERR_NO_SPACE);
        assert_true(health.last_save_ms >= before.last_save_ms + 1000 * i); /* the last success grows old */
        assert_int_equal(health.total_saves, before.total_saves);
        assert_true(health.total_errors >= (uint64_t)i);
    }
    sim_disk_advance_ms(world.disk, 11 * 3600 * 1000);
    hf_saver_health(saver, &health);
    assert_int_equal(health.status, HF_HEALTH_CRITICAL);
    world_expect(&world, "watch", "a", "{\"n\":1}");
    world_heal(&world);
    assert_int_equal(hf_saver_close(&saver, &world.error), 0);
    world_expect(&world, "watch", "a", "{\"n\":2}");
    END(world);
}

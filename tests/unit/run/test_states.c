#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/states.h"

static void test_table_is_sound(void **state) {
    (void)state;
    const char *problem = state_table_problem();
    if (problem)
        fail_msg("%s", problem);
}

static void test_names(void **state) {
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        enum source_status status;
        assert_int_equal(state_from_name(state_name((enum source_status)i), &status), 0);
        assert_int_equal(status, i);
    }
    enum source_status status;
    assert_int_equal(state_from_name("running ", &status), -1);
    assert_int_equal(state_from_name(NULL, &status), -1);
    for (int i = 0; i < EVENT_COUNT; i++)
        assert_non_null(state_event_name((enum source_event)i));
}

/* Every move, as a list that a person can check against the words in docs/sources.md. */
static void test_moves(void **state) {
    (void)state;
    static const struct {
        enum source_status from;
        enum source_event event;
        enum source_status next;
    } MOVES[] = {
        {STATUS_STOPPED, EVENT_WANT, STATUS_STARTING},   {STATUS_EXITED, EVENT_WANT, STATUS_STARTING},
        {STATUS_FATAL, EVENT_WANT, STATUS_STARTING},     {STATUS_BACKOFF, EVENT_WANT, STATUS_STARTING},
        {STATUS_FATAL, EVENT_RENEW, STATUS_STARTING},    {STATUS_BACKOFF, EVENT_RENEW, STATUS_STARTING},
        {STATUS_BACKOFF, EVENT_RETRY, STATUS_STARTING},  {STATUS_STOPPING, EVENT_AGAIN, STATUS_STARTING},
        {STATUS_STARTING, EVENT_READY, STATUS_RUNNING},  {STATUS_STARTING, EVENT_FAIL, STATUS_BACKOFF},
        {STATUS_STARTING, EVENT_CANNOT, STATUS_FATAL},   {STATUS_STARTING, EVENT_UNWANT, STATUS_STOPPED},
        {STATUS_RUNNING, EVENT_UNWANT, STATUS_STOPPING}, {STATUS_RUNNING, EVENT_RENEW, STATUS_STOPPING},
        {STATUS_RUNNING, EVENT_HUNG, STATUS_STOPPING},   {STATUS_RUNNING, EVENT_BROKE, STATUS_BACKOFF},
        {STATUS_RUNNING, EVENT_FAIL, STATUS_BACKOFF},    {STATUS_RUNNING, EVENT_CANNOT, STATUS_FATAL},
        {STATUS_STOPPING, EVENT_GONE, STATUS_STOPPED},   {STATUS_STOPPING, EVENT_OVER, STATUS_EXITED},
        {STATUS_STOPPING, EVENT_BROKE, STATUS_BACKOFF},  {STATUS_BACKOFF, EVENT_UNWANT, STATUS_STOPPED},
        {STATUS_FATAL, EVENT_UNWANT, STATUS_STOPPED},
    };
    size_t legal = 0;
    for (int s = 0; s < STATUS_COUNT; s++) {
        for (int e = 0; e < EVENT_COUNT; e++)
            legal += (size_t)state_next((enum source_status)s, (enum source_event)e).is_legal;
    }
    assert_int_equal(legal, sizeof MOVES / sizeof MOVES[0]);
    for (size_t i = 0; i < sizeof MOVES / sizeof MOVES[0]; i++) {
        struct state_move move = state_next(MOVES[i].from, MOVES[i].event);
        assert_true(move.is_legal);
        assert_int_equal(move.next, MOVES[i].next);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tokens, sessions and sign-in codes, with a clock that is set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth.h"

enum { MINUTE = 60000 };
static const int64_t day_ms = 24LL * 3600 * 1000;

struct fixture {
    struct os_ops ops;
    struct os os; /* context: the fixture */
    int64_t now_ms;
    struct hf_store *store;
    struct auth *auth;
};

static int64_t fixed_now(const struct os *os, enum os_clock clock) {
    const struct fixture *fixture = os->context;
    (void)clock;
    return fixture->now_ms * 1000000;
}

static int real_random(const struct os *os, void *to, size_t bytes) {
    (void)os;
    return os_random(os_real(), to, bytes);
}

static int set_up(void **state) {
    struct fixture *fixture = MEM_NEW(struct fixture);
    fixture->ops.now_ns = fixed_now;
    fixture->ops.random = real_random;
    fixture->os = (struct os){&fixture->ops, fixture};
    fixture->now_ms = 1700000000000;
    assert_int_equal(hf_store_open("memory:", NULL, &fixture->store, NULL), 0);
    assert_int_equal(auth_new(fixture->store, &fixture->os, &fixture->auth, NULL), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    auth_free(&fixture->auth);
    hf_store_close(&fixture->store);
    mem_free(fixture);
    return 0;
}

static void make_token(struct fixture *fixture, const char *scopes, char text[CREDENTIAL_TEXT_BYTES + 1]) {
    struct credential credential;
    struct hf_batch *batch = NULL;
    const struct credential_terms terms = {AUTH_TOKEN_KIND, scopes, NULL, fixture->now_ms, 0};
    assert_int_equal(credential_make(&fixture->os, &credential, NULL), 0);
    assert_int_equal(hf_batch_new("test", &batch, NULL), 0);
    assert_int_equal(credential_put(batch, &credential, &terms, NULL), 0);
    assert_int_equal(hf_store_commit(fixture->store, &batch, NULL, NULL), 0);
    snprintf(text, CREDENTIAL_TEXT_BYTES + 1, "%s_%s", credential.id, credential.secret);
}

static void test_a_token_is_known_with_its_highest_scope(void **state) {
    struct fixture *fixture = *state;
    char text[CREDENTIAL_TEXT_BYTES + 1];
    struct auth_identity identity = {0};
    make_token(fixture, "[\"read\",\"edit\",\"operate\"]", text);
    for (int i = 0; i < 3; i++) { /* from the store, then from memory */
        assert_int_equal(auth_check(fixture->auth, AUTH_TOKEN_KIND, text, &identity, NULL), 0);
        assert_int_equal(identity.scope, API_SCOPE_EDIT);
        assert_memory_equal(identity.who, "token:", 6);
        assert_memory_equal(identity.who + 6, text, CREDENTIAL_ID_BYTES);
    }
    assert_int_equal(auth_check(fixture->auth, AUTH_SESSION_KIND, text, &identity, NULL), HF_ERR_UNAUTHORIZED);
}

static void test_one_digit_off_is_nobody(void **state) {
    struct fixture *fixture = *state;
    char text[CREDENTIAL_TEXT_BYTES + 1], wrong[CREDENTIAL_TEXT_BYTES + 1];
    struct auth_identity identity = {0};
    make_token(fixture, "[\"admin\"]", text);
    for (int at = 0; at < CREDENTIAL_TEXT_BYTES; at++) {
        memcpy(wrong, text, sizeof wrong);
        wrong[at] = text[at] == '0' ? '1' : '0';
        assert_int_equal(auth_check(fixture->auth, AUTH_TOKEN_KIND, wrong, &identity, NULL), HF_ERR_UNAUTHORIZED);
        wrong[at] = '\0';
        assert_int_equal(auth_check(fixture->auth, AUTH_TOKEN_KIND, wrong, &identity, NULL), HF_ERR_UNAUTHORIZED);
    }
    assert_int_equal(identity.scope, API_SCOPE_NONE);
}

static void test_a_scope_that_is_none_is_nobody(void **state) {
    struct fixture *fixture = *state;
    char text[CREDENTIAL_TEXT_BYTES + 1];
    struct auth_identity identity;
    make_token(fixture, "[\"root\"]", text);
    assert_int_equal(auth_check(fixture->auth, AUTH_TOKEN_KIND, text, &identity, NULL), HF_ERR_UNAUTHORIZED);
    make_token(fixture, "[]", text);
    assert_int_equal(auth_check(fixture->auth, AUTH_TOKEN_KIND, text, &identity, NULL), HF_ERR_UNAUTHORIZED);
}

static void test_a_token_that_was_removed_is_forgotten(void **state) {
    struct fixture *fixture = *state;
    char text[CREDENTIAL_TEXT_BYTES + 1], id[CREDENTIAL_ID_BYTES + 1] = "";
    struct auth_identity identity;
    make_token(fixture, "[\"read\"]", text);
    memcpy(id, text, CREDENTIAL_ID_BYTES);
    assert_int_equal(auth_check(fixture->auth, AUTH_TOKEN_KIND, text, &identity, NULL), 0);
    uint64_t before = auth_generation(fixture->auth);
    assert_int_equal(hf_store_delete(fixture->store, AUTH_TOKEN_KIND, id, NULL, NULL), 0);
    auth_forget(fixture->auth, AUTH_TOKEN_KIND, id);
    assert_int_equal(auth_check(fixture->auth, AUTH_TOKEN_KIND, text, &identity, NULL), HF_ERR_UNAUTHORIZED);
    assert_true(auth_generation(fixture->auth) > before);
}

static void test_a_session_ends_and_is_cleared_away(void **state) {
    struct fixture *fixture = *state;
    char text[CREDENTIAL_TEXT_BYTES + 1], later[CREDENTIAL_TEXT_BYTES + 1], id[CREDENTIAL_ID_BYTES + 1] = "";
    struct auth_identity identity;
    struct credential_row row;
    assert_int_equal(auth_begin_session(fixture->auth, API_SCOPE_OPERATE, text, NULL), 0);
    memcpy(id, text, CREDENTIAL_ID_BYTES);
    assert_int_equal(auth_check(fixture->auth, AUTH_SESSION_KIND, text, &identity, NULL), 0);
    assert_int_equal(identity.scope, API_SCOPE_OPERATE);
    fixture->now_ms += 29 * day_ms;
    assert_int_equal(auth_begin_session(fixture->auth, API_SCOPE_READ, later, NULL), 0);
    assert_int_equal(auth_check(fixture->auth, AUTH_SESSION_KIND, text, &identity, NULL), 0);
    fixture->now_ms += day_ms;
    assert_int_equal(auth_check(fixture->auth, AUTH_SESSION_KIND, text, &identity, NULL), HF_ERR_UNAUTHORIZED);
    assert_int_equal(credential_read(fixture->store, AUTH_SESSION_KIND, id, &row, NULL), 0);
    assert_int_equal(auth_begin_session(fixture->auth, API_SCOPE_READ, text, NULL), 0);
    assert_int_equal(credential_read(fixture->store, AUTH_SESSION_KIND, id, &row, NULL), HF_ERR_NOT_FOUND);
    assert_int_equal(auth_check(fixture->auth, AUTH_SESSION_KIND, later, &identity, NULL), 0);
}

static void test_a_sign_in_code_works_once_and_for_ten_minutes(void **state) {
    struct fixture *fixture = *state;
    char first[CREDENTIAL_SECRET_BYTES + 1], second[CREDENTIAL_SECRET_BYTES + 1];
    enum api_scope scope = API_SCOPE_NONE;
    assert_int_equal(auth_make_signin(fixture->auth, API_SCOPE_OPERATE, first, NULL), 0);
    assert_int_equal(auth_make_signin(fixture->auth, API_SCOPE_READ, second, NULL), 0);
    assert_int_equal(auth_use_signin(fixture->auth, "", &scope, NULL), HF_ERR_UNAUTHORIZED);
    assert_int_equal(auth_use_signin(fixture->auth, first, &scope, NULL), 0);
    assert_int_equal(scope, API_SCOPE_OPERATE);
    assert_int_equal(auth_use_signin(fixture->auth, first, &scope, NULL), HF_ERR_UNAUTHORIZED);
    fixture->now_ms += 10 * MINUTE - 1;
    assert_int_equal(auth_use_signin(fixture->auth, second, &scope, NULL), 0);
    assert_int_equal(scope, API_SCOPE_READ);
    assert_int_equal(auth_make_signin(fixture->auth, API_SCOPE_READ, second, NULL), 0);
    fixture->now_ms += 10 * MINUTE;
    assert_int_equal(auth_use_signin(fixture->auth, second, &scope, NULL), HF_ERR_UNAUTHORIZED);
}

static void test_failures_are_counted_by_the_minute(void **state) {
    struct fixture *fixture = *state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(auth_count_failure(fixture->auth), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(auth_count_failure(fixture->auth), 1);
    fixture->now_ms += MINUTE;
    assert_int_equal(auth_count_failure(fixture->auth), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_token_is_known_with_its_highest_scope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_digit_off_is_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_scope_that_is_none_is_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_token_that_was_removed_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_session_ends_and_is_cleared_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_sign_in_code_works_once_and_for_ten_minutes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_counted_by_the_minute, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

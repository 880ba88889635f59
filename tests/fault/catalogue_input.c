/* S21, S22: ids and values that try the limits. */
#include "fault/catalogue.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

struct id_case {
    const char *id;
    int code;
};

static char long_id[1 << 20];

static void try_id(struct world *world, const char *id, int code) {
    char json[64];
    snprintf(json, sizeof json, "{\"length\":%zu,\"hash\":%u}", strlen(id), (unsigned)hash64(id, strlen(id), 1));
    int got = world_put(world, "watch", id, json);
    if (got != code)
        fail_msg("id '%.40s': %s", id, hf_code_word(got));
    assert_true(code == 0 || hf_code_http_status(got) == 400);
}

static void expect_id(struct world *world, const char *id, int code) {
    char json[64];
    snprintf(json, sizeof json, "{\"length\":%zu,\"hash\":%u}", strlen(id), (unsigned)hash64(id, strlen(id), 1));
    if (code == 0)
        world_expect(world, "watch", id, json);
    else
        assert_int_equal(world_get(world, "watch", id), code);
}

void S21_ids_that_are_no_names(void **state) {
    static const struct id_case cases[] = {
        {"", HF_ERR_BAD_ID},
        {".", HF_ERR_BAD_ID},
        {"..", HF_ERR_BAD_ID},
        {"../x", HF_ERR_BAD_ID},
        {"a/b", HF_ERR_BAD_ID},
        {"line\nfeed", HF_ERR_BAD_ID},
        {"\xe2\x80\xae"
         "gnp.exe",
         HF_ERR_BAD_ID},                  /* the right-to-left override */
        {"a\xe2\x81\xa6", HF_ERR_BAD_ID}, /* an isolate, and the three marks of a direction */
        {"a\xe2\x80\x8e", HF_ERR_BAD_ID},
        {"a\xe2\x80\x8f", HF_ERR_BAD_ID},
        {"a\xd8\x9c", HF_ERR_BAD_ID},
        {"\xff", HF_ERR_BAD_ID},
        {"%2e%2e%2f", 0},
        {"%2e%2e", 0},
        {"CON", 0},
        {"con", 0}, /* twins by case */
        {"Con", 0},
        {"dot.", 0},
        {"dot", 0},
        {"space ", 0},
        {"space", 0},
        {" space", 0},
        {"caf\xc3\xa9", 0}, /* twins by normal form */
        {"cafe\xcc\x81", 0},
        {".hidden", 0},
        {"a.json", 0},
        {"a", 0},
        {"back\\slash", 0},
        {"~", 0},
        {"-rf", 0},
    };
    BEGIN(world);
    world_must_open(&world);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            if (round == 0)
                try_id(&world, cases[i].id, cases[i].code);
            else
                expect_id(&world, cases[i].id, cases[i].code);
        for (size_t bytes = 250; bytes <= sizeof long_id - 1; bytes = bytes < 257 ? bytes + 1 : bytes * 64) {
            memset(long_id, 'x', bytes);
            long_id[bytes] = '\0';
            (round == 0 ? try_id : expect_id)(&world, long_id, bytes <= HF_ID_MAX ? 0 : HF_ERR_BAD_ID);
        }
        world_reopen(&world);
    }
    assert_int_equal(world_findings(&world), 0);
    struct sim_image image;
    sim_disk_image(world.disk, &image);
    assert_int_equal(sim_image_inode(&image, SIM_ROOT)->entry_count, 2); /* data and proc: nothing got out */
    sim_image_fini(&image);
    END(world);
}

void S22_values_at_the_limit(void **state) {
    enum { LIMIT = 100000 };
    BEGIN(world);
    struct hf_store_options options = {.struct_bytes = sizeof options, .max_document_bytes = LIMIT};
    static char json[LIMIT + 64];
    assert_int_equal(world_open_with(&world, &options), 0);
    assert_int_equal(world_put_bytes(&world, "watch", "none", "", 0), HF_ERR_BAD_JSON);
    size_t frame = world_make_document(json, 1, 0);
    world_make_document(json, 1, LIMIT - frame);
    assert_int_equal(strlen(json), LIMIT);
    world_must_put(&world, "watch", "full", json);
    world_expect(&world, "watch", "full", json);
    world_make_document(json, 1, LIMIT - frame + 1);
    world_count(&world, 1 << OS_CALL_WRITE | 1 << OS_CALL_TRUNCATE | 1 << OS_CALL_SYNC);
    int code = world_put(&world, "watch", "over", json);
    world_expect_error(&world, code, HF_ERR_TOO_LARGE, "");
    assert_int_equal(hf_code_http_status(code), 413);
    assert_int_equal(os_fault_calls(world.fault), 0); /* it was refused before anything was written */
    world_expect(&world, "watch", "over", NULL);
    END(world);
}

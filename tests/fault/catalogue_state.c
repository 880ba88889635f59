#include "fault/catalogue_state.h"

void feed_begin(struct world *world) {
    world_init(world, STATE_URL);
    world_make_folder(world, "/proc/sys/kernel/random");
    world_write_file(world, "/proc/sys/kernel/random/boot_id", "00000000-1111-2222-3333-444444444444\n", 37);
    feed_open(world);
}

void feed_open(struct world *world) {
    static const struct hf_store_options OPTIONS = {.struct_bytes = sizeof OPTIONS,
                                                    .max_document_bytes = STATE_DOCUMENT_BYTES};
    if (world_open_with(world, &OPTIONS) != 0 || state_declare_kinds(world->store, &world->error) != 0)
        fail_msg("%s", world->error.message);
}

void feed_reopen(struct world *world) {
    hf_store_close(&world->store);
    feed_open(world);
}

int feed_save(struct world *world, const char *text) {
    static const struct hf_state_save_options FORCE = {.struct_bytes = sizeof FORCE, .basis = HF_STATE_FORCE};
    return hf_state_save(world->store, FEED, text, strlen(text), &FORCE, NULL, &world->error);
}

void feed_must_save(struct world *world, const char *text) {
    if (feed_save(world, text) != 0)
        fail_msg("save: %s", world->error.message);
}

void feed_expect(struct world *world, const char *text, uint64_t version) {
    struct hf_state_value *value = NULL;
    int code = hf_state_load(world->store, FEED, &value, &world->error);
    if (code != (text ? 0 : HF_ERR_NOT_FOUND))
        fail_msg("load: %s", code == 0 ? "there is one" : world->error.message);
    if (text) {
        assert_string_equal(value->bytes, text);
        assert_int_equal(value->version, version);
    }
    hf_state_value_free(&value);
}

void feed_expect_corrupt(struct world *world, const char *text) {
    struct hf_state_value *value = NULL;
    assert_int_equal(hf_code_exit_status(HF_ERR_CORRUPT), 65);
    feed_expect_error(world, hf_state_load(world->store, FEED, &value, &world->error), HF_ERR_CORRUPT, text);
    feed_expect_error(world, hf_state_default(world->store, FEED, "0", 1, &value, &world->error), HF_ERR_CORRUPT, text);
    assert_null(value);
}

void feed_expect_error(struct world *world, int code, int code_wanted, const char *text) {
    if (code != code_wanted || world->error.code != code_wanted ||
        (!strstr(world->error.message, text) && !strstr(world->error.hint, text)))
        fail_msg("wanted %s with '%s', got %s: %s (%s)", hf_code_word(code_wanted), text, hf_code_word(code),
                 world->error.message, world->error.hint);
}

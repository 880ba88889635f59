#include "../os/scratch.h"

#include "store/tree_files.h"

static struct tree_options parse_good(const char *rest) {
    struct tree_options options = {0};
    struct hf_error error = {0};
    if (tree_options_parse(rest, &options, &error) != 0)
        fail_msg("'%s': %s", rest, error.message);
    return options;
}

static void a_folder_alone_has_the_defaults(void **state) {
    (void)state;
    struct tree_options options = parse_good("/var/lib/data");
    assert_string_equal(options.folder, "/var/lib/data");
    assert_int_equal(options.layout, TREE_LAYOUT_KIND);
    assert_int_equal(options.durable, TREE_DURABLE_BATCH);
    assert_null(options.ours);
    assert_int_equal(options.threads, 0);
    assert_false(tree_options_is_ours(&options, "watch"));
    tree_options_fini(&options);
    assert_null(options.folder);
    tree_options_fini(&options);
}

static void all_options(void **state) {
    (void)state;
    struct tree_options options = parse_good("data?layout=watch&durable=file&ours=state,run_log&threads=4");
    assert_string_equal(options.folder, "data");
    assert_int_equal(options.layout, TREE_LAYOUT_WATCH);
    assert_int_equal(options.durable, TREE_DURABLE_FILE);
    assert_int_equal(options.threads, 4);
    assert_true(tree_options_is_ours(&options, "state"));
    assert_true(tree_options_is_ours(&options, "run_log"));
    assert_false(tree_options_is_ours(&options, "run"));
    assert_null(options.ours[2]);
    tree_options_fini(&options);
    options = parse_good("d?threads=256&durable=none&layout=kind");
    assert_int_equal(options.durable, TREE_DURABLE_NONE);
    assert_int_equal(options.threads, 256);
    tree_options_fini(&options);
}

static void escapes_are_decoded(void **state) {
    (void)state;
    struct tree_options options = parse_good("a%3Fb%3d100%25/c d+e&f?ours=%73tate%2Crun");
    assert_string_equal(options.folder, "a?b=100%/c d+e&f");
    assert_true(tree_options_is_ours(&options, "state"));
    assert_true(tree_options_is_ours(&options, "run"));
    tree_options_fini(&options);
}

static void what_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *rest, *message, *hint;
    } bad[] = {
        {"", "the folder's name is empty", "name a folder"},
        {"?layout=kind", "the folder's name is empty", "name a folder"},
        {"d?layuot=kind", "option 'layuot' is not known", "layout="},
        {"d?", "option '' is not known", "threads="},
        {"d?layout=kind&", "option '' is not known", "durable="},
        {"d?layout", "option 'layout' has no value", "ours="},
        {"d?what?layout=kind", "option 'what?layout' is not known", "%3F"},
        {"d?layout=Kind", "option 'layout': 'Kind' is not a value of it", "'kind' or 'watch'"},
        {"d?layout=", "option 'layout': '' is not a value of it", "'kind' or 'watch'"},
        {"d?durable=no", "option 'durable': 'no' is not a value of it", "'batch', 'file' or 'none'"},
        {"d?threads=-1", "option 'threads': '-1' is not a value of it", "256"},
        {"d?threads=257", "option 'threads': '257' is not a value of it", "256"},
        {"d?threads=", "option 'threads': '' is not a value of it", "256"},
        {"d?ours=", "option 'ours': '' is not a value of it", "kinds"},
        {"d?ours=a,,b", "option 'ours': '' is not a value of it", "kinds"},
        {"d?ours=a,B", "option 'ours': 'B' is not a value of it", "kinds"},
        {"d?threads=1&layout=kind&threads=1", "option 'threads' is given twice", "once"},
        {"d%", "the folder's name: '%' is not followed by two hex digits of a byte", "%25"},
        {"d%2", "the folder's name: '%' is not followed by two hex digits of a byte", "%25"},
        {"d%g0", "the folder's name: '%' is not followed by two hex digits of a byte", "%25"},
        {"d%00x", "the folder's name: '%' is not followed by two hex digits of a byte", "%25"},
        {"d?ours=a%2", "ours: '%' is not followed by two hex digits of a byte", "%25"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tree_options options = {.threads = 77};
        struct hf_error error = {0};
        assert_int_equal(tree_options_parse(bad[i].rest, &options, &error), HF_ERR_INVALID);
        assert_string_equal(error.message, bad[i].message);
        assert_non_null(strstr(error.hint, bad[i].hint));
        assert_int_equal(options.threads, 77); /* untouched */
        assert_null(options.folder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_alone_has_the_defaults),
        cmocka_unit_test(all_options),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a file of a tree holds: good, damaged, too large, of another. */
#include "tree_look_fixture.h"

#include <sys/resource.h>

#include "base/hash.h"

static void a_good_file(void **state) {
    (void)state;
    uint8_t hash[HASH_BYTES];
    struct json_doc doc;
    struct buf canonical;
    json_init(&doc);
    buf_init(&canonical);
    struct tree_look look = look_at_bytes(watch, strlen(watch));
    assert_int_equal(look.code, 0);
    assert_int_equal(json_hash(&doc, &canonical, watch, strlen(watch), NULL, hash, NULL), 0);
    assert_memory_equal(look.hash, hash, sizeof hash);
    assert_string_equal(buf_text(&reader.bytes), watch);
    assert_int_equal(look.stat.st_size, strlen(watch));
    assert_true(look.stat.st_mtim.tv_sec > 0);
    json_fini(&doc);
    buf_fini(&canonical);
    static const char *const any[] = {"1", "null", "\"a\"", "[]", " {} \n"};
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++)
        assert_int_equal(look_at_bytes(any[i], strlen(any[i])).code, 0);
    write_bytes("settings.json", "{}", 2);
    assert_int_equal(look_at("", "settings.json").code, 0);
}

static void cut_short_at_every_byte(void **state) {
    (void)state;
    for (size_t size = 1; size < strlen(watch); size++) {
        assert_damaged(look_at_bytes(watch, size), "is not JSON: ");
        assert_non_null(strstr(look_at("k", "x.json").text, "byte "));
    }
    assert_damaged(look_at_bytes("", 0), "is empty");
}

/* A flip either is found, or makes another document: never the same hash. Without escapes: "\\ud83d" is "\\uD83D". */
static void flipped_at_every_bit(void **state) {
    (void)state;
    static const char plain[] = "{\"uuid\":\"6c1e4ea0\",\"tags\":[\"\xC3\xA9\"],\"n\":-1.5e3,\"ok\":[true,false,null]}";
    uint8_t hash[HASH_BYTES];
    char bytes[sizeof plain];
    struct tree_look look = look_at_bytes(plain, strlen(plain));
    assert_int_equal(look.code, 0);
    memcpy(hash, look.hash, sizeof hash);
    for (size_t bit = 0; bit < 8 * strlen(plain); bit++) {
        memcpy(bytes, plain, sizeof plain);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        look = look_at_bytes(bytes, strlen(plain));
        if (look.code == 0)
            assert_memory_not_equal(look.hash, hash, sizeof hash);
        else
            assert_damaged(look, "is not JSON");
    }
}

static void zeros(void **state) {
    (void)state;
    char bytes[4096] = {0};
    assert_damaged(look_at_bytes(bytes, sizeof bytes), "holds nothing but zero bytes");
    assert_damaged(look_at_bytes(bytes, 1), "holds nothing but zero bytes");
    memcpy(bytes, watch, strlen(watch));
    assert_damaged(look_at_bytes(bytes, sizeof bytes), "found byte 0x00");
    memset(bytes, 0, sizeof bytes);
    bytes[4095] = '1';
    assert_damaged(look_at_bytes(bytes, sizeof bytes), "(byte 0)");
}

static void what_is_not_json(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } bad[] = {
        {"{\"a\":1,\"a\":2}", 13, "duplicate key 'a'"},
        {"{\"a\":NaN}", 9, "(byte 5)"},
        {"[Infinity]", 10, "(byte 1)"},
        {"\"\\ud800\"", 8, "(byte "},
        {"\"a\0b\"", 5, "found byte 0x00"},
        {"\"\xff\"", 3, "found byte 0xff"},
        {"\"\xc0\xaf\"", 4, "found byte 0xc0"},
        {"\xEF\xBB\xBF{}", 5, "found byte 0xef"},
        {"{}{}", 4, "(byte 2)"},
        {"{} x", 4, "(byte 3)"},
        {"[1,]", 4, "(byte 3)"},
        {" ", 1, "the end of the text"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_damaged(look_at_bytes(bad[i].bytes, bad[i].size), bad[i].text);
}

static void a_million_levels(void **state) {
    (void)state;
    enum { LEVELS = 1000000 };
    char *bytes = malloc(LEVELS);
    assert_non_null(bytes);
    memset(bytes, '[', LEVELS);
    assert_damaged(look_at_bytes(bytes, LEVELS), "is nested too deeply: line 1, column 129 (byte 128)");
    free(bytes);
}

static void sizes(void **state) {
    (void)state;
    char bytes[12] = "[1234567890]";
    struct json_limits small = {.max_bytes = 11};
    struct tree_reader with;
    tree_reader_init(&with, os_real(), scratch.fd, &small);
    write_bytes("k/x.json", bytes, 12);
    struct tree_look look = look_with(&with, "k", "x.json");
    assert_int_equal(look.code, HF_ERR_TOO_LARGE);
    assert_string_equal(look.what, "oversize_file");
    assert_string_equal(look.text, "has 12 bytes, over the limit of 11");
    assert_int_equal(with.bytes.room, 0); /* nothing was read */
    bytes[10] = ']';
    write_bytes("k/x.json", bytes, 11);
    assert_int_equal(look_with(&with, "k", "x.json").code, 0);
    tree_reader_fini(&with);
}

static size_t resident_kib(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss;
}

static void a_gib_of_holes_takes_no_memory(void **state) {
    (void)state;
    write_bytes("k/big.json", "", 0);
    int fd = openat(scratch.fd, "k/big.json", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 1 << 30), 0);
    size_t before = resident_kib();
    assert_string_equal(look_at("k", "big.json").what, "oversize_file");
    assert_true(resident_kib() - before < 1024);
    assert_int_equal(ftruncate(fd, 8 << 20), 0);
    assert_damaged(look_at("k", "big.json"), "holds nothing but zero bytes");
    assert_int_equal(close(fd), 0);
    assert_int_equal(look_at_bytes("{}", 2).code, 0);
    assert_true(reader.bytes.room < 1 << 20); /* let go of */
}

static void nothing_there(void **state) {
    (void)state;
    write_bytes("file", "x", 1);
    static const char *const folders[] = {"k", "none", "file"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct tree_look look = look_at(folders[i], "none.json");
        assert_int_equal(look.code, HF_ERR_NOT_FOUND);
        assert_string_equal(look.what, "missing_file");
    }
}

static void a_watch_that_is_anothers(void **state) {
    (void)state;
    struct tree_reader with;
    tree_reader_init(&with, os_real(), scratch.fd, &limits);
    assert_int_equal(mkdirat(scratch.fd, "6c1e4ea0", 0700), 0);
    assert_int_equal(mkdirat(scratch.fd, "other", 0700), 0);
    write_bytes("6c1e4ea0/watch.json", watch, strlen(watch));
    write_bytes("other/watch.json", watch, strlen(watch));
    write_bytes("other/tag.json", watch, strlen(watch));
    assert_int_equal(look_with(&with, "other", "watch.json").code, 0); /* in the kind layout it is like any other */
    with.layout = TREE_LAYOUT_WATCH;
    assert_int_equal(look_with(&with, "6c1e4ea0", "watch.json").code, 0);
    assert_int_equal(look_with(&with, "other", "tag.json").code, 0);
    assert_damaged(look_with(&with, "other", "watch.json"), "is the document of '6c1e4ea0'");
    static const char *const own[] = {
        "{}", "{\"uuid\":1}", "{\"uuid\":null}", "[\"uuid\"]", "1", "{\"uuid\":\"\\u006fther\"}"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        write_bytes("other/watch.json", own[i], strlen(own[i]));
        assert_int_equal(look_with(&with, "other", "watch.json").code, 0);
    }
    static const char *const none[] = {"{\"uuid\":\"\"}", "{\"uuid\":\"a/b\"}", "{\"uuid\":\"other\\u0000\"}"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        write_bytes("other/watch.json", none[i], strlen(none[i]));
        assert_damaged(look_with(&with, "other", "watch.json"), "is the document of another record");
    }
    tree_reader_fini(&with);
}

/* A watch's id may be one whose folder is shortened: it is found again by making the folder's name, not by reading it.
 */
static void a_watch_with_a_shortened_folder(void **state) {
    (void)state;
    char id[HF_ID_MAX + 1], json[HF_ID_MAX + 20];
    struct tree_path path;
    struct tree_look look;
    memset(id, ' ', HF_ID_MAX);
    id[HF_ID_MAX] = '\0';
    tree_path_of(TREE_LAYOUT_WATCH, "watch", id, &path);
    assert_int_equal(mkdirat(scratch.fd, path.folder, 0700), 0);
    struct tree_reader with;
    tree_reader_init(&with, os_real(), scratch.fd, &limits);
    with.layout = TREE_LAYOUT_WATCH;
    char joined[TREE_PATH_BYTES];
    snprintf(joined, sizeof joined, "%s/watch.json", path.folder);
    for (int is_own = 0; is_own < 2; is_own++) {
        id[0] = is_own ? ' ' : 'x';
        int length = snprintf(json, sizeof json, "{\"uuid\":\"%s\"}", id);
        write_bytes(joined, json, (size_t)length);
        assert_int_equal(tree_look(&with, &path, &look, NULL), 0);
        assert_int_equal(look.code, is_own ? 0 : HF_ERR_CORRUPT);
    }
    tree_reader_fini(&with);
}

/* Permissions, for those whom they hold. */

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOK_TEST(a_good_file),
        LOOK_TEST(cut_short_at_every_byte),
        LOOK_TEST(flipped_at_every_bit),
        LOOK_TEST(zeros),
        LOOK_TEST(what_is_not_json),
        LOOK_TEST(a_million_levels),
        LOOK_TEST(sizes),
        LOOK_TEST(a_gib_of_holes_takes_no_memory),
        LOOK_TEST(nothing_there),
        LOOK_TEST(a_watch_that_is_anothers),
        LOOK_TEST(a_watch_with_a_shortened_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

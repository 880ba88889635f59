#include "../os/scratch.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "base/hash.h"
#include "store/tree_files.h"

static struct scratch scratch;
static struct tree_reader reader;
static const struct json_limits limits = {.max_bytes = 10 << 20, .max_depth = 128};

static const char watch[] = "{\"uuid\": \"6c1e4ea0\", \"url\": \"https://example.com/\", \"tags\": [\"\xC3\xA9\", "
                            "\"\\ud83d\\ude00\"], \"n\": -1.5e3, \"ok\": [true, false, null]}";

static void write_bytes(const char *name, const void *bytes, size_t size) {
    int fd = openat(scratch.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(close(fd), 0);
}

static struct tree_look look_with(struct tree_reader *with, const char *folder, const char *name) {
    struct tree_path path;
    struct tree_look look;
    struct hf_error error = {0};
    snprintf(path.folder, sizeof path.folder, "%s", folder);
    snprintf(path.name, sizeof path.name, "%s", name);
    int fds = count_open_fds();
    assert_int_equal(tree_look(with, &path, &look, &error), 0);
    assert_int_equal(count_open_fds(), fds);
    assert_true((look.code == 0) == (look.what == NULL));
    assert_true(look.code == 0 || look.text[0]);
    return look;
}

static struct tree_look look_at(const char *folder, const char *name) {
    return look_with(&reader, folder, name);
}

static struct tree_look look_at_bytes(const void *bytes, size_t size) {
    write_bytes("k/x.json", bytes, size);
    return look_at("k", "x.json");
}

static void assert_damaged(struct tree_look look, const char *text) {
    assert_int_equal(look.code, HF_ERR_CORRUPT);
    assert_string_equal(look.what, "damaged_file");
    if (!strstr(look.text, text))
        fail_msg("'%s' is not in '%s'", text, look.text);
}

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

static void assert_unreadable(struct tree_look look, int code, const char *text) {
    assert_int_equal(look.code, code);
    assert_string_equal(look.what, "unreadable_file");
    assert_non_null(strstr(look.text, text));
}

static void links_are_not_followed(void **state) {
    (void)state;
    write_bytes("k/good.json", "{}", 2);
    assert_int_equal(symlinkat("good.json", scratch.fd, "k/link.json"), 0);
    assert_int_equal(symlinkat("/etc/hostname", scratch.fd, "k/out.json"), 0);
    assert_int_equal(symlinkat("none", scratch.fd, "k/dangling.json"), 0);
    assert_int_equal(symlinkat("k", scratch.fd, "folder"), 0);
    assert_unreadable(look_at("k", "link.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_unreadable(look_at("k", "out.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_unreadable(look_at("k", "dangling.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_unreadable(look_at("folder", "good.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_true(S_ISLNK(look_at("k", "link.json").stat.st_mode));
}

static void only_regular_files_are_read(void **state) {
    (void)state;
    assert_int_equal(mkfifoat(scratch.fd, "k/pipe.json", 0600), 0);
    assert_int_equal(mkdirat(scratch.fd, "k/folder.json", 0700), 0);
    assert_unreadable(look_at("k", "pipe.json"), HF_ERR_UNSAFE_PATH, "not a regular file"); /* and it does not wait */
    assert_unreadable(look_at("k", "folder.json"), HF_ERR_UNSAFE_PATH, "not a regular file");
}

/* ---- an os that does something else ---- */

static int open_error, read_error, stat_error, interruptions, is_short;

static int other_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    if (interruptions > 0 && interruptions--)
        return -EINTR;
    return open_error ? open_error : os_real()->ops->open_beneath(os, dir_fd, path, flags, mode);
}

static int (*while_reading)(void);

static ssize_t other_pread(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    if (interruptions > 0 && interruptions--)
        return -EINTR;
    if (read_error)
        return read_error;
    if (while_reading)
        (void)while_reading();
    return os_real()->ops->pread(os, fd, to, is_short && bytes > 3 ? 3 : bytes, offset);
}

static int other_fstat(const struct os *os, int fd, struct stat *ret_stat) {
    return stat_error ? stat_error : os_real()->ops->fstat(os, fd, ret_stat);
}

static struct tree_reader other_reader(struct os_ops *ops, struct os *os) {
    struct tree_reader with;
    *ops = *os_real()->ops;
    ops->open_beneath = other_open;
    ops->pread = other_pread;
    ops->fstat = other_fstat;
    *os = (struct os){.ops = ops};
    tree_reader_init(&with, os, scratch.fd, &limits);
    return with;
}

static void failures_of_the_file_are_told_of(void **state) {
    (void)state;
    struct os_ops ops;
    struct os os;
    struct tree_reader with = other_reader(&ops, &os);
    write_bytes("k/x.json", watch, strlen(watch));
    open_error = -EACCES;
    struct tree_look look = look_with(&with, "k", "x.json");
    assert_unreadable(look, HF_ERR_PERMISSION, "cannot be read: open: Permission denied");
    assert_int_equal(look.stat.st_size, strlen(watch));
    open_error = 0;
    read_error = -EIO;
    assert_unreadable(look_with(&with, "k", "x.json"), HF_ERR_IO, "cannot be read: read: Input/output error");
    read_error = 0;
    stat_error = -EIO;
    assert_unreadable(look_with(&with, "k", "x.json"), HF_ERR_IO, "cannot be read: stat: Input/output error");
    stat_error = 0;
    is_short = 1;
    interruptions = 5;
    assert_int_equal(look_with(&with, "k", "x.json").code, 0);
    assert_string_equal(buf_text(&with.bytes), watch);
    is_short = 0;
    tree_reader_fini(&with);
}

static void what_we_lack_is_our_error(void **state) {
    (void)state;
    static const struct {
        int *where, error, code;
    } lacks[] = {
        {&open_error, -EMFILE, HF_ERR_TOO_MANY_FILES},
        {&open_error, -ENFILE, HF_ERR_TOO_MANY_FILES},
        {&open_error, -ENOMEM, HF_ERR_NO_MEMORY},
        {&read_error, -ENOMEM, HF_ERR_NO_MEMORY},
    };
    struct os_ops ops;
    struct os os;
    struct tree_reader with = other_reader(&ops, &os);
    struct tree_path path = {.folder = "k", .name = "x.json"};
    struct tree_look look = {.code = 77};
    write_bytes("k/x.json", "{}", 2);
    for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++) {
        struct hf_error error = {0};
        int fds = count_open_fds();
        *lacks[i].where = lacks[i].error;
        assert_int_equal(tree_look(&with, &path, &look, &error), lacks[i].code);
        assert_int_equal(error.code, lacks[i].code);
        assert_int_equal(look.code, 77);
        assert_int_equal(count_open_fds(), fds);
        *lacks[i].where = 0;
    }
    tree_reader_fini(&with);
}

static int growths;

static int grow(void) {
    int fd = openat(scratch.fd, "k/x.json", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "          ", 10), 10);
    growths++;
    return close(fd);
}

static int finish(void) {
    while_reading = NULL;
    write_bytes("k/x.json", watch, strlen(watch));
    return 0;
}

/* A file that never stops growing is read three times at most, and never beyond what it was. */
static void a_file_that_is_being_written(void **state) {
    (void)state;
    struct os_ops ops;
    struct os os;
    struct tree_reader with = other_reader(&ops, &os);
    write_bytes("k/x.json", "{}", 2);
    while_reading = grow;
    growths = 0;
    assert_damaged(look_with(&with, "k", "x.json"), "is being written by another program");
    assert_true(growths <= 6);
    assert_true(with.bytes.room <= 64);
    while_reading = finish;
    write_bytes("k/x.json", watch, 10);
    assert_int_equal(look_with(&with, "k", "x.json").code, 0);
    assert_string_equal(buf_text(&with.bytes), watch);
    while_reading = NULL;
    tree_reader_fini(&with);
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
static void a_file_that_may_not_be_read(void **state) {
    (void)state;
    write_bytes("k/x.json", "{}", 2);
    assert_int_equal(fchmodat(scratch.fd, "k/x.json", 0, 0), 0);
    if (geteuid() != 0)
        assert_unreadable(look_at("k", "x.json"), HF_ERR_PERMISSION, "Permission denied");
    else
        assert_int_equal(look_at("k", "x.json").code, 0);
}

static int setup(void **state) {
    (void)state;
    scratch = scratch_make();
    assert_int_equal(mkdirat(scratch.fd, "k", 0700), 0);
    tree_reader_init(&reader, os_real(), scratch.fd, &limits);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tree_reader_fini(&reader);
    scratch_remove(&scratch);
    return 0;
}

#define LOOK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        LOOK_TEST(links_are_not_followed),
        LOOK_TEST(only_regular_files_are_read),
        LOOK_TEST(failures_of_the_file_are_told_of),
        LOOK_TEST(what_we_lack_is_our_error),
        LOOK_TEST(a_file_that_is_being_written),
        LOOK_TEST(a_watch_that_is_anothers),
        LOOK_TEST(a_watch_with_a_shortened_folder),
        LOOK_TEST(a_file_that_may_not_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

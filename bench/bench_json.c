/* How fast a document's hash is made from its text: read, canonical form, XXH3-128; held against XXH3-128 of the same
 * bytes as they stand. One line for each measure: name value unit limit ratio (ratio: how often slower than the limit).
 */
#include "measure.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCHES = 4096, ROUNDS = 7, DAYS = 7 };

struct document {
    char *text;
    size_t bytes;
};

static void put_schedule(struct json_writer *writer) {
    static const char *const days[DAYS] = {"monday", "tuesday",  "wednesday", "thursday",
                                           "friday", "saturday", "sunday"};
    json_key(writer, "time_schedule_limit");
    json_begin_object(writer);
    json_put_bool(writer, "enabled", 0);
    for (int i = 0; i < DAYS; i++) {
        json_key(writer, days[i]);
        json_begin_object(writer);
        json_put_bool(writer, "enabled", 1);
        json_put_string(writer, "start_time", "00:00");
        json_key(writer, "duration");
        json_begin_object(writer);
        json_put_string(writer, "hours", "24");
        json_put_string(writer, "minutes", "00");
        json_end_object(writer);
        json_end_object(writer);
    }
    json_end_object(writer);
}

/* The members in pairs: a name, and what its value is like. Not in the order of their bytes, as in real documents. */
static void put_members(struct json_writer *writer, unsigned seed) {
    static const char *const members[] = {
        "body 0",
        "browser_steps []",
        "last_error_text 0",
        "check_unique_lines b",
        "conditions []",
        "content_type n",
        "consecutive_id n",
        "date_created n",
        "extract_text []",
        "fetch_backend s",
        "fetch_time n",
        "filter_added b",
        "filter_failure b",
        "filter_removed b",
        "screenshot b",
        "has_ldjson b",
        "headers {}",
        "ignore_text []",
        "ignore_status b",
        "in_stock b",
        "include []",
        "last_checked n",
        "last_error b",
        "last_viewed n",
        "method s",
        "muted b",
        "body_format s",
        "notify_title 0",
        "notify_urls []",
        "page_title s",
        "paused b",
        "previous_hash h",
        "checked_hash h",
        "processor s",
        "process_time n",
        "price_threshold n",
        "proxy 0",
        "remote_server 0",
        "sort_text b",
        "selectors []",
        "text_block []",
        "tags []",
        "track_json b",
        "trim_white_space b",
        "unique_lines b",
        "use_defaults b",
        "uuid h",
        "delay 0",
        "javascript 0",
        "window n",
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char key[32], text[64];
        const char *space = strchr(members[i], ' ');
        snprintf(key, sizeof key, "%.*s", (int)(space - members[i]), members[i]);
        json_key(writer, key);
        if (space[1] == 'b')
            json_bool(writer, (seed + i) % 3 == 0);
        else if (space[1] == 'n')
            json_i64(writer, (int64_t)(seed * 2654435761u % 100000000));
        else if (space[1] == '0')
            json_null(writer);
        else if (space[1] == '[' || space[1] == '{')
            json_raw(writer, space + 1, 2);
        else {
            snprintf(text, sizeof text, space[1] == 'h' ? "%08x-%08x-%08x" : "value %u of \"%u\" – %u",
                     seed * 2654435761u, seed, ~seed);
            json_string(writer, text);
        }
    }
}

static struct document make_watch(unsigned seed) {
    struct buf out;
    struct json_writer writer;
    buf_init(&out);
    json_writer_init(&writer, &out, 0);
    json_begin_object(&writer);
    char url[128];
    snprintf(url, sizeof url, "https://www.example.org/products/%u/details?session=%x&sort=price", seed, seed * 40503u);
    json_put_string(&writer, "url", url);
    json_put_string(&writer, "title", "Prices – what is new since yesterday\nand what is gone");
    put_members(&writer, seed);
    put_schedule(&writer);
    json_end_object(&writer);
    struct document document = {.bytes = out.size};
    document.text = buf_take(&out);
    if (!document.text)
        abort();
    return document;
}

static double seconds_of_json(const struct document *documents, struct json_doc *doc, struct buf *scratch) {
    double start = seconds_now();
    for (int i = 0; i < WATCHES; i++) {
        uint8_t hash[HASH_BYTES];
        if (json_hash(doc, scratch, documents[i].text, documents[i].bytes, NULL, hash, NULL) < 0)
            abort();
    }
    return seconds_now() - start;
}

static double seconds_of_reading(const struct document *documents, struct json_doc *doc) {
    double start = seconds_now();
    for (int i = 0; i < WATCHES; i++)
        if (json_read(doc, documents[i].text, documents[i].bytes, NULL, NULL) < 0)
            abort();
    return seconds_now() - start;
}

static double seconds_of_limit(const struct document *documents) {
    double start = seconds_now();
    unsigned sum = 0;
    for (int i = 0; i < WATCHES; i++) {
        uint8_t hash[HASH_BYTES];
        hash_bytes(documents[i].text, documents[i].bytes, hash);
        sum += hash[0];
    }
    double seconds = seconds_now() - start;
    if (sum == 0)
        abort();
    return seconds;
}

static void keep_least(double *least, double seconds) {
    if (seconds < *least)
        *least = seconds;
}

static void bench_json(void) {
    static struct document documents[WATCHES];
    size_t total = 0;
    for (unsigned i = 0; i < WATCHES; i++) {
        documents[i] = make_watch(i);
        total += documents[i].bytes;
    }
    struct json_doc doc;
    struct buf scratch;
    json_init(&doc);
    buf_init(&scratch);
    double hash = 1e9, read = 1e9, limit = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        keep_least(&hash, seconds_of_json(documents, &doc, &scratch));
        keep_least(&read, seconds_of_reading(documents, &doc));
        keep_least(&limit, seconds_of_limit(documents));
    }
    double mb = (double)total / 1e6;
    report("json_hash", mb / hash, "MB/s", mb / limit, hash / limit);
    report("json_read", mb / read, "MB/s", mb / limit, read / limit);
    for (int i = 0; i < WATCHES; i++)
        mem_free(documents[i].text);
    json_fini(&doc);
    buf_fini(&scratch);
}

int main(void) {
    bench_json();
    return 0;
}

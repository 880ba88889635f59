#include "measure.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void must(int condition, const char *what) {
    if (condition)
        return;
    fprintf(stderr, "benchmark: %s failed\n", what);
    exit(1);
}

static int compare_double(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare_double);
    return values[count / 2];
}

void report(const char *name, double value, const char *unit, double limit, double ratio) {
    printf("%s %.*f %s ", name, value < 10 ? 3 : value < 100 ? 1 : 0, value, unit);
    if (limit > 0)
        printf("%.*f %.2f\n", limit < 10 ? 3 : limit < 100 ? 1 : 0, limit, ratio);
    else
        printf("- -\n");
    fflush(stdout);
}

char *make_document(unsigned number, unsigned turn, size_t *ret_bytes) {
    struct buf out;
    struct json_writer writer;
    char key[32], text[96];
    buf_init(&out);
    json_writer_init(&writer, &out, 0);
    json_begin_object(&writer);
    json_put_i64(&writer, "turn", turn);
    snprintf(text, sizeof text, "https://www.example.org/products/%u/details?session=%x", number, number * 40503u);
    json_put_string(&writer, "url", text);
    for (unsigned i = 0; out.size < DOCUMENT_BYTES - 40; i++) {
        snprintf(key, sizeof key, "%s_%u", i % 2 ? "previous" : "last", i);
        snprintf(text, sizeof text, "%08x of \"%u\" – %u", number * 2654435761u + i, number, i);
        if (i % 4 == 0)
            json_put_i64(&writer, key, (int64_t)number * 1000 + i);
        else if (i % 4 == 1)
            json_put_bool(&writer, key, i % 3 == 0);
        else if (i % 4 == 2)
            json_put_string(&writer, key, text);
        else
            json_put_raw(&writer, key, "[1,2.50,null,{\"a\":true}]", 24);
    }
    json_end_object(&writer);
    *ret_bytes = out.size;
    char *document = buf_take(&out);
    must(document != NULL, "make document");
    return document;
}

void make_id(unsigned number, char ret_id[40]) {
    uint64_t mixed = (number + 1) * UINT64_C(0x9E3779B97F4A7C15);
    snprintf(ret_id, 40, "%08x-%04x-4%03x-8%03x-%012x", (unsigned)(mixed >> 32), (unsigned)(mixed >> 16) & 0xffff,
             (unsigned)mixed & 0xfff, (unsigned)(mixed >> 20) & 0xfff, number);
}

int open_file(const char *name, int flags) {
    int fd = open(name, O_RDWR | O_CLOEXEC | flags, 0600);
    must(fd >= 0, name);
    return fd;
}

void write_fully(int fd, const char *bytes, size_t size, off_t offset) {
    while (size > 0) {
        ssize_t done = pwrite(fd, bytes, size, offset);
        must(done > 0, "pwrite");
        bytes += done, size -= (size_t)done, offset += done;
    }
}

double peak_memory_mib(void) {
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    return (double)usage.ru_maxrss / 1024;
}

/* What the benchmarks share: time, medians, one line for each measure, and documents as users have them. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <sys/types.h>

enum { STORE_DOCUMENTS = 56278, DOCUMENT_BYTES = 2500 };

double seconds_now(void);
void must(int condition, const char *what); /* ends the program otherwise */
double median(double *values, int count);   /* sorts them */

/* ratio: how many times worse than the limit; a limit of 0: there is none. */
void report(const char *name, double value, const char *unit, double limit, double ratio);

/* What a watched page's record is like: some fifty members of all types, about 2.5 KB. `turn` changes it. The caller
 * frees it with mem_free. */
char *make_document(unsigned number, unsigned turn, size_t *ret_bytes);
/* Ids in no order, as UUIDs are. */
void make_id(unsigned number, char ret_id[40]);

int open_file(const char *name, int flags); /* of open(2), for reading and writing */
void write_fully(int fd, const char *bytes, size_t size, off_t offset);

double peak_memory_mib(void); /* of this process so far */

#endif

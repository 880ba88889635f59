#include "cmd/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"

enum { PATIENCE_MS = 1000, BETWEEN_MS = 100, BAR_CELLS = 30 };

void progress_begin(struct progress *progress, const char *what, const char *unit, int is_quiet) {
    progress_clear(progress);
    *progress = (struct progress){.what = what, .unit = unit, .began_ms = os_monotonic_ms(os_real())};
    progress->is_on = !is_quiet && isatty(STDERR_FILENO);
}

static void print_bar(uint64_t done, uint64_t total) {
    char bar[BAR_CELLS + 1];
    double part = done < total ? (double)done / (double)total : 1.0;
    int cells = (int)(part * BAR_CELLS);
    memset(bar, ' ', BAR_CELLS);
    memset(bar, '#', (size_t)cells);
    bar[BAR_CELLS] = '\0';
    fprintf(stderr, " [%s] %3d %%", bar, (int)(part * 100));
}

int progress_step(void *arg, uint64_t done, uint64_t total) {
    struct progress *progress = arg;
    if (!progress->is_on)
        return 0;
    int64_t now_ms = os_monotonic_ms(os_real());
    if (now_ms - progress->began_ms < PATIENCE_MS || now_ms - progress->shown_ms < BETWEEN_MS)
        return 0;
    progress->shown_ms = now_ms;
    progress->is_shown = 1;
    fprintf(stderr, "\r\033[K%s", progress->what);
    if (total)
        print_bar(done, total);
    if (done)
        fprintf(stderr, " %llu %s", (unsigned long long)done, progress->unit);
    fprintf(stderr, ", %lld s", (long long)(now_ms - progress->began_ms) / 1000);
    fflush(stderr);
    return 0;
}

void progress_clear(struct progress *progress) {
    if (!progress->is_shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->is_shown = 0;
}

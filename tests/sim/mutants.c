#include "sim/mutants.h"

#include "base/mem.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_BYTES = 128, LABELS_MOST = 128, EXCUSED_SHARE = 8 };

enum mutation { LEFT_OUT, TOO_LATE, SWAPPED, TOO_EARLY, MUTATIONS };
static const char *const mutation_words[MUTATIONS] = {"left out", "too late", "swapped", "too early"};

static int is_sync(const struct sim_op *op) {
    return op->kind == SIM_FSYNC || op->kind == SIM_FDATASYNC || op->kind == SIM_SYNCFS;
}

/* ---- labels: one per kind of barrier ----------------------------------------------------------------------------- */

/* The last name of a path, any number in it as '#': one label for files of one kind. */
static void file_words(const char *path, char words[LABEL_BYTES]) {
    size_t end = strlen(path), used = 0;
    int is_folder = end > 1 && path[end - 1] == '/', in_number = 0;
    end -= (size_t)is_folder;
    size_t from = end;
    while (from > 0 && path[from - 1] != '/')
        from--;
    if (strncmp(path + from, ".hf-", 4) == 0 ||
        (end - from >= 16 && strspn(path + from, "0123456789abcdef-") == end - from)) {
        snprintf(words, LABEL_BYTES, "temporary file");
        return;
    }
    if (is_folder)
        used = (size_t)snprintf(words, LABEL_BYTES, "folder ");
    for (; from < end && used + 1 < LABEL_BYTES; from++) {
        int is_digit = path[from] >= '0' && path[from] <= '9';
        if (!is_digit || !in_number)
            words[used++] = is_digit ? '#' : path[from];
        in_number = is_digit;
    }
    words[used] = '\0';
}

static int touches(const struct sim_op *op, uint32_t inode) {
    return !is_sync(op) && op->kind != SIM_ACK && !op->mapped &&
           (op->inode == inode || ((op->kind == SIM_RENAME || op->kind == SIM_EXCHANGE) && op->to_folder == inode));
}

/* What waits for this sync: since the last one of the same file. */
static const char *waiting_words(const struct sim_record *record, size_t at) {
    const struct sim_op *sync = &record->ops[at];
    int is_folder = sync->path[strlen(sync->path) - 1] == '/';
    if (sync->kind == SIM_SYNCFS)
        return "everything";
    int count = 0, writes = 0, at_front = 0, small = 0;
    for (size_t i = at; i-- > 0;) {
        const struct sim_op *op = &record->ops[i];
        if (is_sync(op) && (op->inode == sync->inode || op->kind == SIM_SYNCFS))
            break;
        if (!touches(op, sync->inode))
            continue;
        count++;
        writes += op->kind == SIM_WRITE;
        at_front |= op->kind == SIM_WRITE && op->offset == 0;
        small |= op->kind == SIM_WRITE && op->bytes <= SIM_SECTOR;
    }
    if (is_folder)
        return count ? "new names" : "nothing new";
    if (count && !writes)
        return "size only";
    return !count                ? "nothing new"
           : !at_front           ? "behind the front"
           : small && count == 1 ? "front only"
                                 : "from the front";
}

static void label_of(const struct sim_record *record, size_t at, char label[LABEL_BYTES]) {
    const struct sim_op *op = &record->ops[at];
    const char *call = op->kind == SIM_FSYNC ? "fsync" : op->kind == SIM_FDATASYNC ? "fdatasync" : "syncfs";
    char words[LABEL_BYTES];
    file_words(op->path, words);
    snprintf(label, LABEL_BYTES, "%s: %s %.60s, %s", op->phase, call, words, waiting_words(record, at));
}

struct labels {
    char text[LABELS_MOST][LABEL_BYTES];
    unsigned uses[LABELS_MOST];
    size_t count;
};

static void collect(struct labels *labels, const struct sim_record *record) {
    for (size_t i = 0; i < record->count; i++) {
        char label[LABEL_BYTES];
        size_t at = 0;
        if (!is_sync(&record->ops[i]))
            continue;
        label_of(record, i, label);
        while (at < labels->count && strcmp(labels->text[at], label) != 0)
            at++;
        if (at == LABELS_MOST)
            continue;
        if (at == labels->count)
            memcpy(labels->text[labels->count++], label, LABEL_BYTES);
        labels->uses[at]++;
    }
}

/* ---- mutated records --------------------------------------------------------------------------------------------- */

static void move_behind(struct sim_op *ops, size_t at, size_t to) {
    struct sim_op sync = ops[at];
    memmove(ops + at, ops + at + 1, (to - at) * sizeof *ops);
    ops[to] = sync;
}

static void move_late(struct sim_op *ops, size_t count, size_t at) {
    for (size_t to = at + 1; to < count; to++) {
        if (ops[to].kind == SIM_ACK) {
            move_behind(ops, at, to);
            return;
        }
    }
}

static void swap(struct sim_op *ops, size_t count, size_t at) {
    size_t to = at + 1;
    while (to < count && (ops[to].mapped || is_sync(&ops[to]) || touches(&ops[to], ops[at].inode)))
        to++;
    if (to < count)
        move_behind(ops, at, to);
}

static void move_early(struct sim_op *ops, size_t at) {
    struct sim_op sync = ops[at];
    size_t to = at;
    while (to > 0 && !touches(&ops[to - 1], sync.inode) && !(is_sync(&ops[to - 1]) && ops[to - 1].inode == sync.inode))
        to--;
    if (to == 0 || is_sync(&ops[to - 1]))
        return;
    to--;
    memmove(ops + to + 1, ops + to, (at - to) * sizeof *ops);
    ops[to] = sync;
}

/* Shares everything that its operations own with the original. Returns how many barriers were changed. */
static unsigned mutate(const struct sim_record *record, const char *label, enum mutation mutation,
                       struct sim_record *ret_mutant) {
    unsigned changed = 0;
    uint8_t *chosen = sim_alloc(record->count + 1);
    *ret_mutant = *record;
    ret_mutant->ops = sim_grow(NULL, record->count + 1, sizeof(struct sim_op));
    memcpy(ret_mutant->ops, record->ops, record->count * sizeof(struct sim_op));
    for (size_t i = 0; i < record->count; i++) {
        char own[LABEL_BYTES] = "";
        if (is_sync(&record->ops[i]))
            label_of(record, i, own);
        chosen[i] = own[0] && strcmp(own, label) == 0;
        changed += chosen[i];
    }
    for (size_t i = record->count; i-- > 0;) { /* from the end, so that the places of the others stay */
        if (chosen[i] && mutation == TOO_LATE)
            move_late(ret_mutant->ops, record->count, i);
        if (chosen[i] && mutation == SWAPPED)
            swap(ret_mutant->ops, record->count, i);
    }
    if (mutation == TOO_EARLY)
        for (size_t i = 0; i < record->count; i++)
            if (chosen[i])
                move_early(ret_mutant->ops, i);
    if (mutation == LEFT_OUT) {
        ret_mutant->count = 0;
        for (size_t i = 0; i < record->count; i++)
            if (!chosen[i])
                ret_mutant->ops[ret_mutant->count++] = record->ops[i];
    }
    mem_free(chosen);
    return changed;
}

/* ---- trying ------------------------------------------------------------------------------------------------------ */

struct trial {
    const struct mutant_subject *subjects;
    size_t count;
    uint64_t *totals; /* how many states each subject has as it is; a mutant of it has about as many */
    uint64_t most_states;
    const struct mutant_reason *reasons;
    struct mutant_result result;
};

static int is_caught(const struct trial *trial, size_t at, const struct sim_record *mutant, uint64_t most_states,
                     struct crash_result *result) {
    const struct mutant_subject *subject = &trial->subjects[at];
    struct crash_options options;
    crash_options_default(&options);
    options.keep_one_in = trial->totals[at] / most_states + 1;
    options.stop_at_failure = 1;
    options.deeper_one_in = 0;
    options.known = subject->known;
    return crash_run(mutant, &options, subject->verify, subject->arg, result) != 0;
}

static const char *reason_for(const struct mutant_reason *reasons, const char *label) {
    for (; reasons && reasons->label; reasons++)
        if (fnmatch(reasons->label, label, 0) == 0)
            return reasons->reason;
    return NULL;
}

static int try_mutant(const struct trial *trial, uint64_t most_states, const char *label, enum mutation mutation,
                      struct crash_result *ret_states) {
    struct crash_result states = {0};
    int caught = 0;
    for (size_t i = 0; i < trial->count && !caught; i++) {
        struct sim_record mutant;
        if (mutate(trial->subjects[i].record, label, mutation, &mutant))
            caught = is_caught(trial, i, &mutant, most_states, &states);
        mem_free(mutant.ops);
    }
    *ret_states = states;
    return caught;
}

/* What may be left out may be moved, too: that is not tried. */
static void try_label(struct trial *trial, const char *label) {
    struct mutant_result *result = &trial->result;
    const char *reason = reason_for(trial->reasons, label);
    uint64_t most_states = reason ? trial->most_states / EXCUSED_SHARE : trial->most_states;
    int is_needed = 1;
    for (int mutation = LEFT_OUT; mutation < MUTATIONS && is_needed; mutation++) {
        struct crash_result states;
        int caught = try_mutant(trial, most_states, label, (enum mutation)mutation, &states);
        if (!caught && !reason && mutation == LEFT_OUT) /* look harder before saying so */
            caught = try_mutant(trial, most_states * EXCUSED_SHARE, label, LEFT_OUT, &states);
        is_needed = mutation == LEFT_OUT ? caught : is_needed;
        int is_free = !caught && is_needed;
        const char *verdict = caught ? "caught" : is_free ? "free" : reason ? "excused" : "MISSED";
        const char *why = is_free   ? "that step does not rely on it"
                          : !reason ? ""
                          : caught  ? states.first_failure /* so the reason is wrong */
                                    : reason;
        printf("  %-58s %-9s %-7s %6" PRIu64 " states%s%s\n", label, mutation_words[mutation], verdict, states.total,
               *why ? ": " : "", why);
        result->mutants++;
        result->caught += caught != 0;
        result->free += is_free != 0;
        result->excused += !caught && !is_free && reason;
        result->missed += !caught && !is_free && !reason;
        result->wrong_reasons += caught && reason;
    }
    fflush(stdout);
}

static void try_as_it_is(struct trial *trial, size_t at) {
    struct crash_options options;
    struct crash_result states = {0};
    crash_options_default(&options);
    trial->totals[at] = crash_count(trial->subjects[at].record, &options);
    if (!is_caught(trial, at, trial->subjects[at].record, trial->most_states, &states))
        return;
    printf("  subject %zu fails as it is: %s\n", at, states.first_failure);
    trial->result.failing++;
}

int mutants_run(const struct mutant_subject *subjects, size_t count, uint64_t most_states,
                const struct mutant_reason *reasons, struct mutant_result *ret_result) {
    struct trial trial = {.subjects = subjects, .count = count, .most_states = most_states, .reasons = reasons};
    struct labels *labels = sim_alloc(sizeof *labels);
    trial.totals = sim_alloc(count * sizeof(uint64_t));
    for (size_t i = 0; i < count; i++) {
        collect(labels, subjects[i].record);
        try_as_it_is(&trial, i);
    }
    for (size_t i = 0; i < labels->count; i++)
        try_label(&trial, labels->text[i]);
    mem_free(trial.totals);
    mem_free(labels);
    *ret_result = trial.result;
    return trial.result.missed || trial.result.failing ? -1 : 0;
}

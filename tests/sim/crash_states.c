#include "sim/crash_states.h"

#include "base/mem.h"
#include "sim/crash_pending.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEEPER_MOST = 300 };

struct run {
    const struct crash_options *options;
    const struct sim_record *record;
    struct crash_pending pending;
    struct crash_table seen;   /* verdicts by the key of a state */
    struct crash_table *known; /* verdicts by the hash of an image */
    struct crash_result *result;
    crash_verify verify;
    void *arg;
    uint64_t random, thinning, to_skip, started;
    int64_t acked;
    size_t at; /* so many operations of the record have happened */
    unsigned level;
    size_t *free_ops; /* which of the pending ones are chosen freely */
    size_t free_count, free_room;
    char why[CRASH_TEXT];
};

void crash_options_default(struct crash_options *ret_options) {
    *ret_options = (struct crash_options){.order = CRASH_STRICT,
                                          .seed = 1,
                                          .every_subset_to = 8,
                                          .random_subsets = 32,
                                          .each_most = 16,
                                          .torn_most = 6,
                                          .deeper_one_in = 384,
                                          .deeper_levels = 2};
}

static int run_record(struct run *run);

/* ---- one state --------------------------------------------------------------------------------------------------- */

static const char *op_words(enum sim_op_kind kind) {
    static const char *const words[] = {"write",    "truncate", "create",    "remove", "rename",
                                        "exchange", "fsync",    "fdatasync", "syncfs", "ack"};
    return words[kind];
}

static void describe_lost(const struct crash_pending *pending, char lost[CRASH_TEXT]) {
    size_t used = 0;
    lost[0] = '\0';
    for (size_t i = 0; i < pending->count && used < CRASH_TEXT - 64; i++) {
        const struct sim_op *op = pending->ops[i].op;
        enum crash_how how = pending->ops[i].choice.how;
        const char *path = op->path ? op->path : "", *name = path + (strlen(path) > 24 ? strlen(path) - 24 : 0);
        if (how != CRASH_WHOLE)
            used +=
                (size_t)snprintf(lost + used, CRASH_TEXT - used, "%s %s %s @%lld%s", used ? "," : "",
                                 op_words(op->kind), name, (long long)op->offset, how == CRASH_NOT ? "" : " (torn)");
    }
}

static void save_failure(const struct run *run) {
    struct sim_image image;
    crash_pending_image(&run->pending, &image);
    sim_image_save(&image, run->options->failure_folder);
    sim_image_fini(&image);
}

static void describe(struct run *run, int64_t found) {
    const struct sim_op *op = run->at ? &run->record->ops[run->at - 1] : NULL;
    char lost[CRASH_TEXT];
    if (run->result->failures++)
        return;
    if (run->options->failure_folder)
        save_failure(run);
    describe_lost(&run->pending, lost);
    snprintf(run->result->first_failure, sizeof run->result->first_failure,
             "%s order, level %u, after operation %zu of %zu (%s %s, %s), lost:%s: found %" PRId64
             ", acknowledged %" PRId64 "%s%s",
             run->options->order == CRASH_STRICT ? "strict" : "ext4", run->level, run->at, run->record->count,
             op ? op_words(op->kind) : "start", op && op->path ? op->path : "", op ? op->phase : "", lost, found,
             run->acked, run->why[0] ? ": " : "", run->why);
}

/* Cuts the recovery that was just recorded. */
static void run_deeper(struct run *run, struct sim_record *record, int64_t found) {
    struct crash_options options = *run->options;
    options.most_states = DEEPER_MOST;
    options.keep_one_in = 1;
    options.every_subset_to = 4;
    options.random_subsets = 4;
    options.each_most = 4;
    options.torn_most = 2;
    options.deeper_one_in = run->options->deeper_one_in / 2 + 1;
    options.seed = run->random;
    struct run deeper = {.options = &options,
                         .record = record,
                         .known = run->known,
                         .result = run->result,
                         .verify = run->verify,
                         .arg = run->arg,
                         .level = run->level + 1};
    record->start_ack = found;
    uint64_t before = run->result->total;
    run_record(&deeper);
    if (run->level == 0)
        run->result->deeper += run->result->total - before;
}

static int64_t verify_image(struct run *run, const struct sim_image *image, uint64_t hash) {
    struct sim_disk *disk = sim_disk_from(image, hash);
    int deeper = run->level < run->options->deeper_levels && run->options->deeper_one_in &&
                 crash_mix(hash, 5) % run->options->deeper_one_in == 0;
    if (deeper)
        sim_disk_record(disk);
    run->why[0] = '\0';
    int64_t found = run->verify(run->arg, disk, run->why);
    struct sim_record *record = deeper ? sim_disk_take_record(disk) : NULL;
    sim_disk_free(&disk);
    run->result->distinct++;
    crash_table_put(run->known, hash, found);
    if (record && found >= 0)
        run_deeper(run, record, found);
    sim_record_free(&record);
    return found;
}

static int64_t verdict(struct run *run, uint64_t key) {
    int64_t found;
    if (crash_table_get(&run->seen, key, &found))
        return found;
    struct sim_image image;
    crash_pending_image(&run->pending, &image);
    uint64_t hash = sim_image_hash(&image);
    if (!crash_table_get(run->known, hash, &found))
        found = verify_image(run, &image, hash);
    sim_image_fini(&image);
    crash_table_put(&run->seen, key, found);
    return found;
}

static int is_over(const struct run *run) {
    return (run->options->most_states && run->result->total - run->started >= run->options->most_states) ||
           (run->options->stop_at_failure && run->result->failures);
}

/* A rename over a file is not older than the data of the file that takes its place. */
static void keep_renamed_data(struct crash_pending *pending) {
    for (size_t i = 0; i < pending->count; i++) {
        const struct sim_op *rename = pending->ops[i].op;
        if (rename->kind != SIM_RENAME || !rename->replaced || pending->ops[i].choice.how == CRASH_NOT)
            continue;
        for (size_t j = 0; j < i; j++)
            if (pending->ops[j].op->kind == SIM_WRITE && pending->ops[j].op->inode == rename->target)
                pending->ops[j].choice.how = CRASH_WHOLE;
    }
}

/* Before each state: is it one of those that are looked at? Where few are kept the others must cost nothing. */
static int is_wanted(struct run *run) {
    if (is_over(run))
        return 0;
    if (!run->verify) { /* they are only counted */
        run->result->total++;
        return 0;
    }
    if (run->to_skip > 0) {
        run->to_skip--;
        return 0;
    }
    if (run->options->keep_one_in > 1)
        run->to_skip = crash_random(&run->thinning) % (2 * run->options->keep_one_in - 1);
    return 1;
}

static void emit(struct run *run) {
    if (run->options->order == CRASH_EXT4)
        keep_renamed_data(&run->pending);
    run->result->total++;
    int64_t found = verdict(run, crash_pending_key(&run->pending));
    if (found < run->acked)
        describe(run, found);
}

/* ---- which states ------------------------------------------------------------------------------------------------ */

static void choose_all(struct run *run, enum crash_how how) {
    for (size_t i = 0; i < run->free_count; i++)
        run->pending.ops[run->free_ops[i]].choice = (struct crash_choice){how, 0};
}

static void choose_random(struct run *run) {
    uint64_t bits = 0;
    for (size_t i = 0; i < run->free_count; i++) {
        if (i % 64 == 0)
            bits = crash_random(&run->random);
        run->pending.ops[run->free_ops[i]].choice =
            (struct crash_choice){(bits >> (i % 64)) & 1 ? CRASH_WHOLE : CRASH_NOT, 0};
    }
}

static void every_subset(struct run *run) {
    for (unsigned set = 0; set < 1u << run->free_count; set++) {
        if (!is_wanted(run))
            continue;
        for (size_t i = 0; i < run->free_count; i++)
            run->pending.ops[run->free_ops[i]].choice =
                (struct crash_choice){set >> i & 1 ? CRASH_WHOLE : CRASH_NOT, 0};
        emit(run);
    }
}

/* The newest and, when there are many, some others at random. */
static size_t pick(struct run *run, size_t i, unsigned most) {
    if (run->free_count <= most || i < most / 2)
        return run->free_count - 1 - i;
    return (size_t)(crash_random(&run->random) % run->free_count);
}

static void each_one(struct run *run, enum crash_how rest, enum crash_how one) {
    size_t count = run->free_count < run->options->each_most ? run->free_count : run->options->each_most;
    for (size_t i = 0; i < count; i++) {
        if (!is_wanted(run))
            continue;
        choose_all(run, rest);
        run->pending.ops[run->free_ops[pick(run, i, run->options->each_most)]].choice.how = one;
        emit(run);
    }
}

static void emit_torn(struct run *run, size_t op, enum crash_how rest, enum crash_how how, uint32_t sectors) {
    if (!is_wanted(run))
        return;
    choose_all(run, rest);
    run->pending.ops[op].choice = (struct crash_choice){how, sectors};
    emit(run);
}

/* The same parts of the same write at every point, so that what was seen once is known. */
static void torn(struct run *run, size_t op) {
    uint32_t sectors = crash_sectors(run->pending.ops[op].op);
    uint32_t parts = sectors - 1 < 3 ? sectors - 1 : 3;
    for (int rest = CRASH_NOT; rest <= CRASH_WHOLE; rest++) {
        uint64_t chance = run->pending.ops[op].key;
        for (uint32_t i = 0; i < parts; i++) {
            uint32_t cut = parts < 3 ? i + 1 : 1 + (uint32_t)(crash_random(&chance) % (sectors - 1));
            emit_torn(run, op, (enum crash_how)rest, CRASH_FIRST, cut);
            emit_torn(run, op, (enum crash_how)rest, CRASH_LAST, cut);
            emit_torn(run, op, (enum crash_how)rest, CRASH_SOME, (uint32_t)crash_random(&chance));
        }
        if (run->options->order == CRASH_STRICT)
            emit_torn(run, op, (enum crash_how)rest, CRASH_ZEROS, 0);
    }
}

/* One entry of a move between folders without the other: journaling file systems do not do this, POSIX does not say. */
static void half_moved(struct run *run, size_t op) {
    for (int rest = CRASH_NOT; rest <= CRASH_WHOLE; rest++) {
        emit_torn(run, op, (enum crash_how)rest, CRASH_FIRST, 0);
        emit_torn(run, op, (enum crash_how)rest, CRASH_LAST, 0);
    }
}

static void torn_ones(struct run *run) {
    unsigned done = 0;
    for (size_t i = 0; i < run->free_count && done < run->options->torn_most; i++) {
        size_t op = run->free_ops[pick(run, i, run->options->torn_most)];
        int is_move = crash_is_move(&run->pending.ops[op]);
        if (run->pending.ops[op].op->kind != SIM_WRITE && !is_move)
            continue;
        done++;
        if (is_move)
            half_moved(run, op);
        else
            torn(run, op);
    }
}

static void all_alike(struct run *run, enum crash_how how) {
    if (!is_wanted(run))
        return;
    choose_all(run, how);
    emit(run);
}

static void subsets(struct run *run) {
    if (run->free_count <= run->options->every_subset_to) {
        every_subset(run);
    } else {
        all_alike(run, CRASH_WHOLE);
        all_alike(run, CRASH_NOT);
        each_one(run, CRASH_WHOLE, CRASH_NOT);
        each_one(run, CRASH_NOT, CRASH_WHOLE);
        for (unsigned i = 0; i < run->options->random_subsets; i++) {
            if (!is_wanted(run))
                continue;
            choose_random(run);
            emit(run);
        }
    }
    torn_ones(run);
}

static void find_free(struct run *run) {
    if (run->free_room < run->pending.room) {
        run->free_room = run->pending.room;
        run->free_ops = sim_grow(run->free_ops, run->free_room, sizeof(size_t));
    }
    run->free_count = 0;
    for (size_t i = 0; i < run->pending.count; i++)
        if (run->options->order == CRASH_STRICT || !crash_is_metadata(CRASH_EXT4, run->pending.ops[i].op))
            run->free_ops[run->free_count++] = i;
}

/* Names and sizes up to one point of the journal, the data as it may be. */
static void journal_points(struct run *run) {
    size_t metadata = run->pending.count - run->free_count;
    size_t step = metadata / 8 + 1;
    for (size_t upto = 0;; upto = upto + step > metadata && upto < metadata ? metadata : upto + step) {
        if (upto > metadata)
            break;
        size_t nth = 0;
        for (size_t i = 0; i < run->pending.count; i++)
            if (crash_is_metadata(CRASH_EXT4, run->pending.ops[i].op))
                run->pending.ops[i].choice = (struct crash_choice){nth++ < upto ? CRASH_WHOLE : CRASH_NOT, 0};
        subsets(run);
    }
}

static void states_here(struct run *run) {
    find_free(run);
    if (run->options->order == CRASH_EXT4)
        journal_points(run);
    else
        subsets(run);
}

static int run_record(struct run *run) {
    const struct sim_record *record = run->record;
    uint64_t failures = run->result->failures;
    run->random = run->thinning = run->options->seed;
    run->to_skip = run->options->keep_one_in > 1 ? crash_random(&run->thinning) % run->options->keep_one_in : 0;
    run->started = run->result->total;
    run->acked = record->start_ack;
    crash_pending_init(&run->pending, record, run->options->order);
    crash_table_init(&run->seen);
    states_here(run);
    for (size_t i = 0; i < record->count && !is_over(run); i++) {
        const struct sim_op *op = &record->ops[i];
        crash_pending_take(&run->pending, op, crash_mix(run->options->seed ^ 0x5eed, i));
        run->at = i + 1;
        if (op->kind == SIM_ACK && op->ack > run->acked)
            run->acked = op->ack;
        if (!crash_pending_is_mapped(&run->pending, op))
            states_here(run);
    }
    crash_pending_fini(&run->pending);
    crash_table_fini(&run->seen);
    mem_free(run->free_ops);
    return run->result->failures == failures ? 0 : -1;
}

uint64_t crash_count(const struct sim_record *record, const struct crash_options *options) {
    struct crash_options all = *options;
    struct crash_result result = {0};
    all.keep_one_in = 1;
    all.most_states = 0;
    crash_run(record, &all, NULL, NULL, &result);
    return result.total;
}

int crash_run(const struct sim_record *record, const struct crash_options *options, crash_verify verify, void *arg,
              struct crash_result *result) {
    struct crash_table known;
    crash_table_init(&known);
    struct run run = {.options = options,
                      .record = record,
                      .known = options->known ? options->known : &known,
                      .result = result,
                      .verify = verify,
                      .arg = arg};
    int code = run_record(&run);
    crash_table_fini(&known);
    return code;
}

/* Many files, looked at by several threads and told of in order. */
#include "base/mem.h"
#include "store/tree_files.h"

enum { AHEAD_PER_THREAD = 8 };

struct place {
    struct tree_look look;
    struct buf json;
    struct hf_error error;
};

struct run {
    const struct tree_walk *walk;
    const struct tree_key *keys;
    struct tree_reader *readers; /* one for each worker */
    struct place *places;        /* of key i at i % ahead */
    size_t ahead;
    int told; /* what the last tell said */
};

static int work(void *arg, unsigned worker, size_t index) {
    struct run *run = arg;
    struct tree_reader *reader = &run->readers[worker];
    struct place *place = &run->places[index % run->ahead];
    struct tree_path path;
    tree_path_of(run->walk->layout, run->keys[index].kind, run->keys[index].id, &path);
    int code = tree_look(reader, &path, &place->look, &place->error);
    struct buf json = place->json; /* the place keeps the bytes until they are told of */
    place->json = reader->bytes;
    reader->bytes = json;
    return code;
}

static int done(void *arg, size_t index) {
    struct run *run = arg;
    const struct place *place = &run->places[index % run->ahead];
    run->told = run->walk->tell(run->walk->arg, &run->keys[index], &place->look, &place->json);
    return run->told;
}

static int run_crew(struct run *run, unsigned threads, size_t count, struct hf_error *error) {
    struct tree_crew crew = {.threads = threads, .ahead = run->ahead, .work = work, .done = done, .arg = run};
    int code = tree_crew_run(&crew, count, error);
    for (size_t i = 0; i < run->ahead && code != 0 && run->told == 0; i++)
        if (run->places[i].error.code == code)
            error_copy(error, &run->places[i].error);
    return code;
}

int tree_walk_files(const struct tree_walk *walk, const struct tree_key *keys, size_t count, struct hf_error *error) {
    unsigned threads = tree_crew_threads(walk->threads);
    if (count == 0)
        return 0;
    if (threads > count)
        threads = (unsigned)count;
    struct run run = {.walk = walk, .keys = keys, .ahead = (size_t)threads * AHEAD_PER_THREAD};
    MEM_AUTO struct tree_reader *readers = mem_zalloc(threads, sizeof *readers);
    MEM_AUTO struct place *places = mem_zalloc(run.ahead, sizeof *places);
    if (!readers || !places)
        return error_no_memory(error);
    for (unsigned i = 0; i < threads; i++) {
        tree_reader_init(&readers[i], walk->os, walk->root_fd, &walk->limits);
        readers[i].layout = walk->layout;
    }
    run.readers = readers;
    run.places = places;
    int code = run_crew(&run, threads, count, error);
    for (unsigned i = 0; i < threads; i++)
        tree_reader_fini(&readers[i]);
    for (size_t i = 0; i < run.ahead; i++)
        buf_fini(&places[i].json);
    return code;
}

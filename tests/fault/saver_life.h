/* One life of a program that keeps its documents itself, in a world that fails: what a sweep runs again and again. */
#ifndef HF_FAULT_SAVER_LIFE_H
#define HF_FAULT_SAVER_LIFE_H

#include "store/saver.h"

enum { THINGS = 24 };

struct thing {
    char id[16], text[1200]; /* text "": deleted */
    int is_lent, is_unmarked;
};

extern struct sweep {
    const struct os *os;
    struct os_fault *fault; /* NULL: memory is what fails */
    const char *url;
    struct hf_store *store;
    struct hf_saver *saver;
    struct thing things[THINGS];
    void (*arm)(void); /* faults begin here: called when the store is open for the first time; NULL: they have begun */
    int only_opens;    /* the life is short */
    int is_gone;       /* the fault was taken away */
    uint64_t calls;    /* to the system, until the fault was taken away */
    int lent;
    unsigned errors;
    char complaint[700];
} sweep;

void sweep_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opening, marking, saving, loading, auditing, closing. */
void sweep_scenario(void);
/* As a new process would find it: everything as the owner has it, and what he lent returned. */
void sweep_verify(void);

#endif

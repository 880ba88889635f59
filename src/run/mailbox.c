#include "run/mailbox.h"

#include <pthread.h>

#include "base/mem.h"
#include "os/channel.h"

struct letter {
    struct letter *next;
    struct mailbox *mailbox;
    run_commit_done done;
    void *arg;
    int code;
    uint64_t revision;
    struct hf_error error;
};

struct mailbox {
    const struct os *os;
    struct hf_store *store;
    struct hf_watch *store_watch;
    struct loop_watch *bell_watch;
    void (*changed)(void *arg);
    void *changed_arg;
    int bell_fd;
    pthread_mutex_t mutex; /* over what follows */
    struct letter *first, **end;
    int has_changed, is_closed;
    unsigned under_way; /* commits that are not answered */
};

static void destroy(struct mailbox *mailbox) {
    os_close(mailbox->os, mailbox->bell_fd);
    pthread_mutex_destroy(&mailbox->mutex);
    mem_free(mailbox);
}

static struct letter *take_letters(struct mailbox *mailbox, int *ret_has_changed) {
    channel_hush_bell(mailbox->bell_fd); /* before they are taken: one that comes behind rings again */
    pthread_mutex_lock(&mailbox->mutex);
    struct letter *first = mailbox->first;
    mailbox->first = NULL;
    mailbox->end = &mailbox->first;
    *ret_has_changed = mailbox->has_changed;
    mailbox->has_changed = 0;
    pthread_mutex_unlock(&mailbox->mutex);
    return first;
}

static void free_letters(struct letter *letter) {
    for (struct letter *next; letter; letter = next) {
        next = letter->next;
        mem_free(letter);
    }
}

static void deliver(void *arg) {
    struct mailbox *mailbox = arg;
    int has_changed;
    struct letter *letter = take_letters(mailbox, &has_changed);
    for (struct letter *next; letter; letter = next) {
        next = letter->next;
        letter->done(letter->arg, letter->code, letter->revision, &letter->error);
        mem_free(letter);
    }
    if (has_changed && mailbox->changed)
        mailbox->changed(mailbox->changed_arg);
}

int mailbox_new(const struct os *os, struct loop *loop, struct hf_store *store, struct mailbox **ret_mailbox,
                struct hf_error *error) {
    struct mailbox *mailbox = MEM_NEW(struct mailbox);
    if (!mailbox)
        return error_set(error, HF_ERR_NO_MEMORY, "make the mailbox");
    mailbox->os = os;
    mailbox->store = store;
    mailbox->end = &mailbox->first;
    int result = channel_make_bell(&mailbox->bell_fd);
    if (result < 0) {
        mem_free(mailbox);
        return error_set_errno(error, result, "make the mailbox");
    }
    pthread_mutex_init(&mailbox->mutex, NULL);
    if (loop_watch_new(loop, mailbox->bell_fd, deliver, mailbox, &mailbox->bell_watch) < 0) {
        destroy(mailbox);
        return error_set(error, HF_ERR_NO_MEMORY, "make the mailbox");
    }
    *ret_mailbox = mailbox;
    return 0;
}

void mailbox_free(struct mailbox **address) {
    struct mailbox *mailbox = *address;
    if (!mailbox)
        return;
    *address = NULL;
    hf_watch_close(&mailbox->store_watch);
    loop_watch_free(&mailbox->bell_watch);
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->is_closed = 1;
    struct letter *letters = mailbox->first;
    mailbox->first = NULL;
    int is_last = mailbox->under_way == 0;
    pthread_mutex_unlock(&mailbox->mutex);
    free_letters(letters);
    if (is_last)
        destroy(mailbox);
}

static void commit_done(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct letter *letter = arg;
    struct mailbox *mailbox = letter->mailbox;
    letter->code = code;
    letter->revision = code == 0 && result ? result->revision : 0;
    error_copy(&letter->error, error);
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->under_way--;
    int is_closed = mailbox->is_closed, is_last = is_closed && mailbox->under_way == 0;
    if (!is_closed) {
        *mailbox->end = letter;
        mailbox->end = &letter->next;
        channel_ring_bell(mailbox->bell_fd); /* under the mutex: the owner closes it only later */
    }
    pthread_mutex_unlock(&mailbox->mutex);
    if (is_closed)
        mem_free(letter);
    if (is_last)
        destroy(mailbox);
}

void mailbox_commit(struct mailbox *mailbox, struct hf_batch **take_batch, run_commit_done done, void *arg) {
    struct letter *letter = MEM_NEW(struct letter);
    if (!letter) { /* nothing to bring the answer in */
        hf_batch_free(take_batch);
        struct hf_error error;
        int code = error_set(&error, HF_ERR_NO_MEMORY, "commit: memory is used up");
        done(arg, code, 0, &error);
        return;
    }
    *letter = (struct letter){.mailbox = mailbox, .done = done, .arg = arg};
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->under_way++;
    pthread_mutex_unlock(&mailbox->mutex);
    hf_store_commit_async(mailbox->store, take_batch, commit_done, letter);
}

static void store_changed(void *arg, uint64_t revision) {
    struct mailbox *mailbox = arg;
    (void)revision;
    pthread_mutex_lock(&mailbox->mutex);
    if (!mailbox->has_changed) {
        mailbox->has_changed = 1;
        channel_ring_bell(mailbox->bell_fd);
    }
    pthread_mutex_unlock(&mailbox->mutex);
}

int mailbox_watch(struct mailbox *mailbox, void (*changed)(void *arg), void *arg, struct hf_error *error) {
    mailbox->changed = changed;
    mailbox->changed_arg = arg;
    return hf_store_watch(mailbox->store, store_changed, mailbox, &mailbox->store_watch, error);
}

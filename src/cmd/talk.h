/* What a command says on standard error while it works: how far it is, and what it finds damaged, each once. */
#ifndef HF_CMD_TALK_H
#define HF_CMD_TALK_H

#include "base/map.h"
#include "cmd/command.h"
#include "cmd/progress.h"

struct command_talk {
    struct progress progress;
    struct map told;  /* "KIND/ID" of what was told of */
    const char *kind; /* of what is asked for; NULL: all */
    uint64_t damaged; /* of that kind */
};
void talk_init(struct command_talk *talk);
void talk_fini(struct command_talk *talk);

/* An hf_finding_visit: one line for each finding. */
void talk_finding(void *talk, const struct hf_finding *finding);
/* A record that cannot be given. */
void talk_damage(struct command_talk *talk, const struct hf_record *record, const char *problem);
/* Behind a number of them: "1 record", "2 records". */
static inline const char *talk_records(uint64_t count) {
    return count == 1 ? "record" : "records";
}
/* "holdfast: …", unless -q was given. */
void talk_say(const struct command_invocation *invocation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

/* A question to Redis whose reply may come when whoever asked has stopped or begun anew. Each start
 * or stop is a generation of its own; a reply to a question of an earlier one is dropped. */
#ifndef METERLINE_PENDING_REPLY_H
#define METERLINE_PENDING_REPLY_H

#include "common/str.h"

#include <stdint.h>
#include <stdlib.h>

struct pending_reply {
    void *owner;
    const uint64_t *generation;
    uint64_t asked_in;
};

/* generation: of the owner; both must be there until the reply comes. */
static inline struct pending_reply *pending_reply_new(void *owner, const uint64_t *generation)
{
    struct pending_reply *p = xmalloc(sizeof *p);
    *p = (struct pending_reply){.owner = owner, .generation = generation, .asked_in = *generation};
    return p;
}

/* Once, when the reply is here: the owner; NULL if the question is of an earlier generation. */
static inline void *pending_reply_owner(struct pending_reply *p)
{
    void *owner = *p->generation == p->asked_in ? p->owner : NULL;
    free(p);
    return owner;
}

#endif

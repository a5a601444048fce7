/* What each part of the stage is given: the stage's loop and its settings. A part never calls the
 * stage that owns it: it reports by a callback. */
#ifndef METERLINE_NOTIFIER_CONTEXT_H
#define METERLINE_NOTIFIER_CONTEXT_H

#include "common/stage.h"
#include "notifier/config.h"

#define NOTIFIER_ROLE "meterline_notifier"

/* Borrowed by every part for its life. */
struct context {
    const struct config *config;
    struct stage *stage;
    bool schema_ready; /* PostgreSQL has the schema of this build; checked at every connect */
    bool is_told;      /* a NOTIFY tells of each new message; else they are looked for more often */
    /* A part has come to rest: it has nothing in flight. */
    void (*on_idle)(void *owner);
    void *owner;
};

#endif

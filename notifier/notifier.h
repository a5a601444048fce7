/* The running stage: its settings and its parts. */
#ifndef METERLINE_NOTIFIER_H
#define METERLINE_NOTIFIER_H

#include "notifier/context.h"

struct notifier {
    struct config config; /* first: the stage's owner is its config */
    struct context context;
    struct upkeep *upkeep;
    struct signals *signals;
    struct mailer *mailer;
    struct poster *poster;
    struct watch *watch;
    bool closed; /* its parts are being closed */
};

/* The stage's callbacks; see stage.h. */
int notifier_start(struct stage *stage, void *owner, struct err *e);
void notifier_drain(void *owner);
void notifier_close(void *owner);
bool notifier_ready(void *owner, struct buf *why);

#endif

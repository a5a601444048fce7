/* The running stage: its settings, its peers and its parts. */
#ifndef METERLINE_WEBHOOKD_H
#define METERLINE_WEBHOOKD_H

#include "common/redis_router.h"
#include "common/stage.h"
#include "webhookd/config.h"

enum { WORKERS_MAX = 16 };

struct webhookd {
    struct config config; /* first: the stage's owner is its config */
    struct stage *stage;
    struct redis_router *redis;
    struct fetcher *fetcher; /* NULL without STRIPE_SECRET_KEY */
    struct receiver *receiver;
    struct worker *workers[WORKERS_MAX];
    struct limits *limits;
    struct healer *healer;
    struct changes *changes;
    bool schema_ready; /* asked at every connect of the receiver's */
    bool closed;       /* parts are being freed */
};

/* The stage's callbacks; see stage.h. */
int webhookd_start(struct stage *stage, void *owner, struct err *e);
void webhookd_drain(void *owner);
void webhookd_close(void *owner);
bool webhookd_ready(void *owner, struct buf *why);

/* For the parts. There is work: wake the workers that rest. */
void webhookd_wake_workers(struct webhookd *d);
/* A part has come to rest: say so to the stage if all of them have, while draining. */
void webhookd_check_drained(struct webhookd *d);

#endif

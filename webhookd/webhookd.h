/* The running stage: its settings, its peers and its parts. */
#ifndef METERLINE_WEBHOOKD_H
#define METERLINE_WEBHOOKD_H

#include "common/stripe/stripe_api.h"
#include "webhookd/context.h"

enum { WORKERS_MAX = 16 };

struct webhookd {
    struct config config; /* first: the stage's owner is its config */
    struct context context;
    struct stripe_access access;
    struct fetcher *fetcher;   /* NULL without STRIPE_SECRET_KEY */
    struct catch_up *catch_up; /* NULL without it, or with CATCH_UP_INTERVAL_S=0 */
    struct receiver *receiver;
    struct worker *workers[WORKERS_MAX];
    struct redis_loss *loss; /* of the quota cache */
    struct limits *limits;
    struct limits_sweep *sweep;
    struct limit_changes *changes;
    bool closed; /* its parts are being closed */
};

/* The stage's callbacks; see stage.h. */
int webhookd_start(struct stage *stage, void *owner, struct err *e);
void webhookd_drain(void *owner);
void webhookd_close(void *owner);
bool webhookd_ready(void *owner, struct buf *why);

#endif

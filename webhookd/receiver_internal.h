/* What the files of the receiver share: receiver.c (requests, the schema) and receiver_store.c
 * (keeping events). Nobody else includes this. */
#ifndef METERLINE_RECEIVER_INTERNAL_H
#define METERLINE_RECEIVER_INTERNAL_H

#include "common/http_server.h"
#include "common/log.h"
#include "webhookd/receiver.h"
#include "webhookd/script.h"
#include "webhookd/stripe_event.h"
#include "webhookd/webhookd.h"

enum { STORE_MAX = 8 }; /* events a transaction */

/* An event between its request and its answer. */
struct delivery {
    struct http_exchange *exchange;
    struct stripe_event event;
    struct delivery *next;
};

struct receiver {
    struct webhookd *d;
    struct http_server *server;
    struct pg *pg;
    uv_timer_t schema_timer;
    struct delivery *first; /* those that wait, oldest first */
    struct delivery *last;
    struct delivery *storing[STORE_MAX];
    int storing_n;
    bool one_by_one; /* until the waiting ones are stored: one of them was refused */
    bool checking_schema;
    bool closing;
    int open_parts;
    struct log_repeat refused;
    struct log_repeat failed;
    struct log_repeat schema;
};

/* receiver.c: answer with that status, and count the outcome. */
void receiver_answer(struct http_exchange *x, int status, const char *outcome);

/* receiver_store.c: let an event wait; w is taken over. */
void receiver_queue(struct receiver *r, struct delivery *w);
/* Keep what waits, if the connection is free; answer 503 if there is none. */
void receiver_store(struct receiver *r);
void receiver_fail_waiting(struct receiver *r);

#endif

/* The running stage: its settings and its parts. */
#ifndef METERLINE_API_H
#define METERLINE_API_H

#include "api/context.h"
#include "api/door/door.h"
#include "api/keys/key_cache.h"
#include "api/upkeep.h"

struct api {
    struct config config; /* first: the stage's owner is its config */
    struct context context;
    struct upkeep *upkeep;
    struct key_cache *keys;
    struct door *door;
    bool closed; /* its parts are being closed */
};

/* The stage's callbacks; see stage.h. */
int api_start(struct stage *stage, void *owner, struct err *e);
void api_drain(void *owner);
void api_close(void *owner);
bool api_ready(void *owner, struct buf *why);

#endif

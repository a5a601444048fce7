/* The door itself, for door.c and what frees its requests. */
#ifndef METERLINE_API_DOOR_INTERNAL_H
#define METERLINE_API_DOOR_INTERNAL_H

#include "api/door/door.h"
#include "common/metrics.h"

struct door {
    const struct context *context;
    struct key_cache *keys;
    struct http_server *server;
    int requests;               /* that are not answered */
    struct metric *outcomes[3]; /* answered, refused, failed */
    struct metric *seconds;
    struct log_repeat failed; /* 5xx */
};

#endif

/* The HTTP listener: who may do what, and who does it. */
#ifndef METERLINE_EMITTER_DOOR_H
#define METERLINE_EMITTER_DOOR_H

#include "emitter/daemon/context.h"
#include "emitter/daemon/intake.h"
#include "emitter/daemon/quota_hold.h"

struct door; /* opaque */

/* Who does what; borrowed. */
struct door_parts {
    struct intake *intake;
    struct quota_door *quota;
    struct quota_hold *hold;
};

/* Returns NULL with e. */
struct door *door_open(const struct context *context, struct door_parts parts, struct err *e);
void door_quiesce(struct door *d);
bool door_is_idle(const struct door *d);
bool door_is_crowded(const struct door *d);
void door_close(struct door *d);

#endif

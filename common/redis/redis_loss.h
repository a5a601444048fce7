/* Watches the servers that keys lie on, and tells within two seconds that one may have lost them
 * all: it was emptied (FLUSHALL, FLUSHDB), it was restarted, or another server has taken over.
 * Single keys that are gone it does not see: see redis_stamp.h. */
#ifndef METERLINE_REDIS_LOSS_H
#define METERLINE_REDIS_LOSS_H

#include "common/redis/redis_router.h"

struct redis_loss; /* opaque */

/* lost: from the loop. router: must stay until redis_loss_close. */
struct redis_loss *redis_loss_watch(uv_loop_t *loop, struct redis_router *router,
                                    void (*lost)(void *owner), void *owner);
/* Before the router is closed. Frees it, from the loop; lost is not called any more. */
void redis_loss_close(struct redis_loss *w);

#endif

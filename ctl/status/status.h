/* How the line is doing, as far as it can be told within 5 s, whatever hangs. PostgreSQL and Redis
 * are read side by side, each in a process of its own: what one has told when the time is over is
 * shown, and what is missing is said. */
#ifndef METERLINE_CTL_STATUS_H
#define METERLINE_CTL_STATUS_H

#include "ctl/ctl.h"

#include <jansson.h>
#include <signal.h>

/* A new report, always with all of these lists: `peers` (redis, postgres), `instances`, `stages`,
 * `submissions`, `webhooks`, `rejected`, `unbilled`, `quotas`, `ledger`. *whole: both peers are up
 * and all could be read. stop: not 0 ends the waiting early; may be NULL. */
json_t *status_gather(const struct ctl_config *config, const volatile sig_atomic_t *stop,
                      bool *whole);

/* The ledger's half, in a process of its own: owner is the struct ctl_config. It tells
 * {"list": one of the report's, "rows": […]}, first "positions", and at last {"peer": "postgres",
 * "state": …}. */
void status_read_ledger(void *owner, int fd);

/* The streams' half: {"queue": stream, …}, {"cache": {…}}, and at last {"peer": "redis", …}. */
struct status_streams {
    const struct ctl_config *config;
    const json_t *positions; /* rows of status_positions; NULL: nobody knows them */
    int64_t shards;
};
void status_read_streams(void *owner, int fd);

/* The streams there are, by name: those that have a position, and those of the shards in force. The
 * caller's to json_decref. */
json_t *status_stream_names(const struct status_streams *s);

/* The ages of the quota cache, in a sample of its hashes, set in finding: cached (hashes looked
 * at), sample (there may be more of them), used_age_s and limits_age_s of the one that was written
 * least lately. */
int status_add_cache(const char *redis_url, json_t *finding, struct err *e);

/* Of a peer's half: {"peer", "state", "error"}, by e; NULL: it is up. */
json_t *status_peer(const char *peer, const struct err *e);

#endif

/* A peer (Redis, PostgreSQL) as the whole process sees it: one gauge, one pair of log lines,
 * however many connections there are. Loop thread only. */
#ifndef METERLINE_PEER_H
#define METERLINE_PEER_H

#include "common/err.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define PEER_REDIS    "redis"
#define PEER_POSTGRES "postgres"

/* One connection's part in it. */
struct peer_link {
    const char *peer; /* PEER_REDIS or PEER_POSTGRES */
    bool up;          /* counted as up */
};

/* Not up yet; peer: PEER_REDIS or PEER_POSTGRES. */
void peer_link_init(struct peer_link *l, const char *peer);
/* The connection works (again): `peer_back` if a loss was logged. */
void peer_link_up(struct peer_link *l);
/* It was lost or could not be made: `peer_lost` the first time, then once a minute with the count
 * held back. wait_ms: until the next try. */
void peer_link_lost(struct peer_link *l, const struct err *error, uint64_t wait_ms);
/* We closed it: nothing is logged. */
void peer_link_closed(struct peer_link *l);

/* For /readyz: "postgres: not connected: the last loss, if any", and a newline. */
void peer_add_why(const char *peer, struct buf *why);

/* The peer's clock minus ours: exported, and warned of above 2 s. */
void peer_measured_clock(const char *peer, int64_t offset_ms);

#endif

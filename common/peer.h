/* Whether this process can reach a server (Redis, PostgreSQL, the mail server). However many
 * connections it has to it, there is one gauge (meterline_peer_up) and one pair of log events. Loop
 * thread only. */
#ifndef METERLINE_PEER_H
#define METERLINE_PEER_H

#include "common/err.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

#define PEER_REDIS    "redis"
#define PEER_POSTGRES "postgres"
#define PEER_SMTP     "smtp"

/* One connection to the peer. */
struct peer_link {
    const char *peer; /* PEER_REDIS and so on */
    bool up;          /* counted as up */
};

/* peer: PEER_REDIS and so on. The connection is not up yet. */
void peer_link_init(struct peer_link *l, const char *peer);
/* The connection works. Logs `peer_back` if a loss was logged before. */
void peer_link_up(struct peer_link *l);
/* The connection was lost or could not be made. Logs `peer_lost` at once, then once a minute with
 * the number of lines held back. wait_ms: until the next try. */
void peer_link_lost(struct peer_link *l, const struct err *error, uint64_t wait_ms);
/* We closed the connection ourselves: nothing is logged. */
void peer_link_closed(struct peer_link *l);

/* For /readyz: appends "postgres: not connected: <the last loss, if any>" and a newline. */
void peer_add_why(const char *peer, struct buf *why);

/* offset_ms: the peer's clock minus ours. Sets the gauge, and logs `clock_differed` above 2 s. */
void peer_measured_clock(const char *peer, int64_t offset_ms);

#endif

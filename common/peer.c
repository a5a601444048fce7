/* One gauge and one log_causes for each peer. The gauge is 1 while at least one connection works: a
 * single connection that is made anew does not mean that the peer is away. */
#include "common/peer.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/metric_table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { CLOCK_OFFSET_WARN_MS = 2000 };

struct peer {
    const char *name;
    int links_up; /* connections that work */
    struct log_causes losses;
    struct err loss; /* the last one since a connection was made */
};

static struct peer PEERS[] = {{.name = PEER_REDIS}, {.name = PEER_POSTGRES}, {.name = PEER_SMTP}};

static struct peer *find_peer(const char *name)
{
    for (size_t i = 0; i < sizeof PEERS / sizeof *PEERS; i++)
        if (strcmp(PEERS[i].name, name) == 0)
            return &PEERS[i];
    assert(0 && "a peer that is not in the table");
    return NULL;
}

static void count_link(struct peer_link *l, bool up)
{
    struct peer *p = find_peer(l->peer);
    p->links_up += (int)up - (int)l->up;
    l->up = up;
    metric_set(metric_with(METRIC_OF_PEER_UP, l->peer), p->links_up > 0);
}

void peer_link_init(struct peer_link *l, const char *peer)
{
    *l = (struct peer_link){.peer = peer};
    count_link(l, false); /* the gauge is there from the start */
}

void peer_link_up(struct peer_link *l)
{
    count_link(l, true);
    find_peer(l->peer)->loss = (struct err){0};
    if (log_cause_recovered(&find_peer(l->peer)->losses))
        log_info(peer_back, LOG_STR("peer", l->peer));
}

void peer_link_lost(struct peer_link *l, const struct err *error, uint64_t wait_ms)
{
    count_link(l, false);
    find_peer(l->peer)->loss = *error;
    uint64_t held = 0;
    if (!log_cause_failed(&find_peer(l->peer)->losses, error->text, clock_monotonic_ms(), &held))
        return;
    if (held == 0)
        log_warn(peer_lost, LOG_STR("peer", l->peer), LOG_U64("wait_ms", wait_ms), LOG_ERR(error));
    else
        log_warn(peer_lost, LOG_STR("peer", l->peer), LOG_U64("wait_ms", wait_ms),
                 LOG_U64("held_back", held), LOG_ERR(error));
}

void peer_link_closed(struct peer_link *l)
{
    count_link(l, false);
}

void peer_add_why(const char *peer, struct buf *why)
{
    const struct err *loss = &find_peer(peer)->loss;
    buf_printf(why, "%s: not connected%s%s\n", peer, *loss->text ? ": " : "", loss->text);
}

void peer_measured_clock(const char *peer, int64_t offset_ms)
{
    metric_set(metric_with(METRIC_OF_CLOCK_OFFSET, peer), offset_ms);
    if (offset_ms > CLOCK_OFFSET_WARN_MS || offset_ms < -CLOCK_OFFSET_WARN_MS)
        log_warn(clock_differed, LOG_STR("peer", peer), LOG_I64("offset_ms", offset_ms));
}

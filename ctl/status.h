/* How the line is doing, as far as it can be told: a peer that is down leaves its part out. */
#ifndef METERLINE_CTL_STATUS_H
#define METERLINE_CTL_STATUS_H

#include "ctl/ctl.h"

#include <jansson.h>
#include <libpq-fe.h>

/* A new report: arrays `peers`, `stages`, `submissions`, `webhooks`, `unbilled`, `quotas`,
 * `ledger`. *read: at least one peer could be read. */
json_t *status_gather(const struct ctl_config *config, bool *read);

/* Rows for the streams, appended to stages; conn or redis_url NULL: that peer is down. Returns 0,
 * or -1 with e when one of them fails meanwhile. */
int status_add_streams(PGconn *conn, const char *redis_url, int64_t shards, json_t *stages,
                       struct err *e);

/* The ages of the quota cache, in a sample of its hashes, set in finding: cached (hashes looked
 * at), used_age_s and limits_age_s of the one that was written least lately. */
int status_add_cache(const char *redis_url, json_t *finding, struct err *e);

#endif

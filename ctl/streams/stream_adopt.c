/* meterctl stream adopt: this ledger takes over streams that another one counted.
 *
 * 1. In PostgreSQL: take the stream's lease, and note the token of the epoch that is to come.
 * 2. In Redis, in one step: the mark names this ledger and that token, and the group stays where
 *    the other ledger had come to.
 * 3. In PostgreSQL, in one transaction: end the epoch that this ledger had, if any, and open the
 * one of that token, which begins there. Sinks hold.
 * 4. What the other ledger left in the quota cache goes.
 *
 * Cut short after 2, the next aggregator sees the token and does 3; run again, it does 4. */
#include "common/contract.h"
#include "common/lease_owner.h"
#include "common/quota_owner.h"
#include "common/redis/redis.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"
#include "ctl/streams/quota_forget.h"
#include "ctl/streams/stream_group.h"
#include "ctl/streams/stream_rewrite.h"
#include "ctl/streams/stream_shards.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 10000, ADOPT_WITHIN_MS = 15000 };
#define LEASE_S "30"

struct adopt {
    const struct ctl_config *config;
    bool yes;
    PGconn *conn;
    redisContext *redis;
    char owner[LEASE_OWNER_SIZE];
    char ledger[EPOCH_TOKEN_SIZE]; /* this one */
    int32_t takeovers;
    int64_t found; /* streams of another ledger */
    char stream[STREAM_NAME_SIZE];
    struct stream_group group;
    int64_t waiting;
    int64_t read; /* entries-added of the group's last entry */
};

/* This ledger's position, as it was taken. */
struct held_position {
    char epoch[16];
    char last_id[ENTRY_ID_SIZE];
    char token[EPOCH_TOKEN_SIZE];
    char reset_token[EPOCH_TOKEN_SIZE];
    int64_t outcomes;
    int64_t lost; /* entries that the other ledger counted since */
};

static int read_identity(struct adopt *a, struct err *e)
{
    PGresult *r = db_query(a->conn, SQL_READ_IDENTITY, 0, NULL, e);

    if (r == NULL)
        return err_wrap(e, "postgres");
    snprintf(a->ledger, sizeof a->ledger, "%s", db_text(r, 0, 0));
    a->takeovers = (int32_t)db_i64(r, 0, 1);
    PQclear(r);
    return 0;
}

/* *foreign: another ledger has the stream. */
static int look(struct adopt *a, bool *foreign, struct err *e)
{
    struct stream_info info;

    if (stream_info_read(a->redis, a->stream, &info, e) ||
        stream_group_read(a->redis, a->stream, &a->group, e))
        return -1;
    *foreign = a->group.marked && strcmp(a->group.mark.ledger, a->ledger) != 0;
    if (!*foreign)
        return 0;
    if (stream_count_after(a->redis, a->stream, &info, a->group.last_id, &a->waiting, e))
        return -1;
    a->read = a->group.read >= 0 ? a->group.read : info.added - a->waiting;
    return 0;
}

static void copy(char *out, size_t size, const PGresult *r, int column)
{
    snprintf(out, size, "%s", db_text(r, 0, column));
}

static int take_lease(struct adopt *a, struct held_position *p, struct err *e)
{
    char takeovers[16];
    const char *value = takeovers;
    const char *values[] = {a->stream, a->owner, LEASE_S};

    snprintf(takeovers, sizeof takeovers, "%" PRId32, a->group.mark.takeovers);
    if (db_run(a->conn, SQL_ADOPT_TAKEOVER, 1, &value, NULL, e))
        return err_wrap(e, "postgres");
    PGresult *r = db_query(a->conn, SQL_RESET_BEGIN, 3, values, e);
    if (r == NULL)
        return err_wrap(e, "postgres");
    copy(p->epoch, sizeof p->epoch, r, 0);
    copy(p->last_id, sizeof p->last_id, r, 1);
    copy(p->token, sizeof p->token, r, 2);
    copy(p->reset_token, sizeof p->reset_token, r, 3);
    p->outcomes = db_i64(r, 0, 4);
    a->takeovers = (int32_t)db_i64(r, 0, 6);
    p->lost = p->outcomes > 0 && a->read > db_i64(r, 0, 7) ? a->read - db_i64(r, 0, 7) : 0;
    PQclear(r);
    return 0;
}

static int release(struct adopt *a, bool untouched, struct err *e)
{
    const char *values[] = {a->stream, a->owner, untouched ? "true" : "false"};

    return db_run(a->conn, SQL_RESET_RELEASE, 3, values, NULL, e);
}

static int mark_stream(struct adopt *a, const struct held_position *p, int64_t now_ms,
                       struct err *e)
{
    struct epoch_mark mark = {.epoch = atoi(p->epoch) + (p->outcomes > 0),
                              .base = (uint64_t)a->read,
                              .ended_added = p->outcomes > 0 ? p->outcomes + p->lost : 0,
                              .takeovers = a->takeovers};
    struct err ignored;

    snprintf(mark.token, sizeof mark.token, "%s", p->reset_token);
    snprintf(mark.ledger, sizeof mark.ledger, "%s", a->ledger);
    if (p->outcomes > 0)
        snprintf(mark.ended, sizeof mark.ended, "%s", p->token);
    if (stream_group_adopt(a->redis, a->stream, &a->group, a->read, &mark, now_ms + ADOPT_WITHIN_MS,
                           e) == 0)
        return 0;
    release(a, e->kind == ERR_REFUSED, &ignored);
    return err_wrap(e, "redis");
}

static int open_epoch(struct adopt *a, const struct held_position *p, struct err *e)
{
    char lost[24];
    char base[24];
    const char *values[] = {a->stream,      a->owner, p->epoch,         p->last_id,
                            p->reset_token, lost,     a->group.last_id, base};
    struct err ignored;

    snprintf(lost, sizeof lost, "%" PRId64, p->lost);
    snprintf(base, sizeof base, "%" PRId64, a->read);
    if (db_run(a->conn, SQL_ADOPT_END, 8, values, NULL, e) == 0)
        return release(a, false, e);
    release(a, false, &ignored);
    return err_wrap(e, "postgres: the stream is taken over; the next aggregator opens its epoch");
}

static int adopt_stream(struct adopt *a, struct err *e)
{
    struct held_position p = {.lost = 0};
    int64_t now_ms;
    bool foreign;

    /* Redis' clock first: the lease is taken after it. */
    if (stream_clock_ms(a->redis, &now_ms, e) || look(a, &foreign, e))
        return -1;
    if (!foreign) {
        printf("stream=%s: no other ledger has it, left as it is\n", a->stream);
        return 0;
    }
    a->found++;
    printf("stream=%s ledger=%s epoch=%" PRId32 " position=%s waiting=%" PRId64 "\n", a->stream,
           a->group.mark.ledger, a->group.mark.epoch, a->group.last_id, a->waiting);
    if (!a->yes)
        return 0;
    if (take_lease(a, &p, e) || mark_stream(a, &p, now_ms, e) || open_epoch(a, &p, e))
        return -1;
    printf("stream=%s adopted from=%s lost=%" PRId64 "\n", a->stream, a->group.last_id, p.lost);
    return 0;
}

static int adopt_there(struct adopt *a, struct err *e)
{
    a->redis =
        redis_connect_blocking_at(a->config->base.redis_url, a->stream, REDIS_TIMEOUT_MS, NULL, e);
    int result = a->redis != NULL ? adopt_stream(a, e) : -1;

    redisFree(a->redis);
    a->redis = NULL;
    return result ? err_wrap(e, "%s", a->stream) : 0;
}

/* Streams that were taken over in a run that was cut short are this ledger's by now, and what the
 * other one left in the quota cache goes all the same. */
static int forget_quotas(struct adopt *a, struct err *e)
{
    char name[LEDGER_NAME_SIZE];
    int64_t count;

    snprintf(name, sizeof name, "%" PRId32 ":%s", a->takeovers, a->ledger);
    if (quota_forget_others(a->config->base.redis_url, name, &count, e))
        return err_wrap(e, "redis: quota cache");
    printf("quota cache: %" PRId64 " tenants of the other ledger are gone\n", count);
    return 0;
}

static int adopt_all(struct adopt *a, struct err *e)
{
    int64_t shards;

    if (read_identity(a, e) ||
        stream_shards_read(a->conn, a->config->base.stream_shards, &shards, e))
        return -1;
    for (int64_t i = 0; i < shards; i++) {
        stream_name(shards, i, a->stream);
        if (adopt_there(a, e))
            return -1;
    }
    return a->yes ? forget_quotas(a, e) : 0;
}

static int tell_what_happens(const struct adopt *a)
{
    if (a->found == 0)
        return CTL_DONE;
    return ctl_fail(
        CTL_FAILED,
        "nothing was done. Stop the aggregators and webhookd of the other ledger first. `meterctl "
        "stream adopt --yes` then lets this ledger (%s) count these streams from those positions "
        "on: what was counted before stays in the other ledger alone, what this one had counted "
        "itself stays, the other's hashes go from the quota cache, and sinks hold until "
        "`meterctl restore accept`, since what the other ledger sent is not known here",
        a->ledger);
}

int stream_adopt_run(const struct ctl_config *config, int argc, char **argv)
{
    struct adopt a = {.config = config};
    struct err e;

    if (ctl_take_flag(argc, argv, "--yes", &a.yes))
        return CTL_USAGE;
    lease_owner_name(CTL_PROGRAM, a.owner);
    a.conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code =
        a.conn != NULL && adopt_all(&a, &e) == 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "%s", e.text);
    if (code == CTL_DONE && !a.yes)
        code = tell_what_happens(&a);
    else if (code == CTL_DONE && a.found > 0)
        puts("sinks hold until: meterctl restore accept");
    PQfinish(a.conn);
    return code;
}

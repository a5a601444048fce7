/* meterctl stream reset: a stream that an entry with an id of its own drove into the future gives
 * ids of the present again.
 *
 * 1. In PostgreSQL: take the stream's lease, so that nobody counts it, and note the token of the
 *    epoch that is to come.
 * 2. In Redis, in one step: make the key anew, with what waits and that token in its mark.
 * 3. In PostgreSQL, in one transaction: end the epoch with its balance, open the one of that token.
 *
 * Cut short after 2, the next aggregator sees the token and does 3. So that 2 is never done when
 * the lease has gone to somebody else, Redis refuses it by its own clock well before. */
#include "common/contract.h"
#include "common/lease_owner.h"
#include "common/redis/redis.h"
#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_info.h"
#include "ctl/streams/stream_rewrite.h"
#include "ctl/streams/stream_shards.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clocks that run at different speeds do not matter in so short a time. */
enum { REDIS_TIMEOUT_MS = 600000, REWRITE_WITHIN_MS = 15000, AHEAD_MS = 60000 };
#define LEASE_S "30"

struct reset {
    PGconn *conn;
    redisContext *redis;
    char owner[LEASE_OWNER_SIZE];
    char stream[STREAM_NAME_SIZE];
    /* The position, as it was taken. */
    char epoch[16];
    char last_id[ENTRY_ID_SIZE];
    char token[EPOCH_TOKEN_SIZE];
    char reset_token[EPOCH_TOKEN_SIZE];
    int64_t outcomes;
    char ledger[EPOCH_TOKEN_SIZE];
    int32_t takeovers;
};

static void copy(char *out, size_t size, const PGresult *r, int column)
{
    snprintf(out, size, "%s", db_text(r, 0, column));
}

static int take_lease(struct reset *s, struct err *e)
{
    const char *values[] = {s->stream, s->owner, LEASE_S};
    PGresult *r = db_query(s->conn, SQL_RESET_BEGIN, 3, values, e);

    if (r == NULL)
        return err_wrap(e, "postgres");
    copy(s->epoch, sizeof s->epoch, r, 0);
    copy(s->last_id, sizeof s->last_id, r, 1);
    copy(s->token, sizeof s->token, r, 2);
    copy(s->reset_token, sizeof s->reset_token, r, 3);
    s->outcomes = db_i64(r, 0, 4);
    copy(s->ledger, sizeof s->ledger, r, 5);
    s->takeovers = (int32_t)db_i64(r, 0, 6);
    PQclear(r);
    return 0;
}

static int release(struct reset *s, bool untouched, struct err *e)
{
    const char *values[] = {s->stream, s->owner, untouched ? "true" : "false"};

    return db_run(s->conn, SQL_RESET_RELEASE, 3, values, NULL, e);
}

static int rewrite(struct reset *s, int64_t now_ms, struct stream_rewritten *out, struct err *e)
{
    struct epoch_mark mark = {.epoch = atoi(s->epoch) + (s->outcomes > 0),
                              .ended_added = s->outcomes,
                              .takeovers = s->takeovers};
    struct stream_rewrite what = {.stream = s->stream,
                                  .last_id = s->last_id,
                                  .token = s->outcomes > 0 ? s->token : "",
                                  .mark = &mark,
                                  .until_ms = now_ms + REWRITE_WITHIN_MS};
    struct err ignored;

    snprintf(mark.token, sizeof mark.token, "%s", s->reset_token);
    snprintf(mark.ledger, sizeof mark.ledger, "%s", s->ledger);
    if (s->outcomes > 0)
        snprintf(mark.ended, sizeof mark.ended, "%s", s->token);
    if (stream_rewrite(s->redis, &what, out, e) == 0)
        return 0;
    release(s, e->kind == ERR_REFUSED, &ignored);
    return err_wrap(e, "redis");
}

static int open_epoch(struct reset *s, struct err *e)
{
    const char *values[] = {s->stream, s->owner, s->epoch, s->last_id, s->reset_token};
    struct err ignored;

    if (db_run(s->conn, SQL_RESET_END, 5, values, NULL, e) == 0)
        return release(s, false, e);
    /* An aggregator finishes it. */
    release(s, false, &ignored);
    return err_wrap(e, "postgres: the stream is rewritten; the next aggregator ends the epoch");
}

static int run_reset(struct reset *s, int64_t now_ms, struct err *e)
{
    struct stream_rewritten done;

    if (take_lease(s, e) || rewrite(s, now_ms, &done, e) || open_epoch(s, e))
        return -1;
    printf("stream=%s ended_epoch=%s waiting=%" PRId64 " moved=%" PRId64 "\n", s->stream, s->epoch,
           done.waiting, done.moved);
    return 0;
}

/* Redis' clock first: the lease is taken after it. */
static int look(struct reset *s, int64_t *now_ms, bool *ahead, struct err *e)
{
    struct stream_info info;

    if (stream_clock_ms(s->redis, now_ms, e) || stream_info_read(s->redis, s->stream, &info, e))
        return -1;
    *ahead = info.exists && strtoull(info.last, NULL, 10) > (uint64_t)(*now_ms + AHEAD_MS);
    return 0;
}

/* Twice, should one that was cut short have come before, and another such entry since. */
static int reset_stream(struct reset *s, struct err *e)
{
    int64_t now_ms;
    bool ahead;

    if (look(s, &now_ms, &ahead, e))
        return -1;
    if (!ahead)
        printf("stream=%s: not in the future, left as it is\n", s->stream);
    for (int i = 0; ahead && i < 2; i++)
        if (run_reset(s, now_ms, e) || look(s, &now_ms, &ahead, e))
            return -1;
    return 0;
}

/* In a cluster each stream has a server of its own. */
static int reset_there(struct reset *s, const char *redis_url, struct err *e)
{
    s->redis = redis_connect_blocking_at(redis_url, s->stream, REDIS_TIMEOUT_MS, NULL, e);
    int result = s->redis != NULL ? reset_stream(s, e) : -1;

    redisFree(s->redis);
    s->redis = NULL;
    return result;
}

static int reset_all(struct reset *s, const struct ctl_config *config, struct err *e)
{
    int64_t shards;

    if (stream_shards_read(s->conn, config->base.stream_shards, &shards, e))
        return -1;
    for (int64_t i = 0; i < shards; i++) {
        stream_name(shards, i, s->stream);
        if (reset_there(s, config->base.redis_url, e))
            return err_wrap(e, "%s", s->stream);
    }
    return 0;
}

int stream_reset_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;
    struct reset s = {.conn = NULL};
    bool none = false;

    if (argc > 0)
        return ctl_take_flag(argc, argv, "", &none) ? CTL_USAGE : CTL_DONE;
    lease_owner_name(CTL_PROGRAM, s.owner);
    s.conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = s.conn != NULL && reset_all(&s, config, &e) == 0
                   ? CTL_DONE
                   : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(s.conn);
    return code;
}

/* meterctl stream lost: entries that somebody else removed from a stream before they were counted
 * (XTRIM, XDEL, XADD with MAXLEN) are booked as lost, so that the books balance again.
 *
 * Redis tells how many were ever added and how many wait, so the rest of the balance is what was
 * removed. With --yes the stream's lease is taken first: nobody counts while it is looked at, and
 * the aggregator goes on with the new balance. */
#include "common/lease_owner.h"
#include "common/redis/redis.h"
#include "ctl/audit/audit.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_group.h"
#include "ctl/streams/stream_info.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 10000 };
#define LEASE_S "30"

struct losing {
    const struct ctl_config *config;
    bool yes;
    PGconn *conn;
    char owner[LEASE_OWNER_SIZE];
    const char *stream;
    int64_t removed; /* of all streams */
    bool above;      /* a stream has fewer than are accounted for: that is no loss */
};

/* A ledger that is behind the stream lacks commits, and one whose Redis lost data has another
 * stream before it: what is missing there is no removal. An aggregator finds that, and says so. */
static int check_group(const struct losing *l, redisContext *redis, struct err *e)
{
    struct stream_group group;

    /* The group first: it never goes past what is committed. */
    if (stream_group_read(redis, l->stream, &group, e))
        return -1;
    PGresult *r = db_query(l->conn, SQL_LOST_POSITION, 1, &l->stream, e);
    if (!r)
        return err_wrap(e, "postgres");
    bool fits = group.marked && strcmp(group.mark.token, db_text(r, 0, 1)) == 0 &&
                entry_id_compare(group.last_id, db_text(r, 0, 0)) <= 0;
    PQclear(r);
    if (fits)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "stream and ledger do not belong together as they are: let an "
                   "aggregator open the stream first, and see what it says");
}

static int64_t number_of(const json_t *balance, const char *name)
{
    return json_integer_value(json_object_get(balance, name));
}

/* NULL with e. */
static json_t *read_balance(const struct losing *l, struct err *e)
{
    redisContext *redis =
        redis_connect_blocking_at(l->config->base.redis_url, l->stream, REDIS_TIMEOUT_MS, NULL, e);
    json_t *balance = redis ? audit_stream(l->conn, redis, l->stream, e) : NULL;

    if (balance && number_of(balance, "difference") > 0 && check_group(l, redis, e)) {
        json_decref(balance);
        balance = NULL;
    }
    redisFree(redis);
    return balance;
}

static int book(struct losing *l, const json_t *balance, struct err *e)
{
    char epoch[16];
    char removed[24];
    char lost[24];
    const char *values[] = {l->stream, l->owner, epoch, removed, lost};
    int64_t booked;

    snprintf(epoch, sizeof epoch, "%" PRId64, number_of(balance, "epoch"));
    snprintf(removed, sizeof removed, "%" PRId64, number_of(balance, "difference"));
    snprintf(lost, sizeof lost, "%" PRId64, number_of(balance, "lost"));
    if (db_run(l->conn, SQL_LOST_BOOK, 5, values, &booked, e))
        return err_wrap(e, "postgres");
    if (booked == 0)
        return err_set(e, ERR_FENCED, "the stream's lease went meanwhile: nothing was booked");
    printf("stream=%s epoch=%s booked lost=%s\n", l->stream, epoch, removed);
    return 0;
}

/* Returns 0, and whether there is something to book. */
static int tell(struct losing *l, bool *any, json_t **balance, struct err *e)
{
    *balance = read_balance(l, e);
    if (!*balance)
        return -1;
    int64_t difference = number_of(*balance, "difference");
    *any = difference > 0;
    l->above |= difference < 0;
    if (difference > 0)
        l->removed += difference;
    if (difference > 0 && !l->yes)
        printf("stream=%s epoch=%" PRId64 " removed=%" PRId64 "\n", l->stream,
               number_of(*balance, "epoch"), difference);
    return 0;
}

static int look(struct losing *l, struct err *e)
{
    json_t *balance;
    bool any;
    int result = tell(l, &any, &balance, e);

    if (result == 0 && any && l->yes)
        result = book(l, balance, e);
    json_decref(balance);
    return result;
}

static int look_leased(struct losing *l, struct err *e)
{
    const char *values[] = {l->stream, l->owner, LEASE_S};
    struct err ignored;

    if (db_run(l->conn, SQL_LOST_BEGIN, 3, values, NULL, e))
        return err_wrap(e, "postgres");
    int result = look(l, e);
    int released = db_run(l->conn, SQL_LOST_END, 2, values, NULL, result ? &ignored : e);
    return result ? result : released;
}

static int look_at_all(struct losing *l, const PGresult *streams, struct err *e)
{
    for (int i = 0; i < PQntuples(streams); i++) {
        l->stream = db_text(streams, i, 0);
        if ((l->yes ? look_leased : look)(l, e))
            return err_wrap(e, "%s", l->stream);
    }
    return 0;
}

static int run(struct losing *l, struct err *e)
{
    PGresult *streams = db_query(l->conn, SQL_LIST_STREAMS, 0, NULL, e);

    if (!streams)
        return -1;
    int result = look_at_all(l, streams, e);
    PQclear(streams);
    return result;
}

static int tell_result(const struct losing *l)
{
    if (l->above)
        return ctl_fail(CTL_FAILED,
                        "a stream has had fewer entries than are accounted for: that is "
                        "no loss, see `meterctl audit`");
    if (l->removed == 0)
        puts("no entries were removed before they were counted");
    if (l->removed > 0 && !l->yes)
        return ctl_fail(CTL_FAILED,
                        "nothing was booked. Somebody removed these entries before they "
                        "were counted (XTRIM, XDEL, or XADD with MAXLEN): find out who, "
                        "then say --yes to book them as lost");
    return CTL_DONE;
}

int stream_lost_run(const struct ctl_config *config, int argc, char **argv)
{
    struct losing l = {.config = config};
    struct err e;

    if (ctl_take_flag(argc, argv, "--yes", &l.yes))
        return CTL_USAGE;
    lease_owner_name(CTL_PROGRAM, l.owner);
    l.conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = l.conn && run(&l, &e) == 0 ? tell_result(&l) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(l.conn);
    return code;
}

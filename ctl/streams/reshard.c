/* meterctl reshard N: tenants are spread over N streams from now on.
 *
 * What is exact about it does not depend on who is restarted when. The number changes in one
 * transaction that takes every stream away, so that no batch counted by the old number is committed
 * after it, and none by the new one before. An entry that is, or comes to be, in another stream
 * than its tenant's is kept as rejected, wrong_shard, and moved to the right one by the
 * aggregators.
 *
 * Waiting for the old streams to be counted first only keeps that few: entries that wait in a
 * stream whose tenants move would all be moved one by one. */
#include "common/contract.h"
#include "common/redis/redis.h"
#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_info.h"
#include "ctl/streams/stream_shards.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SHARDS_MAX = 1024, REDIS_TIMEOUT_MS = 10000, LOCK_TIMEOUT_MS = 30000 };
enum { WAIT_MS = 60000, LOOK_EVERY_MS = 200, FEW = 1000 };

struct reshard {
    PGconn *conn;
    redisContext *redis;
    int64_t from;
    int64_t to;
};

static int add_waiting(struct reshard *r, const char *stream, int64_t *waiting, struct err *e)
{
    PGresult *position = db_query(r->conn, SQL_READ_POSITION, 1, &stream, e);
    struct stream_info info;
    int64_t more = 0;
    int failed;

    if (position == NULL)
        return err_wrap(e, "postgres");
    failed =
        stream_info_read(r->redis, stream, &info, e) ||
        stream_count_after(r->redis, stream, &info,
                           PQntuples(position) > 0 ? db_text(position, 0, 1) : "0-0", &more, e);
    PQclear(position);
    *waiting += more;
    return failed ? err_wrap(e, "redis") : 0;
}

static int count_waiting(struct reshard *r, int64_t *waiting, struct err *e)
{
    char stream[STREAM_NAME_SIZE];

    *waiting = 0;
    for (int64_t i = 0; i < r->from; i++) {
        stream_name(r->from, i, stream);
        if (add_waiting(r, stream, waiting, e))
            return -1;
    }
    return 0;
}

static int wait_for_few(struct reshard *r, struct err *e)
{
    struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
    int64_t waiting = 0;

    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += LOOK_EVERY_MS) {
        if (count_waiting(r, &waiting, e))
            return -1;
        if (waiting <= FEW)
            return 0;
        nanosleep(&pause, NULL);
    }
    printf("waiting=%" PRId64 ": not waited for any longer; those of other streams are moved\n",
           waiting);
    return 0;
}

static int change_number(struct reshard *r, struct err *e)
{
    char to[24];
    char from[24];
    const char *values[] = {to, from};
    int64_t changed = 0;

    snprintf(from, sizeof from, "%" PRId64, r->from);
    if (db_run(r->conn, SQL_KEEP_STREAMS, 1, &values[1], NULL, e))
        return -1;
    snprintf(to, sizeof to, "%" PRId64, r->to);
    if (db_run(r->conn, SQL_CHANGE_SHARDS, 2, values, &changed, e))
        return -1;
    return changed == 1 ? 0
                        : err_set(e, ERR_REFUSED, "somebody else changed the number: look again");
}

/* Nobody takes, moves or adds a stream then until the transaction ends; a batch that is being
 * written is waited for. */
static const char LOCK[] = "LOCK TABLE stream_positions IN EXCLUSIVE MODE";

static int change(struct reshard *r, struct err *e)
{
    struct err ignored;

    if (db_script(r->conn, "BEGIN", e) == 0 && db_script(r->conn, LOCK, e) == 0 &&
        db_run(r->conn, SQL_RELEASE_STREAMS, 0, NULL, NULL, e) == 0 && change_number(r, e) == 0 &&
        db_script(r->conn, "COMMIT", e) == 0)
        return 0;
    db_script(r->conn, "ROLLBACK", &ignored);
    return err_wrap(e, "postgres");
}

static int reshard(struct reshard *r, struct err *e)
{
    if (stream_shards_read(r->conn, 0, &r->from, e))
        return -1;
    if (r->from == r->to) {
        printf("shards=%" PRId64 ": left as it is\n", r->to);
        return 0;
    }
    if (wait_for_few(r, e))
        return -1;
    db_set_timeout(LOCK_TIMEOUT_MS);
    if (change(r, e))
        return -1;
    printf("shards=%" PRId64 " before=%" PRId64 "\n", r->to, r->from);
    puts("Aggregators follow within seconds, but for those whose METERLINE_STREAM_SHARDS is set: "
         "restart them with the new number, or without it. Then let every service write by the "
         "new number.");
    return 0;
}

/* Returns 0, or -1 after telling what is wrong. */
static int take_number(int argc, char **argv, int64_t *out)
{
    char *end = NULL;

    if (argc == 1)
        *out = strtoll(argv[0], &end, 10);
    if (argc == 1 && end != argv[0] && *end == '\0' && *out >= 1 && *out <= SHARDS_MAX)
        return 0;
    ctl_fail(CTL_USAGE, "reshard: needs one number, 1 to %d", SHARDS_MAX);
    return -1;
}

int reshard_run(const struct ctl_config *config, int argc, char **argv)
{
    struct reshard r = {.conn = NULL};
    struct err e;

    if (take_number(argc, argv, &r.to) != 0)
        return CTL_USAGE;
    r.conn = db_open(config->base.database_url, CTL_ROLE, &e);
    if (r.conn != NULL)
        r.redis = redis_connect_blocking(config->base.redis_url, REDIS_TIMEOUT_MS, &e);
    int code =
        r.redis != NULL && reshard(&r, &e) == 0 ? CTL_DONE : ctl_fail(CTL_FAILED, "%s", e.text);
    if (r.redis != NULL)
        redisFree(r.redis);
    PQfinish(r.conn);
    return code;
}

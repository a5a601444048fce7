/* meterctl reshard N: tenants are spread over N streams from now on.
 *
 * It is exact whoever is restarted when. The number changes in one transaction that takes every
 * stream from its aggregator, so that no batch counted by the old number is committed after it, and
 * none by the new one before it. An entry in another stream than its tenant's is kept as rejected,
 * wrong_shard, and aggregators move it to the right one.
 *
 * It waits for the old streams to be counted first, because entries that still wait would have
 * to be moved one by one. */
#include "common/redis/redis.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { SHARDS_MAX = 1024, REDIS_TIMEOUT_MS = 10000, LOCK_TIMEOUT_MS = 30000 };
enum { WAIT_MS = 60000, LOOK_EVERY_MS = 200, FEW = 1000 };

struct reshard {
    const char *redis_url;
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
    if (!position)
        return err_wrap(e, "postgres");
    int failed =
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
                        : err_set(e, ERR_REFUSED,
                                  "somebody else changed the number of streams meanwhile: see "
                                  "`meterctl status`, then try again");
}

/* Until the transaction ends, no aggregator can take, move or add a stream. It waits for a batch
 * that is being written. */
static const char LOCK[] = "LOCK TABLE stream_positions IN EXCLUSIVE MODE";

static int change(PGconn *conn, void *owner, struct err *e)
{
    if (db_script(conn, LOCK, e) || db_run(conn, SQL_RELEASE_STREAMS, 0, NULL, NULL, e))
        return -1;
    return change_number(owner, e);
}

static int reshard(struct reshard *r, struct err *e)
{
    if (stream_shards_read(r->conn, 0, &r->from, e))
        return -1;
    if (r->from == r->to) {
        printf("shards=%" PRId64 ": that is the number already, nothing to do\n", r->to);
        return 0;
    }
    if (wait_for_few(r, e))
        return -1;
    db_set_timeout(LOCK_TIMEOUT_MS);
    if (db_transaction(r->conn, change, r, e))
        return err_wrap(e, "postgres");
    printf("shards=%" PRId64 " before=%" PRId64 "\n", r->to, r->from);
    puts("Aggregators follow within seconds, except those whose METERLINE_STREAM_SHARDS is set: "
         "restart them with the new number, or without it. Then set the new number in every "
         "service.");
    return 0;
}

static int run(PGconn *conn, void *owner)
{
    struct reshard *r = owner;
    struct err e;
    r->conn = conn;
    r->redis = redis_connect_blocking(r->redis_url, REDIS_TIMEOUT_MS, &e);
    int failed = !r->redis || reshard(r, &e);
    redisFree(r->redis);
    return failed ? ctl_fail_err(CTL_FAILED, &e) : CTL_DONE;
}

int reshard_run(const struct ctl_config *config, int argc, char **argv)
{
    struct reshard r = {.redis_url = config->base.redis_url};
    if (args_parse(argc, argv, NULL, 1, 1) < 0 || args_whole("N", argv[0], 1, SHARDS_MAX, &r.to))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, run, &r);
}

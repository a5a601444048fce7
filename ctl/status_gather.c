/* How the line is doing, as far as it can be told. */
#include "common/redis.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/status.h"

enum { PEER_TIMEOUT_MS = 5000 };

static const struct part {
    const char *list; /* of the report */
    const char *sql;
} PARTS[] = {
    {"stages", SQL_STATUS_SINK},
    {"stages", SQL_STATUS_WEBHOOKD},
    {"submissions", SQL_STATUS_SUBMISSIONS},
    {"webhooks", SQL_STATUS_WEBHOOKS},
    {"unbilled", SQL_STATUS_UNBILLED},
    {"ledger", SQL_STATUS_LEDGER},
    {"quotas", SQL_STATUS_QUOTAS},
};

static void add_peer(json_t *report, const char *peer, const char *state, const struct err *error)
{
    json_t *row = json_pack("{s:s, s:s}", "peer", peer, "state", state);

    /* A text that was cut within a character is no JSON. */
    if (error && json_object_set_new(row, "error", json_string(error->text)))
        json_object_set_new(row, "error", json_string(err_kind_text(error->kind)));
    json_array_append_new(json_object_get(report, "peers"), row);
}

static int add_parts(PGconn *conn, json_t *report, struct err *e)
{
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        PGresult *rows = db_query(conn, PARTS[i].sql, 0, NULL, e);
        if (!rows)
            return -1;
        report_add_rows(json_object_get(report, PARTS[i].list), rows);
        PQclear(rows);
    }
    return 0;
}

static PGconn *open_postgres(const struct ctl_config *config, struct err *e)
{
    db_set_timeout(PEER_TIMEOUT_MS);
    return db_open(config->base.database_url, CTL_ROLE, e);
}

/* The row of quotas is made where PostgreSQL has not made it. */
static int add_cache(const char *redis_url, json_t *report, struct err *e)
{
    json_t *quotas = json_object_get(report, "quotas");

    if (json_array_size(quotas) == 0)
        json_array_append_new(quotas, json_object());
    return status_add_cache(redis_url, json_array_get(quotas, 0), e);
}

/* One peer may fail while the other is read: what was read before stays in the report. */
/* redis_url: NULL if Redis is down. */
static void gather(const struct ctl_config *config, PGconn *conn, const char *redis_url,
                   json_t *report)
{
    json_t *stages = json_object_get(report, "stages");
    struct err e;

    if (status_add_streams(conn, redis_url, config->base.stream_shards, stages, &e))
        add_peer(report, "streams", "failed", &e);
    if (conn && add_parts(conn, report, &e))
        add_peer(report, "postgres", "failed", &e);
    if (redis_url && add_cache(redis_url, report, &e))
        add_peer(report, "redis", "failed", &e);
}

json_t *status_gather(const struct ctl_config *config, bool *read)
{
    struct err pg_error;
    struct err redis_error;
    json_t *report = json_pack("{s:[], s:[], s:[], s:[], s:[], s:[], s:[]}", "peers", "stages",
                               "submissions", "webhooks", "unbilled", "quotas", "ledger");
    PGconn *conn = open_postgres(config, &pg_error);
    redisContext *redis =
        redis_connect_blocking(config->base.redis_url, PEER_TIMEOUT_MS, &redis_error);

    add_peer(report, "redis", redis ? "up" : "down", redis ? NULL : &redis_error);
    add_peer(report, "postgres", conn ? "up" : "down", conn ? NULL : &pg_error);
    *read = conn || redis;
    if (*read)
        gather(config, conn, redis ? config->base.redis_url : NULL, report);
    redisFree(redis);
    PQfinish(conn);
    return report;
}

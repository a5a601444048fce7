/* meterctl rejected replay: rejected entries into their streams once more.
 *
 * First all are read and what would happen is told; then they are sent. Whoever ends in between
 * sends some twice: they count once, since each carries its id and its time (replay_entry.h). */
#include "common/redis/redis.h"
#include "ctl/ctl.h"
#include "ctl/known.h"
#include "ctl/rejected/quantity_round.h"
#include "ctl/rejected/replay.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 10000 };

static void print_plan(const struct replay *r)
{
    for (int i = 0; i < REPLAY_OBSTACLES; i++)
        if (r->skipped[i] > 0)
            printf("skipped reason=%s entries=%" PRId64 " msg=\"%s\"\n",
                   replay_obstacle_name((enum replay_obstacle)i), r->skipped[i],
                   replay_obstacle_text((enum replay_obstacle)i));
    if (r->rounded > 0)
        printf("rounded entries=%" PRId64 " msg=\"quantities to %" PRId64
               " decimals, half away from zero\"\n",
               r->rounded, r->decimals);
    printf("%" PRId64 " of %" PRId64 " entries can be replayed\n", r->to_send, r->found);
}

/* Entries asked for by id, and not sent, are a failure; of a filter they are not. */
static int tell(const struct replay *r)
{
    printf("replayed %" PRId64 " entries\n", r->sent);
    return r->ids_count > 0 && r->sent < r->ids_count ? CTL_FAILED : CTL_DONE;
}

static int send_all(struct replay *r)
{
    struct err e;

    if (r->dry_run || r->to_send == 0)
        return r->ids_count > 0 && r->to_send < r->ids_count ? CTL_FAILED : CTL_DONE;
    if (r->ids_count == 0 && !r->yes)
        return ctl_fail(CTL_FAILED, "nothing was sent: say --yes to replay them, or --dry-run");
    if (replay_send(r, &e) == 0)
        return tell(r);
    tell(r);
    return ctl_fail(CTL_FAILED, "%s (run it again: what was sent counts once)", e.text);
}

static int read_clock(struct replay *r, struct err *e)
{
    redisReply *reply = redisCommand(r->redis, "TIME");
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        err_set(e, ERR_CLOSED, "redis: TIME: %s",
                reply && reply->str ? reply->str : r->redis->errstr);
        freeReplyObject(reply);
        return -1;
    }
    r->now_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
                strtoll(reply->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(reply);
    return 0;
}

static int read_ledger(struct replay *r, struct err *e)
{
    PGresult *shards = db_query(r->conn, SQL_READ_STREAM_SHARDS, 0, NULL, e);
    PGresult *newest = shards ? db_query(r->conn, SQL_FIND_NEWEST_REJECTED, 0, NULL, e) : NULL;

    if (newest)
        r->metrics = db_query(r->conn, SQL_LIST_EVENT_METRICS, 0, NULL, e);
    if (r->metrics) {
        r->shards = db_i64(shards, 0, 0);
        snprintf(r->newest, sizeof r->newest, "%s", db_text(newest, 0, 0));
    }
    PQclear(shards);
    PQclear(newest);
    return r->metrics ? 0 : -1;
}

static int open_peers(struct replay *r, const struct ctl_config *config, struct err *e)
{
    r->conn = db_open(config->base.database_url, CTL_ROLE, e);
    if (!r->conn)
        return -1;
    r->redis = redis_connect_blocking(config->base.redis_url, REDIS_TIMEOUT_MS, e);
    return r->redis ? 0 : err_wrap(e, "redis");
}

static int replay(struct replay *r, const struct ctl_config *config)
{
    struct err e;

    if (open_peers(r, config, &e))
        return ctl_fail(CTL_FAILED, "%s", e.text);
    int code = args_time(r->conn, "--since", r->filter.since, r->filter.since_at);
    if (code == CTL_DONE)
        code = known_check(r->conn, r->filter.tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    if (read_ledger(r, &e) || read_clock(r, &e) || replay_plan(r, &e))
        return ctl_fail(CTL_FAILED, "%s", e.text);
    print_plan(r);
    if (r->found < r->ids_count)
        ctl_fail(CTL_FAILED, "%" PRId64 " of these ids are not in rejected_events",
                 r->ids_count - r->found);
    return send_all(r);
}

static bool stands_before(char **words, int at)
{
    for (int i = 0; i < at; i++)
        if (strcmp(words[i], words[at]) == 0)
            return true;
    return false;
}

static int take_ids(struct replay *r, int count, char **words)
{
    for (int i = 0; i < count; i++) {
        if (rejected_check_id(words[i]))
            return -1;
        if (stands_before(words, i))
            continue;
        buf_printf(&r->ids, "%s%s", r->ids_count == 0 ? "{" : ",", words[i]);
        r->ids_count++;
    }
    if (count > 0)
        buf_add_str(&r->ids, "}");
    return 0;
}

/* Exactly one way to say which. */
static int check_selection(const struct replay *r)
{
    bool filtered = r->filter.tenant || r->filter.reason || r->filter.since;

    if ((r->ids_count > 0) + filtered + r->all == 1)
        return 0;
    return ctl_fail(-1, "which ones? Say ids, or --tenant, --reason, --since, or --all");
}

int rejected_replay_run(const struct ctl_config *config, int argc, char **argv)
{
    struct replay r = {.decimals = -1};
    const char *decimals = NULL;
    const struct args_option options[] = {REJECTED_FILTER_OPTIONS(r.filter),
                                          {"--round", &decimals, NULL},
                                          {"--all", NULL, &r.all},
                                          {"--yes", NULL, &r.yes},
                                          {"--again", NULL, &r.again},
                                          {"--dry-run", NULL, &r.dry_run},
                                          {NULL, NULL, NULL}};
    int plain = args_take(argc, argv, options);
    int code = CTL_USAGE;

    if (plain >= 0 && take_ids(&r, plain, argv) == 0 && check_selection(&r) == 0 &&
        rejected_check_reason(&r.filter) == 0 &&
        args_whole("--round", decimals, 0, QUANTITY_DECIMALS_MAX, &r.decimals) == 0)
        code = replay(&r, config);
    buf_done(&r.ids);
    PQclear(r.metrics);
    redisFree(r.redis);
    PQfinish(r.conn);
    return code;
}

/* meterctl rejected replay: sends rejected entries into their streams again.
 *
 * First all of them are read, to say what would happen; then they are sent. If it is interrupted
 * and run again, some are sent twice. They count once, since each carries its id and its time
 * (replay_entry.h). */
#include "common/contract.h"
#include "common/redis/redis.h"
#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/redis_ask.h"
#include "ctl/rejected/quantity_round.h"
#include "ctl/rejected/rejected.h"
#include "ctl/rejected/replay_entry.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REDIS_TIMEOUT_MS = 10000 };

struct replay {
    const char *redis_url;
    PGconn *conn;
    redisContext *redis;
    struct rejected_filter filter;
    struct buf ids; /* an array literal; empty: by filter */
    int64_t ids_count;
    bool all, yes, again, dry_run;
    int64_t decimals; /* quantities that would be refused are rounded to them; -1: they are not */
    int64_t shards;
    PGresult *metrics; /* that events may name */
    int64_t now_ms;    /* Redis' clock */
    char newest[24];   /* entries after this one are not looked at */
    int64_t to_send;   /* found by the plan */
    int64_t found;     /* sent or not */
    int64_t rounded;   /* of those to send */
    int64_t sent;      /* acknowledged and noted */
    int64_t skipped[REPLAY_OBSTACLES];
};

/* Rejected entries, a page at a time: what would happen, then into their streams. They are noted
 * only when Redis has acknowledged them, so that what is lost in between is sent twice, and counts
 * once. */

/* What is done with a page; both passes. */
typedef int (*page_fn)(struct replay *r, const PGresult *page, struct err *e);

static PGresult *read_page(struct replay *r, const char *after, struct err *e)
{
    const char *values[] = {after,
                            r->newest,
                            r->ids.length ? r->ids.data : NULL,
                            r->filter.tenant,
                            r->filter.reason,
                            args_or_null(r->filter.since_at),
                            r->again ? "t" : "f"};
    return db_query(r->conn, SQL_READ_REJECTED_PAGE, 7, values, e);
}

static int for_each_page(struct replay *r, page_fn work, struct err *e)
{
    char after[24] = "0";
    int rows;
    do {
        PGresult *page = read_page(r, after, e);
        if (!page)
            return -1;
        rows = PQntuples(page);
        int failed = rows > 0 && work(r, page, e);
        if (rows > 0)
            snprintf(after, sizeof after, "%s", db_text(page, rows - 1, 0));
        PQclear(page);
        if (failed)
            return -1;
    } while (rows > 0);
    return 0;
}

static bool is_metric(const void *metrics, const char *name, size_t length)
{
    for (int i = 0; i < PQntuples(metrics); i++) {
        const char *known = db_text(metrics, i, 0);
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return true;
    }
    return false;
}

static enum replay_obstacle build(const struct replay *r, const PGresult *page, int row,
                                  struct replay_entry *out, bool *rounded)
{
    *out = (struct replay_entry){0};
    *rounded = false;
    if (strcmp(db_text(page, row, 5), "t") == 0)
        return REPLAY_DONE;
    if (strcmp(db_text(page, row, 3), REASON_CONFLICT) == 0)
        return REPLAY_CONFLICT;
    enum replay_obstacle obstacle = replay_entry_build(db_text(page, row, 4), db_text(page, row, 1),
                                                       db_text(page, row, 2), r->now_ms, out);
    if (obstacle == REPLAY_NONE && r->decimals >= 0)
        obstacle = replay_entry_round(out, (int)r->decimals, rounded);
    if (obstacle == REPLAY_NONE)
        obstacle = replay_check(out, is_metric, r->metrics);
    return obstacle;
}

static int plan_page(struct replay *r, const PGresult *page, struct err *e)
{
    (void)e;
    for (int i = 0; i < PQntuples(page); i++) {
        struct replay_entry entry;
        bool rounded;
        enum replay_obstacle obstacle = build(r, page, i, &entry, &rounded);
        r->found++;
        r->rounded += rounded && obstacle == REPLAY_NONE;
        if (obstacle == REPLAY_NONE)
            r->to_send++;
        else
            r->skipped[obstacle]++;
        replay_entry_done(&entry);
    }
    return 0;
}

/* Into its tenant's shard. */
static void append_entry(struct replay *r, const struct replay_entry *entry)
{
    char stream[STREAM_NAME_SIZE];
    size_t argc = entry->count + 3;
    const char **argv = xcalloc(argc, sizeof *argv);
    size_t *lengths = xcalloc(argc, sizeof *lengths);
    uint16_t crc = str_crc16(entry->tenant, entry->tenant_length);
    stream_name(r->shards, crc % r->shards, stream);
    const char *const head[] = {"XADD", stream, "*"};
    for (size_t i = 0; i < argc; i++) {
        argv[i] = i < 3 ? head[i] : entry->parts[i - 3];
        lengths[i] = i < 3 ? strlen(head[i]) : entry->lengths[i - 3];
    }
    redisAppendCommandArgv(r->redis, (int)argc, argv, lengths);
    free(argv);
    free(lengths);
}

static int read_answer(struct replay *r, struct err *e)
{
    void *answer = NULL;
    if (redisGetReply(r->redis, &answer) != REDIS_OK)
        return err_set(e, ERR_CLOSED, "redis: %s", r->redis->errstr);
    const redisReply *reply = answer;
    int failed = reply->type == REDIS_REPLY_ERROR;
    if (failed)
        err_set(e, ERR_REFUSED, "redis: %s", reply->str);
    freeReplyObject(answer);
    return failed ? -1 : 0;
}

/* ids: of the entries that Redis has, as an array literal without its braces. */
static int note_sent(struct replay *r, const struct buf *ids, struct err *e)
{
    if (ids->length == 0)
        return 0;
    char *list = xasprintf("{%s}", ids->data);
    const char *value = list;
    int64_t noted = 0;
    int failed = db_run(r->conn, SQL_NOTE_REPLAYED, 1, &value, &noted, e);
    r->sent += noted;
    free(list);
    return failed;
}

static int read_answers(struct replay *r, const PGresult *page, const bool *appended, struct err *e)
{
    struct buf ids = {0};
    struct err note_err;
    int result = 0;
    for (int i = 0; i < PQntuples(page); i++) {
        if (!appended[i])
            continue;
        if (read_answer(r, e)) {
            result = -1;
            /* After an error reply the entries behind it were added all the same; a lost
             * connection ends it. */
            if (e->kind == ERR_REFUSED)
                continue;
            break;
        }
        buf_printf(&ids, "%s%s", ids.length ? "," : "", db_text(page, i, 0));
    }
    if (note_sent(r, &ids, result ? &note_err : e))
        result = -1;
    buf_done(&ids);
    return result;
}

static int send_page(struct replay *r, const PGresult *page, struct err *e)
{
    bool *appended = xcalloc((size_t)PQntuples(page), sizeof *appended);
    for (int i = 0; i < PQntuples(page); i++) {
        struct replay_entry entry;
        bool rounded;
        appended[i] = build(r, page, i, &entry, &rounded) == REPLAY_NONE;
        if (appended[i])
            append_entry(r, &entry);
        replay_entry_done(&entry);
    }
    int result = read_answers(r, page, appended, e);
    free(appended);
    return result;
}

/* The command. */

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

/* It is a failure if an entry that was named by its id was not sent. */
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
        return ctl_fail(CTL_FAILED, "nothing was sent: run it again with --yes to replay them");
    if (for_each_page(r, send_page, &e) == 0)
        return tell(r);
    tell(r);
    return ctl_fail(CTL_FAILED, "%s (run it again: what was sent already counts only once)",
                    e.text);
}

static int read_ledger(struct replay *r, struct err *e)
{
    PGresult *newest = db_query(r->conn, SQL_FIND_NEWEST_REJECTED, 0, NULL, e);
    if (!newest)
        return -1;
    snprintf(r->newest, sizeof r->newest, "%s", db_text(newest, 0, 0));
    PQclear(newest);
    r->metrics = db_query(r->conn, SQL_LIST_EVENT_METRICS, 0, NULL, e);
    return r->metrics ? stream_shards_read(r->conn, 0, &r->shards, e) : -1;
}

static int replay(struct replay *r)
{
    struct err e;
    int code = args_time(r->conn, "--since", r->filter.since, r->filter.since_at);
    if (code == CTL_DONE)
        code = names_check(r->conn, r->filter.tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    r->redis = redis_connect_blocking(r->redis_url, REDIS_TIMEOUT_MS, &e);
    if (!r->redis)
        return ctl_fail(CTL_FAILED, "redis: %s", e.text);
    if (read_ledger(r, &e) || redis_clock_ms(r->redis, &r->now_ms, &e) ||
        for_each_page(r, plan_page, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    print_plan(r);
    if (r->found < r->ids_count)
        ctl_fail(CTL_FAILED, "%" PRId64 " of these ids are not in rejected_events",
                 r->ids_count - r->found);
    return send_all(r);
}

static int run(PGconn *conn, void *owner)
{
    struct replay *r = owner;
    r->conn = conn;
    int code = replay(r);
    PQclear(r->metrics);
    redisFree(r->redis);
    return code;
}

static bool stands_before(char **words, int at)
{
    for (int i = 0; i < at; i++)
        if (strcmp(words[i], words[at]) == 0)
            return true;
    return false;
}

static int parse_ids(struct replay *r, int count, char **words)
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

/* Entries must be chosen in exactly one way. */
static int check_selection(const struct replay *r)
{
    bool filtered = r->filter.tenant || r->filter.reason || r->filter.since;
    if ((r->ids_count > 0) + filtered + r->all == 1)
        return 0;
    return ctl_fail(-1, "either IDs, or a filter (--tenant, --reason, --since), or --all is "
                        "required, to say which entries");
}

int rejected_replay_run(const struct ctl_config *config, int argc, char **argv)
{
    struct replay r = {.redis_url = config->base.redis_url, .decimals = -1};
    const char *decimals = NULL;
    const struct args_option options[] = {REJECTED_FILTER_OPTIONS(r.filter),
                                          {"--round", &decimals, NULL},
                                          {"--all", NULL, &r.all},
                                          {"--yes", NULL, &r.yes},
                                          {"--again", NULL, &r.again},
                                          {"--dry-run", NULL, &r.dry_run},
                                          {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, argc);
    int code = CTL_USAGE;
    if (plain >= 0 && parse_ids(&r, plain, argv) == 0 && check_selection(&r) == 0 &&
        rejected_check_reason(&r.filter) == 0 &&
        args_whole("--round", decimals, 0, QUANTITY_DECIMALS_MAX, &r.decimals) == 0)
        code = ctl_with_database(config, CTL_FAILED, run, &r);
    buf_done(&r.ids);
    return code;
}

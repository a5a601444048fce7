/* Rejected entries, a page at a time: what would happen, then into their streams. Noted only when
 * Redis has acknowledged them, so that what is lost in between is sent twice, and counts once. */
#include "ctl/rejected/replay.h"
#include "common/contract.h"
#include "ctl/rejected/replay_check.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int take_answer(struct replay *r, struct err *e)
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

static int take_answers(struct replay *r, const PGresult *page, const bool *appended, struct err *e)
{
    struct buf ids = {0};
    struct err note_err;
    int result = 0;

    for (int i = 0; i < PQntuples(page); i++) {
        if (!appended[i])
            continue;
        if (take_answer(r, e)) {
            result = -1;
            /* What is behind an error answer was added all the same; a lost connection ends it. */
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
    int result = take_answers(r, page, appended, e);
    free(appended);
    return result;
}

int replay_plan(struct replay *r, struct err *e)
{
    return for_each_page(r, plan_page, e);
}

int replay_send(struct replay *r, struct err *e)
{
    return for_each_page(r, send_page, e);
}

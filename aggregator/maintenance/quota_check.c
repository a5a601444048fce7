/* What stands in the cache already is not written again: known from before, or looked at by one
 * HMGET a tenant. */
#include "aggregator/maintenance/quota.h"

#include "common/clock.h"
#include "common/dec.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 10000 };

/* The columns of read_used.sql. */
enum { TENANT, METRIC, USED, VERSION, PERIOD_END_MS };

/* Fields asked for, of each metric; whose hash it is comes before them. */
static const char *const FIELDS[] = {"version", "used", "period_end"};
enum { N_FIELDS = sizeof FIELDS / sizeof *FIELDS };

struct check {
    struct quota *quota;
    int from; /* rows of the first result in line */
    int to;
};

static void used_text(const PGresult *r, int row, char out[DEC_TEXT_SIZE])
{
    struct dec used = DEC_ZERO;

    if (dec_parse(PQgetvalue(r, row, USED), (size_t)PQgetlength(r, row, USED), &used) != 0)
        abort();
    out[dec_format(used, out)] = '\0';
}

/* Of a row: its tenant and metric, and what stands there; not when it was read. */
static void digest_row(const struct quota *q, int row, uint64_t *name, uint64_t *seen)
{
    const PGresult *r = q->line[0].result;
    char text[TENANT_MAX_BYTES + METRIC_MAX_BYTES + 2];
    char content[128];
    int length = snprintf(text, sizeof text, "%s%c%s", PQgetvalue(r, row, TENANT), 0,
                          PQgetvalue(r, row, METRIC));

    *name = digests_of(&q->known, text, (size_t)length);
    length = snprintf(content, sizeof content, "%s %s %s", PQgetvalue(r, row, USED),
                      PQgetvalue(r, row, VERSION), PQgetvalue(r, row, PERIOD_END_MS));
    *seen = digests_of(&q->known, content, (size_t)length);
}

void quota_know(struct quota *q, int from, int to)
{
    for (int row = from; row < to; row++) {
        uint64_t name;
        uint64_t seen;

        digest_row(q, row, &name, &seen);
        digests_note(&q->known, name, seen);
    }
}

static bool is_known(const struct quota *q, int from, int to)
{
    for (int row = from; row < to; row++) {
        uint64_t name;
        uint64_t seen;

        digest_row(q, row, &name, &seen);
        if (!digests_know(&q->known, name, seen))
            return false;
    }
    return true;
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* A newer version may have been written meanwhile. */
static bool is_row(const PGresult *r, int row, redisReply *const *fields)
{
    char used[DEC_TEXT_SIZE];
    int64_t version;
    int64_t ours;
    const char *text = PQgetvalue(r, row, VERSION);

    if (fields[0]->type != REDIS_REPLY_STRING ||
        str_to_i64(fields[0]->str, fields[0]->len, &version) != 0 ||
        str_to_i64(text, strlen(text), &ours) != 0 || version < ours)
        return false;
    used_text(r, row, used);
    return version > ours ||
           (is_text(fields[1], used) && is_text(fields[2], PQgetvalue(r, row, PERIOD_END_MS)));
}

static bool is_there(const struct quota *q, const struct check *c, const redisReply *answer)
{
    size_t rows = (size_t)(c->to - c->from);

    if (answer->type != REDIS_REPLY_ARRAY || answer->elements != 1 + rows * N_FIELDS ||
        !is_text(answer->element[0], q->ledger))
        return false;
    for (size_t i = 0; i < rows; i++)
        if (!is_row(q->line[0].result, c->from + (int)i, &answer->element[1 + i * N_FIELDS]))
            return false;
    return true;
}

/* An error reply may be for something in its place that is no hash: writing sees to it. */
static void on_asked(void *owner, const struct err *error, void *reply)
{
    struct check c = *(struct check *)owner;
    struct quota *q = c.quota;

    free(owner);
    if (error != NULL && error->kind != ERR_REFUSED)
        q->failed = true;
    else if (error == NULL && is_there(q, &c, reply))
        quota_know(q, c.from, c.to);
    else
        quota_send_tenant(q, c.from, c.to);
    quota_end_reply(q);
}

static void ask(struct quota *q, int from, int to)
{
    const PGresult *r = q->line[0].result;
    int argc = 3 + (to - from) * N_FIELDS;
    char **argv = xcalloc((size_t)argc, sizeof *argv);
    int n = 3;
    struct check *c = xmalloc(sizeof *c);

    *c = (struct check){q, from, to};
    argv[0] = xstrdup("HMGET");
    argv[1] = xasprintf(QUOTA_KEY_PREFIX "%s}", PQgetvalue(r, from, TENANT));
    argv[2] = xstrdup("ledger");
    for (int row = from; row < to; row++)
        for (int i = 0; i < N_FIELDS; i++)
            argv[n++] = xasprintf("%s.%s", PQgetvalue(r, row, METRIC), FIELDS[i]);
    redis_router_command(q->redis, argv[1], strlen(argv[1]), DEADLINE_MS, on_asked, c, argc,
                         (const char **)argv, NULL);
    while (n > 0)
        free(argv[--n]);
    free(argv);
}

void quota_check_tenant(struct quota *q, int from, int to)
{
    bool kept = q->round_stamp != 0 && q->round_stamp == q->stamp && q->rounds > 0;

    if (kept && is_known(q, from, to))
        return;
    q->replies_left++;
    ask(q, from, to);
}

static void on_told(void *owner, const struct err *error, void *reply)
{
    struct quota *q = owner;

    (void)error;
    (void)reply;
    q->busy = false;
    q->done(q->owner);
}

void quota_tell_checked(struct quota *q)
{
    char now[24];
    const char *argv[] = {"HSET", QUOTA_CHECKED, CHECKED_USED, now};

    snprintf(now, sizeof now, "%" PRId64, clock_unix_ms());
    redis_router_command(q->redis, QUOTA_CHECKED, strlen(QUOTA_CHECKED), DEADLINE_MS, on_told, q, 4,
                         argv, NULL);
}

#include "sink/ledger_check/ledger_facts.h"

#include "common/contract.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 5000, NUMBER_SIZE = 24, ARGUMENTS_MAX = 8 };

enum { SENT_KEY_SIZE = sizeof SENT_KEY_PREFIX + EPOCH_TOKEN_SIZE };

/* Columns of read_ledger.sql. */
enum {
    LEDGER_ID,
    IS_KNOWN,
    LIFE,
    IS_FIRST,
    PICKS,
    REDIS_RUN,
    HAS_PAST,
    STREAM,
    EPOCH,
    TOKEN,
    RESET_TOKEN,
    LAST_ID
};

/* The ledger's rows. */

static bool is_true(const PGresult *r, int column)
{
    return *PQgetvalue(r, 0, column) == 't';
}

bool ledger_row_is_known(const PGresult *r)
{
    return is_true(r, IS_KNOWN);
}

bool ledger_row_is_first(const PGresult *r)
{
    return is_true(r, IS_FIRST);
}

const char *ledger_row_id(const PGresult *r)
{
    return PQgetvalue(r, 0, LEDGER_ID);
}

const char *ledger_row_life(const PGresult *r)
{
    return PQgetvalue(r, 0, LIFE);
}

int64_t ledger_row_picks(const PGresult *r)
{
    return strtoll(PQgetvalue(r, 0, PICKS), NULL, 10);
}

static int count_streams(const PGresult *r)
{
    return PQgetisnull(r, 0, STREAM) ? 0 : PQntuples(r);
}

static bool add_positions(const PGresult *r, struct ledger_answers *answers)
{
    if (count_streams(r) != answers->count)
        return false;
    for (int i = 0; i < answers->count; i++) {
        struct ledger_stream *s = &answers->streams[i];
        if (strcmp(PQgetvalue(r, i, STREAM), s->name) != 0)
            return false;
        s->epoch = (int32_t)strtol(PQgetvalue(r, i, EPOCH), NULL, 10);
        s->token = PQgetvalue(r, i, TOKEN);
        s->reset_token = PQgetvalue(r, i, RESET_TOKEN);
        s->last_id = PQgetvalue(r, i, LAST_ID);
    }
    return true;
}

bool ledger_facts_judge(const PGresult *r, struct ledger_answers *answers,
                        enum ledger_verdict *verdict)
{
    if (!add_positions(r, answers))
        return false;
    const struct ledger_facts facts = {.ledger = ledger_row_id(r),
                                       .picks = ledger_row_picks(r),
                                       .is_first = is_true(r, IS_FIRST),
                                       .has_past = is_true(r, HAS_PAST),
                                       .sent_known = answers->sent_known,
                                       .sent = answers->sent,
                                       .saw_redis = PQgetvalue(r, 0, REDIS_RUN),
                                       .redis = answers->run_id,
                                       .streams = answers->streams,
                                       .count = answers->count};
    *verdict = ledger_judge(&facts);
    return true;
}

/* Redis's answers. */

void ledger_answers_done(struct ledger_answers *a)
{
    for (int i = 0; i < a->count; i++) {
        free(a->streams[i].name);
        free(a->streams[i].group_id);
    }
    free(a->streams);
    *a = (struct ledger_answers){0};
}

static void command(struct redis_router *redis, const char *key, redis_done_fn done, void *owner,
                    int argc, const char **argv)
{
    size_t lengths[ARGUMENTS_MAX];
    for (int i = 0; i < argc; i++)
        lengths[i] = strlen(argv[i]);
    redis_router_command(redis, key, strlen(key), DEADLINE_MS, done, owner, argc, argv, lengths);
}

static void name_key(const char *ledger, char key[SENT_KEY_SIZE])
{
    snprintf(key, SENT_KEY_SIZE, SENT_KEY_PREFIX "%s", ledger);
}

/* Telling. SET takes memory, and must be allowed when Redis has none left, so that what waits is
 * sent all the same. */

static const char TELL[] = "#!lua flags=allow-oom\n"
                           "local known = tonumber(redis.call('GET', KEYS[1]) or '-1')\n"
                           "if known >= tonumber(ARGV[1]) then return known end\n"
                           "redis.call('SET', KEYS[1], ARGV[1])\n"
                           "return tonumber(ARGV[1])";

struct telling {
    ledger_told_fn done;
    void *owner;
};

static void take_told(void *owner, const struct err *error, void *reply)
{
    struct telling t = *(struct telling *)owner;
    const redisReply *r = reply;
    free(owner);
    t.done(t.owner, error, error ? 0 : r->integer);
}

void ledger_facts_tell(struct redis_router *redis, const char *ledger, int64_t picks,
                       ledger_told_fn done, void *owner)
{
    char key[SENT_KEY_SIZE];
    char number[NUMBER_SIZE];
    const char *argv[] = {"EVAL", TELL, "1", key, number};
    struct telling *t = xcalloc(1, sizeof *t);
    *t = (struct telling){.done = done, .owner = owner};
    name_key(ledger, key);
    snprintf(number, sizeof number, "%lld", (long long)picks);
    command(redis, key, take_told, t, 5, argv);
}

/* Which server it is. */

struct naming {
    ledger_run_id_fn done;
    void *owner;
};

/* A refusal (an ACL without INFO) is an answer. */
static void take_named(void *owner, const struct err *error, void *reply)
{
    struct naming n = *(struct naming *)owner;
    const redisReply *info = reply;
    const char *at = !error && info->str ? strstr(info->str, "run_id:") : NULL;
    char run_id[REDIS_RUN_ID_SIZE] = "";
    free(owner);
    if (at)
        snprintf(run_id, sizeof run_id, "%.*s", (int)strcspn(at + 7, "\r\n"), at + 7);
    n.done(n.owner, error && error->kind != ERR_REFUSED ? error : NULL, run_id);
}

void ledger_facts_ask_run_id(struct redis_router *redis, const char *ledger, ledger_run_id_fn done,
                             void *owner)
{
    char key[SENT_KEY_SIZE];
    const char *argv[] = {"INFO", "server"};
    struct naming *n = xcalloc(1, sizeof *n);
    *n = (struct naming){.done = done, .owner = owner};
    name_key(ledger, key);
    command(redis, key, take_named, n, 2, argv);
}

/* Asking. */

struct asking {
    struct ledger_answers *into;
    int left; /* answers to come */
    bool failed;
    struct err error; /* the first one */
    ledger_asked_fn done;
    void *owner;
};

struct question {
    struct asking *asking;
    struct ledger_stream *stream;
};

/* No such stream or group: that is an answer. */
static bool is_absent(const struct err *error)
{
    return error->kind == ERR_REFUSED &&
           (strstr(error->text, "no such key") != NULL || strncmp(error->text, "NOGROUP", 7) == 0);
}

static void take_answer(struct asking *a, const struct err *error)
{
    if (error && !is_absent(error) && !a->failed) {
        a->failed = true;
        a->error = *error;
    }
    if (--a->left > 0)
        return;
    struct asking last = *a;
    free(a);
    last.done(last.owner, last.failed ? &last.error : NULL);
}

static void take_sent(void *owner, const struct err *error, void *reply)
{
    struct asking *a = owner;
    const redisReply *r = reply;
    if (!error && r->type == REDIS_REPLY_STRING) {
        a->into->sent_known = true;
        a->into->sent = strtoll(r->str, NULL, 10);
    }
    take_answer(a, error);
}

static void take_run_id(void *owner, const struct err *error, const char *run_id)
{
    struct asking *a = owner;
    snprintf(a->into->run_id, sizeof a->into->run_id, "%s", run_id);
    take_answer(a, error);
}

static struct question pop_question(void *owner)
{
    struct question q = *(struct question *)owner;
    free(owner);
    return q;
}

static const char *find(const redisReply *map, const char *name)
{
    for (size_t i = 0; map->type == REDIS_REPLY_ARRAY && i + 1 < map->elements; i += 2)
        if (map->element[i]->str && strcmp(map->element[i]->str, name) == 0)
            return map->element[i + 1]->str;
    return NULL;
}

static size_t count_of(const struct err *error, const redisReply *list)
{
    return !error && list->type == REDIS_REPLY_ARRAY ? list->elements : 0;
}

static void take_groups(void *owner, const struct err *error, void *reply)
{
    struct question q = pop_question(owner);
    const redisReply *r = reply;
    for (size_t i = 0; i < count_of(error, r); i++) {
        const char *name = find(r->element[i], "name");
        const char *last = find(r->element[i], "last-delivered-id");
        if (name && last && strcmp(name, STREAM_GROUP) == 0 && !q.stream->group_id)
            q.stream->group_id = xstrdup(last);
    }
    take_answer(q.asking, error);
}

static void take_marks(void *owner, const struct err *error, void *reply)
{
    struct question q = pop_question(owner);
    struct ledger_stream *s = q.stream;
    const redisReply *r = reply;
    for (size_t i = 0; i < count_of(error, r); i++) {
        const char *name = find(r->element[i], "name");
        struct epoch_mark mark;
        if (!name || epoch_mark_parse(name, &mark) != 0 ||
            (s->marked && mark.epoch < s->mark.epoch))
            continue;
        s->marked = true;
        s->mark = mark;
    }
    take_answer(q.asking, error);
}

static struct question *question_new(struct asking *a, struct ledger_stream *stream)
{
    struct question *q = xcalloc(1, sizeof *q);
    *q = (struct question){.asking = a, .stream = stream};
    return q;
}

static void name_streams(const PGresult *r, struct ledger_answers *a)
{
    *a = (struct ledger_answers){.count = count_streams(r)};
    a->streams = xcalloc((size_t)a->count + 1, sizeof *a->streams);
    for (int i = 0; i < a->count; i++)
        a->streams[i].name = xstrdup(PQgetvalue(r, i, STREAM));
}

void ledger_facts_ask(struct redis_router *redis, const PGresult *r, struct ledger_answers *into,
                      ledger_asked_fn done, void *owner)
{
    const char *ledger = ledger_row_id(r);
    char key[SENT_KEY_SIZE];
    const char *get[] = {"GET", key};
    name_streams(r, into);
    struct asking *a = xcalloc(1, sizeof *a);
    *a = (struct asking){.into = into, .left = 2 + 2 * into->count, .done = done, .owner = owner};
    name_key(ledger, key);
    command(redis, key, take_sent, a, 2, get);
    ledger_facts_ask_run_id(redis, ledger, take_run_id, a);
    for (int i = 0; i < into->count; i++) {
        struct ledger_stream *s = &into->streams[i];
        const char *groups[] = {"XINFO", "GROUPS", s->name};
        const char *marks[] = {"XINFO", "CONSUMERS", s->name, STREAM_GROUP};
        command(redis, s->name, take_groups, question_new(a, s), 3, groups);
        command(redis, s->name, take_marks, question_new(a, s), 4, marks);
    }
}

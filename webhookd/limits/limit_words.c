#include "webhookd/limits/limit_words.h"

#include "common/contract.h"
#include "common/quota_owner.h"
#include "common/str.h"
#include "webhookd/work/statement_list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* KEYS[1] the hash; ARGV: when it was read (Unix ms), number of pairs, the pairs, our ledger,
 * fields to delete (asked for first, since an HDEL looks like a loss: common/redis/redis_stamp.h).
 * A stored time that is far in the future comes from a clock that was wrong, and does not count.
 * Returns 1, 0 if it was written from a younger reading, or the name of another ledger if the hash
 * is its: then nothing was written. */
static const char WRITE_LIMITS[] = QUOTA_OWNER_LUA
    "local last = 2 + 2 * tonumber(ARGV[2])\n"
    "local theirs = claim(KEYS[1], ARGV[last + 1])\n"
    "if theirs then return theirs end\n"
    "local at, seen = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'refreshed_at'))\n"
    "if seen and seen > at and seen < at + 60000 then return 0 end\n"
    "redis.call('HSET', KEYS[1], 'refreshed_at', ARGV[1])\n"
    "for i = 3, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
    "for i = last + 2, #ARGV do\n"
    "  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then redis.call('HDEL', KEYS[1], ARGV[i]) "
    "end\n"
    "end\n"
    "return 1";

static void add_word(struct limit_words *w, char *word)
{
    if (w->n == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 32;
        w->list = xrealloc(w->list, (size_t)w->capacity * sizeof *w->list);
    }
    w->list[w->n++] = word;
}

void limit_words_done(struct limit_words *w)
{
    for (int i = 0; i < w->n; i++)
        free(w->list[i]);
    free(w->list);
}

static void add_pair(struct limit_words *w, char *field, const char *value)
{
    add_word(w, field);
    add_word(w, xstrdup(value));
    w->pairs++;
}

/* Fields with a value. */
static void add_pairs(struct limit_words *w, const PGresult *rows, int first, int end)
{
    add_pair(w, xstrdup("status"), result_text(rows, first, LIMITS_STATUS));
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, LIMITS_METRIC);
        const char *cap = result_text(rows, row, LIMITS_CAP);
        const char *grace = result_text(rows, row, LIMITS_GRACE_UNTIL_MS);
        if (!metric || !cap)
            continue;
        add_pair(w, xasprintf("%s.limit", metric), result_text(rows, row, LIMITS_TEXT));
        add_pair(w, xasprintf("%s.cap", metric), cap);
        if (grace)
            add_pair(w, xasprintf("%s.grace_until", metric), grace);
    }
}

/* Fields without a value, so that what is gone from the plan is gone from the cache. */
static void add_gone(struct limit_words *w, const PGresult *rows, int first, int end)
{
    for (int row = first; row < end; row++) {
        const char *metric = result_text(rows, row, LIMITS_METRIC);
        if (metric && !result_text(rows, row, LIMITS_GRACE_UNTIL_MS))
            add_word(w, xasprintf("%s.grace_until", metric));
        if (!metric || result_text(rows, row, LIMITS_CAP))
            continue;
        add_word(w, xasprintf("%s.limit", metric));
        add_word(w, xasprintf("%s.cap", metric));
    }
}

void limit_words_make(struct limit_words *w, const PGresult *rows, int first, int end)
{
    *w = (struct limit_words){.list = NULL};
    add_word(w, xstrdup("EVAL"));
    add_word(w, xstrdup(WRITE_LIMITS));
    add_word(w, xstrdup("1"));
    assert(w->n == WORDS_KEY_AT);
    add_word(w, xasprintf(QUOTA_KEY_PREFIX "%s}", result_text(rows, first, LIMITS_TENANT)));
    add_word(w, xstrdup(result_text(rows, first, LIMITS_READ_AT_MS)));
    int count_at = w->n;
    add_word(w, NULL);
    assert(w->n == WORDS_PAIRS_AT);
    add_pairs(w, rows, first, end);
    w->list[count_at] = xasprintf("%d", w->pairs);
    add_word(w, xstrdup(result_text(rows, first, LIMITS_LEDGER)));
    add_gone(w, rows, first, end);
}

static int ledger_at(const struct limit_words *w)
{
    return WORDS_PAIRS_AT + 2 * w->pairs;
}

const char **limit_words_ask(const struct limit_words *w, int *argc)
{
    int n = 0;
    const char **argv = xcalloc((size_t)w->n, sizeof *argv);
    argv[n++] = "HMGET";
    argv[n++] = w->list[WORDS_KEY_AT];
    argv[n++] = "ledger";
    for (int i = 0; i < w->pairs; i++)
        argv[n++] = w->list[WORDS_PAIRS_AT + 2 * i];
    for (int i = ledger_at(w) + 1; i < w->n; i++)
        argv[n++] = w->list[i];
    *argc = n;
    return argv;
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && !strcmp(reply->str, text);
}

bool limit_words_match(const struct limit_words *w, const redisReply *answer)
{
    size_t gone = (size_t)(w->n - ledger_at(w) - 1);
    if (answer->type != REDIS_REPLY_ARRAY || answer->elements != 1 + (size_t)w->pairs + gone ||
        !is_text(answer->element[0], w->list[ledger_at(w)]))
        return false;
    for (int i = 0; i < w->pairs; i++)
        if (!is_text(answer->element[1 + i], w->list[WORDS_PAIRS_AT + 2 * i + 1]))
            return false;
    for (size_t i = 1 + (size_t)w->pairs; i < answer->elements; i++)
        if (answer->element[i]->type != REDIS_REPLY_NIL)
            return false;
    return true;
}

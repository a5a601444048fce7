/* Commands in flight and their deadlines.
 *
 * Redis answers in order, so the commands in flight are a queue, and each reply belongs to the
 * first of them. One timer serves all deadlines: it is set for the earliest one. A reply does not
 * touch it; if it fires too early it is set again. When a deadline has passed the connection is
 * dropped, because the reply may still come and would be taken for the next command's. */
#include "common/redis/redis_internal.h"

#include "common/clock.h"
#include "common/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { QUEUE_FIRST_CAPACITY = 16, LAST_LOOK_MS = 1 };

static void grow(struct redis_queue *q)
{
    size_t capacity = q->capacity ? q->capacity * 2 : QUEUE_FIRST_CAPACITY;
    struct redis_pending *items = xmalloc(capacity * sizeof *items);
    for (size_t i = 0; i < q->n; i++)
        items[i] = q->items[(q->first + i) & (q->capacity - 1)];
    free(q->items);
    *q = (struct redis_queue){items, capacity, 0, q->n};
}

static void push(struct redis_queue *q, const struct redis_pending *item)
{
    if (q->n == q->capacity)
        grow(q);
    q->items[(q->first + q->n++) & (q->capacity - 1)] = *item;
}

static struct redis_pending pop(struct redis_queue *q)
{
    assert(q->n > 0);
    struct redis_pending item = q->items[q->first];
    q->first = (q->first + 1) & (q->capacity - 1);
    q->n--;
    return item;
}

static void end_soon(struct redis *r, struct redis_pending *c, enum err_kind kind)
{
    c->kind = kind;
    push(&r->ended, c);
    redis_start_soon(r);
}

void redis_end_sent(struct redis *r, enum err_kind kind, int64_t overdue_ms)
{
    while (r->sent.n > 0) {
        struct redis_pending c = pop(&r->sent);
        end_soon(r, &c, c.deadline_ms <= overdue_ms ? ERR_TIMEOUT : kind);
    }
}

static void describe(const struct redis *r, enum err_kind kind, struct err *e)
{
    if (kind == ERR_CLOSED && *r->down.text)
        err_set(e, kind, "%s", r->down.text);
    else if (kind == ERR_TIMEOUT)
        err_set(e, kind, "no reply from Redis in time");
    else
        err_set(e, kind, "%s", err_kind_text(kind));
}

void redis_deliver_ended(struct redis *r)
{
    for (size_t left = r->ended.n; left > 0; left--) {
        struct redis_pending c = pop(&r->ended);
        struct err e;
        describe(r, c.kind, &e);
        if (c.done)
            c.done(c.owner, &e, NULL);
    }
}

static void on_deadline(uv_timer_t *timer);

static void set_deadline(struct redis *r, int64_t at_ms, int64_t now_ms)
{
    r->deadline_at_ms = at_ms;
    uv_update_time(r->loop);
    uv_timer_start(&r->deadline, on_deadline, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
}

static int64_t earliest_deadline(const struct redis_queue *q)
{
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < q->n; i++) {
        int64_t at_ms = q->items[(q->first + i) & (q->capacity - 1)].deadline_ms;
        earliest = at_ms < earliest ? at_ms : earliest;
    }
    return earliest;
}

/* If the whole process was stopped for a while, the timer fires first, though the reply may be
 * waiting in the socket. So the loop reads once more before the outcome is called unknown. */
static void on_deadline(uv_timer_t *timer)
{
    struct redis *r = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    int64_t earliest = earliest_deadline(&r->sent);
    if (earliest <= now_ms && r->looked_again) {
        struct err e;
        r->looked_again = false;
        err_set(&e, ERR_TIMEOUT, "no reply from Redis in time");
        redis_lost(r, &e, now_ms);
        return;
    }
    r->looked_again = earliest <= now_ms;
    r->deadline_at_ms = INT64_MAX;
    if (r->looked_again)
        set_deadline(r, now_ms + LAST_LOOK_MS, now_ms);
    else if (earliest != INT64_MAX)
        set_deadline(r, earliest, now_ms);
}

/* Does the error pass by itself? Its first word tells. */
static bool passes_by_itself(const char *text)
{
    static const char *const WORDS[] = {"LOADING ",    "BUSY ",      "MASTERDOWN ", "READONLY ",
                                        "OOM ",        "MISCONF ",   "TRYAGAIN ",   "CLUSTERDOWN ",
                                        "NOREPLICAS ", "UNBLOCKED ", "MOVED ",      "ASK "};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strncmp(text, WORDS[i], strlen(WORDS[i])) == 0)
            return true;
    return false;
}

/* The command was not run: it was redirected, or refused by a replica. Its caller is told that the
 * connection was lost, which it will be in a moment. Returns false if done has dropped it already.
 */
static bool end_as_closed(struct redis *r, const struct redis_pending *c, const char *text)
{
    const struct redis_link *link = r->link;
    struct err e;
    err_set(&e, ERR_CLOSED, "%s", text);
    if (c->done)
        c->done(c->owner, &e, NULL);
    return r->link == link;
}

void redis_end_first(struct redis *r, struct err *e, void *reply)
{
    struct redis_pending c = pop(&r->sent);
    if (e && e->kind == ERR_REFUSED && redis_note_redirect(r, e->text)) {
        if (end_as_closed(r, &c, e->text))
            redis_follow(r);
        return;
    }
    if (e && e->kind == ERR_REFUSED && redis_role_refuses(r, e->text)) {
        if (end_as_closed(r, &c, e->text))
            redis_role_lose(r, e->text);
        return;
    }
    r->hops = 0;
    if (e && e->kind == ERR_REFUSED)
        e->retry = passes_by_itself(e->text);
    if (c.done)
        c.done(c.owner, e, e ? NULL : reply);
}

static void on_reply(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct redis_link *link = ac->ev.data;
    struct redis *r = link->redis;
    const redisReply *root = reply;
    struct err e;
    (void)privdata;
    if (!reply || r->link != link)
        return; /* the connection is being dropped: redis_lost ends the commands */
    if (root->type != REDIS_REPLY_ERROR) {
        redis_end_first(r, NULL, reply);
        return;
    }
    err_set(&e, ERR_REFUSED, "%s", root->str);
    redis_end_first(r, &e, NULL);
}

static bool send_bytes(struct redis *r, const char *bytes, size_t length)
{
    if (r->state != REDIS_IS_UP)
        return false;
    if (r->role_asked && r->decoder.take && r->sent.n > 0) {
        buf_add(&r->delayed, bytes, length);
        return true;
    }
    if (redis_is_raw(r->link))
        return redis_raw_send(r->link, bytes, length);
    return redisAsyncFormattedCommand(r->link->ac, on_reply, NULL, bytes, length) == REDIS_OK;
}

static bool is_same(const char *bytes, size_t length, const char *command)
{
    return length == strlen(command) && strncasecmp(bytes, command, length) == 0;
}

static bool send_command(struct redis *r, const struct redis_pending *c, const char *bytes,
                         size_t length)
{
    static const char ASKING[] = "*1\r\n$6\r\nASKING\r\n";
    if (r->asking && !r->in_multi) {
        struct redis_pending asking = {.deadline_ms = c->deadline_ms};
        if (!send_bytes(r, ASKING, sizeof ASKING - 1))
            return false;
        push(&r->sent, &asking);
    }
    if (is_same(bytes, length, "*1\r\n$5\r\nMULTI\r\n"))
        r->in_multi = true;
    else if (is_same(bytes, length, "*1\r\n$4\r\nEXEC\r\n"))
        r->in_multi = false;
    return send_bytes(r, bytes, length);
}

void redis_send(struct redis *r, uint64_t deadline_ms, redis_done_fn done, void *owner,
                const char *bytes, size_t length)
{
    if (r->role_due && r->sent.n == 0)
        redis_role_ask(r);
    int64_t now_ms = clock_monotonic_ms();
    struct redis_pending c = {done, owner, now_ms + (int64_t)deadline_ms, ERR_NONE};
    if (!send_command(r, &c, bytes, length)) {
        end_soon(r, &c, r->state == REDIS_IS_CLOSING ? ERR_CANCELED : ERR_CLOSED);
        return;
    }
    push(&r->sent, &c);
    if (c.deadline_ms < r->deadline_at_ms)
        set_deadline(r, c.deadline_ms, now_ms);
}

void redis_command(struct redis *r, uint64_t deadline_ms, redis_done_fn done, void *owner, int argc,
                   const char **argv, const size_t *argv_length)
{
    char *bytes = NULL;
    long long length = redisFormatCommandArgv(&bytes, argc, argv, argv_length);
    assert(length > 0);
    redis_send(r, deadline_ms, done, owner, bytes, (size_t)length);
    redisFreeCommand(bytes);
}

void redis_commandf(struct redis *r, uint64_t deadline_ms, redis_done_fn done, void *owner,
                    const char *format, ...)
{
    char *bytes = NULL;
    va_list args;
    va_start(args, format);
    int length = redisvFormatCommand(&bytes, format, args);
    va_end(args);
    assert(length > 0);
    redis_send(r, deadline_ms, done, owner, bytes, (size_t)length);
    redisFreeCommand(bytes);
}
